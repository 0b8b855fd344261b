"""Files: atomic writes, and arrays that run no code."""

import os
from pathlib import Path

import numpy as np
import pytest

from utility.errors import SignalError
from utility.functions import check_regular, is_name, read_array, replaced_when_done, write_json


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
    with pytest.raises(ValueError, match="null byte"):
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
