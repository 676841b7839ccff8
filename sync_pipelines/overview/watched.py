"""What there is to watch, by the active configuration: streams of accounts, links, and where Dagster's pages are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cronsim import CronSim

from sync_pipelines.config import Config
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.vendor import Vendor
from sync_pipelines.registry import all_vendors

DAGSTER_URL = "http://127.0.0.1:3000"


@dataclass(frozen=True, slots=True)
class WatchedStream:
    """One stream of one account."""

    vendor: Vendor
    stream: Stream[Any]
    account: str
    settings: Any

    @property
    def subject(self) -> tuple[str, str]:
        """Account and stream, as our tables name them."""
        return self.account, self.stream.key

    @property
    def job(self) -> str:
        """The Dagster job that reads it."""
        return f"{self.stream.vendor}_{self.stream.name}"

    @property
    def schedule(self) -> str:
        """The Dagster schedule of its delta runs, if it has a cron."""
        return f"{self.job}_delta"

    def next_beat(self, after: datetime) -> datetime | None:
        """When it is read next by itself."""
        if self.stream.cron:
            return next(iter(CronSim(self.stream.cron, after)), None)
        if self.vendor.next_beat is None:
            return None
        return self.vendor.next_beat(self.stream.name, self.account, self.settings, after)


@dataclass(frozen=True, slots=True)
class Watched:
    """Everything that is watched.

    Attributes:
        streams: In the configuration's order of accounts.
        links: The configured links.
        dagster_url: Address of the Dagster UI, for links to runs.
    """

    streams: tuple[WatchedStream, ...] = ()
    links: tuple[Any, ...] = ()
    dagster_url: str = DAGSTER_URL

    @property
    def by_subject(self) -> Mapping[tuple[str, str], WatchedStream]:
        """The streams by account and key."""
        return {watched.subject: watched for watched in self.streams}


def watched(config: Config, *, dagster_url: str = DAGSTER_URL) -> Watched:
    """What a configuration wants watched.

    Args:
        config: The active one.
        dagster_url: Address of the Dagster UI where the configuration (``alerts.dagster_url``) names none.
    """
    by_vendor = {name: vendor for vendor in all_vendors() for name in vendor.account_vendors}
    streams = [
        WatchedStream(vendor, stream, account, config.account(account).settings)
        for account in config.account_ids()
        if (vendor := by_vendor.get(account.split("/", 1)[0])) is not None
        for stream in vendor.streams
        if stream.reads_from(account)
    ]
    return Watched(tuple(streams), config.links, config.alerts.dagster_url or dagster_url)
