"""The process's environment: where the database, the configuration and the state are, and which ports are listened on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from sync_pipelines.core.db import driver_url, plain_url
from sync_pipelines.core.errors import ConfigError

SHORTEST_TOKEN = 16
"""Characters; a shorter token could be guessed over the network."""

DAGSTER_SEARCH_PATH = "-csearch_path=dagster"


@dataclass(frozen=True)
class Environment:
    """What the environment says, with its defaults. Ports stay below 32768, where outgoing connections take theirs from.

    Attributes:
        database_url: ``DATABASE_URL``; ``None`` means the embedded server.
        config_path: ``SYNC_PIPELINES_CONFIG``, else ``accounts.yaml`` here.
        state: ``SYNC_PIPELINES_STATE``, else ``.sync_pipelines`` here: embedded data, Dagster's files, logs.
        master_key: ``SYNC_PIPELINES_MASTER_KEY``: base64 of 32 bytes, or ``new,old`` while rotating.
        token: ``SYNC_PIPELINES_TOKEN``: who has it sees the status page; without one, only this machine does.
        host: ``SYNC_PIPELINES_HOST``: address that the service binds; loopback unless told otherwise.
        web_host: ``SYNC_PIPELINES_WEB_HOST``: address that the Dagster UI binds, which has no login; by default loopback.
        web_port: ``SYNC_PIPELINES_WEB_PORT``: the Dagster UI.
        code_port: ``SYNC_PIPELINES_CODE_PORT``: the code server, always on loopback.
        service_port: ``SYNC_PIPELINES_SERVICE_PORT``: webhooks and the status page.
        sandbox_port: ``SYNC_PIPELINES_SANDBOX_PORT``: the vendors' look-alikes.
    """

    database_url: str | None = field(default=None, repr=False)
    config_path: Path = Path("accounts.yaml")
    state: Path = Path(".sync_pipelines")
    master_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    web_host: str = "127.0.0.1"
    web_port: int = 3000
    code_port: int = 4000
    service_port: int = 8787
    sandbox_port: int = 8790

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None, *, here: Path | None = None) -> Environment:
        """Reads it.

        Args:
            environ: Instead of the process's own.
            here: What relative paths start from; default: the working directory.

        Raises:
            ConfigError: A value can not be right.
        """
        environ = os.environ if environ is None else environ
        here = here or Path.cwd()
        url = environ.get("DATABASE_URL", "").strip()
        return cls(
            database_url=plain_url(url) if url else None,
            config_path=here / (environ.get("SYNC_PIPELINES_CONFIG") or "accounts.yaml"),
            state=here / (environ.get("SYNC_PIPELINES_STATE") or ".sync_pipelines"),
            master_key=environ.get("SYNC_PIPELINES_MASTER_KEY") or None,
            token=_token(environ),
            host=environ.get("SYNC_PIPELINES_HOST") or cls.host,
            web_host=environ.get("SYNC_PIPELINES_WEB_HOST") or cls.web_host,
            web_port=_port(environ, "SYNC_PIPELINES_WEB_PORT", cls.web_port),
            code_port=_port(environ, "SYNC_PIPELINES_CODE_PORT", cls.code_port),
            service_port=_port(environ, "SYNC_PIPELINES_SERVICE_PORT", cls.service_port),
            sandbox_port=_port(environ, "SYNC_PIPELINES_SANDBOX_PORT", cls.sandbox_port),
        )

    @property
    def web_url(self) -> str:
        """Where this machine's programs reach the Dagster UI."""
        return f"http://{reachable(self.web_host)}:{self.web_port}"

    @property
    def service_url(self) -> str:
        """Where this machine's programs reach the service."""
        return f"http://{reachable(self.host)}:{self.service_port}"

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its files; holds a copy of the project's ``dagster.yaml``."""
        return self.state / "dagster"

    def variables(self, database_url: str) -> dict[str, str]:
        """What a process needs to work on this environment, whichever folder it runs in."""
        return {
            "DATABASE_URL": database_url,
            "SYNC_PIPELINES_DAGSTER_URL": dagster_url(database_url),
            "SYNC_PIPELINES_CONFIG": str(self.config_path),
            "SYNC_PIPELINES_STATE": str(self.state),
            "SYNC_PIPELINES_HOST": self.host,
            "SYNC_PIPELINES_WEB_HOST": self.web_host,
            "SYNC_PIPELINES_WEB_PORT": str(self.web_port),
            "SYNC_PIPELINES_CODE_PORT": str(self.code_port),
            "SYNC_PIPELINES_SERVICE_PORT": str(self.service_port),
            "SYNC_PIPELINES_SANDBOX_PORT": str(self.sandbox_port),
            "DAGSTER_HOME": str(self.dagster_home),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }

    def child_environment(self, database_url: str) -> dict[str, str]:
        """The whole environment of a child process: ours, and `variables`."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**inherited, **self.variables(database_url), "PYTHONUNBUFFERED": "1"}

    def enter(self, database_url: str) -> None:
        """Puts `variables` into this process's environment, for libraries that read it themselves (Dagster's instance)."""
        os.environ.update(self.variables(database_url))


def reachable(host: str) -> str:
    """The address to talk to somebody who binds ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  # compared, not bound


def dagster_url(database_url: str) -> str:
    """The same database as Dagster's storage opens it: psycopg 2, tables in schema ``dagster``."""
    parts = urlsplit(driver_url(database_url, "psycopg2"))
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query["options"] = " ".join(filter(None, [query.get("options"), DAGSTER_SEARCH_PATH]))
    return urlunsplit((*parts[:3], urlencode(query, quote_via=quote), parts.fragment))


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ConfigError(f"{name} is {text!r}; it must be a port between 1 and 65535, best below 32768")
    return int(text)


def _token(environ: Mapping[str, str]) -> str | None:
    token = environ.get("SYNC_PIPELINES_TOKEN", "").strip()
    if token and len(token) < SHORTEST_TOKEN:
        raise ConfigError(f"SYNC_PIPELINES_TOKEN is too short; use at least {SHORTEST_TOKEN} random characters")
    return token or None
