"""Ctrl-C and SIGTERM: one line and an exit code at every moment; standard streams that are shut."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.moments import (
    Moment,
    catches,
    hear_signals,
    interrupt,
    list_commands,
    list_temporary,
    started,
)
from made import DEMO
from utility.globalvars import ROOT

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
INTERRUPTED = "predict.py: interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_first_import_is_one_line_and_an_exit_code(number, tmp_path):
    with started(["predict.py", DEMO], tmp_path) as command:
        command.send_signal(number)
        _, errors = command.communicate()
    assert (command.returncode, errors) == (128 + number, INTERRUPTED)


@pytest.mark.parametrize("kind", ["a clip", "a table", "a picture"])
def test_a_signal_at_a_random_moment_is_one_line_and_leaves_nothing(kind, tmp_path):
    chosen, words = random.Random(kind), list_commands(tmp_path, clips=20)[kind]
    for number in (signal.SIGINT, signal.SIGTERM):
        outcome = interrupt(words, tmp_path, number, Moment(chosen.uniform(0, 0.5)))
        assert outcome in ("interrupted", "done")


def test_a_signal_that_interrupts_no_blocking_call_is_heard():
    code = (
        "import os, signal, threading, time\n"
        "from utility.processes.interruption import listen\n"
        "listen('test.py')\n"
        "def send():\n"
        "    time.sleep(0.5)\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)\n"
        "threading.Thread(target=send).start()\n"
        "os.read(os.pipe()[0], 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (143, b"test.py: interrupted\n")


def test_a_signal_while_a_pipe_is_copied_leaves_no_copy(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with started(["predict.py", pipe], tmp_path) as command, pipe.open("wb") as sound:
        sound.write(DEMO.read_bytes()[:1000])
        sound.flush()
        while not list_temporary(tmp_path):
            assert command.poll() is None
        command.send_signal(signal.SIGTERM)
        _, errors = command.communicate()
    assert (command.returncode, errors) == (143, INTERRUPTED)
    assert not list_temporary(tmp_path)


def test_a_pipe_that_is_named_and_nobody_writes_to_is_waited_for_until_ctrl_c(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with started(["predict.py", tmp_path / "pipe.wav"], tmp_path) as command:
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(1)
        command.send_signal(signal.SIGINT)
        _, errors = command.communicate()
    assert (command.returncode, errors) == (130, INTERRUPTED)


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    def ignore_ctrl_c():
        hear_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    command = subprocess.Popen(
        [sys.executable, "predict.py", "-"], cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=ignore_ctrl_c,
    )  # fmt: skip
    while not catches(command.pid, signal.SIGHUP):
        assert command.poll() is None
    command.send_signal(signal.SIGINT)
    out, errors = command.communicate(DEMO.read_bytes())
    assert (command.returncode, errors) == (0, b"")
    assert out.startswith(b"the top 2 emotion is")


def run_in_shell(line):
    """Run a line in a shell and return its exit code, stdout and stderr."""
    line = line.replace("predict.py", f"'{sys.executable}' predict.py")
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


CLOSED = "predict.py: a standard stream is closed; open it, or give files\n"
FULL = "predict.py: No space left on device; check the path and the disk\n"


@pytest.mark.parametrize(
    ("line", "code", "errors"),
    [
        ("predict.py data/demo.wav >&-", 1, CLOSED),
        ("predict.py --help >&-", 1, CLOSED),
        ("predict.py - <&-", 1, CLOSED),
        ("predict.py --stream - <&-", 1, CLOSED),
        ("predict.py missing.wav 2>&-", 1, ""),
        ("predict.py --nonsense 2>&-", 2, ""),
        ("predict.py missing.wav 2>/dev/full", 1, ""),
        ("predict.py missing.wav >&- 2>&- <&-", 1, ""),
        ("predict.py data/demo.wav >/dev/full", 1, FULL),
        ("predict.py --help >/dev/full", 1, FULL),
        ("predict.py --version >/dev/full", 1, FULL),
    ],
)
def test_a_standard_stream_that_is_closed_or_full_is_one_line_or_none(line, code, errors):
    assert run_in_shell(line) == (code, "", errors)


def test_without_standard_output_results_still_go_to_a_file(tmp_path):
    out = tmp_path / "out.txt"
    assert run_in_shell(f"predict.py --output '{out}' data/demo.wav >&- <&- 2>&-") == (0, "", "")
    assert out.read_text().startswith("the top 2 emotion is")
