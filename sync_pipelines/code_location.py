"""What the code server loads: the definitions, and the process from which it forks their runs."""

from sync_pipelines.definitions import defs
from sync_pipelines.orchestration.forking import fork_runs

__all__ = ["defs"]

fork_runs()
