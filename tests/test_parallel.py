"""Worker processes: they end with their parent, on Ctrl-C, and when one is killed."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest

from fuzz.moments import (
    PATIENCE_SECONDS,
    Moment,
    is_worker,
    kill_worker,
    list_commands,
    list_workers,
)
from utility.errors import SpeechEmotionError
from utility.globalvars import ROOT
from utility.parallel import available_memory, group_items, in_processes, map_ahead


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


@pytest.mark.parametrize("seconds", [0, 0.05, 0.3])
def test_a_process_that_dies_while_it_starts_or_works_ends_the_command(seconds, tmp_path):
    words = list_commands(tmp_path, clips=20)["a table"]
    assert kill_worker(words, tmp_path, Moment(seconds), choice=0) in ("told", "done")
    assert kill_worker(words, tmp_path, Moment(seconds), choice=1) in ("told", "done")


def test_a_process_that_cannot_start_ends_the_command():
    with (
        mock.patch.object(sys, "executable", "/bin/false"),
        pytest.raises(SpeechEmotionError, match="a process was killed"),
        in_processes(str, [bytes(10**6)] * 9, 2) as results,
    ):
        list(results)


def test_ctrl_c_in_a_program_of_ones_own_ends_its_processes(tmp_path):
    code = (
        "import sys, time; from utility.parallel import in_processes\n"
        "with in_processes(time.sleep, [0, 100, 100], 2) as results:\n"
        "    print(next(results), flush=True)\n"
        "    next(results)"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert command.stdout.readline() == "None\n"
    workers = list_workers(command.pid)
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=PATIENCE_SECONDS)
    assert errors.endswith("KeyboardInterrupt\n")
    assert len(workers) == 2
    assert not any(is_worker(worker) for worker in workers)


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


def test_results_that_are_not_taken_yet_are_few_and_stay_in_order():
    called = []

    def call(item):
        called.append(item)
        return -item

    with ThreadPoolExecutor(3) as pool:
        results = map_ahead(pool, call, range(20), 5)
        assert next(results) == 0
    assert sorted(called) == [*range(6)]
    with ThreadPoolExecutor(3) as pool:
        assert [*map_ahead(pool, call, range(20), 5)] == [-item for item in range(20)]
        assert [*map_ahead(pool, call, [], 5)] == []


def test_groups_have_up_to_a_number_of_items_and_a_size_or_one_large_item():
    assert list(map(len, group_items("x" * 40, len, 16, 200))) == [16, 16, 8]
    sized = ["a" * 150, "b" * 50, "c", "d" * 200, "e" * 300, "f"]
    assert list(map(len, group_items(sized, len, 16, 200))) == [2, 1, 1, 1, 1]
