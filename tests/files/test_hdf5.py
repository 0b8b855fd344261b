"""HDF5 files: what this project and Keras 2 write is read as by HDF5's own library, and no more.

What is refused in weights files, and how, is tested with `utility.network.layout`.
"""

import struct

import h5py
import numpy as np
import pytest

from utility.files import hdf5
from utility.globalvars import WEIGHTS_PATH

LONG = "x" * 100_000


@pytest.fixture
def path(tmp_path):
    """Return a file with arrays in groups, and attributes of all types."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/b"] = np.arange(6, dtype=np.float32).reshape(2, 3)
        file["c"] = np.int64(5)
        for number in range(300):  # so that names need several nodes
            file[f"many/{number}"] = np.float32(number)
        file.attrs["text"] = "é"
        file.attrs["bytes"] = np.bytes_("é".encode())
        file.attrs["long"] = LONG
        file.attrs["number"] = 0.5
        file.attrs["numbers"] = np.array([1.0, 2.0])
        file.attrs["whole"] = 7
        file.attrs["é"] = 8
    return tmp_path / "x.h5"


def test_arrays_are_listed_by_their_paths_and_read(path):
    file = hdf5.read_file(path)
    shapes = {name: array.shape for name, array in file.arrays.items()}
    assert shapes.pop("a/b") == (2, 3)
    assert shapes == {"c": (), **{f"many/{number}": () for number in range(300)}}
    values = hdf5.read_values(file, "a/b", (2, 3))
    np.testing.assert_array_equal(values, np.arange(6).reshape(2, 3))
    assert values.dtype == np.float32
    for number in range(300):
        assert hdf5.read_values(file, f"many/{number}", ()) == number


def test_the_shipped_weights_are_read_as_by_the_library_of_hdf5():
    file = hdf5.read_file(WEIGHTS_PATH)
    with h5py.File(WEIGHTS_PATH, "r", locking=False) as expected:
        paths = []
        expected.visit(paths.append)
        assert file.arrays.keys() == {it for it in paths if isinstance(expected[it], h5py.Dataset)}
        for path, array in file.arrays.items():
            kind = expected[path].dtype.str
            values = hdf5.read_values(file, path, array.shape, kind)
            np.testing.assert_array_equal(values, expected[path][()])
        assert file.attributes.keys() == set(expected.attrs)
        for name in ("emotions", "hyperparameters", "scores"):
            assert hdf5.read_text(file, name) == expected.attrs[name]


@pytest.mark.parametrize(
    ("name", "shape", "kind", "message"),
    [
        ("a/b", (3, 2), "<f4", r"a/b has the shape \(2, 3\) instead of \(3, 2\)"),
        ("a/b", (6,), "<f4", "shape"),
        ("a/b", (2, 3), "<f8", "a/b is not of type float64"),
        ("c", (), "<f4", "c is not of type float32"),
    ],
)
def test_arrays_of_another_shape_or_type_are_not_read(path, name, shape, kind, message):
    with pytest.raises(ValueError, match=message):
        hdf5.read_values(hdf5.read_file(path), name, shape, kind)


def test_attributes_are_read_as_what_they_should_be(path):
    file = hdf5.read_file(path)
    assert hdf5.read_text(file, "text") == hdf5.read_text(file, "bytes") == "é"
    assert hdf5.read_text(file, "long") == LONG
    assert hdf5.read_number(file, "number", 0, 1) == 0.5
    assert hdf5.read_numbers(file, "numbers", (2,)).tolist() == [1, 2]
    assert hdf5.read_whole_number(file, "whole") == 7
    assert hdf5.read_whole_number(file, "é") == 8


@pytest.mark.parametrize(
    ("read", "arguments", "message"),
    [
        (hdf5.read_text, ("number",), "number is not text"),
        (hdf5.read_text, ("other",), "lacks other"),
        (hdf5.read_number, ("text", 0, 1), "text is not of type float64"),
        (hdf5.read_number, ("whole", 0, 9), "whole is not of type float64"),
        (hdf5.read_number, ("numbers", 0, 9), "numbers is of another shape"),
        (hdf5.read_number, ("number", 1, 9), "number is out of its range"),
        (hdf5.read_numbers, ("numbers", (3,)), "numbers is of another shape"),
        (hdf5.read_numbers, ("numbers", (2,), 0, 1.5), "numbers is out of its range"),
        (hdf5.read_whole_number, ("number",), "number is not of type int64"),
    ],
)
def test_other_attributes_are_refused(path, read, arguments, message):
    with pytest.raises(ValueError, match=message):
        read(hdf5.read_file(path), *arguments)


@pytest.mark.parametrize("count", [2, 20])
def test_the_bytes_of_all_arrays_count_also_where_they_are_one(tmp_path, count):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["0"] = np.zeros(2**20, np.float32)
        for number in range(1, count):
            file[str(number)] = file["0"]
    if count == 2:
        assert len(hdf5.read_file(tmp_path / "x.h5").arrays) == 2
    else:
        with pytest.raises(ValueError, match="more than 64 MB"):
            hdf5.read_file(tmp_path / "x.h5")


def test_files_in_the_latest_format_are_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        file["a"] = 1
    with pytest.raises(ValueError, match="no HDF5 file of this kind"):
        hdf5.read_file(tmp_path / "x.h5")


# Structures that lead in circles, or say more than there is


def replace_after(path, signature, offset, content):
    """Let bytes at some distance from a signature be others."""
    data = path.read_bytes()
    parts = data.split(signature)
    end = offset + len(content)
    parts[1:] = [it[:offset] + content + it[end:] if len(it) >= end else it for it in parts[1:]]
    path.write_bytes(signature.join(parts))


@pytest.mark.parametrize(
    ("what", "signature", "offset", "content"),
    [
        ("a tree that is its own node", b"TREE\0", 27, struct.pack("<Q", 136)),
        ("a tree of 65,535 nodes", b"TREE\0", 1, b"\xff\xff"),
        ("a node of 65,535 names", b"SNOD\1\0", 0, b"\xff\xff"),
        ("a name beyond the names", b"SNOD\1\0", 2, struct.pack("<Q", 10**6)),
        ("an object beyond the file", b"SNOD\1\0", 10, struct.pack("<Q", 2**63)),
        ("an object that is all of the file", b"SNOD\1\0", 10, struct.pack("<Q", 96)),
        ("names of 2 ** 60 bytes", b"HEAP\0\0\0\0", 0, struct.pack("<Q", 2**60)),
        ("names beyond the file", b"HEAP\0\0\0\0", 16, struct.pack("<Q", 2**60)),
        ("names that are not there", b"HEAP\0\0\0\0", 0, bytes(8)),
    ],
)
def test_damaged_structures_are_refused(path, what, signature, offset, content):
    replace_after(path, signature, offset, content)
    with pytest.raises((ValueError, struct.error)):
        hdf5.read_file(path)


@pytest.mark.parametrize(
    ("what", "offset", "content"),
    [
        ("a collection of 2 ** 60 bytes", 4, struct.pack("<Q", 2**60)),
        ("a collection of nothing", 4, bytes(8)),
        ("a text that is shorter", 20, struct.pack("<Q", 1)),
        ("texts with other numbers", 12, b"\xff"),
    ],
)
def test_damaged_texts_are_refused(path, what, offset, content):
    replace_after(path, b"GCOL", offset, content)
    with pytest.raises((ValueError, struct.error)):
        hdf5.read_text(hdf5.read_file(path), "text")


def test_a_header_that_continues_in_itself_ends(path):
    data = bytearray(path.read_bytes())
    file = hdf5.read_file(path)
    messages = hdf5.list_messages(file.data, 96, iter(range(1000)))
    start = next(start for kind, start, size in messages if size >= 16)
    struct.pack_into("<H", data, start - 8, hdf5.CONTINUATION)
    struct.pack_into("<QQ", data, start, 112, 100)
    path.write_bytes(data)
    with pytest.raises((ValueError, struct.error)):
        hdf5.read_file(path)
