"""HDF5 files from anyone: what they hold is listed and checked before any of it is read.

An HDF5 file can name other files and devices, say that it holds far more than it does, and be
linked in circles. Only what this project and Keras write is accepted: arrays that lie in the
file as they are, and short attributes.
"""

import io
import math
from pathlib import Path

import numpy as np

from utility.functions import check_regular

MOST_BYTES = 64 * 2**20
# For attributes and for what HDF5 itself needs.
MOST_OTHER_BYTES = 4 * 2**20
LONGEST_TEXT = 2**20
# Those of 100 networks, or of one with the state of its optimiser.
MOST_OBJECTS = 4000
MOST_LEVELS = 12


def open_hdf5(path):
    """Open an HDF5 file to read, also one that another process holds open."""
    import h5py

    if check_regular(path) > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES >> 20} MB")
    try:
        return h5py.File(path, "r", locking=False)
    except OSError:
        # Files of HDF5's latest format say themselves that they are open to write; content that
        # is read by Python is not asked. If it cannot be read, Python says why.
        return h5py.File(io.BytesIO(Path(path).read_bytes()), "r")


def list_arrays(file) -> dict:
    """List the arrays of an open file by their paths, without reading them.

    Raises a `ValueError` unless all links are hard ones and all arrays together fit into
    `MOST_BYTES` and lie in the file as they are.
    """
    import h5py

    arrays, stored, count, total = {}, {}, 0, 0
    groups = [("", h5py.h5g.open(file.id, b"/"))]
    while groups:
        prefix, group = groups.pop()
        count += group.get_num_objs()
        if count > MOST_OBJECTS or prefix.count("/") > MOST_LEVELS:
            raise ValueError("has too many groups or arrays")
        for name in group:
            if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                raise ValueError("has a link to something else")
            item, path = h5py.h5o.open(group, name), prefix + name.decode()
            if isinstance(item, h5py.h5g.GroupID):
                groups.append((f"{path}/", item))
                continue
            size = check_storage(item)
            stored[item.get_offset()] = size
            total += size
            arrays[path] = item
    if total > MOST_BYTES:
        raise ValueError(f"has arrays of more than {MOST_BYTES >> 20} MB")
    if file.id.get_filesize() - sum(stored.values()) > MOST_OTHER_BYTES:
        raise ValueError("has much that is not an array")
    return arrays


def check_storage(item) -> int:
    """Return the bytes of an array, or raise a `ValueError` if they do not lie in the file."""
    import h5py

    if not isinstance(item, h5py.h5d.DatasetID):
        raise ValueError("has a type by name")
    how = item.get_create_plist()
    plain = how.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    if not plain or how.get_nfilters() or how.get_external_count():
        raise ValueError("has an array that is compressed, in pieces, or in another file")
    size = math.prod(item.shape or ()) * item.get_type().get_size()
    if item.shape is None or item.get_storage_size() != size:
        raise ValueError("has an array that is not there")
    return size


def read_values(array, shape, kind="<f4") -> np.ndarray:
    """Read an array that `list_arrays` listed, if its shape and type are the given ones."""
    import h5py

    if array.shape != shape:
        raise ValueError(f"has an array of shape {array.shape} instead of {shape}")
    if array.get_type() != h5py.h5t.py_create(np.dtype(kind)):
        raise ValueError(f"has an array that is not of type {np.dtype(kind)}")
    values = np.empty(shape, kind)
    array.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values


def has_attribute(file, name) -> bool:
    """Tell whether a file has an attribute."""
    import h5py

    return h5py.h5a.exists(file.id, name.encode())


def read_attribute(file, name, kinds, shape=()):
    """Read an attribute of a file, if its class and shape are the given ones."""
    import h5py

    if not has_attribute(file, name):
        raise ValueError(f"lacks {name}")
    attribute = h5py.h5a.open(file.id, name.encode())
    kind = attribute.get_type()
    size = math.prod(shape) * kind.get_size()
    if attribute.shape != shape or kind.get_class() not in kinds or size > LONGEST_TEXT:
        raise ValueError(f"{name} is of another type")
    return file.attrs[name]


def read_text(file, name) -> str:
    """Read a text that is an attribute of a file."""
    import h5py

    text = read_attribute(file, name, [h5py.h5t.STRING])
    text = text.decode() if isinstance(text, bytes) else text
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"{name} is too long")
    return text


def read_numbers(file, name, shape, least=-1e30, most=1e30) -> np.ndarray:
    """Read numbers that are an attribute of a file, if all are in a range."""
    import h5py

    values = np.asarray(read_attribute(file, name, [h5py.h5t.FLOAT], shape), np.float64)
    if not ((least <= values) & (values <= most)).all():
        raise ValueError(f"{name} is out of its range, or not finite")
    return values


def read_number(file, name, least, most) -> float:
    """Read a number that is an attribute of a file, if it is in a range."""
    return float(read_numbers(file, name, (), least, most))


def read_whole_number(file, name) -> int:
    """Read a whole number that is an attribute of a file."""
    import h5py

    return int(read_attribute(file, name, [h5py.h5t.INTEGER]))
