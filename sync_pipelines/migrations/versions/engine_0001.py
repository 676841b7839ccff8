"""The schema of the engine; its tables come with the revisions that depend on this one."""

from alembic import op

revision = "engine_0001"
down_revision = None
branch_labels = ("engine",)
depends_on = None


def upgrade() -> None:
    op.execute("create schema if not exists sync")
