"""One drain in a process of its own, to be killed: ``python -m … '{"url": …, "base_url": …, "links": …, "seconds": …}'``."""

from __future__ import annotations

import json
import sys

from sync_pipelines.core.db import Database
from sync_pipelines.vendors.grand_shooting.fan_out.drain import Limits, drain
from sync_pipelines_tests.vendors.grand_shooting.worlds import FanOutWorld


def main(text: str) -> None:
    given = json.loads(text)
    with Database(given["url"], application_name="drain process", max_connections=20) as database:
        world = FanOutWorld.at(given["base_url"], database, given["links"])
        drain(world.setup(Limits(linger_s=0.5, max_runtime_s=given["seconds"])))


if __name__ == "__main__":
    main(sys.argv[1])
