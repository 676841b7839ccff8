"""The SQL views say the same as the page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.overview.reading import read_status
from sync_pipelines_tests.overview.history import fill
from sync_pipelines_tests.overview.house import House


def test_the_views_agree_with_the_picture(database: Database, house: House) -> None:
    fill(house, days=40, runs_a_day=2)
    status = read_status(database, house.seen)
    with database.connect() as connection:
        months = {row[:2]: row[2:] for row in connection.execute("select * from sync.monthly_volumes")}
        timeline = connection.execute("select * from sync.weekly_timeline order by day").fetchall()
        daily = connection.execute("select day, success_share, rows_written from sync.daily_success where stream = 'amazon/orders'")
        shares = {day: (share, rows) for day, share, rows in daily}
        links = connection.execute("select day, processed from sync.daily_link_volumes where link = 'paris'").fetchall()
    for item in status.streams:
        complete, partial, failed, share, duration, rows, _ = months[item.account, item.stream]
        month = item.last_30_days
        assert (complete, partial, failed, rows) == (month.complete, month.partial, month.failed, month.rows)
        assert (float(share), float(duration)) == pytest.approx((month.success_share, month.average_duration_s), abs=1e-3)
    assert len(timeline) == 7
    assert sum(row[4] for row in timeline) == sum(item.last_7_days.rows for item in status.streams)
    orders = next(item for item in status.streams if item.stream == "amazon/orders")
    assert all(shares[day.day][1] == day.rows for day in orders.days)
    assert dict(links)[status.at.date() - timedelta(days=3)] == status.links[0].days[-4].processed
