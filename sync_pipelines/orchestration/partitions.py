"""Partitions: by account, and for windowed streams by UTC day of vendor change time as well."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from dagster import (
    DagsterInstance,
    DailyPartitionsDefinition,
    DynamicPartitionsDefinition,
    MultiPartitionKey,
    MultiPartitionsDefinition,
)

from sync_pipelines.core.stream import Stream
from sync_pipelines.core.vendor import Vendor
from sync_pipelines.core.windows import Window

FIRST_DAY = "2020-01-01"
"""Earliest day a backfill can be launched for from the UI; the command line takes any time."""

ACCOUNT, DAY = "account", "day"
ACCOUNT_TAG = "dagster/partition/account"
"""Dagster puts the account of a two-dimensional partition into this run tag."""


def accounts_of(vendor: Vendor) -> DynamicPartitionsDefinition:
    """The vendor's accounts, as dynamic partitions that follow the active configuration."""
    return DynamicPartitionsDefinition(name=f"{vendor.name}_accounts")


def partitions_of(vendor: Vendor, stream: Stream[object]) -> DynamicPartitionsDefinition | MultiPartitionsDefinition:
    """Account × day for a windowed stream, account for a snapshot."""
    if not stream.is_windowed:
        return accounts_of(vendor)
    return MultiPartitionsDefinition({ACCOUNT: accounts_of(vendor), DAY: DailyPartitionsDefinition(FIRST_DAY, end_offset=1)})


def partition_key(stream: Stream[object], account: str, day: date) -> str:
    """The partition that a run of this account on this UTC day materializes."""
    if not stream.is_windowed:
        return account
    return MultiPartitionKey({ACCOUNT: account, DAY: day.isoformat()})


def split_key(stream: Stream[object], key: str) -> tuple[str, date | None]:
    """Account and day of a partition key."""
    if not stream.is_windowed:
        return key, None
    # Dagster joins the dimensions in alphabetical order: account|day.
    account, _, day = str(key).rpartition("|")
    return account, date.fromisoformat(day)


def day_window(day: date) -> Window:
    """The UTC day as a window."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Window(start, start + timedelta(days=1))


def days_touched(windows: Iterable[tuple[datetime, datetime]]) -> list[date]:
    """UTC days with a partition that the windows reach into, oldest first."""
    days: set[date] = set()
    for start, end in windows:
        day = max(start.date(), date.fromisoformat(FIRST_DAY))
        while datetime(day.year, day.month, day.day, tzinfo=UTC) < end:
            days.add(day)
            day += timedelta(days=1)
    return sorted(days)


def register_accounts(instance: DagsterInstance, vendor: Vendor, accounts: Iterable[str]) -> None:
    """Makes the accounts known as partitions; accounts that left the configuration keep their history."""
    name = accounts_of(vendor).name
    wanted = set(accounts)
    if name and wanted - set(instance.get_dynamic_partitions(name)):
        instance.add_dynamic_partitions(name, sorted(wanted))
