"""HDF5 files from anyone: only arrays that lie in the file are listed, and read as they should be.

What is refused in weights files, and how, is tested with `utility.network.layout`.
"""

import h5py
import numpy as np
import pytest

from utility.files import hdf5


@pytest.fixture
def file(tmp_path):
    """Return an open file with two arrays, and attributes of all types."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/b"] = np.arange(6, dtype=np.float32).reshape(2, 3)
        file["c"] = np.int64(5)
        file.attrs["text"] = "é"
        file.attrs["bytes"] = np.bytes_("é".encode())
        file.attrs["number"] = 0.5
        file.attrs["numbers"] = np.array([1.0, 2.0])
        file.attrs["whole"] = 7
    with hdf5.open_hdf5(tmp_path / "x.h5") as file:
        yield file


def test_arrays_are_listed_by_their_paths_and_read(file):
    arrays = hdf5.list_arrays(file)
    assert {path: array.shape for path, array in arrays.items()} == {"a/b": (2, 3), "c": ()}
    values = hdf5.read_values(arrays["a/b"], (2, 3))
    np.testing.assert_array_equal(values, np.arange(6).reshape(2, 3))
    assert values.dtype == np.float32


@pytest.mark.parametrize(
    ("path", "shape", "kind", "message"),
    [
        ("a/b", (3, 2), "<f4", r"an array of shape \(2, 3\) instead of \(3, 2\)"),
        ("a/b", (6,), "<f4", "shape"),
        ("a/b", (2, 3), "<f8", "not of type float64"),
        ("c", (), "<f4", "not of type float32"),
    ],
)
def test_arrays_of_another_shape_or_type_are_not_read(file, path, shape, kind, message):
    with pytest.raises(ValueError, match=message):
        hdf5.read_values(hdf5.list_arrays(file)[path], shape, kind)


def test_attributes_are_read_as_what_they_should_be(file):
    assert hdf5.read_text(file, "text") == hdf5.read_text(file, "bytes") == "é"
    assert hdf5.read_number(file, "number", 0, 1) == 0.5
    assert hdf5.read_numbers(file, "numbers", (2,)).tolist() == [1, 2]
    assert hdf5.read_whole_number(file, "whole") == 7
    assert hdf5.has_attribute(file, "whole")
    assert not hdf5.has_attribute(file, "other")


@pytest.mark.parametrize(
    ("read", "arguments", "message"),
    [
        (hdf5.read_text, ("number",), "number is of another type"),
        (hdf5.read_text, ("other",), "lacks other"),
        (hdf5.read_number, ("text", 0, 1), "text is of another type"),
        (hdf5.read_number, ("whole", 0, 9), "whole is of another type"),
        (hdf5.read_number, ("numbers", 0, 9), "numbers is of another type"),
        (hdf5.read_number, ("number", 1, 9), "number is out of its range"),
        (hdf5.read_numbers, ("numbers", (3,)), "numbers is of another type"),
        (hdf5.read_numbers, ("numbers", (2,), 0, 1.5), "numbers is out of its range"),
        (hdf5.read_whole_number, ("number",), "number is of another type"),
    ],
)
def test_other_attributes_are_refused(file, read, arguments, message):
    with pytest.raises(ValueError, match=message):
        read(file, *arguments)


@pytest.mark.parametrize("count", [2, 20])
def test_the_bytes_of_all_arrays_count_also_where_they_are_one(tmp_path, count):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["0"] = np.zeros(2**20, np.float32)
        for number in range(1, count):
            file[str(number)] = file["0"]
    with hdf5.open_hdf5(tmp_path / "x.h5") as file:
        if count == 2:
            assert len(hdf5.list_arrays(file)) == 2
        else:
            with pytest.raises(ValueError, match="more than 64 MB"):
                hdf5.list_arrays(file)
