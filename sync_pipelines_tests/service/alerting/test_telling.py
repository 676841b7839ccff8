"""Each person hears of everything, once an hour at most, and of nothing twice, whatever happens in between."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.core.alerts import Finding, Severity
from sync_pipelines.core.db import Database
from sync_pipelines.service.alerting.channels import Channel
from sync_pipelines.service.alerting.digest import Message
from sync_pipelines.service.alerting.people import EMAIL
from sync_pipelines_tests.servers import TestServer
from sync_pipelines_tests.service.alerting.conftest import House

ANA = {"name": "Ana", "email": "ana@example.com", "slack": None, "slack_from": None}
BEN = {"name": "Ben", "email": "ben@example.com", "email_from": "error", "slack": "C-SHOP"}
CLEO = {"name": "Cleo", "slack": "C-OPS", "email_from": None}


def trouble(number: int = 1, **options: Any) -> Finding:
    return Finding(f"toy/things of toy/{number}", f"toy/things of toy/{number}: broken", **options)


def test_what_is_new_is_told_after_a_quiet_minute(house: House) -> None:
    house.tell(ANA)
    house.planted.findings = [trouble(run_id="run-1")]
    house.passes(seconds=50)
    assert not house.relay.mailbox.letters
    house.passes(seconds=30)
    [letter] = house.relay.mailbox.letters
    assert letter["Subject"] == "[sync-pipelines] warning: 1 alert: Planted things"
    assert letter["To"] == "ana@example.com"
    assert "toy/things of toy/1: broken" in house.relay.mailbox.body()
    assert "http://127.0.0.1:3000/runs/run-1" in house.relay.mailbox.body()
    assert "Status page: http://127.0.0.1:8787" in house.relay.mailbox.body()


def test_what_comes_within_the_hour_is_folded_into_one_digest_with_the_all_clear(house: House) -> None:
    house.tell(ANA)
    house.planted.findings = [trouble(1), trouble(2)]
    house.passes(minutes=5)
    for number in range(3, 10):
        house.planted.findings = [trouble(2), trouble(number)]
        house.passes(minutes=5)
    assert len(house.relay.mailbox.letters) == 1
    house.passes(minutes=30)
    assert len(house.relay.mailbox.letters) == 2
    body = house.relay.mailbox.body()
    assert "Planted things (1)" in body
    assert "Over already: Planted things (6)" in body
    assert "All clear: Planted things (1)" in body
    assert "Still open: Planted things (1)" in body
    house.planted.findings = []
    house.passes(hours=2)
    assert len(house.relay.mailbox.letters) == 3
    assert house.relay.mailbox.letters[-1]["Subject"] == "[sync-pipelines] all clear: 2 alerts closed"
    house.passes(hours=5)
    assert len(house.relay.mailbox.letters) == 3


def test_people_choose_channels_and_severities(house: House) -> None:
    house.tell(ANA, BEN, CLEO)
    house.planted.findings = [trouble()]
    house.passes(minutes=3)
    assert house.relay.mailbox.recipients == ["ana@example.com"]
    assert {post["channel"] for post in house.slack.posts} == {"C-SHOP", "C-OPS"}
    house.planted.findings = [trouble(), trouble(2, severity=Severity.ERROR)]
    house.passes(minutes=3)
    assert house.relay.mailbox.recipients == ["ana@example.com", "ben@example.com"]
    assert "toy/2" in house.relay.mailbox.body()
    assert "toy/1" not in house.relay.mailbox.body()


def test_people_who_share_a_slack_channel_get_one_message_there(house: House) -> None:
    house.tell(CLEO, {**CLEO, "name": "Dan", "slack": None}, {**CLEO, "name": "Eve", "slack_from": "error"})
    house.planted.findings = [trouble()]
    house.passes(minutes=30)
    assert len(house.slack.posts) == 1


def test_urgent_things_are_told_at_once_even_shortly_after_a_message_but_once_an_hour(house: House) -> None:
    house.tell(ANA)
    house.planted.findings = [trouble()]
    house.passes(minutes=5)
    house.urgent.findings = [trouble(2)]
    house.passes(seconds=10)
    assert len(house.relay.mailbox.letters) == 2
    for number in range(3, 20):
        house.urgent.findings = [trouble(number)]
        house.passes(minutes=3)
    assert len(house.relay.mailbox.letters) == 2


def test_nothing_interrupts_the_hour_where_people_do_not_want_it(house: House) -> None:
    house.tell(ANA, urgent_at_once=False)
    house.planted.findings = [trouble()]
    house.passes(minutes=5)
    house.urgent.findings = [trouble(2)]
    house.passes(minutes=50)
    assert len(house.relay.mailbox.letters) == 1
    house.passes(minutes=10)
    assert len(house.relay.mailbox.letters) == 2


def test_a_worse_severity_is_news(house: House) -> None:
    house.tell({**ANA, "email_from": "error"})
    house.planted.findings = [trouble()]
    house.passes(minutes=5)
    house.planted.findings = [trouble(severity=Severity.ERROR)]
    house.passes(minutes=5)
    assert len(house.relay.mailbox.letters) == 1


def test_a_refused_message_is_tried_again_later_each_time_and_takes_what_is_new_along(house: House) -> None:
    house.tell(ANA)
    house.relay.mailbox.refusals = ["451 try later", "451 try later", "550 mailbox of ana@example.com is full"]
    house.planted.findings = [trouble(1)]
    house.passes(seconds=80)
    assert len(house.relay.mailbox.refusals) == 2
    house.planted.findings = [trouble(1), trouble(2)]
    house.passes(minutes=10)
    [letter] = house.relay.mailbox.letters
    assert "toy/1" in house.relay.mailbox.body()
    assert "toy/2" in house.relay.mailbox.body()
    [(attempts, state)] = house.rows("select attempts, state from sync.alert_deliveries")
    assert (attempts, state) == (4, "sent")
    assert letter["Message-ID"] == "<alerts-1@example.com>"


def test_a_channel_that_takes_nothing_is_reported_by_the_others(house: House) -> None:
    house.tell(ANA, CLEO)
    house.relay.mailbox.refusals = ["535 no"] * 100
    house.planted.findings = [trouble()]
    house.passes(hours=2)
    assert "email to Ana: not taken after" in house.slack.posts[-1]["text"]
    assert "@" not in house.rows("select error from sync.alert_deliveries where channel = 'email'")[0][0]


def test_slack_is_asked_again_when_it_wants_to_be(house: House) -> None:
    house.tell(CLEO)
    house.slack.outage = 429
    house.planted.findings = [trouble()]
    house.passes(minutes=3)
    assert not house.slack.posts
    house.slack.outage = None
    house.passes(seconds=20)
    assert len(house.slack.posts) == 1


class Dying:
    """A channel whose process ends after the message went out and before that is written down."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def send(self, address: str, message: Message) -> None:
        self._channel.send(address, message)
        raise SystemExit


