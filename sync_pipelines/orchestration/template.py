"""What a run needs, imported: runs are forked from a process that did just this. It opens no connection, starts no thread.

A forked process ends without `atexit`.
"""

import ctypes
import gc
import os
import signal

import dagster._grpc.impl
import dagster_postgres

import sync_pipelines.definitions

__all__ = ["dagster", "dagster_postgres", "sync_pipelines"]

_SIGNAL_AT_PARENTS_DEATH = 1
_libc = ctypes.CDLL(None)


def _end_with_the_template() -> None:
    """The code server would take a run whose template is gone for dead, and start it again beside itself.

    What is started in the background of a script ignores SIGINT, and Dagster then SIGTERM with it.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _libc.prctl(_SIGNAL_AT_PARENTS_DEATH, signal.SIGTERM)


sync_pipelines.definitions.defs.get_repository_def()

os.register_at_fork(after_in_child=_end_with_the_template)
gc.collect()
gc.freeze()  # memory that no collection touches stays shared between the runs
