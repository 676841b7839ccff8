"""A whole `sync-pipelines up --sandbox` and a headless Chromium, once for all browser tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines_tests.e2e.dagster_api import DagsterApi
from sync_pipelines_tests.sandboxes import free_port

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
STARTS_WITHIN_S = 180


class Up:
    """The running house.

    Attributes:
        web: Dagster's UI.
        service: Webhooks and the status page.
        sandbox: The vendors' look-alikes.
        api: Dagster's GraphQL.
    """

    def __init__(self, folder: Path) -> None:
        ports = {name: free_port() for name in ("WEB", "CODE", "SERVICE", "SANDBOX")}
        self.web = f"http://127.0.0.1:{ports['WEB']}"
        self.service = f"http://127.0.0.1:{ports['SERVICE']}"
        self.sandbox = f"http://127.0.0.1:{ports['SANDBOX']}"
        self.api = DagsterApi(self.web)
        self._log = folder / "up.log"
        variables = {f"SYNC_PIPELINES_{name}_PORT": str(port) for name, port in ports.items()}
        environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sync_pipelines.cli", "up", "--sandbox"],
                cwd=folder,
                env={**environ, **variables, "SYNC_PIPELINES_STATE": str(folder / "state"), "COLUMNS": "200"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process that looks after all others."""
        return self._process.pid

    def wait(self) -> None:
        """Until the code location is loaded."""
        self.api.wait_until_loaded(STARTS_WITHIN_S, is_alive=lambda: self._process.poll() is None)

    def stop(self) -> None:
        """Ctrl-C; keeps the log."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        shutil.copy(self._log, ARTIFACTS / "up.log")


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Everything, on free ports, with a state folder of its own."""
    ARTIFACTS.mkdir(exist_ok=True)
    started = Up(tmp_path_factory.mktemp("house"))
    try:
        started.wait()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def chromium() -> str:
    """``CHROME_BIN``, else a Chromium or Chrome on the PATH."""
    found = os.environ.get("CHROME_BIN") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if not found:
        pytest.fail("no Chromium on the PATH; apt-get install chromium, or name one in CHROME_BIN")
    return found


@pytest.fixture
def page(chromium: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A browser page; a screenshot of a failed test is kept as well."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1600, "height": 1100})
        opened.set_default_timeout(60_000)
        yield opened
        opened.screenshot(path=ARTIFACTS / f"{request.node.name}-last.png")
        browser.close()
