"""The pickles of a data set: plain values round-trip, and nothing else is read."""

import os
import pickle
import re
import signal
import sys

import numpy as np
import pytest

from hostile_pickles import (
    LABELS,
    list_cases,
    make_array,
    make_corpus,
    write_case,
)
from utility.corpora.corpus import read_corpus, write_corpus
from utility.errors import DataError
from utility.files.pickles import finish_writing, read_pickle, write_pickle, write_pickles
from utility.functions import remove_leftovers
from utility.globalvars import ROOT

CASES = list_cases()
# What reading all of them may take beyond what the process has.
MOST_KILOBYTES = 60_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the bytes of the pickles of a small data set by their names."""
    folder = tmp_path_factory.mktemp("whole")
    write_corpus(folder / "x", make_corpus())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(whole, tmp_path):
    """Return a folder with a small data set."""
    for name, content in whole.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_values_and_arrays_round_trip_to_equal_bytes(tmp_path):
    content = {
        "format_version": 2,
        "whole": np.arange(5),
        "half": np.ones((2, 3), np.float16),
        "text": np.array(["x", "yz", "\N{GRINNING FACE}"]),
        "columns": np.arange(6.0).reshape(2, 3).T,
        "other_byte_order": np.arange(3, dtype=">f8"),
        "list": ["a", 1, 0.1, float("nan")],
        "dictionary": {"name": "mine", "count": 2**31 - 1},
    }
    write_pickle(tmp_path / "1.p", content)
    back = read_pickle(tmp_path / "1.p", 2, "")
    write_pickle(tmp_path / "2.p", back)
    assert (tmp_path / "1.p").read_bytes() == (tmp_path / "2.p").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.p", "2.p"]
    assert back.keys() == content.keys()
    for name in ("whole", "half", "text", "columns", "other_byte_order"):
        np.testing.assert_array_equal(back[name], content[name])
        assert back[name].dtype == content[name].dtype.newbyteorder("<")
    assert back["dictionary"] == content["dictionary"]
    # Any program can read them: there is nothing but what pickle itself builds.
    plain = pickle.loads((tmp_path / "1.p").read_bytes())
    assert plain["whole"] == ("<i8", (5,), np.arange(5).tobytes())


@pytest.mark.parametrize("value", [np.float64(1), np.str_("a"), len, None, {1}, True, b"a", 1j])
def test_what_is_not_plain_is_not_written(tmp_path, value):
    write_pickle(tmp_path / "x.p", {"format_version": 2})
    before = (tmp_path / "x.p").read_bytes()
    with pytest.raises(TypeError, match="cannot be written"):
        write_pickle(tmp_path / "x.p", {"format_version": 2, "value": [value]})
    with pytest.raises(TypeError, match="cannot be written"):
        write_pickle(tmp_path / "x.p", {"value": np.array([1, "a", None], object)})
    assert (tmp_path / "x.p").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.p"]


def test_pickles_that_are_written_together_share_a_random_identity(tmp_path):
    identities = []
    for _ in range(2):
        write_pickles([(tmp_path / name, {"format_version": 2}) for name in "abc"])
        read = [read_pickle(tmp_path / name, 2, "")["identity"] for name in "abc"]
        assert len(set(read)) == 1
        identities += read
    assert len(set(identities)) == 2


def test_no_pickle_takes_the_place_of_an_old_one_before_all_are_written(tmp_path):
    write_pickles([(tmp_path / name, {"format_version": 2}) for name in "ab"])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def contents():
        yield tmp_path / "a", {"format_version": 3}
        assert {path: path.read_bytes() for path in before} == before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pickles(contents())
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_that_cannot_be_read_say_why(tmp_path):
    with pytest.raises(DataError, match="no such file; extract it again"):
        read_pickle(tmp_path / "missing.p", 2, "extract it again")
    with pytest.raises(DataError, match="Is a directory; check the file"):
        read_pickle(tmp_path, 2, "extract it again")
    with pytest.raises(DataError, match="Not a regular file; check the file"):
        read_pickle("/dev/zero", 2, "extract it again")
    write_pickle(tmp_path / "x.p", {"format_version": 3})
    with pytest.raises(DataError, match="format version 3, expected 2; extract it again"):
        read_pickle(tmp_path / "x.p", 2, "extract it again")


# Hostile files


def test_there_are_at_least_a_hundred_hostile_pickles():
    assert len(CASES) >= 100


def test_the_data_set_is_read_where_nothing_is_hostile(folder):
    write_case(folder, LABELS, {"further": make_array()})
    assert len(read_corpus(folder / "x")) == 2


@pytest.mark.parametrize("sentence", CASES)
def test_hostile(sentence, folder):
    name, change, fault = CASES[sentence]
    write_case(folder, name, change)
    with pytest.raises(DataError) as raised:
        read_corpus(folder / "x")
    message = str(raised.value)
    assert fault in message
    assert message.endswith(
        f"rebuild it with: python dataset.py extract --manifest FILE --name x --output {folder}"
    )
    assert message.isprintable()
    assert len(message) < 500 + 2 * len(str(folder))


READ_ALL = r"""
import encodings.raw_unicode_escape  # pickletools needs it to pass over one of the instructions
import pathlib, re, sys
from utility.corpora.corpus import read_corpus
from utility.errors import DataError
def read(folder):
    try:
        read_corpus(folder / "x")
        print("read", folder)
    except DataError:
        pass
