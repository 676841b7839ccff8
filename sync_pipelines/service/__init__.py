"""The always-on process beside Dagster: webhook intake, status page, alerts, watchdog."""
