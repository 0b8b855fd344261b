"""Worker processes: what they answer, and what they never do."""

import os
import sys
from functools import partial

import pytest

from utility.errors import DataError, SpeechEmotionError
from utility.globalvars import ROOT
from utility.parallel import in_processes

CODE = """
import os, sys
sys.path.insert(0, {root!r})
from utility.parallel import in_processes
with in_processes({function}, {items}, 2) as results:
    print(list(results))
"""


def fail(item):
    raise DataError(f"{item} is wrong")


class UnpicklableError(Exception):
    def __init__(self, one, other):
        super().__init__(one + other)


def fail_oddly(item):
    raise UnpicklableError("a", "b")


def leave(item):
    os._exit(3)


def shout(item):
    print("no result")
    os.write(1, b"nor this\n")
    return item


def test_an_error_is_that_of_the_function_and_says_where_it_was_raised():
    with pytest.raises(DataError, match="1 is wrong") as raised, in_processes(fail, [1, 2], 2) as r:
        list(r)
    assert "in fail\n" in str(raised.value.__cause__)


def test_an_error_that_cannot_be_sent_is_told_in_words():
    with (
        pytest.raises(RuntimeError, match="UnpicklableError: ab"),
        in_processes(fail_oddly, "ab", 2) as r,
    ):
        list(r)


def test_a_worker_that_exits_by_itself_is_no_result():
    with (
        pytest.raises(SpeechEmotionError, match="a process was killed"),
        in_processes(leave, range(9), 2) as results,
    ):
        list(results)


def test_what_libraries_print_is_no_result(capfd):
    with in_processes(shout, range(5), 2) as results:
        assert list(results) == [0, 1, 2, 3, 4]
    assert capfd.readouterr().out == ""


def test_large_items_and_results_pass(tmp_path):
    items = [bytes([number]) * 2**20 for number in range(6)]
    with in_processes(partial(bytes.__add__, bytes(2**20)), items, 2) as results:
        assert [len(result) for result in results] == [2**21] * 6


def test_a_function_of_a_script_is_found_without_running_the_script_again(tmp_path, run_command):
    script = tmp_path / "script.py"
    text = "def double(x):\n    return 2 * x\n" + CODE.format(
        root=str(ROOT), function="double", items=[1, 2, 3]
    ).replace("with", "if __name__ == '__main__':\n  with").replace("    print", "      print")
    script.write_text(text)
    done = run_command(script, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[2, 4, 6]\n", "")


def test_modules_in_the_current_folder_are_not_run(tmp_path, run_command):
    for name in ("pickle", "queue", "numpy", "sitecustomize", "threading"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\n")
    files = [ROOT / "data" / "demo.wav"] * 3
    done = run_command(ROOT / "predict.py", "--processes", 2, *files, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "pwned").exists()
    assert sys.path[0] != ""
