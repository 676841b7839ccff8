"""The engine: windows, guarded upsert, archive, budgets, queue. Knows no vendor and no Dagster."""
