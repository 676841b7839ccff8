"""A literal credential never stays in a stored configuration: it becomes an encrypted secret, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from sync_pipelines.config import in_force, parse_config, sealed
from sync_pipelines.core import config_store
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.jsons import encode_json
from sync_pipelines.core.secrets import MasterKeys, Secrets

DOCUMENT: dict[str, Any] = {
    "accounts": [
        {
            "id": "sendcloud/main",
            "credentials": {"public_key": "${PUBLIC}", "secret_key": "visible-nowhere-1"},
            "settings": {"webhook_keys": ["visible-nowhere-2", "secret:older"]},
        },
        {
            "id": "bigbuy/main",
            "credentials": {"api_key": "secret:key"},
            "settings": {"completion_webhook": {"url": "https://hooks.example.com", "secret": "visible-nowhere-3"}},
        },
    ],
    "alerts": {"email": {"host": "localhost", "sender": "a@example.com", "password": "visible-nowhere-4"}},
}


@pytest.fixture
def secrets(database: Database) -> Secrets:
    return Secrets(database, MasterKeys.parse(MasterKeys.new()))


def apply(database: Database, secrets: Secrets | None, document: Any) -> config_store.Version:
    config = parse_config(encode_json(document).decode(), environ={})
    with database.transaction() as connection:
        safe = sealed(document, config, connection, secrets)
        safe.store(connection, secrets)
        return config_store.apply(connection, safe.document, by="anna")


def changed(**credentials: str) -> dict[str, Any]:
    first, *others = DOCUMENT["accounts"]
    return {**DOCUMENT, "accounts": [{**first, "credentials": {**first["credentials"], **credentials}}, *others]}


def test_literals_become_secrets_and_references_stay(database: Database, database_url: str, secrets: Secrets) -> None:
    applied = apply(database, secrets, DOCUMENT)
    sendcloud, bigbuy = parse_config(encode_json(applied.document).decode(), environ={}).accounts
    assert {name: found.template for name, found in sendcloud.credentials.items()} == {
        "public_key": "${PUBLIC}",
        "secret_key": "secret:secret_key.1",
    }
    assert sendcloud.credential("secret_key", secrets.lookup) == "visible-nowhere-1"
    assert [key.template for key in sendcloud.settings.webhook_keys] == ["secret:webhook_keys.1", "secret:older"]
    assert bigbuy.bound_settings(secrets.lookup).completion_webhook.secret.value() == "visible-nowhere-3"
    assert secrets.get("email.password.1", "") == b"visible-nowhere-4"
    with psycopg.connect(database_url) as connection:
        stored = connection.execute("select document::text || changes::text from sync.config_versions").fetchall()
        kept = connection.execute("select string_agg(s::text, ' ') from sync.secrets s").fetchone()
    assert "visible-nowhere" not in f"{stored} {kept}"


def test_the_same_values_are_the_same_version_and_another_value_is_another(database: Database, secrets: Secrets) -> None:
    first = apply(database, secrets, DOCUMENT)
    assert apply(database, secrets, DOCUMENT) == first
    second = apply(database, secrets, changed(secret_key="visible-nowhere-5"))
    assert second.changes == [
        {
            "path": "accounts[sendcloud/main].credentials.secret_key",
            "before": "secret:secret_key.1",
            "after": "secret:secret_key.2",
        }
    ]
    assert (secrets.get("secret_key.1", "sendcloud/main"), secrets.get("secret_key.2", "sendcloud/main")) == (
        b"visible-nowhere-1",
        b"visible-nowhere-5",
    ), "a rollback goes back to the old value"


def test_without_a_master_key_literals_are_refused_with_place_and_fix(database: Database) -> None:
    with pytest.raises(ConfigError) as raised:
        apply(database, None, DOCUMENT)
    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("accounts.yaml:1: account sendcloud/main, credentials.secret_key: the value itself is not stored")
    assert "secrets set secret_key --account sendcloud/main" in lines[0]
    assert '"${SENDCLOUD_MAIN_SECRET_KEY}"' in lines[0]
    assert "visible-nowhere" not in str(raised.value)


def test_a_file_with_literals_agrees_with_what_was_applied_of_it(database: Database, secrets: Secrets, tmp_path: Path) -> None:
    file = tmp_path / "accounts.yaml"
    apply(database, secrets, DOCUMENT)
    file.write_bytes(encode_json(DOCUMENT))
    assert in_force(database, file, secrets).difference is None
    file.write_bytes(encode_json(changed(secret_key="another")))
    assert in_force(database, file, secrets).difference
