"""Ninety days of a whole house, made by the server itself: what the page has to live with."""

from __future__ import annotations

from datetime import timedelta

import psycopg

from sync_pipelines_tests.overview.house import House

_VOLUMES = """
insert into sync.daily_volumes (day, account, stream, complete, partial, failed, canceled, duration_s, fetched, inserted, updated,
    unchanged, api_calls)
select %(today)s::date - n, s.account, s.stream, %(runs)s - (n %% 5 = 3)::int, (n %% 5 = 3)::int, (n %% 11 = 4)::int * 2, 0,
    %(runs)s * (4 + hashtext(s.stream || n) %% 3 + 3), weight * 5, (weight * (1 + sin(n / 1.7) / 2 + (n %% 7 < 2)::int * 0.6))::int,
    weight / 3, weight * 3, %(runs)s * 2
from unnest(%(accounts)s::text[], %(streams)s::text[]) with ordinality as s(account, stream, number)
cross join lateral (select 20 + abs(hashtext(s.account || s.stream)) %% 900 as weight) w
cross join generate_series(0, %(days)s - 1) n
"""

_LINK_VOLUMES = """
insert into sync.hourly_volumes
select h, link, 40 + (extract(hour from h) * 9)::int, 38 + (extract(hour from h) * 9)::int, 0, 2
from generate_series(date_trunc('hour', now()) - interval '40 days', now(), interval '1 hour') h, unnest(%s::text[]) link
"""

_RUNS = """
with wanted as materialized (
    select n || '-' || s.number as run_id, s.account, s.stream, s.job, n, at.started
    from generate_series(%(days)s * %(runs)s, 1, -1) n
    cross join unnest(%(accounts)s::text[], %(streams)s::text[], %(jobs)s::text[]) with ordinality
        as s(account, stream, job, number)
    cross join lateral (select extract(epoch from now()) - 86400.0 / %(runs)s * (n - 1) - 20 - s.number as started) at
    order by n desc
), made as (
    insert into dagster.runs (run_id, pipeline_name, status, start_time, end_time, create_timestamp, update_timestamp)
    select run_id, job, case when n %% 97 = 61 then 'FAILURE' else 'SUCCESS' end, started, started + 9,
           to_timestamp(started) at time zone 'UTC', to_timestamp(started + 9) at time zone 'UTC'
    from wanted
)
insert into dagster.run_tags (run_id, key, value)
select run_id, tag.key, tag.value
from wanted
cross join lateral (values ('sync/account', account), ('sync/stream', stream), ('sync/exclusive', stream || '@' || account),
    ('dagster/partition', account), ('dagster/schedule_name', stream)) as tag(key, value)
"""

