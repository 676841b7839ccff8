"""Fixtures of the fan-out's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core.db import Database
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.grand_shooting.worlds import FanOutWorld


@pytest.fixture
def world(sandbox: Callable[..., RunningSandbox], database: Database) -> Callable[..., FanOutWorld]:
    """``world(paris={…}, lyon={…})``: links by the name of their secondary account."""

    def make(*, unlimited: bool = True, **links: dict[str, Any]) -> FanOutWorld:
        return FanOutWorld(sandbox("grand_shooting"), database, links, unlimited=unlimited)

    return make
