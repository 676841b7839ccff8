"""How long things are kept, in days: the ``retention`` section of the configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

LEAST_RUNS_DAYS = 4
"""Maintenance counts the last three closed days of runs anew before it deletes any."""


class Retention(BaseModel):
    """Days, each counted from when a thing was finished, resolved or received; the roll-ups are kept without limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs_days: int = Field(
        default=90, ge=LEAST_RUNS_DAYS, description="Dagster's runs with events and logs, check results, and backfills without runs"
    )
    ticks_days: int = Field(default=90, ge=1, description="Ticks of schedules and sensors, where dagster.yaml has no shorter limit")
    archive_days: int = Field(default=7, ge=1, description="Response pages, and so the reach of replay")
    deliveries_days: int = Field(default=7, ge=1, description="Webhook deliveries as received")
    finished_work_days: int = Field(default=7, ge=1, description="Finished work of the queues")
    resolved_letters_days: int = Field(
        default=30, ge=1, description="Resolved dead letters; open ones stay until somebody resolves them"
    )
    reconciliations_days: int = Field(default=400, ge=1, description="Results of comparisons with the vendors' own lists")
