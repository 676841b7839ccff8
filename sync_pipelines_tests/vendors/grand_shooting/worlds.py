"""A main account, some links, and a drain over the look-alike: what the fan-out's tests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sync_pipelines.core.buckets import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.sync import Mode, Request, sync_stream
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.grand_shooting.fan_out import tasks
from sync_pipelines.vendors.grand_shooting.fan_out.drain import DrainSetup, DrainTotals, Limits, drain, owner
from sync_pipelines.vendors.grand_shooting.fan_out.links import WorkingLink, register
from sync_pipelines.vendors.grand_shooting.settings import Link, Settings
from sync_pipelines.vendors.grand_shooting.streams import REFERENCES
from sync_pipelines.vendors.grand_shooting.vendor import connect
from sync_pipelines_tests.sandboxes import RunningSandbox

MAIN = "grand_shooting/main"
QUICK = Limits(linger_s=0.3, max_runtime_s=60)
Reference = dict[str, Any]


class FanOutWorld:
    """One look-alike, one database, some links."""

    def __init__(
        self, sandbox: RunningSandbox, database: Database, links: Mapping[str, Mapping[str, Any]], *, unlimited: bool = True
    ) -> None:
        self.control = sandbox.control
        self._open(f"{sandbox.base_url}/v3", database, links, unlimited)
        if unlimited:
            for name in ("main", *links):
                self.control.post("account", account=name, unlimited=True)
        self.register()

    @classmethod
    def at(cls, base_url: str, database: Database, links: Mapping[str, Mapping[str, Any]]) -> FanOutWorld:
        """The same world in another process, without its control."""
        world = cls.__new__(cls)
        world._open(base_url, database, links, False)
        return world

    def _open(self, base_url: str, database: Database, links: Mapping[str, Mapping[str, Any]], unlimited: bool) -> None:
        self.base_url, self.database, self.options = base_url, database, links
        self.settings = {
            f"grand_shooting/{name}": Settings(requests_per_second=10_000 if unlimited else 4) for name in ("main", *links)
        }
        self.links = {name: self._link(name, options) for name, options in links.items()}

    def watch_versions(self) -> None:
        """Lets the database note every applied version that goes backwards, whatever wrote it."""
        with self.database.connect() as connection:
            connection.execute(
                """
                create table version_regressions (link text, ref text);
                create function note_regression() returns trigger language plpgsql as $$
                begin
                    if new.applied_version < old.applied_version then
                        insert into version_regressions values (new.link, new.ref);
                    end if;
                    return new;
                end $$;
                create trigger watch before update on grand_shooting.replicas for each row execute function note_regression();
                """
            )

    def heal_circuits(self, accounts: Sequence[str]) -> None:
        """The accounts are well again, and it is time to try."""
        for account in accounts:
            self.control.post("account", account=account, down=False, revoked=False)
        with self.database.connect() as connection:
            connection.execute("update grand_shooting.links set open_until = clock_timestamp() where failures > 0")

    def expire_leases(self) -> None:
        """As if the time of every lease and retry had come."""
        with self.database.connect() as connection:
            connection.execute("update sync.tasks set due_at = clock_timestamp() where due_at is not null")

    def _link(self, name: str, options: Mapping[str, Any]) -> WorkingLink:
        return WorkingLink.of(Link.model_validate({"id": name, "main": MAIN, "secondary": f"grand_shooting/{name}", **options}))

    def register(self) -> None:
        with self.database.transaction() as connection:
            register(connection, self.links.values(), MAIN)

    def configure(self, name: str, **options: Any) -> None:
        self.links[name] = self._link(name, options)
        self.register()

    def context(self, account: str, lane: Lane = Lane.LIVE) -> AccountContext:
        return AccountContext(
            id=account,
            base_url=self.base_url,
            auth_url=None,
            credentials={"token": f"sandbox-{account.split('/')[1]}-token"},
            settings=self.settings[account],
            database=self.database,
            secrets=None,
            lane=lane,
        )

    def mirror(self, *, full: bool = False) -> SyncTotals:
        with connect(self.context(MAIN)) as client:
            return sync_stream(
                REFERENCES,
                database=self.database,
                account=MAIN,
                client=client,
                run_id="mirror",
                settings=self.settings[MAIN],
                request=Request(mode=Mode.FULL if full else Mode.INCREMENTAL, start=self.settings[MAIN].start),
            )

    def setup(self, limits: Limits = QUICK, links: Sequence[str] | None = None) -> DrainSetup:
        chosen = [working for name, working in self.links.items() if links is None or name in links]
        return DrainSetup(
            self.database,
            MAIN,
            chosen,
            self.settings,
            lambda account, lane: connect(self.context(account, lane), owner=owner(MAIN)),
            "drain",
            limits,
        )

    def drain(self, limits: Limits = QUICK, **options: Any) -> DrainTotals:
        return drain(self.setup(limits), **options)

    def announce(self, *refs: str, topic: str = "references/update", ids: Sequence[int] = ()) -> None:
        truth = self.truth("main")
        with self.database.transaction() as connection:
            tasks.announce(connection, MAIN, [truth[ref]["reference_id"] for ref in refs] + list(ids), topic)

    def differences(self, name: str) -> int:
        working = self.links[name]
        with self.database.transaction() as connection:
            return tasks.request_differences(connection, name, MAIN, working.configuration)

    def truth(self, account: str) -> dict[str, Reference]:
        found: dict[str, Reference] = self.control.truth(account=account)["references"]
        return found

    def edit(self, account: str, ref: str, changes: Reference | None) -> None:
        self.control.post("foreign_edit", account=account, ref=ref, changes=changes)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query, list(parameters)).fetchall()

    def expect(self, name: str, oracle: Callable[[Reference], Reference | None] = lambda reference: reference) -> None:
        """The secondary equals filter and mapping of the main account, by an oracle that knows nothing of our code."""
        wanted = {}
        for reference in self.truth("main").values():
            copied = {key: value for key, value in reference.items() if key not in {"reference_id", "date_cre", "date_mod"}}
            if (result := oracle(copied)) is not None:
                wanted[result["ref"]] = result
        found = {
            ref: {k: v for k, v in item.items() if k not in {"reference_id", "date_cre", "date_mod"}}
            for ref, item in self.truth(name).items()
        }
        assert sorted(found) == sorted(wanted)
        assert found == wanted
