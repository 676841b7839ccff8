"""``amazon authorize`` and ``aliexpress authorize``: a token is tried before it is kept, and kept encrypted."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest

from sync_pipelines.cli import invoke
from sync_pipelines.cli.commands import aliexpress
from sync_pipelines.core.consent import pasted_code
from sync_pipelines.core.errors import AuthError
from sync_pipelines_tests.sandboxes import RunningSandbox

ACCOUNTS = """\
accounts:
  - id: amazon/alpha
    base_url: {base_url}
    auth_url: {base_url}/auth/o2/token
    credentials: {{client_id: amzn1.application-oa2-client.sandbox, client_secret: sandbox-secret, refresh_token: "secret:seller"}}
    settings: {{marketplaces: [A13V1IB3VIYZZH]}}
  - id: aliexpress/main
    base_url: {base_url}
    credentials:
      app_key: sandbox-app
      app_secret: sandbox-app-secret
      access_token: "secret:access"
      refresh_token: "secret:refresh"
"""

Configure = Callable[[str], RunningSandbox]


@pytest.fixture
def configure(
    sandbox: Callable[..., RunningSandbox], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Configure:
    """Starts a look-alike and an environment to run commands in."""

    def start(vendor: str) -> RunningSandbox:
        running = sandbox(vendor)
        config = tmp_path / "accounts.yaml"
        config.write_text(ACCOUNTS.format(base_url=running.base_url))
        monkeypatch.setenv("SYNC_PIPELINES_CONFIG", str(config))
        monkeypatch.setenv("SYNC_PIPELINES_STATE", str(tmp_path / "state"))
        monkeypatch.setenv("DATABASE_URL", database_url)
        monkeypatch.setenv("SYNC_PIPELINES_MASTER_KEY", "c2FuZGJveC1zYW5kYm94LXNhbmRib3gtc2FuZGJveCE=")
        return running

    return start


@contextmanager
def standard_input(monkeypatch: pytest.MonkeyPatch, text: str) -> Iterator[None]:
    stream = io.TextIOWrapper(io.BytesIO(text.encode()))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", stream)
        yield


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """A command's exit code and its JSON."""
    code = invoke([*words, "--json"])
    return code, json.loads(capsys.readouterr().out or "null")


def secrets(database_url: str) -> dict[str, bytes]:
    with psycopg.connect(database_url) as connection:
        return dict(connection.execute("select account || ' ' || name, ciphertext from sync.secrets").fetchall())


def test_amazons_token_is_tried_and_kept(
    configure: Configure, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("amazon")
    with standard_input(monkeypatch, "Atzr|sandbox-alpha\n"):
        assert run(capsys, "amazon", "authorize", "-a", "amazon/alpha") == (
            0,
            {"account": "amazon/alpha", "secret": "seller", "is_used": True},
        )
    kept = secrets(database_url)
    assert list(kept) == ["amazon/alpha seller"]
    assert b"sandbox-alpha" not in kept["amazon/alpha seller"]
    assert run(capsys, "check", "-a", "amazon/alpha")[0] == 0


@pytest.mark.parametrize(
    ("token", "code", "message"),
    [
        ("Atzr|of-somebody-else", 1, "invalid_grant"),
        ("Atza|an-access-token", 2, "begins with Atzr|"),
        ("", 2, "standard input holds no value"),
    ],
)
def test_a_token_that_amazon_refuses_is_not_kept(
    configure: Configure,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    token: str,
    code: int,
    message: str,
) -> None:
    configure("amazon")
    with standard_input(monkeypatch, token):
        ended, told = run(capsys, "amazon", "authorize", "-a", "amazon/alpha")
    assert ended == code
    assert message in told["error"]
    assert secrets(database_url) == {}


def test_another_vendors_account_is_refused(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configure("amazon")
    code, told = run(capsys, "amazon", "authorize", "-a", "aliexpress/main")
    assert (code, told["error"]) == (2, "aliexpress/main is not an Amazon account")


def test_aliexpress_consent_in_the_browser_grants_a_pair(
    configure: Configure, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running = configure("aliexpress")

    def agree(address: str) -> None:
        threading.Thread(target=httpx.get, args=(address,), kwargs={"follow_redirects": True}, daemon=True).start()

    monkeypatch.setattr("webbrowser.open", agree)
    assert run(capsys, "aliexpress", "authorize", "-a", "aliexpress/main", "--port", "0") == (
        0,
        {"account": "aliexpress/main", "secret": "refresh", "is_used": True},
    )
    kept = secrets(database_url)
    assert set(kept) == {"aliexpress/main access", "aliexpress/main refresh"}
    assert not any(b"sandbox" in value for value in kept.values())
    assert run(capsys, "check", "-a", "aliexpress/main")[0] == 0
    assert running.control.get("signatures") == {"wrong": []}


def test_aliexpress_takes_the_pasted_address_of_its_own_question_only(
    configure: Configure, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("aliexpress")
    pasted: list[str] = []
    monkeypatch.setattr(aliexpress, "_show", lambda address, *, browser: pasted.append(led_to(address)))
    words = ("aliexpress", "authorize", "-a", "aliexpress/main", "--redirect-uri", "https://shop.invalid/back")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False, readline=lambda: pasted[0]))
    assert run(capsys, *words)[0] == 0
    code, told = run(capsys, *words)
    assert code == 1
    assert "does not answer the question just asked" in told["error"]
    assert set(secrets(database_url)) == {"aliexpress/main access", "aliexpress/main refresh"}


def led_to(address: str) -> str:
    """Where the browser ends after a person has agreed."""
    return httpx.get(address, follow_redirects=False).headers["location"]


def test_a_code_works_once(configure: Configure, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    configure("aliexpress")
    codes: list[str] = []
    monkeypatch.setattr(aliexpress, "_show", lambda address, *, browser: codes.append(led_to(address)))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False, readline=lambda: httpx.URL(codes[0]).params["code"]))
    words = ("aliexpress", "authorize", "-a", "aliexpress/main", "--redirect-uri", "https://shop.invalid/back")
    assert run(capsys, *words)[0] == 0
    code, told = run(capsys, *words)
    assert (code, "InvalidCode" in told["error"]) == (1, True)


def test_what_is_pasted_may_be_the_code_itself_but_no_refusal() -> None:
    assert pasted_code("a/b", " 0_abc \n", "state") == "0_abc"
    assert pasted_code("a/b", "https://shop.invalid/back?code=0_abc&state=state", "state") == "0_abc"
    with pytest.raises(AuthError, match="access_denied"):
        pasted_code("a/b", "https://shop.invalid/back?error=access_denied&state=state", "state")
    with pytest.raises(AuthError, match="no reason given"):
        pasted_code("a/b", "", "state")
