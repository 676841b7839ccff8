"""``python -m sync_pipelines_tests.bench [upsert] [sync] [budget] [empty] [launched] [queue] [intake]
[page] [amazon] [gazelle] [suppliers] [--quick] [--json]``.

Without names every bench runs, at full size. Each compares things measured one after the other in the same run on the same server,
so the ratios can be compared between machines; the absolute numbers cannot. Exit code 0 whatever comes out: a bench informs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.core.postgres import EmbeddedServer
from sync_pipelines.migrations import migrate
from sync_pipelines_tests.bench import amazon, budget, empty, gazelle, intake, launched, page, queue, suppliers, sync, upsert
from sync_pipelines_tests.bench.measures import Measure, show
from sync_pipelines_tests.servers import TestServer

BENCHES = {
    "upsert": upsert.run,
    "sync": sync.run,
    "budget": budget.run,
    "empty": empty.run,
    "launched": launched.run,
    "queue": queue.run,
    "intake": intake.run,
    "page": page.run,
    "amazon": amazon.run,
    "gazelle": gazelle.run,
    "suppliers": suppliers.run,
}


@contextmanager
def fresh_server() -> Iterator[TestServer]:
    """A server with the product's own settings, fsync included, that goes with this process."""
    with tempfile.TemporaryDirectory(prefix="sync-bench-") as folder, ProcessGuard() as guard:
        Path(folder).chmod(0o755)
        server = TestServer(EmbeddedServer(Path(folder) / "state"), guard)
        server.start()
        try:
            migrate(server.url())
            yield server
        finally:
            server.stop()


def measure(names: list[str], *, quick: bool) -> list[Measure]:
    """Runs the named benches one after the other."""
    measures = []
    with fresh_server() as server:
        for name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            measures += BENCHES[name](server, quick=quick)
    return measures


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m sync_pipelines_tests.bench", description="What the engine costs.")
    parser.add_argument("benches", nargs="*", metavar="bench", help=f"of {', '.join(BENCHES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that the benches work, measures nothing")
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")
    options = parser.parse_args(arguments)
    unknown = set(options.benches) - BENCHES.keys()
    if unknown:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    measures = measure(options.benches or list(BENCHES), quick=options.quick)
    if options.json:
        print(json.dumps([one.as_json() for one in measures], indent=2))
    else:
        show(measures)


if __name__ == "__main__":
    main()
