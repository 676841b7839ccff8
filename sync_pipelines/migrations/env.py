"""Alembic's entry: runs on the connection that `sync_pipelines.migrations.migrate` opened."""

from alembic import context

from sync_pipelines.core.tables import SYNC_SCHEMA

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("migrations are run by `sync-pipelines db migrate`")

context.configure(
    connection=connection,
    version_table_schema=SYNC_SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()
