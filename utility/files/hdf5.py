"""HDF5 files from anyone: a reader of what this project and Keras 2 write, and of nothing else.

HDF5's own library follows links to other files and devices, takes as much memory as a file says,
and can be led in circles by a damaged one. The few structures that are needed [1]_ are read here:
groups by symbol tables, arrays that lie in the file as they are, and attributes of the whole
file. No position or size is used before it is compared with what the file has.

.. [1] The HDF Group, "HDF5 file format specification", version 3.0.
"""

import math
import struct
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utility.functions import check_regular

MOST_BYTES = 64 * 2**20
LONGEST_TEXT = 2**20
# Far more than files of 100 networks have, or of one with the state of its optimiser: parts of
# which the file is made, in all; and names in each other.
MOST_PARTS = 20_000
MOST_LEVELS = 12
MOST_ATTRIBUTES = 100
LONGEST_NAME = 255
MOST_TEXTS = 4000
SIGNATURE = b"\x89HDF\r\n\x1a\n"
# The description of each type, with the lowest byte first.
TYPES = {
    "<f4": bytes.fromhex("11201f000400000000002000170800177f000000"),
    "<f8": bytes.fromhex("11203f000800000000004000340b0034ff030000"),
    "<i8": bytes.fromhex("100800000800000000004000"),
}
TEXT, TEXT_ELSEWHERE = 3, 9
DATASPACE, TYPE, LAYOUT, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE = 1, 3, 8, 12, 16, 17
# Links of other kinds, other files, filters, and attributes that are kept elsewhere.
REFUSED = {2, 6, 7, 11, 21}


class Array(NamedTuple):
    """An array that lies in a file: its shape, the description of its type, and its place."""

    shape: tuple
    description: bytes
    start: int
    size: int


class Attribute(NamedTuple):
    """An attribute: its shape, the description of its type, and its bytes."""

    shape: tuple
    description: bytes
    content: bytes


class File(NamedTuple):
    """The content of a file, its arrays by their paths, and its attributes by their names."""

    data: bytes
    arrays: dict
    attributes: dict


def read_file(path) -> File:
    """Read an HDF5 file, and list what is in it.

    Raises a `ValueError` or `struct.error` if it is damaged, too large, or holds anything but
    groups, arrays and attributes as this project and Keras 2 write them.
    """
    if check_regular(path) > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES >> 20} MB")
    data = Path(path).read_bytes()
    # Versions of the superblock, and of what it describes; sizes of positions and of lengths.
    if data[:15] != SIGNATURE + bytes([0, 0, 0, 0, 0, 8, 8]):
        raise ValueError("no HDF5 file of this kind")
    (base,), (root,) = struct.unpack_from("<Q", data, 24), struct.unpack_from("<Q", data, 64)
    require(base == 0)
    parts = iter(range(MOST_PARTS))
    messages = list_messages(data, root, parts)
    places = [place for kind, *place in messages if kind == ATTRIBUTE]
    require(len(places) <= MOST_ATTRIBUTES)
    attributes = dict(read_attribute(data, *place) for place in places)
    arrays, groups, total = {}, [("", messages)], 0
    while groups:
        prefix, messages = groups.pop()
        require(prefix.count("/") <= MOST_LEVELS)
        for name, position in list_links(data, messages, parts):
            item, path = list_messages(data, position, parts), prefix + name
            if any(kind == SYMBOL_TABLE for kind, *_ in item):
                groups.append((f"{path}/", item))
                continue
            arrays[path] = find_array(data, item)
            total += arrays[path].size
            if total > MOST_BYTES:
                raise ValueError(f"has arrays of more than {MOST_BYTES >> 20} MB")
    return File(data, arrays, attributes)


def require(holds) -> None:
    """Raise a `ValueError` if something does not hold of a file."""
    if not holds:
        raise ValueError("damaged, or of another kind")


def spend(parts, count) -> None:
    """Count some parts of a file; raise a `ValueError` if it has had too many in all."""
    if sum(1 for _ in islice(parts, count)) < count:
        raise ValueError("has too many groups, arrays or other parts")


def check_place(data, start, size) -> None:
    """Raise a `ValueError` if some bytes of a file are not all there."""
    require(0 <= start <= start + size <= len(data))


def take(data, start, size) -> bytes:
    """Return some bytes of a file, all of which must be there."""
    check_place(data, start, size)
    return data[start : start + size]


def list_messages(data, position, parts) -> list[tuple[int, int, int]]:
    """List the messages of an object's header: the kind, the place, and the size of each."""
    version, _, _, _, size = struct.unpack("<BBHII", take(data, position, 12))
    require(version == 1)
    messages, blocks = [], [(position + 16, size)]
    while blocks:
        start, size = blocks.pop()
        end = start + size
        check_place(data, start, size)
        while start + 8 <= end:
            spend(parts, 1)
            kind, length, flags = struct.unpack_from("<HHB", data, start)
            start += 8
            # A shared message lies elsewhere.
            require(start + length <= end and not flags & 2)
            if kind == CONTINUATION:
                require(length >= 16)
                blocks.append(struct.unpack_from("<QQ", data, start))
            if kind in REFUSED:
                raise ValueError("has links, attributes or arrays of another kind")
            messages.append((kind, start, length))
            start += length
    return messages


