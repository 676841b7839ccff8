"""What is wrong with suppliers' data right now, in words that name account, list and number: the text of alerts."""

from __future__ import annotations

from sync_pipelines.core.db import Database


def findings(database: Database) -> list[str]:
    """One sentence for each implausible list, open hold, aged account and webhook that was given up; none if all is well."""
    with database.connect() as connection:
        found = [
            f"{account}: {feed} answers implausibly for {parts} of its parts since {since:%Y-%m-%d %H:%M} UTC"
            for account, feed, parts, since in connection.execute(
                "SELECT account, feed, count(*), min(suspect_since) AT TIME ZONE 'UTC' FROM suppliers.freshness"
                " WHERE state = 'suspect' GROUP BY account, feed ORDER BY account, feed"
            ).fetchall()
        ]
        found += [
            f"{account}: {kind} of {subject} are held by the brake since {since:%Y-%m-%d %H:%M} UTC; confirm or wait"
            for account, subject, kind, since in connection.execute(
                "SELECT account, subject, kind, opened_at AT TIME ZONE 'UTC' FROM sync.holds"
                " WHERE closed_at IS NULL AND confirmed_at IS NULL AND subject LIKE 'suppliers/%' ORDER BY id"
            ).fetchall()
        ]
        found += [
            f"{account}: stock of {unknown} SKUs is unknown, the oldest reading is of {oldest:%Y-%m-%d %H:%M} UTC"
            for account, unknown, oldest in connection.execute(
                "SELECT account, count(*), min(as_of) AT TIME ZONE 'UTC' FROM suppliers.offers WHERE availability = 'unknown'"
                " GROUP BY account ORDER BY account"
            ).fetchall()
        ]
        found += [
            f"{account}: {count} completion webhooks were given up"
            for account, count in connection.execute(
                "SELECT account, count(*) FROM suppliers.webhook_deliveries"
                " WHERE given_up_at IS NOT NULL GROUP BY account ORDER BY account"
            ).fetchall()
        ]
    return found
