"""Alerts and watchdog of the always-on service: rules look, a ledger remembers, a sender tells each person at most once an hour.

Works without Dagster's daemon, and without the database for as long as that is away.
"""
