"""Schema ``suppliers``: tables, history triggers, and the views ``offers`` and ``freshness``; the DDL is the file beside this one."""

from pathlib import Path

from alembic import op

revision = "suppliers_0001"
down_revision = None
branch_labels = ("suppliers",)
depends_on = "engine_0001"


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS suppliers")
    connection = op.get_bind().connection.cursor()
    connection.execute(Path(__file__).with_suffix(".sql").read_text())