def list_links(data, messages, parts) -> list[tuple[str, int]]:
    """List the names in a group, and the position of the object that each stands for."""
    ((_, start, size),) = (message for message in messages if message[0] == SYMBOL_TABLE)
    require(size >= 16)
    tree, heap = struct.unpack_from("<QQ", data, start)
    signature, length, _, names = struct.unpack("<8sQQQ", take(data, heap, 32))
    require(signature == b"HEAP" + bytes(4))
    check_place(data, names, length)
    links, nodes = [], [tree]
    while nodes:
        position = nodes.pop()
        signature, used = struct.unpack("<6sH", take(data, position, 8))
        spend(parts, 1 + used)
        if signature[:5] == b"TREE\0":
            # After each key, the position of a node.
            nodes += struct.unpack(f"<{2 * used}Q", take(data, position + 24, 16 * used))[1::2]
            continue
        require(signature == b"SNOD\1\0")
        entries = take(data, position + 8, 40 * used)
        for offset, item, kind in struct.iter_unpack("<QQI20x", entries):
            require(kind in (0, 1) and offset < length)
            start = names + offset
            end = data.find(b"\0", start, min(start + LONGEST_NAME, names + length))
            require(start < end and b"/" not in data[start:end])
            links.append((data[start:end].decode(), item))
    return links


def read_shape(data, start, size) -> tuple[int, ...]:
    """Read the shape of an array or attribute."""
    version, rank, flags = struct.unpack("<BBB", take(data, start, size)[:3])
    require(version == 1 and rank <= 4 and flags <= 1)
    return struct.unpack(f"<{rank}Q", take(data, start + 8, 8 * rank))


def find_array(data, messages) -> Array:
    """Find the array that an object's messages describe."""
    place = {kind: (start, size) for kind, start, size in messages}
    require({DATASPACE, TYPE, LAYOUT} <= place.keys())
    shape, description = read_shape(data, *place[DATASPACE]), take(data, *place[TYPE])[:20]
    layout = take(data, *place[LAYOUT])
    if layout[:2] != b"\3\1":
        raise ValueError("has an array that is compressed, in pieces, or in another file")
    start, size = struct.unpack_from("<QQ", layout, 2)
    check_place(data, start, size)
    return Array(shape, description, start, size)


def read_attribute(data, start, size) -> tuple[str, Attribute]:
    """Read an attribute: its name, and what it is."""
    content = take(data, start, size)
    version, flags, *lengths = struct.unpack_from("<BBHHH", content)
    require(version in (1, 2, 3) and (version == 1 or flags == 0))
    place, found = 8 + (version == 3), []
    for length in lengths:
        found.append(take(content, place, length))
        place += -(-length // 8) * 8 if version == 1 else length
    name, description, space = found
    shape = read_shape(space, 0, len(space))
    return name.partition(b"\0")[0].decode(), Attribute(shape, description, content[place:])


def read_values(file, path, shape, kind="<f4") -> np.ndarray:
    """Read an array of a file, if its shape and type are the given ones."""
    array = file.arrays[path]
    if array.shape != shape:
        raise ValueError(f"{path} has the shape {array.shape} instead of {shape}")
    if not array.description.startswith(TYPES[kind]):
        raise ValueError(f"{path} is not of type {np.dtype(kind)}")
    if array.size != math.prod(shape) * np.dtype(kind).itemsize:
        raise ValueError(f"{path} is not all there")
    return np.frombuffer(file.data, kind, math.prod(shape), array.start).reshape(shape).copy()


def find_attribute(file, name, shape=()) -> Attribute:
    """Return an attribute of a file, if its shape is the given one."""
    if name not in file.attributes:
        raise ValueError(f"lacks {name}")
    if file.attributes[name].shape != shape:
        raise ValueError(f"{name} is of another shape")
    return file.attributes[name]


def read_text(file, name) -> str:
    """Read a text that is an attribute of a file."""
    attribute = find_attribute(file, name)
    kind, flags, size = struct.unpack("<BB2xI", take(attribute.description, 0, 8))
    if kind & 15 == TEXT:
        text = take(attribute.content, 0, size).rstrip(b"\0")
    elif kind & 15 == TEXT_ELSEWHERE and flags & 15 == 1:
        text = find_text(file.data, *struct.unpack("<IQI", take(attribute.content, 0, 16)))
    else:
        raise ValueError(f"{name} is not text")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"{name} is too long")
    return text.decode()


def find_text(data, length, position, number) -> bytes:
    """Find a text of some length in a collection of texts, by its number."""
    signature, size = struct.unpack("<8sQ", take(data, position, 16))
    require(signature == b"GCOL\1\0\0\0")
    end = position + size
    check_place(data, position, size)
    position += 16
    for _ in range(MOST_TEXTS):
        require(position + 16 <= end)
        found, size = struct.unpack_from("<H6xQ", data, position)
        if found == number:
            require(found and length <= size and position + 16 + length <= end)
            return data[position + 16 : position + 16 + length]
        position += 16 + -(-size // 8) * 8
    raise ValueError("has too many texts")


def read_numbers(file, name, shape, least=-1e30, most=1e30, kind="<f8") -> np.ndarray:
    """Read numbers that are an attribute of a file, if all are in a range."""
    attribute = find_attribute(file, name, shape)
    if not attribute.description.startswith(TYPES[kind]):
        raise ValueError(f"{name} is not of type {np.dtype(kind)}")
    content = take(attribute.content, 0, math.prod(shape) * np.dtype(kind).itemsize)
    values = np.frombuffer(content, kind).reshape(shape)
    if not ((least <= values) & (values <= most)).all():
        raise ValueError(f"{name} is out of its range, or not finite")
    return values


def read_number(file, name, least, most) -> float:
    """Read a number that is an attribute of a file, if it is in a range."""
    return float(read_numbers(file, name, (), least, most))


def read_whole_number(file, name) -> int:
    """Read a whole number that is an attribute of a file."""
    return int(read_numbers(file, name, (), kind="<i8"))
