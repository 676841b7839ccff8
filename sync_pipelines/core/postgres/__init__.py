"""A Postgres server of our own for a machine that has none: found, initialised, started and stopped by this package.

It promises a real server on 127.0.0.1 with a password, data in one state folder, nothing touched outside of that folder, and a
clean start after any crash. It is for demos, tests and small installations; bring your own Postgres for production.
"""

from sync_pipelines.core.postgres.binaries import Binaries, find_binaries
from sync_pipelines.core.postgres.server import EmbeddedServer

__all__ = ["Binaries", "EmbeddedServer", "find_binaries"]
