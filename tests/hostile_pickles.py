"""Pickles that are made to do harm, and a small data set to put them in."""

import io
import pickle
import pickletools
import struct

import numpy as np

from utility.corpora.corpus import Corpus
from utility.files.pickles import INSTRUCTIONS
from utility.furtherFeatures import ALL_NAMES

LABELS, FRAMES = "x_db.p", "x_features.p"


def make_corpus():
    """Return a corpus of two utterances."""
    text = np.array(["ann", "bob"])
    shares = np.array([0.5, np.nan])
    tables = [np.ones((count, len(ALL_NAMES)), np.float32) for count in (2, 3)]
    emotions = np.array(["anger", "sadness"])
    numbers = np.ones(2), shares, shares
    return Corpus(text, text, text, text, emotions, text, np.array(["", ""]), *numbers, tables)


def make_array(kind="<f8", shape=(2,), content=bytes(16)):
    """Return what stands for an array in a pickle."""
    return kind, shape, content


def put_in(value):
    """Return a pickle of a dictionary with one value, given as instructions."""
    return b"\x80\x04}\x8c\x01a" + value + b"s."


def call(name, arguments):
    """Return instructions that call a function, such as "os system"."""
    texts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in name.split())
    return texts + b"\x93" + dump(arguments)[2:-1] + b"R"


