"""How long one parcel webhook on an idle system takes to its row: ``python -m sync_pipelines_tests.bench.parcel_webhook [tries]``.

Everything is that of ``sync-pipelines up --sandbox``, settings included. A try is one webhook at a random moment; it ends with the
transaction that stores it.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import psycopg

from sync_pipelines.core.postgres import EmbeddedServer
from sync_pipelines_tests.e2e.conftest import ARTIFACTS, Up
from sync_pipelines_tests.sandboxes import Control
from sync_pipelines_tests.waiting import eventually

_STORED = """
select extract(epoch from t.finished_at - d.received_at)::float8
from sync.deliveries d cross join lateral (
    select min(t.finished_at) as finished_at from sync.tasks_done t
    where t.queue = 'sendcloud-webhooks' and t.outcome = 'done' and t.finished_at > d.received_at
) t
where d.account = 'sendcloud/main' and t.finished_at is not null
"""


def measure(tries: int) -> list[float]:
    """Seconds of each try, from the reception to the commit."""
    ARTIFACTS.mkdir(exist_ok=True)
    chance = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        up = Up(Path(folder))
        try:
            up.wait()
            control = Control(f"{up.sandbox}/sendcloud")
            database = EmbeddedServer(Path(folder) / "state").url
            assert database is not None
            for number in range(tries):
                time.sleep(chance.uniform(1, 5))
                report = control.post(
                    "webhooks/send",
                    url=f"{up.service}/webhooks/sendcloud/main",
                    events=1,
                    duplicates=0,
                    integration=7001,
                    sign_with="signature",
                    seed=number,
                )
                assert report["statuses"] == {"200": 1}
                eventually(partial(_has_stored, database, number + 1), seconds=60)
            return _stored(database)
        finally:
            up.stop()


def _has_stored(url: str, tries: int) -> bool:
    return len(_stored(url)) == tries


def _stored(url: str) -> list[float]:
    with psycopg.connect(url) as connection:
        return [seconds for (seconds,) in connection.execute(_STORED)]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found = sorted(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
    middle, late = found[len(found) // 2], found[len(found) * 95 // 100]
    print(f"one parcel webhook: median {middle:.3f} s, 95 % {late:.3f} s, longest {found[-1]:.3f} s of {len(found)}")
