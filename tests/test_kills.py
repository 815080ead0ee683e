"""A kill at any moment leaves nothing half-written; `benchmarks/kills.py` has the same with many kills."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="/proc: Linux only")
def test_killed_jobs_leave_nothing_and_run_again_to_the_same_result():
    command = [sys.executable, ROOT / "benchmarks" / "kills.py", "--kills", "6", "--seed", "3"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["kills"] == 6 and summary["problems"] == 0
