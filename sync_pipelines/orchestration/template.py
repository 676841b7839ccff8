"""What a run needs, imported: runs are forked from a process that did just this. It opens no connection, starts no thread."""

import gc

import dagster._grpc.impl
import dagster_postgres

import sync_pipelines.definitions

__all__ = ["dagster", "dagster_postgres", "sync_pipelines"]

sync_pipelines.definitions.defs.get_repository_def()

gc.collect()
gc.freeze()  # memory that no collection touches stays shared between the runs
