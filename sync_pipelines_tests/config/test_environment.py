"""The environment: defaults, what is refused, and what children get."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from sync_pipelines.config import Environment
from sync_pipelines.config.environment import dagster_url
from sync_pipelines.core.errors import ConfigError


def test_nothing_set_means_the_embedded_database_and_ports_below_the_ephemeral_ones(tmp_path: Path) -> None:
    environment = Environment.read({}, here=tmp_path)
    assert environment.database_url is None
    assert environment.config_path == tmp_path / "accounts.yaml"
    assert environment.state == tmp_path / ".sync_pipelines"
    assert max(environment.web_port, environment.code_port, environment.service_port, environment.sandbox_port) < 32768


def test_what_is_set_wins_and_paths_are_absolute_for_children(tmp_path: Path) -> None:
    environment = Environment.read(
        {
            "DATABASE_URL": "postgres://u:p@h/d",
            "SYNC_PIPELINES_CONFIG": "conf/a.yaml",
            "SYNC_PIPELINES_STATE": "/var/lib/state",
            "SYNC_PIPELINES_WEB_PORT": "3100",
        },
        here=tmp_path,
    )
    variables = environment.variables("postgresql://u:p@h/d")
    assert variables["SYNC_PIPELINES_CONFIG"] == str(tmp_path / "conf/a.yaml")
    assert variables["DAGSTER_HOME"] == "/var/lib/state/dagster"
    assert Environment.read(variables, here=Path("/elsewhere")) == environment


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ConfigError, match=r"SYNC_PIPELINES_SERVICE_PORT is .* between 1 and 65535"):
        Environment.read({"SYNC_PIPELINES_SERVICE_PORT": port})


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="not mysql://"):
        Environment.read({"DATABASE_URL": "mysql://h/d"})


def test_secrets_do_not_show() -> None:
    shown = repr(Environment.read({"DATABASE_URL": "postgresql://u:hidden-word@h/d", "SYNC_PIPELINES_MASTER_KEY": "hidden-word"}))
    assert "hidden-word" not in shown


def test_dagsters_url_keeps_options_and_opens_its_schema(database_url: str) -> None:
    url = dagster_url(f"{database_url}?options=-cstatement_timeout%3D5s&connect_timeout=3")
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.dialect.driver == "psycopg2"
        assert connection.scalar(text("show search_path")) == "dagster"
        assert connection.scalar(text("show statement_timeout")) == "5s"
    engine.dispose()


def test_opening_the_service_leaves_the_dagster_ui_on_loopback() -> None:
    opened = Environment.read({"SYNC_PIPELINES_HOST": "0.0.0.0"})
    assert (opened.host, opened.web_host) == ("0.0.0.0", "127.0.0.1")
    assert opened.service_url == "http://127.0.0.1:8787"
    both = Environment.read({"SYNC_PIPELINES_WEB_HOST": "::"})
    assert both.web_url == "http://[::1]:3000"
    assert both.variables("postgresql://u@h/d")["SYNC_PIPELINES_WEB_HOST"] == "::"
