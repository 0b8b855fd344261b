"""Worker processes: they end with their parent, on Ctrl-C, and when one is killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from utility.globalvars import ROOT
from utility.parallel import available_memory, in_processes


def test_a_reader_that_exits_ends_all_processes(folder):
    files = " ".join([f"'{folder}'"] * 100)
    done = subprocess.run(
        f"'{sys.executable}' predict.py --json --processes 2 {files} 2>/dev/null | head -n 1",
        shell=True, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["path"].startswith(str(folder))


def test_processes_do_not_outlive_their_parent(folder, start_command):
    command = start_command("predict.py", "--json", "--processes", 2, *[folder] * 400)
    assert command.stdout.readline()
    command.kill()
    # The pipe ends when the last process that holds it has exited.
    command.communicate(timeout=300)


def test_a_killed_process_is_told_from_a_defect(folder, start_command, list_workers):
    command = start_command("predict.py", "--json", "--processes", 2, *[folder] * 400)
    assert command.stdout.readline()
    os.kill(list_workers(command)[0], signal.SIGKILL)
    _, errors = command.communicate(timeout=300)
    assert command.returncode == 1
    assert "a process was killed" in errors
    assert "defect" not in errors


def test_ctrl_c_ends_all_processes(folder, start_command):
    command = start_command("predict.py", "--json", "--processes", 2, *[folder] * 400)
    assert json.loads(command.stdout.readline())["path"]
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=300)
    assert command.returncode == 130
    assert errors.splitlines()[-1] == "predict.py: interrupted"


def test_one_process_does_the_work_itself():
    process = os.getpid()
    for processes, count in ((1, 3), (8, 1)):
        with in_processes(lambda item: (item, os.getpid()), range(count), processes) as results:
            assert list(results) == [(item, process) for item in range(count)]


def test_memory_is_unknown_where_the_system_does_not_tell(monkeypatch):
    assert 0 < available_memory() < float("inf")
    monkeypatch.setattr(Path, "read_text", lambda path: "MemTotal: 1 kB")
    assert available_memory() == float("inf")
