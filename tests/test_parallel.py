"""Worker processes: they end with their parent, on Ctrl-C, and when one is killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from utility.globalvars import ROOT


def test_a_reader_that_goes_ends_all_processes(folder):
    files = " ".join([f"'{folder}'"] * 100)
    done = subprocess.run(
        f"'{sys.executable}' predict.py --json --processes 2 {files} 2>/dev/null | head -n 1",
        shell=True, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["path"].startswith(str(folder))


def test_processes_do_not_outlive_their_parent(folder, start_command):
    command = start_command("predict.py", "--json", "--processes", 2, *[folder] * 400)
    assert command.stdout.readline()
    command.kill()
    # The pipe ends when the last process that holds it has gone.
    command.communicate(timeout=20)


def test_a_killed_process_is_told_from_a_defect(folder, start_command):
    command = start_command("predict.py", "--json", "--processes", 2, *[folder] * 400)
    assert command.stdout.readline()
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    if not children.exists():
        command.kill()
        pytest.skip("finds the processes by /proc, which Linux has")
    workers = [
        int(pid)
        for pid in children.read_text().split()
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(workers[0], signal.SIGKILL)
    _, errors = command.communicate(timeout=20)
    assert command.returncode == 1
    assert "a process was killed" in errors
    assert "defect" not in errors


def test_ctrl_c_ends_all_processes(folder, start_command):
    command = start_command("predict.py", "--json", "--processes", 2, *[folder] * 400)
    assert json.loads(command.stdout.readline())["path"]
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=20)
    assert command.returncode == 130
    assert errors.splitlines()[-1] == "predict.py: interrupted"
