"""What people get wrong: each a clear message with the fix, exit code 1 or 2, no traceback, and no secret."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sync_pipelines.cli import invoke
from sync_pipelines.core import db
from sync_pipelines.core.secrets import MasterKeys
from sync_pipelines_tests.sandboxes import RunningSandbox

Ended = tuple[int, str]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder to work in."""
    monkeypatch.chdir(tmp_path)
    for name in ("SYNC_PIPELINES_CONFIG", "SYNC_PIPELINES_STATE", "NOT_SET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:visible-nowhere@127.0.0.1:1/shop")
    monkeypatch.setenv("SYNC_PIPELINES_MASTER_KEY", MasterKeys.new())
    monkeypatch.setenv("COLUMNS", "500")  # no table breaks a message into lines
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command; its exit code and what it says on standard error."""

    def call(*words: str) -> Ended:
        code = invoke(words)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        assert "visible-nowhere" not in captured.out + captured.err
        return code, captured.out + captured.err

    return call


def configure(project: Path, base_url: str = "http://127.0.0.1:1", api_key: str = "visible-nowhere", **more: str) -> None:
    extra = "".join(f"\n    {name}: {value}" for name, value in more.items())
    (project / "accounts.yaml").write_text(
        f'accounts:\n  - id: bigbuy/main\n    base_url: {base_url}\n    credentials: {{api_key: "{api_key}"}}{extra}\n'
    )


@pytest.fixture
def html() -> Iterator[str]:
    """A server that answers everything with a page, as a captive portal or a proxy does."""

    class Portal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html><h1>Sign in to the network")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Portal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("words", [("config", "validate"), ("check",), ("sync", "suppliers/stock", "-a", "bigbuy/main"), ("up",)])
def test_a_wrong_key_in_the_file(
    project: Path, run: Callable[..., Ended], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    configure(project, settigns="{language: fr}")
    code, said = run(*words)
    assert code == 2
    assert "accounts.yaml:5: account bigbuy/main, settigns: unknown key 'settigns'; did you mean settings?" in said


@pytest.mark.parametrize(
    "words",
    [
        ("sync", "suppliers/stock", "-a", "bigbuy/main"),
        ("check",),
        ("status",),
        ("queue", "counts"),
        ("dead-letters", "list"),
        ("db", "migrate"),
        ("config", "apply"),
        ("up",),
    ],
)
def test_an_unreachable_database(project: Path, run: Callable[..., Ended], words: tuple[str, ...]) -> None:
    configure(project)
    code, said = run(*words)
    assert code == 1
    assert "the database postgresql://user@127.0.0.1:1/shop is not reachable" in said
    assert "Check DATABASE_URL" in said


@pytest.mark.parametrize("words", [("check",), ("db", "migrate"), ("up",), ("secrets", "list")])
def test_an_old_database(
    project: Path, run: Callable[..., Ended], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    configure(project)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setattr(db, "MINIMUM_SERVER_VERSION", 990000)
    code, said = run(*words)
    assert code == 2
    assert "needs 14 or newer. Upgrade the server, or unset DATABASE_URL" in said


@pytest.mark.parametrize(("option", "what"), [("--web-port", "Dagster UI"), ("--service-port", "service"), ("--code-port", "code")])
def test_a_port_in_use(
    project: Path, run: Callable[..., Ended], option: str, what: str, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    configure(project)
    monkeypatch.setenv("DATABASE_URL", database_url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = run("up", option, str(taken.getsockname()[1]))
    assert code == 2
    assert f"the {what}" in said
    assert f"choose another port: {option}" in said


@pytest.mark.timeout(300)
def test_what_only_the_vendor_can_tell(
    project: Path,
    run: Callable[..., Ended],
    sandbox: Callable[..., RunningSandbox],
    html: str,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
) -> None:
    """One story, because each command of it needs the same prepared database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    sync = ("sync", "suppliers/taxonomies", "-a", "bigbuy/main")

    configure(project, api_key="${NOT_SET}")
    for words in (("check",), sync):
        code, said = run(*words)
        assert code == 1
        assert "the environment variable NOT_SET is not set. Set it: export NOT_SET=…" in said
    configure(project, api_key="secret:key")
    code, said = run("check")
    assert code == 1
    assert "sync-pipelines secrets set key --account bigbuy/main" in said

    configure(project, base_url=sandbox("bigbuy").base_url)
    for words in (("check",), sync):
        code, said = run(*words)
        assert code == 1
        assert "refuses" in said

    configure(project, base_url=html)
    for words in (("check",), sync):
        code, said = run(*words)
        assert code == 1
        assert "not JSON" in said

    configure(project)
    for words in (("check",), sync):
        code, said = run(*words)
        assert code == 1
        assert "is the account's base_url right?" in said


def test_a_time_for_a_stream_that_is_read_whole(
    project: Path, run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    configure(project)
    code, said = run("sync", "suppliers/stock", "-a", "bigbuy/main", "--from", "2026-03-01")
    assert code == 2
    assert "suppliers/stock is read whole each time; leave out --from and --to" in said
