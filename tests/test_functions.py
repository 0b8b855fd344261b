"""Files: atomic writes, and arrays that run no code."""

import csv
import io
import os
import shutil
import signal
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from made import disk_full, obey_permissions
from utility.errors import SignalError
from utility.functions import (
    check_regular,
    check_room,
    format_row,
    is_name,
    read_array,
    read_csv,
    read_json,
    replaced_when_done,
    write_csv,
    write_json,
)
from utility.globalvars import ROOT


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def replace_half(path):
    with replaced_when_done(path) as temporary:
        temporary.write_text("half of")
        Path("\0").stat()


def test_a_failed_write_keeps_the_old_file(tmp_path):
    write_json(tmp_path / "x.json", {"a": 1})
    before = (tmp_path / "x.json").read_bytes()
    with pytest.raises(ValueError, match="null"):
        replace_half(tmp_path / "x.json")
    assert (tmp_path / "x.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_only_a_file_that_ends_is_regular(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert check_regular(tmp_path / "x") == 3
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path / "pipe", "Not a regular file"),
        ("/dev/zero", "Not a regular file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "missing", "No such file"),
    ):
        with pytest.raises(OSError, match=message):
            check_regular(path)


@pytest.mark.parametrize("read", [read_csv, read_json])
def test_a_file_of_text_that_would_fill_the_memory_is_not_read(read, tmp_path):
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(2**28 + 1)  # which takes no room on the disk
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match="Larger than 256 MB") as raised:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert raised.value.filename == str(path)


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        *[("anxiety/fear", True), ("Überraschung", True), ("x" * 100, True), ("", False)],
        *[("x" * 101, False), ("a\x1b[2J", False), ("a\nb", False), ("\ud800", False), (1, False)],
    ],
)
def test_a_name_is_short_and_printable(value, is_one):
    assert is_name(value) == is_one


def test_an_array_of_objects_runs_nothing(tmp_path):
    marker, path = tmp_path / "pwned", tmp_path / "x.npy"
    np.save(path, np.array([[Malicious(marker)]], object), allow_pickle=True)
    with pytest.raises(SignalError, match=r"is not a \.npy file of frames; write one array"):
        read_array(path)
    assert not marker.exists()
    np.load(path, allow_pickle=True)
    assert marker.exists()


def test_files_without_an_array_are_refused(tmp_path):
    path = tmp_path / "x.npy"
    with pytest.raises(SignalError, match="no such file"):
        read_array(path)
    with pytest.raises(SignalError, match=r"is a folder; give a \.npy file"):
        read_array(tmp_path)
    np.save(path, np.ones((30, 5)))
    whole = path.read_bytes()
    huge = whole.replace(b"(30, 5)", b"(9**9,)")
    for content in (b"", b"no array", b"RIFF", whole[:20], whole[:-8], huge):
        path.write_bytes(content)
        with pytest.raises(SignalError, match=r"is not a \.npy file"):
            read_array(path)
    np.savez(tmp_path / "x.npz", np.ones(3), np.ones(3))
    with pytest.raises(SignalError, match="is an archive of arrays"):
        read_array(tmp_path / "x.npz")


