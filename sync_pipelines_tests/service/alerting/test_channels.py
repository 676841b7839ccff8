"""The ways to people against a real relay and Slack's look-alike: what is sent, and what is said where it is not taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.cli import invoke
from sync_pipelines.config.alerts import EmailSettings, SlackSettings
from sync_pipelines.core.references import Reference
from sync_pipelines.service.alerting.channels import Email, NotSent, Slack
from sync_pipelines.service.alerting.digest import Group, Line, Links, Message, slack_blocks
from sync_pipelines.service.alerting.people import WEBHOOK
from sync_pipelines.service.alerting.words import clean, span
from sync_pipelines_tests.sandboxes import free_port
from sync_pipelines_tests.service.alerting.lookalikes import (
    BOT,
    RELAY_PASSWORD,
    RELAY_USER,
    Relay,
    SlackLookalike,
    relay,
    slack,
)

LINKS = Links("http://127.0.0.1:8787", "http://127.0.0.1:3000")


def message(groups: int = 1, lines: int = 2, length: int = 20) -> Message:
    line = Line("warning: <shop & co> " + "x" * length, LINKS.run("run-1"))
    return Message(
        key="alerts-1",
        subject="[sync-pipelines] warning: 2 alerts",
        note="2 new.",
        groups=tuple(Group(f"Group {number}", (line,) * lines) for number in range(groups)),
        links=LINKS,
        at=datetime(2026, 3, 2, tzinfo=UTC),
        footer=("Status page: http://127.0.0.1:8787",),
    )


@pytest.fixture
def workspace() -> Iterator[SlackLookalike]:
    moments = iter(range(0, 10_000, 2))
    with slack(clock=lambda: float(next(moments))) as opened:
        yield opened


def email(to: Relay, security: str, **options: Any) -> EmailSettings:
    return EmailSettings.model_validate(
        {"host": "127.0.0.1", "port": to.port, "security": security, "sender": "watch@example.com", **options}
    )


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_over_tls_with_user_and_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str) -> None:
    with relay(tmp_path, security=security) as server:
        settings = email(server, security, username=RELAY_USER)
        with pytest.raises(NotSent, match=r"no certificate we trust .* SSL_CERT_FILE"):
            Email(settings, RELAY_PASSWORD).send("ana@example.com", message())
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        with pytest.raises(NotSent, match="refuses user and password") as refused:
            Email(settings, "a wrong word").send("ana@example.com", message())
        assert "a wrong word" not in str(refused.value)
        Email(settings, RELAY_PASSWORD).send("ana@example.com", message())
        [letter] = server.mailbox.letters
        assert letter["Message-ID"] == "<alerts-1@example.com>"
        assert letter["Auto-Submitted"] == "auto-generated"


def test_a_password_never_crosses_a_network_in_clear() -> None:
    settings = EmailSettings(host="relay.example.com", security="none", sender="watch@example.com", username="a")
    with pytest.raises(NotSent, match="clear text"):
        Email(settings, "word").send("ana@example.com", message())


def test_a_relay_that_is_not_there_is_named() -> None:
    settings = EmailSettings(host="127.0.0.1", port=free_port(), security="none", sender="watch@example.com")
    with pytest.raises(NotSent, match=r"127\.0\.0\.1:\d+ can not be reached .*check host, port"):
        Email(settings).send("ana@example.com", message())


def test_slack_takes_the_longest_digest(workspace: SlackLookalike) -> None:
    by_token = Slack(SlackSettings(base_url=workspace.url, token=Reference(BOT)), token=BOT)
    by_token.send("C-OPS", message(groups=120, lines=100, length=5000))
    [post] = workspace.posts
    assert len(post["blocks"]) == 50
    assert "&lt;shop &amp; co&gt;" in post["text"]
    assert all(text.count("<") == text.count(">") for text in (str(block) for block in post["blocks"]))


def test_an_error_inside_a_200_is_an_error(workspace: SlackLookalike) -> None:
    settings = SlackSettings(base_url=workspace.url, token=Reference("x"))
    with pytest.raises(NotSent, match=r"invalid_auth.*alerts\.slack\.token"):
        Slack(settings, token="another-invented-token").send("C-OPS", message())
    with pytest.raises(NotSent, match=r"channel_not_found.*invite the bot"):
        Slack(settings, token=BOT).send("C-NOWHERE", message())


def test_more_than_a_message_a_second_waits_as_long_as_slack_says() -> None:
    with slack() as workspace:
        channel = Slack(SlackSettings(base_url=workspace.url, token=Reference(BOT)), token=BOT)
        channel.send("C-OPS", message())
        with pytest.raises(NotSent) as refused:
            channel.send("C-OPS", message())
        assert refused.value.retry_after_s == 1


def test_an_incoming_webhook_does_as_well(workspace: SlackLookalike) -> None:
    address = workspace.url.replace("/api/", "/services/T0/B0/")
    settings = SlackSettings(webhook_url=Reference("x"))
    Slack(settings, webhook_url=f"{address}invented").send(WEBHOOK, message())
    assert workspace.posts[0]["blocks"][0]["text"]["text"] == message().subject
    with pytest.raises(NotSent, match=r"no_service.*make a new one") as refused:
        Slack(settings, webhook_url=f"{address}removed").send(WEBHOOK, message())
    assert "/services/" not in str(refused.value)


def test_an_empty_group_still_is_a_block() -> None:
    assert slack_blocks(message(groups=0))[1]["text"]["text"] == "2 new."


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("mail to a.b+c@example.co.uk now", "mail to (address) now"),
        ("Authorization: Bearer abcdefghijk", "Authorization: Bearer (token)"),
        ("GET /x?api_key=abc&page=2", "GET /x?api_key=(hidden)&page=2"),
        ("sendcloud/orders of sendcloud/main: 3 runs failed", "sendcloud/orders of sendcloud/main: 3 runs failed"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_spans_have_two_figures() -> None:
    from datetime import timedelta

    assert [span(timedelta(minutes=n)) for n in (0, 45, 60, 90, 60 * 24 * 2, 60 * 50)] == [
        "0 s",
        "45 min",
        "1 h",
        "1 h 30 min",
        "2 d",
        "2 d 2 h",
    ]


def test_the_command_sends_one_to_everybody_and_says_what_is_wrong(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    workspace: SlackLookalike,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TEST_BOT", BOT)
    monkeypatch.delenv("SYNC_PIPELINES_CONFIG", raising=False)
    file = tmp_path / "accounts.yaml"
    file.write_text("accounts: []\n")
    assert invoke(["alerts", "test"]) == 2
    assert "docs/alert.md" in capsys.readouterr().err
    with relay(tmp_path) as server:
        file.write_text(
            f"""
accounts: []
alerts:
  email: {{host: 127.0.0.1, port: {server.port}, security: none, sender: watch@example.com}}
  slack: {{token: "${{TEST_BOT}}", channel: C-OPS, base_url: "{workspace.url}"}}
  people:
    - {{name: Ana, email: ana@example.com}}
"""
        )
        assert invoke(["alerts", "test", "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
        assert [(row["person"], row["channel"], row["is_sent"]) for row in rows] == [
            ("Ana", "email", True),
            ("Ana", "slack", True),
        ]
        assert "nothing is wrong" in server.mailbox.body()
        monkeypatch.delenv("TEST_BOT")
        assert invoke(["alerts", "test", "--json"]) == 1
        [_, failed] = json.loads(capsys.readouterr().out)
        assert "TEST_BOT is not set" in failed["detail"]
    assert invoke(["alerts", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
