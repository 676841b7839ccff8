"""The applied configuration: versions with who, when and what; nobody overwrites somebody else's change unseen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_pipelines.core import config_store
from sync_pipelines.core.config_store import ABSENT, differences
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError

FIRST: dict[str, Any] = {"links": [{"id": "paris", "webhooks": True}, {"id": "lyon", "webhooks": True}]}
SECOND: dict[str, Any] = {"links": [{"id": "lyon", "webhooks": False}, {"id": "paris", "webhooks": True}]}


def apply(database: Database, document: Any, **options: Any) -> config_store.Version:
    with database.transaction() as connection:
        return config_store.apply(connection, document, by="anna", **options)


def test_every_version_says_who_when_and_what_changed(database: Database) -> None:
    apply(database, FIRST, comment="start")
    second = apply(database, SECOND)
    assert (second.applied_by, second.changes) == ("anna", [{"path": "links[lyon].webhooks", "before": True, "after": False}])
    with database.connect() as connection:
        assert [version.comment for version in config_store.history(connection)] == ["", "start"]
        active = config_store.active(connection)
    assert active == second


def test_applying_what_is_active_changes_nothing(database: Database) -> None:
    first = apply(database, FIRST)
    assert apply(database, dict(reversed(FIRST.items()))) == first


def test_a_rollback_is_a_new_version(database: Database) -> None:
    first = apply(database, FIRST)
    apply(database, SECOND)
    with database.transaction() as connection:
        back = config_store.rollback(connection, first.id, by="ben")
    assert (back.document, back.restores, back.applied_by) == (FIRST, first.id, "ben")
    assert back.id > first.id


def test_a_change_planned_on_another_version_is_refused(database: Database) -> None:
    first = apply(database, FIRST, planned_on=0)
    apply(database, SECOND, planned_on=first.id)
    with pytest.raises(ConfigError, match="plan again"):
        apply(database, FIRST, planned_on=first.id)


def test_an_unknown_version_is_named(database: Database) -> None:
    with database.connect() as connection, pytest.raises(ConfigError, match="version 99"):
        config_store.version(connection, 99)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first text of a process waits for its alphabet
@given(documents, documents)
def test_equal_documents_have_no_differences_and_others_have(left: Any, right: Any) -> None:
    assert not list(differences(left, left))
    if config_store.document_digest(left) != config_store.document_digest(right) and (left or right):
        found = list(differences(left, right))
        assert all(change.before is not ABSENT or change.after is not ABSENT for change in found)
