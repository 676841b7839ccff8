"""What `demo` and `up --sandbox` share: the sandbox's accounts, and a master key of their own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from sync_pipelines.config import Environment
from sync_pipelines.core.secrets import MasterKeys

SANDBOX_ACCOUNTS = Path(__file__).parents[1] / "sandbox" / "accounts.yaml"


def with_sandbox_accounts(environment: Environment, url: str) -> Environment:
    """The environment with the sandbox's accounts as its configuration.

    Args:
        environment: Where the state is.
        url: ``http://127.0.0.1:8790``: where the sandbox answers.
    """
    os.environ["SYNC_PIPELINES_SANDBOX_URL"] = url
    os.environ.setdefault("SYNC_PIPELINES_MASTER_KEY", _own_key(environment.state))
    return replace(environment, config_path=SANDBOX_ACCOUNTS, master_key=os.environ["SYNC_PIPELINES_MASTER_KEY"])


def _own_key(state: Path) -> str:
    """A master key kept with the data, so that a second demo can read what the first one stored."""
    path = state / "demo-master-key"
    if not path.exists():
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(MasterKeys.new())
    return path.read_text().strip()
