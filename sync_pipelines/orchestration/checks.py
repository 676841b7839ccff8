"""The checks that every stream's asset carries: two with every run, and what the last comparisons with the vendor's list found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey, MetadataValue

from sync_pipelines.core import dead_letters, reconciliation
from sync_pipelines.core.db import Database
from sync_pipelines.core.reconciliation import Recorded
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.windows import Ledger, Window

COVERAGE = "coverage"
NO_OPEN_DEAD_LETTERS = "no_open_dead_letters"
RECONCILED = "reconciled"


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


def reconciled_spec(stream: Stream[object]) -> AssetCheckSpec:
    """The check that `reconciling` publishes."""
    key = AssetKey([stream.vendor, stream.name])
    return AssetCheckSpec(
        RECONCILED, asset=key, description="The rows are what the vendor lists: missing and altered ones were mended"
    )


def reconciled(stream: Stream[object], database: Database, accounts: Sequence[str]) -> AssetCheckResult | None:
    """The last comparison of each account together; ``None`` before the first."""
    with database.connect() as connection:
        found = reconciliation.latest(connection, stream.key, accounts)
    if not found:
        return None
    total = {name: sum(getattr(one, name) for one in found) for name in ("equal", "newer", "repaired", "different")}
    return AssetCheckResult(
        asset_key=AssetKey([stream.vendor, stream.name]),
        check_name=RECONCILED,
        passed=total["different"] == 0,
        severity=AssetCheckSeverity.WARN,
        description="; ".join(_sentence(one) for one in found if one.different or one.repaired)
        or "our rows are what the vendor lists",
        metadata={
            **total,
            "accounts": MetadataValue.md("\n".join(f"- {one.scope}: {_sentence(one)}" for one in found)),
            "keys": MetadataValue.json({one.account: one.samples for one in found if one.samples}),
            "parts": MetadataValue.json({one.account: one.parts for one in found}),
            "checked_at": MetadataValue.timestamp(min(one.checked_at for one in found)),
        },
    )


def _sentence(one: Recorded) -> str:
    """What one comparison found, with the first keys of each kind; keys are the vendor's ids."""
    kinds = [f"{kind} {', '.join(keys[:3])}{' …' if len(keys) > 3 else ''}" for kind, keys in one.samples.items()]
    text = f"{one.account}: {one.repaired} repaired, {one.different} still different"
    return f"{text} ({'; '.join(kinds)})" if kinds else text
