"""The mirror of the main catalogue, replicas, links and plans."""

from alembic import op

revision = "grand_shooting_0001"
down_revision = None
branch_labels = ("grand_shooting",)
depends_on = "engine_0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE SCHEMA grand_shooting;
        CREATE TABLE grand_shooting."references" (
            account TEXT NOT NULL,
            ref TEXT NOT NULL,
            reference_id BIGINT,
            ean TEXT,
            brand TEXT,
            collection TEXT,
            univers TEXT,
            gamme TEXT,
            family TEXT,
            category_id BIGINT,
            sku TEXT,
            smalltext TEXT,
            product_ref TEXT,
            product_smalltext TEXT,
            gender TEXT,
            color TEXT,
            hexa_color TEXT,
            size TEXT,
            online TEXT,
            created_at TIMESTAMP WITH TIME ZONE,
            changed_at TIMESTAMP WITH TIME ZONE,
            raw JSONB NOT NULL,
            version TIMESTAMP WITH TIME ZONE NOT NULL,
            content_hash BYTEA NOT NULL,
            deleted_at TIMESTAMP WITH TIME ZONE,
            first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
            synced_at TIMESTAMP WITH TIME ZONE NOT NULL,
            run_id TEXT NOT NULL,
            PRIMARY KEY (account, ref)
        );
        CREATE INDEX ix_references_account_changed_at ON grand_shooting."references" (account, changed_at);
        CREATE INDEX ix_references_account_product_ref ON grand_shooting."references" (account, product_ref);
        CREATE INDEX ix_references_account_reference_id ON grand_shooting."references" (account, reference_id);
        COMMENT ON TABLE grand_shooting."references" IS 'The main account''s catalogue, as last read';
        COMMENT ON COLUMN grand_shooting."references".account IS 'vendor/name';
        COMMENT ON COLUMN grand_shooting."references".ref IS 'Unique in the catalogue';
        COMMENT ON COLUMN grand_shooting."references".reference_id IS 'Assigned by the vendor; a re-created ref gets another one';
        COMMENT ON COLUMN grand_shooting."references".ean IS 'Main barcode, unique in the catalogue';
        COMMENT ON COLUMN grand_shooting."references".collection IS 'Season or collection';
        COMMENT ON COLUMN grand_shooting."references".univers IS 'Category, level 1';
        COMMENT ON COLUMN grand_shooting."references".gamme IS 'Category, level 2';
        COMMENT ON COLUMN grand_shooting."references".family IS 'Category, level 3';
        COMMENT ON COLUMN grand_shooting."references".category_id IS 'Specification category';
        COMMENT ON COLUMN grand_shooting."references".smalltext IS 'Label of the reference';
        COMMENT ON COLUMN grand_shooting."references".product_ref IS 'Groups the variants of one product';
        COMMENT ON COLUMN grand_shooting."references".product_smalltext IS 'Label of the product';
        COMMENT ON COLUMN grand_shooting."references".online IS 'Online date, free text';
        COMMENT ON COLUMN grand_shooting."references".created_at IS 'date_cre';
        COMMENT ON COLUMN grand_shooting."references".changed_at IS 'date_mod; the row''s version where it says more than a day';
        COMMENT ON COLUMN grand_shooting."references".raw IS 'The vendor''s object as received';
        COMMENT ON COLUMN grand_shooting."references".version IS 'Vendor change time; read time where the vendor has none';
        COMMENT ON COLUMN grand_shooting."references".content_hash IS 'BLAKE2b-128 of the content';
        COMMENT ON COLUMN grand_shooting."references".deleted_at IS 'Set on a tombstone: when the vendor''s copy was found gone';
        COMMENT ON COLUMN grand_shooting."references".first_seen_at IS 'When this row was first stored';
        COMMENT ON COLUMN grand_shooting."references".synced_at IS 'When this row was last written';
        COMMENT ON COLUMN grand_shooting."references".run_id IS 'The Dagster run that last wrote this row';
        CREATE TABLE grand_shooting.replicas (
            link TEXT NOT NULL,
            ref TEXT NOT NULL,
            target_ref TEXT,
            secondary_reference_id BIGINT,
            state TEXT NOT NULL,
            seen BYTEA,
            applied_hash BYTEA,
            applied_version TIMESTAMP WITH TIME ZONE,
            applied JSONB,
            applied_at TIMESTAMP WITH TIME ZONE,
            foreign_at TIMESTAMP WITH TIME ZONE,
            last_error TEXT,
            run_id TEXT,
            PRIMARY KEY (link, ref)
        )
         WITH (fillfactor = 85);
        CREATE INDEX ix_replicas_id ON grand_shooting.replicas (link, secondary_reference_id);
        CREATE INDEX ix_replicas_state ON grand_shooting.replicas (link, state) WHERE state in ('held', 'failed');
        COMMENT ON TABLE grand_shooting.replicas IS 'What each secondary account holds of the main catalogue, as last written';
        COMMENT ON COLUMN grand_shooting.replicas.link IS 'Id of the link';
        COMMENT ON COLUMN grand_shooting.replicas.ref IS 'The main account''s ref';
        COMMENT ON COLUMN grand_shooting.replicas.target_ref IS 'The secondary''s ref, if the mapping changes it';
        COMMENT ON COLUMN grand_shooting.replicas.secondary_reference_id IS 'The secondary''s id; null while it is not there';
        COMMENT ON COLUMN grand_shooting.replicas.state IS 'applied, known, absent, held or failed';
        COMMENT ON COLUMN grand_shooting.replicas.seen IS 'Mirror content and link configuration this state was decided from';
        COMMENT ON COLUMN grand_shooting.replicas.applied_hash IS 'BLAKE2b-128 of what was last written';
        COMMENT ON COLUMN grand_shooting.replicas.applied_version IS 'Version of the mirror''s row that was last written';
        COMMENT ON COLUMN grand_shooting.replicas.applied IS 'What was last written';
        COMMENT ON COLUMN grand_shooting.replicas.foreign_at IS 'When the secondary was last found changed by somebody else';
        CREATE TABLE grand_shooting.links (
            link TEXT NOT NULL,
            main TEXT NOT NULL,
            secondary TEXT NOT NULL,
            is_followed BOOLEAN NOT NULL,
            configuration BYTEA NOT NULL,
            failures INTEGER DEFAULT 0 NOT NULL,
            open_until TIMESTAMP WITH TIME ZONE,
            trouble TEXT,
            paused_at TIMESTAMP WITH TIME ZONE,
            paused_by TEXT,
            audited_at TIMESTAMP WITH TIME ZONE,
            PRIMARY KEY (link)
        );
        COMMENT ON TABLE grand_shooting.links IS 'Links as the fan-out knows them, and the state of their circuits';
        COMMENT ON COLUMN grand_shooting.links.main IS 'Main account';
        COMMENT ON COLUMN grand_shooting.links.secondary IS 'Secondary account';
        COMMENT ON COLUMN grand_shooting.links.is_followed IS 'Whether changes become tasks at once, or at the next batch';
        COMMENT ON COLUMN grand_shooting.links.configuration IS 'Digest of filter and mapping';
        COMMENT ON COLUMN grand_shooting.links.failures IS 'Failures in a row of the secondary account';
        COMMENT ON COLUMN grand_shooting.links.open_until IS 'The circuit is open until then; afterwards one probe decides';
        COMMENT ON COLUMN grand_shooting.links.trouble IS 'Why the circuit is open';
        COMMENT ON COLUMN grand_shooting.links.paused_at IS 'Since when a person holds it; its tasks collect';
        COMMENT ON COLUMN grand_shooting.links.audited_at IS 'When the secondary was last searched for foreign changes';
        CREATE TABLE grand_shooting.plans (
            id BIGINT GENERATED ALWAYS AS IDENTITY,
            link TEXT NOT NULL,
            state TEXT NOT NULL,
            counts JSONB NOT NULL,
            samples JSONB NOT NULL,
            brake TEXT,
            created_at TIMESTAMP WITH TIME ZONE NOT NULL,
            started_at TIMESTAMP WITH TIME ZONE,
            PRIMARY KEY (id)
        );
        CREATE INDEX ix_plans_link ON grand_shooting.plans (link, id);
        COMMENT ON TABLE grand_shooting.plans IS 'What initialising a secondary account would do';
        COMMENT ON COLUMN grand_shooting.plans.state IS 'planned, running or dropped';
        COMMENT ON COLUMN grand_shooting.plans.counts IS 'create, update, delete, unchanged, failed, and the size of both sides';
        COMMENT ON COLUMN grand_shooting.plans.samples IS 'A few refs of each kind, before and after';
        COMMENT ON COLUMN grand_shooting.plans.brake IS 'Why it needs to be confirmed by its id';
        CREATE TABLE grand_shooting.plan_items (
            plan BIGINT NOT NULL,
            ref TEXT NOT NULL,
            action TEXT NOT NULL,
            target_ref TEXT NOT NULL,
            secondary_reference_id BIGINT,
            seen BYTEA,
            digest BYTEA,
            version TIMESTAMP WITH TIME ZONE,
            PRIMARY KEY (plan, ref)
        );
        COMMENT ON TABLE grand_shooting.plan_items IS 'The references of a plan that was not started yet';
        COMMENT ON COLUMN grand_shooting.plan_items.ref IS 'The main account''s ref; for a delete the secondary''s';
        COMMENT ON COLUMN grand_shooting.plan_items.action IS 'create, update, delete or unchanged';
        COMMENT ON COLUMN grand_shooting.plan_items.target_ref IS 'The secondary''s ref';
        COMMENT ON COLUMN grand_shooting.plan_items.secondary_reference_id IS 'The secondary''s id, if it exists there';
        COMMENT ON COLUMN grand_shooting.plan_items.seen IS 'Mirror content and link configuration it was compared by';
        COMMENT ON COLUMN grand_shooting.plan_items.digest IS 'Of what it should be';
        COMMENT ON COLUMN grand_shooting.plan_items.version IS 'Of the mirror''s row';
        """
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA grand_shooting CASCADE")
