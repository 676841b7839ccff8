"""Runs are forked from a process that has everything imported and nothing open."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux only")
def test_a_run_is_forked_from_a_template_with_everything_imported_and_nothing_open() -> None:
    command = [sys.executable, "-m", "sync_pipelines_tests.orchestration.code_server"]
    answer = subprocess.run(command, env=dict(os.environ), check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(answer.splitlines()[-1])
    assert found["is_child_of_template"]
    assert found["is_prepared"]
    assert found["threads"] == 1
    assert found["connections"] == 0
    assert not found["would_fork"], "a run is no code server"
    assert found["has_ended_with_its_template"]


def test_a_command_that_loads_the_code_location_forks_nothing() -> None:
    program = "import psutil, sync_pipelines.code_location; print(len(psutil.Process().children()))"
    answer = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert answer.splitlines()[-1] == "0"
