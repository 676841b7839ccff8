"""Deliveries are verified with keys that were looked up beforehand; a missing one is no refusal but our own fault."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import psycopg
import pytest

from sync_pipelines.config import Config, parse_config
from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable
from sync_pipelines.core.webhooks import known_keys
from sync_pipelines.service import account_settings
from sync_pipelines.service.account_settings import AccountSettings
from sync_pipelines_tests.waiting import eventually

ACCOUNTS = """\
accounts:
  - id: sendcloud/main
    credentials: {public_key: a, secret_key: b}
    settings: {webhook_keys: ["secret:new", "secret:old"]}
"""


def keys(stored: dict[str, bytes]) -> list[str]:
    config = parse_config(ACCOUNTS, environ={})
    settings = AccountSettings(config, lambda: config, lambda name, _: stored.pop(name, None)).of("sendcloud/main")
    assert not stored, "looked up before any delivery"
    assert settings is not None
    return known_keys(settings.webhook_keys)


def test_keys_are_looked_up_once_and_one_of_two_is_enough() -> None:
    assert keys({"new": b"1", "old": b"2"}) == ["1", "2"]
    assert keys({"old": b"2"}) == ["2"]


def test_no_key_at_all_is_a_fault_of_ours() -> None:
    with pytest.raises(ConfigError, match="sync-pipelines secrets set old --account sendcloud/main"):
        keys({})


def test_a_database_that_is_away_keeps_the_service_from_nothing_but_verifying() -> None:
    config = parse_config(ACCOUNTS, environ={})

    def away(_name: str, _account: str) -> bytes:
        raise DatabaseUnavailable("away")

    settings = AccountSettings(config, lambda: config, away).of("sendcloud/main")
    assert settings is not None
    with pytest.raises(DatabaseUnavailable):
        known_keys(settings.webhook_keys)


def test_an_unexpected_error_is_told_once_and_does_not_end_the_following(caplog: pytest.LogCaptureFixture) -> None:
    def readings() -> Iterator[Config | Exception]:
        yield from [psycopg.errors.QueryCanceled("slow")] * 3
        yield from [RuntimeError("private")] * 2
        while True:
            yield parse_config(ACCOUNTS, environ={})

    found = readings()

    def read() -> Config:
        reading = next(found)
        if isinstance(reading, Exception):
            raise reading
        return reading

    settings = AccountSettings(parse_config("accounts: []", environ={}), read, lambda _name, _account: b"1", read_every_s=0.01)

    async def follow() -> None:
        async with settings.running():
            await asyncio.to_thread(eventually, lambda: settings.of("sendcloud/main") is not None)

    with caplog.at_level(logging.WARNING):
        asyncio.run(follow())
    first, second = (record.getMessage() for record in caplog.records if record.name == account_settings.__name__)
    assert "the database refuses" in first
    assert "unexpected RuntimeError" in second
    assert "private" not in caplog.text
