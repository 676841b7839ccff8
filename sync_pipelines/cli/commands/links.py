"""``links``: what is fanned out to which account, how it is doing, and everything a person does about it."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from sync_pipelines.cli import output
from sync_pipelines.cli.session import instant, runtime
from sync_pipelines.core import config_store
from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.core.runtime import Runtime
from sync_pipelines.vendors.grand_shooting.fan_out import links as circuits
from sync_pipelines.vendors.grand_shooting.fan_out import replay as replays
from sync_pipelines.vendors.grand_shooting.fan_out.drain import lines
from sync_pipelines.vendors.grand_shooting.fan_out.plan import Plan, make_plan, progress, read_plan, start_plan
from sync_pipelines.vendors.grand_shooting.fan_out.preview import preview as preview_of
from sync_pipelines.vendors.grand_shooting.fan_out.rounds import link_of, links_of, next_batch, read_main, register_links, secondary

LinkId = Annotated[str, typer.Argument(help="Id of the link")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Links from a main Grand Shooting account to its secondary accounts.", no_args_is_help=True)
    for command in (show, preview, plan, initialise, pause, resume, replay, history):
        group.command(command.__name__)(command)
    group.command("list")(list_links)
    app.add_typer(group, name="links")


def list_links() -> None:
    """Lists the links with what waits, how old the oldest change is, and whether something holds them."""
    with runtime() as opened:
        items = [_state(opened, link.id) for link in links_of(opened)]
    columns = {"id": "link", "main": "main", "secondary": "secondary", "state": "state", "waiting": "waiting", "lag_s": "lag (s)"}
    output.rows(items, {**columns, "applied": "applied", "failed": "failed", "held": "held"}, empty="no links are configured")


def show(link: LinkId) -> None:
    """Shows one link: configuration, circuit, replicas by state, the latest plan."""
    with runtime() as opened:
        working = link_of(opened, link)
        state = _state(opened, link)
        with opened.database.connect() as connection:
            latest = read_plan(connection, link)
    found = {
        **state,
        "configuration": working.link.model_dump(mode="json", by_alias=True),
        "plan": _plan(latest) if latest else None,
    }
    output.result(found, "\n".join(f"{name}: {value}" for name, value in found.items()))


def preview(link: LinkId, limit: Annotated[int, typer.Option(help="How many references")] = 20) -> None:
    """Shows what the link makes of real references of the mirror: before and after; writes nothing."""
    with runtime() as opened, opened.database.connect() as connection:
        items = preview_of(connection, link_of(opened, link), limit=limit)
    if output.is_json:
        output.result([{"ref": item.ref, "outcome": item.outcome, "before": item.before, "after": item.after} for item in items])
        return
    rows = [{"ref": item.ref, "outcome": item.outcome, "changes": "\n".join(item.differences())} for item in items]
    output.rows(rows, {"ref": "ref", "outcome": "outcome", "changes": "before → after"}, empty="the mirror is empty; sync it first")


def plan(link: LinkId) -> None:
    """Plans an initialisation: brings the mirror up to date, compares it with the whole secondary, changes nothing there."""
    with runtime() as opened:
        working = link_of(opened, link)
        read_main(opened, working.link.main, run_id=f"command by {_person()}")
        with secondary(opened, working, Lane.BACKFILL) as client:
            made = make_plan(opened.database, working, client)
    counts = ", ".join(f"{number} {kind}" for kind, number in made.counts.items())
    text = f"plan {made.id} of {link}: {counts}; {made.calls} calls\n" + (
        f"brake: {made.brake}; start it with `links initialise {link} --confirm {made.id}`"
        if made.brake
        else f"start it with `links initialise {link}`"
    )
    output.result(_plan(made), text)


def initialise(
    link: LinkId,
    confirm: Annotated[int | None, typer.Option("--confirm", help="The plan's id, where the brake asks for it")] = None,
) -> None:
    """Starts the latest plan; the drain carries it out behind live changes. Called again, it shows how far it is."""
    with runtime() as opened:
        working = link_of(opened, link)
        register_links(opened, working.link.main)
        quota = opened.account(working.link.secondary, Lane.LIVE).settings.requests_per_second
        rate = min(quota, working.link.requests_per_second or quota)
        with opened.database.transaction() as connection:
            latest = read_plan(connection, link)
            if latest is None:
                raise ConfigError(f"link {link} has no plan yet; make one with `sync-pipelines links plan {link}`")
            if latest.state == "planned":
                start_plan(connection, latest, confirmed=confirm, run_id=f"command by {_person()}")
            state = progress(connection, latest, rate)
    found = {"plan": latest.id, "total": state.total, "left": state.left, "seconds_left": round(state.seconds_left, 1)}
    output.result(
        found, f"plan {latest.id}: {state.total - state.left} of {state.total} done, about {state.seconds_left:.0f} s left"
    )


def pause(link: LinkId) -> None:
    """Holds a link at once; its changes collect."""
    with runtime() as opened:
        register_links(opened, link_of(opened, link).link.main)
        with opened.database.transaction() as connection:
            done = circuits.pause(connection, link, by=_person())
    output.result({"link": link, "paused": True, "changed": done}, f"{link} is paused" if done else f"{link} was paused before")


def resume(link: LinkId) -> None:
    """Lets a paused link go on."""
    with runtime() as opened:
        link_of(opened, link)
        with opened.database.transaction() as connection:
            done = circuits.resume(connection, link)
    output.result({"link": link, "paused": False, "changed": done}, f"{link} goes on" if done else f"{link} was not paused")


def replay(
    link: LinkId,
    start: Annotated[str | None, typer.Option("--from", help="Work finished since this instant; default: seven days ago")] = None,
    end: Annotated[str | None, typer.Option("--to", help="… and before this one; default: now")] = None,
    ref: Annotated[str | None, typer.Option(help="Only this reference")] = None,
    error: Annotated[str | None, typer.Option(help="Only work whose error contains this text")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only work that failed")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done again")] = False,
) -> None:
    """Does finished work of the last seven days again, by today's mirror and mapping, in the replay lane."""
    now = datetime.now(UTC)
    with runtime() as opened:
        link_of(opened, link)
        wanted = replays.Selection(
            link=link,
            since=instant("--from", start) or now - timedelta(days=7),
            until=instant("--to", end) or now,
            ref=ref,
            error=error,
            only_failed=failed,
        )
        with opened.database.transaction() as connection:
            refs = replays.select(connection, wanted)
            if not dry_run:
                replays.replay(connection, wanted)
    verb = "would be done again" if dry_run else "are done again"
    output.result(
        {"link": link, "references": len(refs), "dry_run": dry_run, "sample": refs[:20]}, f"{len(refs)} references {verb}"
    )


