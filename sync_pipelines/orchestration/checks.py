"""The checks that every stream's asset carries."""

from __future__ import annotations

from datetime import UTC, datetime

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey, MetadataValue

from sync_pipelines.core import dead_letters
from sync_pipelines.core.db import Database
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.windows import Ledger, Window

COVERAGE = "coverage"
NO_OPEN_DEAD_LETTERS = "no_open_dead_letters"


def specs(stream: Stream[object]) -> list[AssetCheckSpec]:
    """Check specs of a stream's asset."""
    key = AssetKey([stream.vendor, stream.name])
    found = [AssetCheckSpec(NO_OPEN_DEAD_LETTERS, asset=key, description="No record of this stream waits for a person")]
    if stream.is_windowed:
        found.append(
            AssetCheckSpec(COVERAGE, asset=key, description="The confirmed windows have no hole since the stream's origin")
        )
    return found


def results(stream: Stream[object], database: Database, account: str) -> list[AssetCheckResult]:
    """Evaluates the checks for one account."""
    checks = [_no_open_dead_letters(stream, database, account)]
    if stream.is_windowed:
        checks.append(_coverage(stream, database, account))
    return checks


def _coverage(stream: Stream[object], database: Database, account: str) -> AssetCheckResult:
    ledger = Ledger(account, stream.key)
    with database.connect() as connection:
        origin = ledger.origin(connection)
        confirmed = ledger.confirmed(connection)
        covered = confirmed[-1].end if confirmed else None
        holes = ledger.holes(connection, Window(origin, covered)) if origin and covered and origin < covered else []
    return AssetCheckResult(
        check_name=COVERAGE,
        passed=not holes and covered is not None,
        severity=AssetCheckSeverity.WARN,
        metadata={
            "account": account,
            "holes": len(holes),
            "hole_hours": round(sum((hole.end - hole.start).total_seconds() for hole in holes) / 3600, 3),
            "confirmed_until": MetadataValue.timestamp(covered or datetime.fromtimestamp(0, UTC)),
            "first_holes": MetadataValue.md("\n".join(f"- {hole}" for hole in holes[:10]) or "none"),
        },
    )


def _no_open_dead_letters(stream: Stream[object], database: Database, account: str) -> AssetCheckResult:
    with database.connect() as connection:
        counts = dead_letters.counts(connection, account=account, subject=stream.key)
    waiting = counts.get("open", 0)
    return AssetCheckResult(
        check_name=NO_OPEN_DEAD_LETTERS,
        passed=waiting == 0,
        severity=AssetCheckSeverity.WARN,
        metadata={"account": account, "open": waiting, "retrying": counts.get("retrying", 0)},
    )
