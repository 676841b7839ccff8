"""The engine as a Dagster resource: opened once per process, closed with the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dagster import ConfigurableResource, Definitions, InitResourceContext, in_process_executor
from pydantic import PrivateAttr

from sync_pipelines.core.runtime import Runtime

OpenRuntime = Callable[[], Runtime]

_open_runtime: OpenRuntime | None = None


def use_runtime(opener: OpenRuntime) -> None:
    """Says how schedules, sensors and runs of this process open a runtime."""
    global _open_runtime  # noqa: PLW0603  # Dagster builds resources from plain config, so the opener cannot be passed in
    _open_runtime = opener


def assemble(parts: Iterable[Definitions], opener: OpenRuntime) -> Definitions:
    """Vendors' definitions with the engine they share."""
    use_runtime(opener)
    return Definitions.merge(*parts, Definitions(resources={"engine": Engine()}, executor=in_process_executor))


def open_runtime() -> Runtime:
    """Opens a runtime for a schedule, a sensor or a command; close its database afterwards."""
    if _open_runtime is None:
        raise RuntimeError("no definitions were assembled in this process, so nobody said how to open a runtime")
    return _open_runtime()


class Engine(ConfigurableResource[Any]):
    """Database, secrets and configuration for the assets and ops of a run."""

    _runtime: Runtime | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: InitResourceContext) -> None:
        """Opens the runtime."""
        del context
        self._runtime = open_runtime()

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        """Closes the database."""
        del context
        if self._runtime is not None:
            self._runtime.database.close()
            self._runtime = None

    @property
    def runtime(self) -> Runtime:
        """The open runtime."""
        if self._runtime is None:
            raise RuntimeError("the engine resource is used outside a run")
        return self._runtime
