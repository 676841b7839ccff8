"""What is wrong with suppliers' data right now, in words that name account, list and number: the text of alerts."""

from __future__ import annotations

from dataclasses import dataclass

from sync_pipelines.core.db import Database


@dataclass(frozen=True, slots=True)
class Concern:
    """Something a person should know.

    Attributes:
        account: ``vendor/name``.
        about: The same words as long as it is the same trouble: list, held stream, ``stock`` or ``webhooks``.
        text: One sentence.
        count: How many parts, SKUs or webhooks.
    """

    account: str
    about: str
    text: str
    count: int = 1


def findings(database: Database) -> list[str]:
    """One sentence for each implausible list, open hold, aged account and webhook that was given up; none if all is well."""
    with database.connect() as connection:
        held = [
            f"{account}: {kind} of {subject} are held by the brake since {since:%Y-%m-%d %H:%M} UTC; confirm or wait"
            for account, subject, kind, since in connection.execute(
                "SELECT account, subject, kind, opened_at AT TIME ZONE 'UTC' FROM sync.holds"
                " WHERE closed_at IS NULL AND confirmed_at IS NULL AND subject LIKE 'suppliers/%' ORDER BY id"
            ).fetchall()
        ]
    return [*(concern.text for concern in concerns(database)), *held]


def concerns(database: Database) -> list[Concern]:
    """The same without holds, which the engine reports for every vendor."""
    with database.connect() as connection:
        found = [
            Concern(
                account,
                feed,
                f"{account}: {feed} answers implausibly for {parts} of its parts since {since:%Y-%m-%d %H:%M} UTC",
                parts,
            )
            for account, feed, parts, since in connection.execute(
                "SELECT account, feed, count(*), min(suspect_since) AT TIME ZONE 'UTC' FROM suppliers.freshness"
                " WHERE state = 'suspect' GROUP BY account, feed ORDER BY account, feed"
            ).fetchall()
        ]
        found += [
            Concern(
                account,
                "stock",
                f"{account}: stock of {unknown} SKUs is unknown, the oldest reading is of {oldest:%Y-%m-%d %H:%M} UTC",
                unknown,
            )
            for account, unknown, oldest in connection.execute(
                "SELECT account, count(*), min(as_of) AT TIME ZONE 'UTC' FROM suppliers.offers"
                " WHERE availability = 'unknown' AND as_of IS NOT NULL GROUP BY account ORDER BY account"
            ).fetchall()
        ]
        found += [
            Concern(account, "webhooks", f"{account}: {count} completion webhooks were given up", count)
            for account, count in connection.execute(
                "SELECT account, count(*) FROM suppliers.webhook_deliveries"
                " WHERE given_up_at IS NOT NULL GROUP BY account ORDER BY account"
            ).fetchall()
        ]
    return found