_BURDEN = (
    # Each run's materialization and its end in Dagster's event log.
    """
    insert into dagster.event_logs (run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition)
    select r.run_id, repeat('x', 1200), kind.name, r.update_timestamp, 'step',
           '["' || replace(s.value, '/', '", "') || '"]', a.value
    from dagster.runs r
    join dagster.run_tags s on s.run_id = r.run_id and s.key = 'sync/stream'
    join dagster.run_tags a on a.run_id = r.run_id and a.key = 'sync/account'
    cross join (values ('ASSET_MATERIALIZATION'), ('RUN_SUCCESS')) kind(name)
    order by r.id
    """,
    # Ticks of sixty schedules and sensors, every ten minutes for ninety days.
    """
    insert into dagster.instigators (selector_id, status, instigator_type, instigator_body)
    select 'burden-' || n, 'RUNNING', 'SCHEDULE', json_build_object('origin', json_build_object('job_name', 'burden_' || n))::text
    from generate_series(1, 60) n
    """,
    """
    insert into dagster.job_ticks (job_origin_id, selector_id, status, type, timestamp, tick_body)
    select 'burden', 'burden-' || n, 'SUCCESS', 'SCHEDULE', at,
           json_build_object('timestamp', extract(epoch from at), 'job_name', 'burden_' || n)::text
    from generate_series(now() at time zone 'UTC' - interval '90 days', now() at time zone 'UTC', interval '10 minutes') at
    cross join generate_series(1, 60) n
    """,
    # A week of finished work and of deliveries, a month of resolved letters.
    """
    insert into sync.tasks_done (finished_at, id, queue, account, key, payload, priority, lane, outcome, attempts, superseded,
        created_at)
    select now() - n * interval '6 seconds', n, 'grand_shooting.fan_out', 'paris', n::text, '{"id": 1}', 0, 'live', 'done', 1, 0,
           now()
    from generate_series(1, 100000) n
    """,
    """
    insert into sync.deliveries (account, received_at, identity, route, headers, size, body)
    select 'sendcloud/main', now() - n * interval '12 seconds', decode(md5(n::text), 'hex'), '/webhooks', '{}', 600,
           repeat('x', 300)::bytea
    from generate_series(1, 50000) n
    """,
    """
    insert into sync.dead_letters (account, subject, key, state, cause, error, payload, request, opened_at, last_seen_at,
        resolved_at, run_id)
    select 'sendcloud/main', 'sendcloud/orders', 'r' || n, 'resolved', 'DataError', 'x', repeat('x', 500)::bytea, 'GET /',
           now() - interval '20 days', now(), now(), 'run'
    from generate_series(1, 20000) n
    """,
    """
    insert into sync.hourly_volumes
    select h, 'queue-' || n, 10, 10, 0, 0
    from generate_series(date_trunc('hour', now()) - interval '365 days', now(), interval '1 hour') h, generate_series(1, 10) n
    """,
    """
    insert into sync.reconciliations (account, stream, checked_at, run_id, scope, equal, repaired, different, samples)
    select account, stream, now() - n * interval '1 day' - interval '6 hours', 'run', 'day', 100, 0, 0, '{}'
    from sync.windows cross join generate_series(1, 400) n
    """,
    "analyze",
)


def burden(house: House) -> None:
    """What a year of work leaves behind a filled house, at the default retention: the page has to live with it."""
    with psycopg.connect(house.url, autocommit=True) as connection:
        values = {
            "today": house.now.date() - timedelta(days=90),
            "days": 275,
            "runs": 24,
            "accounts": [item.account for item in house.seen.streams],
            "streams": [item.stream.key for item in house.seen.streams],
        }
        connection.execute(_VOLUMES, values)
        for statement in _BURDEN:
            connection.execute(statement.encode())


def fill(house: House, *, days: int = 90, runs_a_day: int = 4) -> None:
    """Volumes, runs and windows of every watched stream, and a few troubles.

    Args:
        house: With Dagster's tables.
        days: How far back.
        runs_a_day: Of each stream and account.
    """
    streams = house.seen.streams
    values = {
        "today": house.now.date(),
        "days": days,
        "runs": runs_a_day,
        "accounts": [item.account for item in streams],
        "streams": [item.stream.key for item in streams],
        "jobs": [item.job for item in streams],
    }
    with psycopg.connect(house.url, autocommit=True) as connection:
        connection.execute(_VOLUMES, values)
        connection.execute(_RUNS, values)
        connection.execute("analyze")
    house.heartbeat()
    day, minute = timedelta(days=1), timedelta(minutes=1)
    for number, item in enumerate(one for one in streams if one.stream.is_windowed):
        spans = ((90 * day, 41 * day), (40 * day, 6 * minute)) if number == 1 else ((90 * day, 4 * minute),)
        house.window(*item.subject, *spans, origin=90 * day)
    for number, item in enumerate(streams):
        if number % 3 == 0:
            house.execute(
                "insert into sync.reconciliations"
                " values (%s, %s, now() - interval '5 hours', 'run', 'yesterday', %s, %s, %s, '{}')",
                [*item.subject, 1200 + number * 371, number % 2 * 3, int(number == 6)],
            )
    for number in range(4):
        house.letter(*streams[0].subject, str(number), state="open" if number else "retrying", cause="ContractError")
    house.execute(_LINK_VOLUMES, [[link.id for link in house.seen.links]])


def wide(accounts: int) -> str:
    """A configuration of so many SendCloud accounts, each with its eight or so streams."""
    lines = [
        f'  - {{id: sendcloud/shop-{number}, credentials: {{public_key: "${{P}}", secret_key: "${{S}}"}}}}'
        for number in range(accounts)
    ]
    return "accounts:\n" + "\n".join(lines) + "\n"
