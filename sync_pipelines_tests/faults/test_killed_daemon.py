"""The whole product: its daemon freezes, and within three minutes both channels say so."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from sync_pipelines_tests.cli.test_up import Up
from sync_pipelines_tests.service.alerting.lookalikes import BOT, relay, slack

pytestmark = [
    pytest.mark.skipif(not os.environ.get("SYNC_PIPELINES_SOAK"), reason="takes minutes: make soak"),
    pytest.mark.timeout(600),
]

WITHIN_S = 180


def test_a_frozen_daemon_is_told_by_mail_and_slack_within_three_minutes(tmp_path: Path, database_url: str) -> None:
    with relay(tmp_path) as mail, slack() as workspace:
        (tmp_path / "accounts.yaml").write_text(
            f"""
accounts: []
alerts:
  email: {{host: 127.0.0.1, port: {mail.port}, security: none, sender: watch@example.com}}
  slack: {{token: "${{TEST_BOT}}", channel: C-OPS, base_url: "{workspace.url}"}}
  people:
    - {{name: Ana, email: ana@example.com}}
"""
        )
        variables = {"DATABASE_URL": database_url, "SYNC_PIPELINES_CONFIG": "accounts.yaml"}
        up = Up(tmp_path, **variables, SYNC_PIPELINES_STATE=".sync_pipelines", TEST_BOT=BOT)
        try:
            up.wait_for("everything runs")
            threading.Thread(target=up.process.communicate, daemon=True).start()
            assert not mail.mailbox.letters
            [daemon] = [
                child
                for child in psutil.Process(up.process.pid).children(recursive=True)
                if "dagster._daemon" in child.cmdline() and child.parent() and child.parent().pid == up.process.pid  # type: ignore[union-attr]
            ]
            os.killpg(daemon.pid, signal.SIGSTOP)
            frozen_at = time.monotonic()
            assert mail.mailbox.wait(1, WITHIN_S)
            assert workspace.wait(1, WITHIN_S - (time.monotonic() - frozen_at))
            print(f"told {time.monotonic() - frozen_at:.0f} s after the daemon froze")
            assert "Daemon silent" in mail.mailbox.body()
            assert "Daemon silent" in workspace.posts[0]["text"]
            os.killpg(daemon.pid, signal.SIGCONT)
        finally:
            up.process.send_signal(signal.SIGTERM)
            up.process.wait(timeout=60)
