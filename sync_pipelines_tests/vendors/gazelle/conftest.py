from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core.http import HeaderKey, HttpClient
from sync_pipelines.vendors.gazelle.client import GazelleClient, PageSizes
from sync_pipelines.vendors.gazelle.graphql import classifier
from sync_pipelines_tests.sandboxes import RunningSandbox

ACCOUNT = "gazelle/studio"


@pytest.fixture
def gazelle(sandbox: Callable[..., RunningSandbox]) -> RunningSandbox:
    """A small piano business without a speed limit."""
    running = sandbox("gazelle")
    running.control.post("settings", rate=1e6, burst=1_000_000)
    return running


def open_client(running: RunningSandbox, *, sizes: PageSizes | None = None, **options: Any) -> GazelleClient:
    """A client with the API key and no pauses."""
    http = HttpClient(
        account=ACCOUNT,
        base_url=running.base_url,
        auth=HeaderKey("x-gazelle-api-key", "sandbox-api-key"),
        classify=classifier(ACCOUNT),
        sleep=lambda _: None,
    )
    return GazelleClient(http, account=ACCOUNT, sizes=sizes, **options)
