"""``status`` shows the same picture as the status page."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from sync_pipelines.cli import invoke
from sync_pipelines.core.budget import Budget, Lane
from sync_pipelines.core.db import Database
from sync_pipelines.overview.models import Status
from sync_pipelines.overview.reading import read_status
from sync_pipelines.vendors.amazon.operations import SEARCH_ORDERS, bucket_specs
from sync_pipelines.vendors.amazon.settings import Settings
from sync_pipelines_tests.overview.house import ACCOUNTS, House


def test_status_prints_the_pages_own_picture(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "accounts.yaml").write_text(ACCOUNTS)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("SYNC_PIPELINES_CONFIG", raising=False)
    house = House(database_url)
    house.volume("amazon/north", "amazon/orders", complete=3, inserted=5)
    assert invoke(["status", "--json"]) == 0
    printed = Status.model_validate(json.loads(capsys.readouterr().out))
    shown = read_status(database, house.seen)
    assert [item.model_dump(exclude={"next_beat_at", "is_stopped"}) for item in printed.streams] == [
        item.model_dump(exclude={"next_beat_at", "is_stopped"}) for item in shown.streams
    ]
    (tenant,) = printed.tenants
    assert (tenant.tenant, tenant.orders) == ("amazon/north", None)
    house.letter("amazon/north", "amazon/orders", "1")
    assert invoke(["status"]) == 1
    assert "amazon/orders" in capsys.readouterr().out


def test_status_says_of_each_tenant_what_the_old_endpoint_said_and_what_quota_is_left(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = ACCOUNTS.replace("[A1PA6795UKMFR9]", "[A1PA6795UKMFR9], secret_created_on: 2026-01-31")
    (tmp_path / "accounts.yaml").write_text(text)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("SYNC_PIPELINES_CONFIG", raising=False)
    with database.connect() as connection:
        connection.execute(
            "insert into amazon.polls (account, last_polled_at, last_error, failing_since)"
            " values ('amazon/north', '2026-02-01T10:00Z', 'AuthError: invalid_grant', '2026-02-01T09:00Z')"
        )
    budget = Budget(database, "amazon/north", Lane.LIVE, bucket_specs(Settings(marketplaces=("A1PA6795UKMFR9",))))
    budget.settle(budget.acquire(SEARCH_ORDERS))
    assert invoke(["status", "--json"]) == 0
    printed = Status.model_validate(json.loads(capsys.readouterr().out))
    (tenant,) = printed.tenants
    assert (tenant.last_polled_at, tenant.last_error) == (datetime(2026, 2, 1, 10, tzinfo=UTC), "AuthError: invalid_grant")
    assert (tenant.orders, tenant.order_items, tenant.last_success_at, tenant.last_updated_after) == (0, 0, None, None)
    assert [(one.what, one.ends_on) for one in tenant.credentials] == [("client_secret", date(2026, 7, 30))]
    (quota,) = [one for one in printed.budgets if one.bucket == SEARCH_ORDERS]
    assert 19 <= quota.calls_left < quota.capacity == 20
    assert timedelta(0) < quota.full_at - printed.at <= timedelta(seconds=190)
    assert invoke(["status"]) == 0
    shown = capsys.readouterr().out
    assert "invalid_grant" in shown
    assert "client_secret in" in shown