# Disks and processes that end


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_csv(path, [{"a": "x" * 5000}]),
        lambda path: write_json(path, "x" * 5000),
    ],
    ids=["csv", "json"],
)
def test_a_full_disk_keeps_the_old_file_and_is_named(write, tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(OSError, match="File too large") as raised, disk_full():
        write(path)
    assert raised.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_vanishes_or_cannot_be_written_to_is_one_error(tmp_path):
    path = tmp_path / "run" / "x.json"
    path.parent.mkdir()
    with pytest.raises(OSError, match="No such file") as raised, replaced_when_done(path):
        shutil.rmtree(path.parent)
    assert raised.value.filename == str(path)
    with pytest.raises(OSError, match="No such file") as raised:
        write_json(path, 1)
    assert raised.value.filename == str(path)


def test_a_folder_that_may_not_be_written_to_keeps_its_files(tmp_path, run_command):
    path = tmp_path / "x.txt"
    path.write_text("old")
    tmp_path.chmod(0o500)
    words = ("predict.py", "--output-dir", tmp_path, ROOT / "data" / "demo.wav")
    done = run_command(*words, preexec_fn=obey_permissions)
    tmp_path.chmod(0o700)
    out = tmp_path / "demo.txt"
    assert done.stderr == f"predict.py: {out}: Permission denied; check the path and the disk\n"
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Not a regular file") as raised:
        write_json(tmp_path / "pipe", [])
    assert raised.value.filename == str(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_stays_and_one_that_leads_to_itself_is_replaced(tmp_path):
    file, link, circle = (tmp_path / name for name in ("file", "link", "circle"))
    link.symlink_to(file)
    circle.symlink_to(circle)
    for path in (link, circle):
        write_json(path, [1])
    assert link.is_symlink()
    assert file.read_text() == circle.read_text() == "[\n  1\n]\n"


def test_an_error_of_another_file_names_that_one(tmp_path):
    with pytest.raises(FileNotFoundError) as raised, replaced_when_done(tmp_path / "x"):
        (tmp_path / "missing").read_bytes()
    assert raised.value.filename == str(tmp_path / "missing")


def test_a_signal_while_files_are_replaced_waits_until_all_are(tmp_path, run_command):
    code = (
        "import os, signal\nfrom pathlib import Path\n"
        "from utility import functions\nfrom utility.processes.interruption import listen\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "listen('test.py')\nrename = os.rename\n"
        "def interrupted(*paths):\n    rename(*paths)\n    os.kill(os.getpid(), signal.SIGINT)\n"
        f"os.rename, folder = interrupted, Path({str(tmp_path)!r})\n"
        "with functions.temporary_beside(folder / 'a') as a:\n"
        "    with functions.temporary_beside(folder / 'b') as b:\n"
        "        functions.replace_all({folder / 'a': a, folder / 'b': b})\n"
    )
    done = run_command("-c", code)
    assert (done.returncode, done.stderr) == (130, "test.py: interrupted\n")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_the_next_process_clears_what_a_killed_one_left(tmp_path, run_command):
    code = (
        "import os, signal\nfrom utility.functions import replaced_when_done, temporary_path\n"
        f"folder = {str(tmp_path)!r}\n"
        "with replaced_when_done(folder + '/x'), temporary_path(folder) as it:\n"
        "    (it / 'deep').mkdir(parents=True)\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert run_command("-c", code).returncode == -signal.SIGKILL
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 2
    other = tmp_path / f".speech_emotion.00000000.{os.getpid()}.00"  # of another computer
    running = tmp_path / left[0].replace(left[0].split(".")[3], "1")
    for path in (other, running, tmp_path / ".speech_emotion"):
        path.touch()
    code = f"from utility.functions import write_text; write_text({str(tmp_path / 'x')!r}, 'new')"
    assert run_command("-c", code).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        *("x", other.name, running.name, ".speech_emotion"),
    }
    for path in (other, running):
        os.utime(path, (0, 0))
    assert run_command("-c", code).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"x", running.name, ".speech_emotion"}


def test_room_is_checked_where_the_folder_will_be(tmp_path):
    check_room(tmp_path / "new" / "run", 2**21)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="File too large") as raised, disk_full():
        check_room(tmp_path / "new", 2000)
    assert raised.value.filename == str(tmp_path)


def test_cells_are_not_divided_by_spreadsheets_that_have_other_dividers():
    cells = ["a;=1+1.wav", "b\t=1", 'c";=1', "d, e", "f\rg", "", None, 1.5, np.float64(0.25), "h i"]
    line = format_row(cells)
    assert line == '"a;=1+1.wav","b\t=1","c"";=1","d, e","f\rg",,,1.5,0.25,h i\n'
    (read,) = csv.reader(io.StringIO(line, newline=""))
    assert read == ["" if cell is None else str(cell) for cell in cells]


def test_cells_that_a_spreadsheet_would_run_are_guarded_and_read_back(tmp_path):
    texts = ["=1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "'x", "''=x", "a=b", "", "'"]
    write_csv(tmp_path / "x.csv", [{"=name": text, "number": -1.5} for text in texts])
    lines = csv.reader(io.StringIO((tmp_path / "x.csv").read_text(), newline=""))
    assert all(cell[:1] not in "=+@\t\r\n" or not cell for line in lines for cell in line)
    names, rows = read_csv(tmp_path / "x.csv")
    assert names == ["=name", "number"]
    assert [row["=name"] for row in rows] == texts
    assert {row["number"] for row in rows} == {"-1.5"}
