"""The files we ship are valid: the example to copy, and the sandbox's accounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync_pipelines.cli.sandboxed import SANDBOX_ACCOUNTS
from sync_pipelines.config import load_config
from sync_pipelines.config.vendors import known_vendors
from sync_pipelines.sandbox.server import VENDORS

SHOWN = set(VENDORS) - {"http_json"}
"""The worked example of a new supplier has its own documentation."""

pytestmark = pytest.mark.skipif(
    bool(set(VENDORS) - set(known_vendors())),
    reason="a vendor of the sandbox has no settings here",
)


def test_the_example_needs_no_variable_to_load_and_shows_every_vendor() -> None:
    config = load_config(Path(__file__).parents[2] / "accounts.example.yaml", environ={})
    assert {account.vendor for account in config.accounts} == SHOWN
    assert [link.id for link in config.links] == ["paris"]


def test_the_sandboxs_accounts_load_and_cover_every_look_alike() -> None:
    config = load_config(SANDBOX_ACCOUNTS, environ={"SYNC_PIPELINES_SANDBOX_URL": "http://127.0.0.1:8790"})
    assert {account.vendor for account in config.accounts} == SHOWN <= set(known_vendors())
    assert all(account.resolve(environ={}) for account in config.accounts)