def dump(content):
    """Return a pickle that has only instructions that the project writes, whatever it holds."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, 4)
    pickler.fast = True
    pickler.dump(content)
    return file.getvalue()


def dump_array_of_numpy():
    """Return a pickle as the project wrote them up to version 1.0.0."""
    return pickle.dumps({"format_version": 1, "file": np.array(["a"])}, 4)


FUNCTIONS = {
    "os system": ("touch pwned",),
    "posix system": ("touch pwned",),
    "builtins eval": ("open('pwned', 'w')",),
    "builtins exec": ("open('pwned', 'w')",),
    "builtins open": ("pwned", "w"),
    "builtins getattr": ("a", "b"),
    "builtins __import__": ("antigravity",),
    "subprocess Popen": ("touch pwned",),
    "pty spawn": ("sh",),
    "runpy run_path": ("pwned",),
    "importlib import_module": ("antigravity",),
    "ctypes CDLL": ("libc.so.6",),
    "pickle loads": (b"N.",),
    "marshal loads": (b"N",),
    "shutil rmtree": ("pwned",),
    "socket create_connection": (("127.0.0.1", 9),),
    "functools partial": (1,),
    "operator attrgetter": ("a",),
    "collections OrderedDict": (),
    "codecs encode": ("a", "utf-8"),
    "numpy dtype": ("O",),
    "numpy ndarray": ((300_000_000,), "O"),
    "numpy load": ("pwned",),
    "numpy._core.multiarray _reconstruct": (1,),
    "numpy._core.multiarray scalar": (1,),
    "utility.functions write_json": ("pwned", "1"),
    "os.path join": ("a", "b"),
    "copyreg __newobj__": (1,),
}
NAMINGS = {
    "by its name alone": b"cos\nsystem\n",
    "by INST": b"(X\x05\x00\x00\x00touchios\nsystem\n",
    "by OBJ": b"(cos\nsystem\nX\x05\x00\x00\x00toucho",
    "by NEWOBJ": b"cos\nsystem\n)\x81",
    "by NEWOBJ_EX": b"cos\nsystem\n)}\x92",
    "by BUILD on a class": b"cos\nsystem\n}b",
    "by a name with dots": b"cos\npath.os.system\n",
    "by the extension registry": b"\x82\x01",
    "by a persistent id": b"Ppwned\n",
    "by a binary persistent id": b"\x8c\x01aQ",
    "by a name with line breaks": b"\x8c\x05a\nb\nc\x8c\x05d\x1b[2J\x93",
}
RAW = {
    "nothing": b"",
    "text that is no pickle": b"not a pickle",
    "an end alone": b".",
    "an end without a value": b"\x80\x04.",
    "a list": pickle.dumps([1, 2], 4),
    "a text": pickle.dumps("a", 4).replace(b"\x94", b""),
    "a number": b"\x80\x04K\x01.",
    "bytes": b"\x80\x04C\x01a.",
    "an empty dictionary": b"\x80\x04}.",
    "a pickle of protocol 0": pickle.dumps({"format_version": 2}, 0),
    "a pickle of protocol 2": pickle.dumps({"format_version": 2}, 2),
    "a pickle of a protocol to come": b"\x80\x7f}.",
    "an array as NumPy pickles it": dump_array_of_numpy(),
    "an array as NumPy pickles it, without a memo": pickletools.optimize(dump_array_of_numpy()),
    "two pickles": b"\x80\x04}.\x80\x04}.",
    "bytes after its end": b"\x80\x04}.\0",
    "no end": b"\x80\x04}",
    "an item without a dictionary": b"\x80\x04K\x01K\x02s.",
    "items without a mark": b"\x80\x04}K\x01K\x02u.",
    "a key that is a list": b"\x80\x04}]K\x01s.",
    "a key that is a dictionary": b"\x80\x04}}K\x01s.",
    "items of a number": b"\x80\x04K\x01(K\x01K\x02u.",
    "an element of a number": b"\x80\x04K\x01K\x02a.",
    "elements of a dictionary": b"\x80\x04}(K\x01e.",
    "a mark as its value": b"\x80\x04(.",
    "an odd number of items": b"\x80\x04}(K\x01u.",
    "a tuple of nothing": b"\x80\x04\x85.",
    "ten thousand lists in each other": put_in(b"]" * 9_000 + b"a" * 8_999),
    "a million lists in each other": put_in(b"]" * 1_000_000 + b"a" * 999_999),
    "a dictionary in itself by hundred thousand levels": put_in(b"}" * 100_000),
    "a million numbers": put_in(b"](" + b"K\x01" * 1_000_000 + b"e"),
    "ten million ends of marks": put_in(b"(" * 10_000_000),
    "a memo entry of 400 million": b"\x80\x04Nr" + struct.pack("<I", 400_000_000) + b".",
    "a memo entry of 4 billion": b"\x80\x04Nr" + struct.pack("<I", 2**32 - 1) + b".",
    "a memo entry by text": b"\x80\x04Np4000000000\n.",
    "a memo entry that is not there": b"\x80\x04j" + struct.pack("<I", 2**31) + b".",
    "a billion laughs": b"\x80\x04]q\0"
    + b"".join(
        b"](" + b"h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(30)
    )
    + b".",
    "a billion laughs by copies": put_in(b"]" + b"2\x86" * 100),
    "ten billion bytes that are not there": put_in(b"\x8e" + struct.pack("<Q", 10**10)),
    "as many bytes as there are numbers for": put_in(b"\x8e" + struct.pack("<Q", 2**64 - 1)),
    "four billion bytes that are not there": put_in(b"B" + struct.pack("<I", 2**32 - 1)),
    "text of four billion bytes that is not there": put_in(b"X" + struct.pack("<I", 2**32 - 1)),
    "a frame of 2 ** 60 bytes": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"}.",
    "a frame that ends early": b"\x80\x04\x95" + struct.pack("<Q", 1) + b"}.",
    "text that is not UTF-8": put_in(b"\x8c\x02\xff\xfe"),
    "a whole number of 255 bytes": put_in(b"\x8a\xff" + b"\x7f" * 255),
    "a whole number of 2 GB": put_in(b"\x8b" + struct.pack("<i", 2**31 - 1)),
    "a whole number of a million digits": put_in(b"L" + b"9" * 1_000_000 + b"L\n"),
}
ARRAYS = {
    "objects": make_array("|O"),
    "objects with an order": make_array("<O"),
    "structures": make_array("f4,f4"),
    "structures by a list": make_array("[('a', '<f8')]"),
    "structures with offsets": make_array("{'names': ['a'], 'formats': ['<f8'], 'offsets': [9]}"),
    "raw memory": make_array("|V8"),
    "dates": make_array("<M8[s]"),
    "complex numbers": make_array("<c16", (1,)),
    "long doubles": make_array("<f16", (1,)),
    "truth values": make_array("|b1", (16,)),
    "numbers of the other byte order": make_array(">f8"),
    "numbers without a byte order": make_array("f8"),
    "small whole numbers": make_array("<i2", (8,)),
    "text of no length": make_array("<U0", (1_000_000_000,), b""),
    "text of a billion characters": make_array("<U1000000000", (1,)),
    "text beyond Unicode": make_array("<U1", (4,), b"\xff" * 16),
    "an unknown type": make_array("<x9"),
    "a type that is a number": make_array(8),
    "a type with a line break": make_array("<f8\n"),
    "a shape of a billion and few bytes": make_array("<f8", (1_000_000_000,)),
    "a shape whose product is beyond 64 bits": make_array("<f8", (2**31 - 1,) * 3),
    "a negative shape": make_array("<f8", (-1, -2)),
    "no entries": make_array("<f8", (0,), b""),
    "no entries of a billion columns": make_array("<f8", (0, 2**31 - 1), b""),
    "no shape": make_array("<f8", (), bytes(8)),
    "a shape that is a number": make_array("<f8", 2),
    "a shape that is a list": make_array("<f8", [2]),
    "a shape of fractions": make_array("<f8", (2.0,)),
    "a shape of text": make_array("<f8", ("2",)),
    "too many bytes": make_array("<f8", (2,), bytes(17)),
    "too few bytes": make_array("<f8", (2,), bytes(15)),
    "text for bytes": make_array("<f8", (2,), "x" * 16),
    "two parts only": ("<f8", (2,)),
    "one part only": ("<f8",),
}
NAMES = np.array(["ann", "bob"])
HALVES = np.full(2, 0.5)
CONTENTS = {
    "a format version that is text": {"format_version": "2"},
    "a format version of a megabyte": {"format_version": "2" * 1_000_000},
    "a format version that is a fraction": {"format_version": 2.0},
    "a format version with an escape": {"format_version": "\x1b[2J"},
    "a format version to come": {"format_version": 99},
    "a format version that is a list": {"format_version": ["2"]},
    "no identity": {"identity": None},
    "an identity that is a number": {"identity": 5},
    "the identity of another data set": {"identity": "0" * 32},
    "no files": {"file": None},
    "files that are a list": {"file": ["ann", "bob"]},
    "files that are a text": {"file": "ab"},
    "files that are numbers": {"file": HALVES},
    "files of others": {"file": NAMES[::-1].copy()},
    "more files than utterances": {"file": np.array(["ann", "bob", "cid"])},
    "no speakers": {"speaker": None},
    "no seconds": {"seconds": None},
    "columns in two dimensions": {"text": NAMES[:, np.newaxis]},
    "an emotion with an escape": {"emotion": np.array(["\x1b[2J", "b"])},
    "an emotion with a line break": {"emotion": np.array(["a\nb", "b"])},
    "an emotion that is half a character": {"emotion": np.array(["\ud800", "b"])},
    "an emotion without a name": {"emotion": np.array(["", "b"])},
    "an emotion with a name of 101 letters": {"emotion": np.array(["a" * 101, "b"])},
    "emotions that are numbers": {"emotion": HALVES},
    "seconds that are text": {"seconds": NAMES},
    "seconds that are not numbers": {"seconds": np.array([np.nan, 1])},
    "infinite seconds": {"seconds": np.array([np.inf, 1])},
    "negative seconds": {"seconds": np.array([-1.0, 1])},
    "recognition that is text": {"recognition": NAMES},
    "recognition above 1": {"recognition": np.array([1.5, 1])},
    "naturalness below 0": {"naturalness": np.array([-0.5, 1])},
    "seconds in half precision": {"seconds": np.full(2, 60_000, np.float16)},
    "a folder that is a number": {"audio": 5},
    "a form that is an array": {"form": NAMES},
    "own features that are text": {"own_features": "mine"},
    "own features that are an array": {"own_features": NAMES},
    "own features without a name": {"own_features": {"value_count": 3, "hop_seconds": 0.01}},
    "own features with an escape": {
        "own_features": {"name": "\x1b", "value_count": 3, "hop_seconds": 0.01}
    },
    "own features of a billion values": {
        "own_features": {"name": "a", "value_count": 10**9, "hop_seconds": 0.01}
    },
    "own features of two and a half values": {
        "own_features": {"name": "a", "value_count": 2.5, "hop_seconds": 0.01}
    },
    "own features at no time": {
        "own_features": {"name": "a", "value_count": 3, "hop_seconds": 0.0}
    },
    "own features every not a number": {
        "own_features": {"name": "a", "value_count": 3, "hop_seconds": float("nan")}
    },
}
ONES = np.ones((5, 36), np.float32)
FRAME_CONTENTS = {
    "no frames": {"frames": None},
    "frames that are text": {"frames": "frames"},
    "frames that are a list": {"frames": [1.0]},
    "frames in double precision": {"frames": ONES.astype(float)},
    "frames that are whole numbers": {"frames": ONES.astype(np.int64)},
    "frames that are text in an array": {"frames": np.full((5, 36), "a")},
    "frames in one dimension": {"frames": ONES.ravel()},
    "frames in three dimensions": {"frames": ONES[:, :, np.newaxis]},
    "frames of fewer features": {"frames": ONES[:, :35]},
    "frames that are not numbers": {"frames": ONES * np.float32(np.nan)},
    "frames of 3e38": {"frames": ONES * np.float32(3e38)},
    "infinite frames": {"frames": ONES * np.float32(np.inf)},
    "counts that are fractions": {"frame_counts": np.array([2.0, 3.0])},
    "counts that are text": {"frame_counts": NAMES},
    "counts that are a number": {"frame_counts": 5},
    "counts below 0": {"frame_counts": np.array([-1, 6])},
    "a count of 0": {"frame_counts": np.array([0, 5])},
    "counts beyond 64 bits in sum": {"frame_counts": np.array([2**63 - 1, 2**63 - 1])},
    "counts of more frames": {"frame_counts": np.array([2, 4])},
    "counts in two dimensions": {"frame_counts": np.array([[2, 3]])},
    "counts of more utterances": {"frame_counts": np.array([2, 2, 1])},
    "feature names that are an array": {"feature_names": NAMES},
    "feature names that are a text": {"feature_names": "zcr"},
    "a feature version that is an array": {"feature_version": HALVES},
    "a feature version to come": {"feature_version": 99},
    "frames with the identity of another data set": {"identity": "0" * 32},
}


def list_cases():
    """Return all cases by sentences: which pickle of the data set, what is in it, and its fault.

    What is in it are bytes, or entries that take the place of others; None removes one.
    """
    named, other = "has the instruction", "is damaged, or from an older version"
    cases = {}
    for name, arguments in FUNCTIONS.items():
        sentence = f"a pickle that calls {name.replace(' ', '.')} is refused"
        cases[sentence] = LABELS, put_in(call(name, arguments)), named
    for how, instructions in NAMINGS.items():
        sentence = f"a pickle that names a function {how} is refused"
        cases[sentence] = LABELS, put_in(instructions), named
    for instruction in pickletools.opcodes:
        if instruction.name not in INSTRUCTIONS:
            code = put_in(b"K\x01" + instruction.code.encode("latin-1") + bytes(8) + b"\n")
            sentence = f"a pickle with the instruction {instruction.name} is refused"
            cases[sentence] = LABELS, code, other
    for what, content in RAW.items():
        cases[f"a file with {what} is refused"] = LABELS, content, "_db"
    for what, array in ARRAYS.items():
        cases[f"an array of {what} is refused"] = LABELS, {"further": array}, other
    for what, change in CONTENTS.items():
        cases[f"labels with {what} are refused"] = LABELS, change, "x_"
    for what, change in FRAME_CONTENTS.items():
        cases[f"features with {what} are refused"] = FRAMES, change, "_features"
    return cases


def write_case(folder, name, change):
    """Write the data set with one pickle that is hostile, in a folder where it is whole."""
    if isinstance(change, bytes):
        content = change
    else:
        whole = pickle.loads((folder / name).read_bytes())
        values = whole | {key: encode_if_array(value) for key, value in change.items()}
        content = dump({key: value for key, value in values.items() if value is not None})
    (folder / name).write_bytes(content)


def encode_if_array(value):
    """Return an array as the project writes it, and anything else as it is."""
    if isinstance(value, np.ndarray):
        return make_array(value.dtype.str, value.shape, value.tobytes())
    return value
