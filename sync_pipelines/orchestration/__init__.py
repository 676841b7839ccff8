"""The engine as Dagster sees it: assets, checks, schedules, sensors, retention. Knows no vendor."""
