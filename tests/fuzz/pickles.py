"""Damaged pickles of data sets, each read with the others of its set, which are whole."""

import pickle
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from fuzz.mutation import choose_number, mutate
from hostile_pickles import dump, make_corpus
from utility.corpora.corpus import read_corpus, write_corpus
from utility.corpora.extraction import describe_corpus
from utility.errors import DataError
from utility.furtherFeatures import make_own_feature_set

ENDING = ".p"
ERROR = DataError
PICKLES = ("x_db.p", "x_features.p", "x_further_features.p", "own_db.p", "own_frames.p")
VALUES = (
    *(
        None,
        True,
        "",
        "a",
        "\x1b[2J",
        "\ud800",
        "a" * 1000,
        b"",
        b"a",
        0,
        1,
        -1,
        2,
        2**31,
        2**63 - 1,
    ),
    *(
        1e308,
        -1e308,
        1e-320,
        float("nan"),
        float("inf"),
        [],
        {},
        (),
        [[]],
        {"a": {"b": []}},
        (1, 2, 3),
    ),
)
KINDS = (
    "<f2",
    "<f4",
    "<f8",
    "<i8",
    "<U1",
    "<U2",
    "<U9",
    "|O",
    "<c16",
    "|V8",
    ">f8",
    "<f16",
    "<U99999",
)
LENGTHS = (0, 1, 2, 3, 5, -1, 2**31, 2**62, 2**63, 1.0, None)
NUMBERS = {
    "<f2": (np.nan, np.inf, 65504, -1, 0),
    "<f4": (np.nan, np.inf, 3.4e38, -1, 0, 1e-45),
    "<f8": (np.nan, np.inf, 1.7e308, -1e308, -1, 0, 1, 5e-324),
    "<i8": (0, -1, 1, 2, 4, 5, 2**63 - 1, -(2**63)),
}


@cache
def make_files() -> list[bytes]:
    """Return the pickles that are damaged: of a data set with our features, and with own ones."""
    corpus = make_corpus()
    own = {"mine": make_own_feature_set("mine", 3, 0.01)}
    tables = [table[:, :3] for table in corpus.frames]
    with tempfile.TemporaryDirectory() as name:
        write_corpus(Path(name, "x"), corpus)
        write_corpus(Path(name, "own"), replace(corpus, frames=tables, feature_sets=own))
        files = [Path(name, pickle_name).read_bytes() for pickle_name in PICKLES]
    return [replace_identity(file) for file in files]


def replace_identity(content) -> bytes:
    """Return a pickle with an identity that is always the same."""
    return content.replace(pickle.loads(content)["identity"].encode(), b"0" * 32)


def make_case(files, number, random) -> bytes:
    """Return a damaged pickle: its values are changed, or its bytes, or both."""
    content, other = files[number % len(files)], random.choice(files)
    way = random.random()
    if way < 0.6:
        values = pickle.loads(content)
        for _ in range(random.choice((1, 1, 2, 3))):
            values = change(values, random)
        content = dump(values)
    return content if way < 0.5 else mutate(content, other, random)


def change(value, random):
    """Return a value in which something is changed, at any depth."""
    if random.random() < 0.05:
        return random.choice(VALUES)
    if type(value) is dict and value:
        return change_dictionary(value, random)
    if type(value) is tuple and [*map(type, value)] == [str, tuple, bytes]:
        return change_array(*value, random)
    if type(value) is list and value:
        return change_list(value, random)
    if type(value) is str and random.random() < 0.5:
        place = random.randrange(len(value) + 1)
        return value[:place] + random.choice(("\n", "\0", "é", "x", "../")) + value[place + 1 :]
    if type(value) in (int, float):
        number = choose_number(random)
        return random.choice((number, float(number), value + 1, -value))
    return random.choice(VALUES)


def change_dictionary(values, random) -> dict:
    """Return a dictionary with one entry that is changed, removed, renamed, or of another."""
    name, others = random.choice([*values]), dict(values)
    way = random.random()
    if way < 0.1:
        del others[name]
    elif way < 0.15:
        others[random.choice((*values, 1, 1.5, b"a", "own_features", "split", "audio"))] = (
            others.pop(name)
        )
    elif way < 0.25:
        others[name] = random.choice([*values.values()])
    elif way < 0.3:
        others["own_features"] = {"name": "mine", "value_count": 36, "hop_seconds": 0.01}
    else:
        others[name] = change(others[name], random)
    return others


def change_list(values, random) -> list:
    """Return a list with one part that is changed, removed or repeated."""
    place, others = random.randrange(len(values)), list(values)
    others[place : place + 1] = random.choice(
        ([], [others[place]] * 2, [others[place]] * 100, [change(others[place], random)])
    )
    return others


def change_array(kind, shape, content, random) -> tuple:
    """Return an array, as pickles hold it, of another type, shape or content."""
    way = random.random()
    if way < 0.15:
        kind = random.choice(KINDS)
    elif way < 0.3:
        place = random.randrange(len(shape) + 1)
        ends = [shape[place + random.randrange(2) :], shape[place:]]
        shape = (*shape[:place], random.choice(LENGTHS), *random.choice(ends))
    elif way < 0.35:
        shape = shape[::-1] if random.random() < 0.5 else random.choice(VALUES)
    elif way < 0.4:
        content = random.choice((content[:-1], content * 2, b"", *VALUES))
    elif kind in NUMBERS and len(content) >= 8:
        values = np.frombuffer(content[: len(content) // 8 * 8], kind).copy()
        with np.errstate(over="ignore"):
            values[random.randrange(len(values))] = random.choice(NUMBERS[kind])
        content = values.tobytes()
    else:
        content = mutate(content, content, random).ljust(len(content), b"\0")[: len(content)]
    return random.choice(((kind, shape, content),) * 20 + ((kind, shape), [kind, shape, content]))


def read(path, number) -> str:
    """Read and describe the data set that a pickle belongs to; return what came out."""
    name = PICKLES[number % len(PICKLES)]
    folder = path.parent / name.removesuffix(".p")
    if not folder.exists():
        folder.mkdir()
        for other, content in zip(PICKLES, make_files(), strict=True):
            (folder / other).write_bytes(content)
    (folder / name).unlink()  # as in `read_chunk`
    path.rename(folder / name)
    check(read_corpus(folder / name.partition("_")[0]))
    return "corpus"


def check(corpus) -> None:
    """Raise an `AssertionError` if a corpus is none, or cannot be described."""
    assert len(corpus.frames) == len(corpus.labels) == len(corpus) > 0
    for table in corpus.frames:
        assert table.shape[1:] == (len(corpus.feature_names),)
        assert len(table) > 0
        assert np.isfinite(table).all()
    describe_corpus(corpus)