def test_a_sender_that_dies_between_sending_and_writing_it_down_sends_again_and_says_so(house: House) -> None:
    house.tell(ANA)
    house.planted.findings = [trouble()]
    house.watch.round()
    real = house.watch._channels[EMAIL]
    assert not isinstance(real, str)
    house.channels = {EMAIL: Dying(real)}
    with pytest.raises(SystemExit):
        house.passes(minutes=2)
    house.channels = {EMAIL: real}
    house.watch = house.new_watch()
    house.passes(minutes=5)
    first, second = house.relay.mailbox.letters
    assert first["Message-ID"] == second["Message-ID"]
    assert "may have reached you before" in house.relay.mailbox.body()
    house.passes(hours=3)
    assert len(house.relay.mailbox.letters) == 2


def test_a_restart_forgets_nothing_and_repeats_nothing(house: House) -> None:
    house.tell(ANA)
    house.planted.findings = [trouble()]
    house.passes(minutes=5)
    house.watch = house.new_watch()
    house.passes(minutes=5)
    house.planted.findings = []
    house.watch = house.new_watch()
    house.passes(minutes=56)
    assert [letter["Subject"] for letter in house.relay.mailbox.letters][1:] == ["[sync-pipelines] all clear: 1 alert closed"]


def test_of_two_processes_one_sends(house: House) -> None:
    house.tell(ANA)
    house.planted.findings = [trouble()]
    with house.watch._lock() as is_ours:
        assert is_ours
        other = house.new_watch()
        house.now += timedelta(minutes=5)
        assert other.round() == []
        house.now += timedelta(minutes=5)
        assert other.round() == []
    assert house.rows("select count(*) from sync.alerts") == [(0,)]
    house.passes(minutes=2)
    assert len(house.relay.mailbox.letters) == 1


def test_people_and_channels_follow_the_configuration(house: House) -> None:
    house.tell(ANA)
    house.planted.findings = [trouble()]
    house.passes(minutes=2)
    house.tell(ANA, CLEO)
    house.passes(minutes=2)
    assert len(house.relay.mailbox.letters) == 1
    assert len(house.slack.posts) == 1


def test_a_database_that_is_away_is_told_from_memory_and_written_down_when_it_is_back(
    house: House, postgres_server: TestServer, database_url: str, tmp_path: Path
) -> None:
    house.tell(ANA, CLEO)
    house.database.close()
    house.database = Database(database_url, max_connections=3, timeout_s=0.5)
    house.watch = house.new_watch()
    house.passes(seconds=20)
    postgres_server.stop()
    for _ in range(8):
        house.now += timedelta(seconds=30)
        house.watch.round()
    assert [letter["Subject"] for letter in house.relay.mailbox.letters] == [
        "[sync-pipelines] error: 1 alert: Database out of reach"
    ]
    assert len(house.slack.posts) == 1
    postgres_server.start()
    house.passes(minutes=5)
    assert house.rows("select rule, closed_at is not null from sync.alerts") == [("database_unreachable", True)]
    assert len(house.relay.mailbox.letters) == 1
    house.passes(minutes=60)
    assert len(house.relay.mailbox.letters) == 2
    assert "the database is out of reach" in house.relay.mailbox.body()
    assert "over since" in house.relay.mailbox.body()
    house.database.close()


def test_secrets_and_addresses_never_leave(house: House) -> None:
    house.tell(ANA, CLEO)
    text = (
        "toy of toy/1: answered to buyer@example.org with Bearer abcdefgh12345678, token=abc123, "
        "https://hooks.slack.com/services/T0/B0/x and postgresql://user:word@host/db"
    )
    house.planted.findings = [Finding("toy of toy/1", text)]
    house.passes(minutes=3)
    told = house.relay.mailbox.body() + house.slack.posts[0]["text"] + str(house.slack.posts[0]["blocks"])
    kept = str(house.rows("select * from sync.alerts")) + str(house.rows("select * from sync.alert_deliveries"))
    for secret in ("buyer@", "abcdefgh", "abc123", "T0/B0", "user:word", "ana@"):
        assert secret not in told + kept


def test_a_rule_that_can_not_look_keeps_its_alerts_and_says_so(house: House) -> None:
    house.tell(ANA)
    house.planted.findings = [trouble()]
    house.passes(minutes=2)
    house.execute("alter table sync.dead_letters rename to elsewhere")
    house.passes(minutes=2)
    assert {rule for (rule,) in house.rows("select rule from sync.alerts where closed_at is null")} == {"planted", "rule_trouble"}
