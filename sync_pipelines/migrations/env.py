"""Alembic's entry: runs on the connection that `sync_pipelines.migrations.migrate` opened."""

from alembic import context

from sync_pipelines.core.tables import SYNC_SCHEMA
from sync_pipelines.migrations.runner import target_metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("migrations run by `sync-pipelines db migrate`; new ones are made by `sync-pipelines db revision`")

context.configure(
    connection=connection,
    target_metadata=target_metadata(),
    version_table_schema=SYNC_SCHEMA,
    include_schemas=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
