"""Our connections: commits, rolls back, rides out a restart, and says clearly what is wrong."""

from __future__ import annotations

import socket
from datetime import UTC

import psycopg
import pytest

from sync_pipelines.core import db
from sync_pipelines.core.db import Database, clock, driver_url, plain_url, safe_url
from sync_pipelines.core.errors import ConfigError, DatabaseUnavailable
from sync_pipelines_tests.servers import TestServer


def _count(database: Database) -> int:
    with database.connect() as connection:
        row = connection.execute("select count(*) from public.notes").fetchone()
        assert row
        return int(row[0])


def test_a_transaction_commits_at_its_end_and_rolls_back_on_an_error(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("create table public.notes (text text)")
    with database.transaction() as connection:
        connection.execute("insert into public.notes values ('kept')")

    def fail_half_way() -> None:
        with database.transaction() as connection:
            connection.execute("insert into public.notes values ('lost')")
            raise KeyError("half way")

    with pytest.raises(KeyError):
        fail_half_way()
    assert _count(database) == 1


def test_errors_of_the_statement_itself_stay_what_they_are(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable), database.connect() as connection:
        connection.execute("select * from public.nowhere")


def test_a_killed_server_is_unavailable_and_a_started_one_is_used_again(postgres_server: TestServer, database: Database) -> None:
    def work_through_a_crash() -> None:
        with database.transaction() as connection:
            connection.execute("select 1")
            postgres_server.kill()
            connection.execute("select 1")

    with pytest.raises(DatabaseUnavailable):
        work_through_a_crash()
    postgres_server.start()
    with database.connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_nothing_is_stored_under_a_lock_that_fell_with_its_server(postgres_server: TestServer, database: Database) -> None:
    def work_under_a_lock_through_a_crash() -> None:
        with database.locks("work") as are_ours:
            assert are_ours
            with database.transaction() as connection:
                connection.execute("select 1")
            postgres_server.kill()
            postgres_server.start()
            with database.transaction() as connection:
                connection.execute("create table public.notes (text text)")

    with pytest.raises(DatabaseUnavailable):
        work_under_a_lock_through_a_crash()
    with database.locks("work") as are_ours, database.transaction() as connection:
        assert are_ours
        assert connection.execute("select to_regclass('public.notes')").fetchone() == (None,)


def test_locks_are_had_all_or_none(database: Database) -> None:
    with database.locks("one"):
        with database.locks("two", "one") as are_ours:
            assert not are_ours
        with database.locks("two") as are_ours:
            assert are_ours


def test_an_unreachable_server_is_named_without_the_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        database = Database(f"postgresql://user:hidden-word@127.0.0.1:{port}/shop")
        with pytest.raises(DatabaseUnavailable, match=f"user@127.0.0.1:{port}/shop is not reachable.*refused") as raised:
            database.connect().__enter__()
    assert "hidden-word" not in str(raised.value)


def test_an_older_server_is_refused_with_the_fix(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "MINIMUM_SERVER_VERSION", 990000)
    with pytest.raises(ConfigError, match="needs 14 or newer"), Database(database_url).connect():
        pass


@pytest.mark.parametrize("url", ["mysql://u@h/d", "localhost:5432", "", "postgresql://[::1/d"])
def test_what_is_no_postgres_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="must look like postgresql://"):
        plain_url(url)


def test_urls_are_rewritten_for_their_readers() -> None:
    assert plain_url("postgres://u:p@h/d?sslmode=require") == "postgresql://u:p@h/d?sslmode=require"
    assert driver_url("postgresql+psycopg2://u:p@h/d", "psycopg") == "postgresql+psycopg://u:p@h/d"
    assert safe_url("postgresql://u:p%40x@h:5432/d?password=p") == "postgresql://u@h:5432/d"


def test_the_clock_is_utc_in_a_session_of_another_zone(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("set local time zone 'Pacific/Auckland'")
        assert clock(connection).tzinfo is UTC
