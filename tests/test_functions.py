"""Files: atomic writes, and pickles that run no code."""

import pickle

import numpy as np
import pytest

from utility.errors import DataError, SignalError
from utility.functions import read_array, read_pickle, write_pickle
from utility.globalvars import EMOTIONS


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def test_a_malicious_pickle_runs_nothing(tmp_path, run_command):
    marker = tmp_path / "pwned"
    attack = tmp_path / "berlin_db.p"
    attack.write_bytes(pickle.dumps({"format_version": 1, "file": Malicious(marker)}))
    with pytest.raises(DataError, match=r"refused: it asks for builtins\.exec"):
        read_pickle(attack, 1, "extract it again")
    done = run_command("dataset.py", "info", "--data", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "refused" in done.stderr
    assert not marker.exists()
    # The same file does run code where it is read carelessly.
    pickle.loads(attack.read_bytes())
    assert marker.exists()


@pytest.mark.parametrize("value", [np.float64(1), complex, len, EMOTIONS[0]])
def test_only_arrays_and_built_in_types_are_read(tmp_path, value):
    path = tmp_path / "x.p"
    path.write_bytes(pickle.dumps({"format_version": 1, "value": value}))
    with pytest.raises(DataError, match="refused"):
        read_pickle(path, 1, "extract it again")


def test_pickles_round_trip_to_equal_bytes(tmp_path):
    content = {"format_version": 1, "a": np.arange(5), "b": np.array(["x", "yz"]), "c": [1, "d"]}
    write_pickle(tmp_path / "1.p", content)
    write_pickle(tmp_path / "2.p", read_pickle(tmp_path / "1.p", 1, "extract it again"))
    assert (tmp_path / "1.p").read_bytes() == (tmp_path / "2.p").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.p", "2.p"]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    write_pickle(tmp_path / "x.p", {"format_version": 1})
    before = (tmp_path / "x.p").read_bytes()
    with pytest.raises((pickle.PicklingError, AttributeError)):
        write_pickle(tmp_path / "x.p", {"format_version": 1, "bad": lambda: None})
    assert (tmp_path / "x.p").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.p"]


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps([1, 2])])
def test_files_that_are_not_our_pickles_are_refused(tmp_path, content):
    path = tmp_path / "x.p"
    path.write_bytes(content)
    with pytest.raises(DataError, match="extract it again"):
        read_pickle(path, 1, "extract it again")
    with pytest.raises(DataError, match="no such file"):
        read_pickle(tmp_path / "missing.p", 1, "extract it again")
    with pytest.raises(DataError, match="Is a directory; check the file"):
        read_pickle(tmp_path, 1, "extract it again")


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
