"""Every foreign id has an index, so that a join from either side is quick."""

from alembic import op

revision = "gazelle_0002"
down_revision = "gazelle_0001"
branch_labels = None
depends_on = None

_COLUMNS = {
    "clients": ("default_contact_external_id", "referral_client_external_id"),
    "pianos": ("next_tuning_external_id",),
    "appointments": ("created_by_external_id",),
    "timeline_entries": ("invoice_external_id", "estimate_external_id"),
}


def upgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column], schema="gazelle")


def downgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.drop_index(f"ix_{table}_{column}", table, schema="gazelle")
