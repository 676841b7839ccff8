"""What a dead process still holds of a budget, for whoever can be sure that it is dead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import LiteralString

import msgspec
from psycopg import sql

from sync_pipelines.core.buckets import BucketSpec, BucketState
from sync_pipelines.core.db import Database

_TAKE_OVER = """
with locked as materialized (
    select account, bucket, spec::text as spec, state::text as state from sync.budgets
    where account = any(%s) and strpos(state::text, %s) > 0 order by account, bucket for update
)
select account, bucket, spec, state, extract(epoch from {now})::float8 from locked
"""


def take_over(database: Database, accounts: Iterable[str], owner: str, *, now_sql: LiteralString = "clock_timestamp()") -> None:
    """Ends what a dead `Budget` owner left behind: its calls under way count as answered now, its waiting calls as withdrawn.

    Without that a killed process would keep quota from its successor until its holds end.

    Args:
        database: Where ``sync.budgets`` is.
        accounts: Whose quotas.
        owner: The name; the caller makes sure that nobody alive has it, for instance by a lock.
        now_sql: SQL expression of the current time.
    """
    with database.transaction() as connection:
        rows = connection.execute(sql.SQL(_TAKE_OVER).format(now=sql.SQL(now_sql)), [sorted(set(accounts)), owner]).fetchall()
        for account, bucket, spec_json, state_json, now in rows:
            spec, state = msgspec.json.decode(spec_json, type=BucketSpec), msgspec.json.decode(state_json, type=BucketState)
            state.advance(spec, now)
            for call in [call for call in state.in_flight if call.startswith(owner)]:
                state.settle(spec, call, now)
            state.waiting = [ticket for ticket in state.waiting if not ticket.id.startswith(owner)]
            connection.execute(
                "update sync.budgets set state = %s::json, updated_at = clock_timestamp() where account = %s and bucket = %s",
                [msgspec.json.encode(state).decode(), account, bucket],
            )