def history(link: LinkId, hours: Annotated[int, typer.Option(help="How far back the volumes go")] = 48) -> None:
    """Shows volumes by hour, and every applied change of the link's configuration with who and when."""
    with runtime() as opened, opened.database.connect() as connection:
        volumes = connection.execute(
            "select hour, received, processed, failed, dropped from sync.hourly_volumes where subject = %s"
            " and hour > clock_timestamp() - %s order by hour",
            [link, timedelta(hours=hours)],
        ).fetchall()
        versions = config_store.history(connection)
    items = [dict(zip(("hour", "received", "processed", "failed", "dropped"), row, strict=True)) for row in volumes]
    prefix = f"links[{link}]"
    changes = [
        {"version": version.id, "at": version.applied_at, "by": version.applied_by, **change}
        for version in versions
        for change in version.changes
        if str(change["path"]).startswith(prefix)
    ]
    if output.is_json:
        output.result({"link": link, "volumes": items, "configuration": changes})
        return
    output.rows(items, {"hour": "hour", "received": "received", "processed": "processed", "failed": "failed", "dropped": "dropped"})
    if changes:
        output.rows(changes, {"version": "version", "at": "at", "by": "by", "path": "what", "before": "before", "after": "after"})


def _state(opened: Runtime, link_id: str) -> dict[str, Any]:
    link = next(link for link in links_of(opened) if link.id == link_id)
    waiting, lag = lines(opened.database, [link_id])[link_id]
    with opened.database.connect() as connection:
        circuit = circuits.circuit(connection, link_id)
        states = dict(
            connection.execute(
                "select state, count(*) from grand_shooting.replicas where link = %s group by state", [link_id]
            ).fetchall()
        )
    held = "inactive" if not link.active else "paused" if circuit.is_paused else "open circuit" if circuit.failures else "active"
    at = next_batch(link, datetime.now(UTC))
    return {
        "id": link.id,
        "main": link.main,
        "secondary": link.secondary,
        "state": held,
        "trouble": circuit.trouble,
        "webhooks": link.webhooks,
        "next_batch": at,
        "waiting": waiting,
        "lag_s": round(lag, 1),
        **{state: states.get(state, 0) for state in ("applied", "absent", "failed", "held")},
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "link": plan.link,
        "state": plan.state,
        **plan.counts,
        "calls": plan.calls,
        "brake": plan.brake,
        "created_at": plan.created_at,
        "samples": plan.samples,
    }


def _person() -> str:
    return getpass.getuser()
