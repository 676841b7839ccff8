"""History triggers compare whole sets.

A trigger keeps the plan of its first statement. Made for a few rows, it compared each old row with each new one for ever after.
"""

from alembic import op

revision = "suppliers_0002"
down_revision = "suppliers_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for function in ("note_stock", "note_price"):
        op.execute(f"ALTER FUNCTION suppliers.{function}() SET enable_nestloop = off")
