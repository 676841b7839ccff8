"""The database's shape over time: one Alembic branch for the engine and one for each vendor."""

from sync_pipelines.migrations.runner import is_current, migrate

__all__ = ["is_current", "migrate"]
