"""The session's Postgres as tests see it: started, stopped, killed and restarted at will, and gone with the test process."""

from __future__ import annotations

import os
import signal

from sync_pipelines.core.guard import ProcessGuard
from sync_pipelines.core.postgres import EmbeddedServer
from sync_pipelines.core.postgres.server import DATABASE


class TestServer:
    """An `EmbeddedServer` watched by a guard, so that a killed test run leaves none behind."""

    __test__ = False

    def __init__(self, server: EmbeddedServer, guard: ProcessGuard) -> None:
        self.server = server
        self._guard = guard
        self._watched: int | None = None

    def start(self) -> None:
        """Makes sure that it runs."""
        self.server.start()
        pid = self.server.pid
        if pid != self._watched and pid is not None:
            if self._watched is not None:
                self._guard.forget(self._watched)
            self._guard.watch(pid, signal.SIGINT)
            self._watched = pid

    def stop(self) -> None:
        """A clean shutdown."""
        self.server.stop()

    def restart(self) -> None:
        """A clean shutdown and a start on the same port."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """``kill -9``, as a power cut would."""
        pid = self.server.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            self.server._kill_orphans()

    def url(self, database: str = DATABASE) -> str:
        """The URL of one of its databases."""
        url = self.server.url
        assert url is not None
        return f"{url.rpartition('/')[0]}/{database}"
