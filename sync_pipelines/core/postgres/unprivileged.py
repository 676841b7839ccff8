"""Postgres refuses to run as root; this finds a way to run it all the same without new users or opened folders.

As a normal user nothing is needed. As root the server runs in a user namespace in which root is called 1000 (files stay root's);
where the kernel or the container forbids that, it runs as an unprivileged user who must be able to reach the state folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sync_pipelines.core.errors import ConfigError

NAMESPACE_ID = 1000
NOBODY = 65534


@dataclass(frozen=True)
class Unprivileged:
    """How to start the server's programs.

    Attributes:
        prefix: Words before the program's own.
        owner: User id that must own the data folder on disk.
    """

    prefix: tuple[str, ...]
    owner: int


def unprivileged(state: Path, data: Path, program: str) -> Unprivileged:
    """The way that works here.

    Args:
        state: Our state folder; its mode may be changed, nothing above it.
        data: The data folder; if it exists, its owner decides.
        program: A server program that the chosen user must be able to run.

    Raises:
        ConfigError: No way works; the message says what would.
    """
    me = os.geteuid()
    owner = data.stat().st_uid if data.exists() else None
    if me != 0:
        if owner not in {None, me}:
            raise ConfigError(
                f"{data} belongs to user {owner}, not to you ({me}). Run as that user, or keep an own state folder: "
                "export SYNC_PIPELINES_STATE=$HOME/.sync_pipelines"
            )
        return Unprivileged((), me)
    namespace = ("unshare", "--user", f"--map-user={NAMESPACE_ID}", f"--map-group={NAMESPACE_ID}")
    if owner in {None, 0} and _works((*namespace, program, "--version")):
        return Unprivileged(namespace, 0)
    user = owner or NOBODY
    state.chmod(0o711)
    drop = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
    if owner != 0 and _works((*drop, program, "--version")) and _works((*drop, "test", "-x", str(state))):
        return Unprivileged(drop, user)
    raise ConfigError(
        "Postgres does not run as root, and here neither a user namespace (unshare) nor an unprivileged user "
        f"can run {program} with data in {state}. Run sync-pipelines as a normal user, "
        "set SYNC_PIPELINES_STATE to a folder that every user may enter, or set DATABASE_URL to a server you have"
    )


def _works(command: tuple[str, ...]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