def watch(event, arguments):
    looks = event in ("os.scandir", "os.listdir", "pathlib.Path.glob", "object.__getattr__")
    if not looks and (event, arguments[1:2]) not in (("open", ("r",)), ("open", ("rb",))):
        print(event, arguments)
def measure_peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
first, *others = sorted(pathlib.Path(sys.argv[1]).iterdir())
read(first)
before = measure_peak()
sys.addaudithook(watch)
for folder in others:
    read(folder)
print(measure_peak() - before)
"""


def test_hostile_pickles_run_nothing_and_take_little_memory(whole, tmp_path, run_command):
    for number, (name, change, _) in enumerate(CASES.values()):
        folder = tmp_path / "cases" / str(number)
        folder.mkdir(parents=True)
        for each, content in whole.items():
            (folder / each).write_bytes(content)
        write_case(folder, name, change)
    done = run_command("-c", READ_ALL, tmp_path / "cases")
    assert (done.returncode, done.stderr) == (0, "")
    # Nothing was read, called, imported, or opened to write. The largest file has 10 MB.
    assert re.fullmatch(r"\d+\n", done.stdout), done.stdout
    assert int(done.stdout) < MOST_KILOBYTES
    assert not (ROOT / "pwned").exists()


def test_a_pickle_that_calls_a_command_runs_nothing_in_a_process(folder, run_command, tmp_path):
    marker = tmp_path / "pwned"

    class Malicious:
        def __reduce__(self):
            return exec, (f"open({str(marker)!r}, 'w').close()",)

    attack = folder / LABELS
    attack.write_bytes(pickle.dumps({"format_version": 2, "file": Malicious()}))
    done = run_command("dataset.py", "info", "--data", folder / "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"dataset\.py: .*x_db\.p: is damaged, .*\n", done.stderr)
    assert not marker.exists()
    # The same file does run code where it is read carelessly.
    pickle.loads(attack.read_bytes())
    assert marker.exists()


def write_until_killed(folder, step) -> int:
    """Write a set in a process that kills itself at a step, if there are so many; return its end.

    A step is that a hidden file of the folder is opened, renamed or the like.
    """
    if process := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    remove_leftovers.cache_clear()
    left = [step]

    def count(event, arguments):
        names = ("open", "os.chmod", "os.remove", "os.rename")
        left[0] -= event in names and str(arguments[0]).startswith(f"{folder}/.")
        if left[0] == 0:
            left[0] = -1  # os.kill is an event, too
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(count)
        write_pickles((folder / name, {"a": 1, "format_version": 1}) for name in "abc")
        os._exit(0)
    finally:
        os._exit(1)


def test_a_set_is_the_old_or_the_new_one_at_whatever_step_its_writer_is_killed(tmp_path):
    paths, found, end = [tmp_path / name for name in "abc"], set(), -signal.SIGKILL
    for step in range(1, 100):
        write_pickles((path, {"a": 0, "format_version": 1}) for path in paths)
        end = write_until_killed(tmp_path, step)
        first = read_pickle(paths[0], 1, "")
        finish_writing(paths[1:], first["identity"])
        assert [read_pickle(path, 1, "") for path in paths] == [first] * 3
        found.add(first["a"])
        if end == 0:
            break
        assert end == -signal.SIGKILL
    assert found == {0, 1}
    assert step > 12
    assert {path.name for path in tmp_path.iterdir()} == set("abc")
