"""Opening an account: tokens, refresh by one of many, and what ``check`` says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sync_pipelines.core.budget import read_budgets
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import AuthError, ConfigError
from sync_pipelines.core.oauth import read_token_ages
from sync_pipelines.vendors.gazelle import selections, vendor
from sync_pipelines.vendors.gazelle.settings import Settings
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.gazelle.studio import ACCOUNT, OAUTH, Studio


@pytest.fixture
def studio(sandbox: Callable[..., RunningSandbox], database: Database) -> Studio:
    return Studio(sandbox("gazelle", size="tiny"), database, OAUTH)


def test_tokens_rotate_between_and_during_runs(studio: Studio) -> None:
    studio.settings = studio.settings.model_copy(update={"page_size": 6, "lean_page_size": 6})
    studio.sync("clients")
    studio.control.post("tokens", action="expire")
    studio.sync("pianos")
    studio.control.faults({"kind": "status", "status": 401, "skip": 2, "times": 1, "path": "graphql"})
    studio.sync("contacts")
    assert studio.control.get("tokens") == {"issued": 3, "refreshed": 3, "refused": 0}
    assert studio.differences("clients", "pianos", "contacts") == []


def test_many_that_refresh_at_once_use_one_refresh(studio: Studio) -> None:
    def read(_: int) -> int:
        with vendor.connect(studio.context()) as reader:
            return len(reader.client.plain(selections.USERS)["allUsers"])

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(4))) == {6}
    assert studio.control.get("tokens")["refreshed"] == 1
    studio.control.post("tokens", action="expire")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(4))) == {6}
    assert studio.control.get("tokens") == {"issued": 2, "refreshed": 2, "refused": 0}


def test_an_account_makes_two_requests_a_second_unless_its_settings_say_otherwise(studio: Studio) -> None:
    for settings, pause_s in ((Settings(), 0.5), (Settings(requests_per_second=5), 0.2)):
        studio.settings = settings
        with vendor.connect(studio.context()) as reader:
            reader.client.plain(selections.USERS)
        assert [report.period_s for report in read_budgets(studio.database, ACCOUNT)] == [pytest.approx(pause_s)]


def test_the_refresh_tokens_end_is_seen_coming(studio: Studio) -> None:
    studio.sync("users")
    ages = read_token_ages(studio.database)[0]
    assert ages.refreshed_at
    assert ages.refresh_expires_at
    assert 29 <= (ages.refresh_expires_at - ages.refreshed_at).days <= 30


def test_a_withdrawn_consent_stops_the_account(studio: Studio) -> None:
    studio.sync("users")
    studio.control.post("tokens", action="revoke")
    with pytest.raises(AuthError, match="authorize"):
        studio.sync("users")


def test_credentials_that_are_missing_are_named(studio: Studio) -> None:
    with pytest.raises(ConfigError, match="client_secret"):
        vendor.connect(replace(studio.context(), credentials={"client_id": "sandbox-client", "refresh_token": "x"}))
    with pytest.raises(ConfigError, match="MASTER_KEY"):
        vendor.connect(replace(studio.context(), secrets=None))


@pytest.mark.parametrize("introspection", [True, False])
def test_check_compares_our_fields_with_the_live_schema(studio: Studio, *, introspection: bool) -> None:
    studio.control.post("settings", introspection=introspection)
    with vendor.connect(studio.context()) as reader:
        assert all(item.is_ok for item in vendor.check(reader))
    studio.control.post("schema", removed=["PrivatePiano.caseColor"], enum_values={"PianoType": ["KEYTAR"]})
    with vendor.connect(studio.context()) as reader:
        items = {item.what: item for item in vendor.check(reader)}
    assert not items["field selections"].is_ok
    assert "PianoFields.caseColor" in items["field selections"].detail
    if introspection:
        assert "PianoType.KEYTAR" in items["vocabularies"].detail


def test_check_says_that_the_credentials_are_refused(studio: Studio) -> None:
    studio.control.post("tokens", action="revoke")
    with vendor.connect(studio.context()) as reader:
        items = vendor.check(reader)
    assert [item.is_ok for item in items] == [False]
