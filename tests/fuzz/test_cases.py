"""Damaged files of every kind, a few of those that tests/fuzz/cases.py can make."""

import json
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bounds memory as Linux does")
COMMAND = "tests/fuzz/cases.py"
# Of sound, a case takes 6 ms of a core; of the others, 1 ms.
CASES = {"recordings": 1500, "streams": 500, "pickles": 12_000, "weights": 6000}
# Each number is a way to misbehave.
MISBEHAVING = """
import itertools, json, os, signal, sys, tempfile, time, warnings
from pathlib import Path
from fuzz import cases

def shorten(timer):
    assert 1 < signal.getitimer(timer)[0] <= 120
    signal.setitimer(timer, 0.2)

class Target:
    ENDING, ERROR = ".wav", OSError

    def make_case(files, number, random):
        return bytes([number])

    def read(path, number):
        assert path.read_bytes() == bytes([number])
        def spin():
            shorten(signal.ITIMER_PROF)
            for _ in itertools.count():
                pass
        def wait():
            shorten(signal.ITIMER_REAL)
            time.sleep(60)
        def fail():
            raise OSError("as it should")
        def fail_in_lines():
            raise OSError("in two\\nlines")
        return (
            lambda: "result",
            fail,
            lambda: os.kill(os.getpid(), signal.SIGSEGV),
            lambda: os._exit(0),
            spin,
            wait,
            lambda: str(len(b"x" * 600_000_000)),
            lambda: str(len(b"x" * 4_000_000_000)),
            lambda: print("noise"),
            lambda: os.write(2, b"noise"),
            lambda: warnings.warn("noise"),
            lambda: 1 / 0,
            fail_in_lines,
            lambda: "result",
        )[number]()

with tempfile.TemporaryDirectory() as name:
    outcomes, faults = cases.try_chunk(Target, [], 0, range(14), Path(name))
print(json.dumps([outcomes, faults]))
"""
FAULTS = {
    2: "ends the process (SIGSEGV)",
    3: "ends the process (exit code 0)",
    4: "takes more than 8 s",
    5: "hangs for 120 s",
    6: "takes more than 500 MB",
    7: "raises MemoryError: ''",
    8: "prints to stream 1: 'noise'",
    9: "prints to stream 2: 'noise'",
    10: "raises UserWarning: 'noise'",
    11: "raises ZeroDivisionError: 'division by zero'",
    12: "prints an error that is no line: 'in two\\nlines'",
}


@pytest.mark.parametrize("kind", CASES)
def test_damaged_files_give_a_result_or_the_named_error(kind, run_command):
    done = run_command(COMMAND, kind, "--cases", CASES[kind])
    assert done.stdout.startswith(f"{CASES[kind]} cases in "), done
    assert done.returncode == 0, done.stdout


def test_whatever_else_a_file_does_is_told(run_command):
    done = run_command("-c", f"import sys; sys.path[:0] = ['tests']\n{MISBEHAVING}")
    assert done.returncode == 0, done.stderr
    outcomes, faults = json.loads(done.stdout)
    assert outcomes["result"] == 2
    found = {number: fault.partition(" at ")[0] for number, fault in faults}
    assert found == FAULTS


def test_a_number_gives_the_same_file_again(run_command, tmp_path):
    for kind in ("recordings", "pickles"):
        for name in ("a", "b"):
            done = run_command(COMMAND, kind, "--save", 4711, tmp_path / name)
            assert done.returncode == 0, done.stderr
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_pass_goes_on_where_it_was_ended(run_command, tmp_path):
    progress = tmp_path / "progress.jsonl"
    for cases in (1000, 1000, 2000):
        done = run_command(COMMAND, "pickles", "--cases", cases, "--progress", progress)
        assert done.stdout.startswith(f"{cases} cases in "), done
    chunks = [json.loads(line)["chunk"] for line in progress.read_text().splitlines()]
    assert chunks == [[0, 1000], [1000, 1000]]
