"""Keeps a shop's SaaS systems and one Postgres database in step, unattended, on Dagster."""
