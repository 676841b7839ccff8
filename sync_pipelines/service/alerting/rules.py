"""The table of everything that is watched. Vendors add theirs by a tuple ``RULES`` in their ``alerts.py``."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from sync_pipelines.core.alerts import Rule, Severity
from sync_pipelines.registry import modules
from sync_pipelines.service.alerting import dagster_rules, table_rules

DATABASE = "database_unreachable"
RULE_TROUBLE = "rule_trouble"
CONFIGURATION = "configuration"
CHANNEL = "channel_failing"


def all_rules(*, code_server: tuple[str, int] | None = None) -> tuple[Rule, ...]:
    """Every rule, most urgent first; new instances, for some remember what they saw at their last look.

    Args:
        code_server: Where Dagster's code server listens, if it is watched.
    """
    error, warning = Severity.ERROR, Severity.WARNING
    half_minute, minute, half_hour = timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=30)
    dagster, ours, failing = dagster_rules, table_rules, dagster_rules.Failing()
    return (
        Rule(name=DATABASE, title="Database out of reach", severity=error, find=ours.nothing, is_urgent=True),
        Rule(name="daemon_silent", title="Daemon silent", severity=error, find=dagster.silent_daemon, is_urgent=True),
        Rule(
            name="code_server_silent",
            title="Code server silent",
            severity=error,
            find=dagster.CodeServer(code_server),
            patience=minute,
            is_urgent=True,
        ),
        Rule(name="daemon_part_silent", title="Part of the daemon silent", severity=error, find=dagster.silent_daemon_part),
        Rule(
            name="error_standing",
            title="Errors that stand",
            severity=error,
            find=partial(dagster.standing_errors, failing),
            every=half_minute,
        ),
        Rule(
            name="first_error",
            title="First errors",
            severity=warning,
            find=partial(dagster.first_errors, failing),
            every=half_minute,
        ),
        Rule(name="freshness", title="Freshness missed", severity=error, find=dagster.Freshness(), every=minute),
        Rule(name="brake", title="Brakes pulled", severity=error, find=ours.pulled_brakes),
        Rule(name="dead_letters", title="Dead letters", severity=warning, find=ours.dead_letters),
        Rule(name="reconciliation", title="Differences to the vendor", severity=error, find=ours.differences, every=minute),
        # A backfill or a first sync makes and closes holes while it works.
        Rule(
            name="coverage",
            title="Coverage holes",
            severity=warning,
            find=ours.coverage_holes,
            patience=half_hour,
            every=minute,
        ),
        Rule(name="queue", title="Long queues", severity=warning, find=ours.long_queues),
        Rule(name="budget", title="Quota starved", severity=warning, find=ours.starved_budgets, patience=timedelta(minutes=10)),
        Rule(name="expiry", title="Secrets and tokens that end", severity=warning, find=ours.expiring_secrets, every=minute),
        Rule(name="ticks", title="Schedules and sensors failing", severity=warning, find=dagster.failing_ticks),
        Rule(
            name="retention",
            title="Upkeep in trouble",
            severity=warning,
            find=partial(dagster.maintenance_trouble, failing),
            every=minute,
        ),
        Rule(name="partitions", title="Partitions missing", severity=error, find=ours.partition_trouble, every=minute),
        Rule(name=CONFIGURATION, title="Configuration unusable", severity=error, find=ours.nothing),
        Rule(name=CHANNEL, title="Messages that are not taken", severity=error, find=ours.nothing),
        *(rule for module in modules("alerts") for rule in module.RULES),
        Rule(name=RULE_TROUBLE, title="The watch itself", severity=warning, find=ours.nothing),
    )
