"""How long one webhook on an idle system takes to the secondary: ``python -m sync_pipelines_tests.bench.one_webhook [tries]``.

Everything is that of ``sync-pipelines up --sandbox``, settings included. A try begins when no run is under way, at a random moment
of the sensor's clock, with the webhook's answer; it ends when the look-alike of the secondary shows the change.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import httpx

from sync_pipelines_tests.e2e.conftest import ARTIFACTS, Up
from sync_pipelines_tests.sandboxes import Control

LOOK_S = 0.05
IDLE_FOR_S = 8.0
UNDER_WAY = """
{ runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) { ... on Runs { results { id } } } }
"""


def measure(tries: int) -> list[float]:
    """Seconds of each try."""
    ARTIFACTS.mkdir(exist_ok=True)
    chance, found = random.Random(7), []
    with tempfile.TemporaryDirectory() as folder:
        up = Up(Path(folder))
        try:
            up.wait()
            control = Control(f"{up.sandbox}/grand_shooting")
            for number in range(tries):
                _await_idle(up)
                time.sleep(chance.uniform(0, 5))
                found.append(_try(up, control, f"try {number}"))
                print(f"{found[-1]:.1f} s", flush=True)
        finally:
            up.stop()
    return found


def _try(up: Up, control: Control, text: str) -> float:
    main = control.truth(account="main")["references"]
    ref, reference = next(iter(main.items()))
    control.post("foreign_edit", account="main", ref=ref, changes={"smalltext": text})
    body = {"account_id": 12, "topic": "references/update", "type": "reference", "ids": [reference["reference_id"]]}
    answer = httpx.post(f"{up.service}/webhooks/grand-shooting/main", params={"key": "sandbox-webhook-key"}, json=body)
    answer.raise_for_status()
    started = time.monotonic()
    while control.truth(account="paris")["references"].get(ref, {}).get("smalltext") != text:
        if time.monotonic() > started + 120:
            raise SystemExit("not applied within two minutes")
        time.sleep(LOOK_S)
    return time.monotonic() - started


def _await_idle(up: Up) -> None:
    """No run for some seconds, so that whatever follows upon a run has been requested too."""
    since = time.monotonic()
    while time.monotonic() < since + IDLE_FOR_S:
        if up.api.ask(UNDER_WAY)["runsOrError"]["results"]:
            since = time.monotonic()
        time.sleep(0.5)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seconds = sorted(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
    middle, longest = seconds[len(seconds) // 2], seconds[-1]
    print(f"one webhook on an idle system: median {middle:.1f} s, longest {longest:.1f} s of {len(seconds)}")
