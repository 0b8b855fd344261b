"""Damaged weights files, each read and, where that succeeds, used."""

import re
import struct
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from fuzz.mutation import choose_number, mutate
from hostile_weights import make_2018_weights, make_weights, write_keras2_model
from made import SMALL
from utility.errors import WeightsError
from utility.furtherFeatures import make_own_feature_set
from utility.network import layout
from utility.network.inference import predict_frames
from utility.network.weights import Weights, read_weights, write_weights
from utility.voices.baseline import Statistics

ENDING = ".h5"
ERROR = WeightsError
# What HDF5 is made of begins with these.
SIGNATURES = (b"\x89HDF", b"TREE", b"SNOD", b"HEAP", b"GCOL", b"\1\0")
MOST_OFFSET = 80
JSON_VALUE = re.compile(rb'-?[0-9][0-9.e-]*|"[^"\0]{0,40}"|null|true|false|[][{}]')
JSON_VALUES = (
    *(
        b"0",
        b"1",
        b"2",
        b"9",
        b"-1",
        b"99",
        b"1e9",
        b"1e400",
        b"NaN",
        b"null",
        b"true",
        b"[]",
        b"{}",
    ),
    *(
        b'""',
        b'"a"',
        b'"\\ud800"',
        b'"\\u001b"',
        b'"original"',
        b'"further"',
        b'"seed2018"',
        b"[[[[",
    ),
    *(b"1000", b"4096", b"100000", b"0.1", b"1e-300", b'"mine"'),
)
FLOATS = (np.nan, np.inf, -np.inf, 3.4e38, -1e6, 1e6, 1e-45, 0.0, -0.0, 1e30)
FRAMES = np.random.default_rng(0).normal(size=(25, 66)).astype(np.float32)


def make_files() -> list[bytes]:
    """Return weights files of every kind: with everything, of 2018, of own features, of Keras 2."""
    names = make_own_feature_set("mine", 5, 0.02).names
    own = replace(SMALL, features=("mine",), members=1, discriminant_weight=0.0)
    random = np.random.default_rng(0)
    arrays = {
        path: random.normal(0, 0.3, array.shape).astype(array.kind)
        for path, array in layout.list_member(own, 5, 7).items()
    }
    statistics = Statistics(np.zeros(5), np.ones(5))
    own = Weights(own, [arrays], statistics, feature_names=names, hop_seconds=0.02)
    old = replace(make_2018_weights(), statistics=Statistics(np.zeros(36), np.ones(36)))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "weights.h5")
        files = []
        for weights in (make_weights(), old, own):
            write_weights(path, weights)
            files.append(path.read_bytes())
        for version in ("2.2.0", "2.3.0-tf"):
            write_keras2_model(path, make_2018_weights(), version)
            files.append(path.read_bytes())
    return files


def make_case(files, number, random) -> bytes:
    """Return a damaged weights file."""
    changes = (set_in_structure, set_in_structure, set_json_value, set_float)
    return mutate(files[number % len(files)], random.choice(files), random, changes)


def set_in_structure(content, other, random) -> None:
    """Set a number in one of the structures of HDF5, often to the place of another one."""
    signature = random.choice(SIGNATURES)
    place = find_any(content, signature, random) + random.randrange(MOST_OFFSET)
    number = choose_number(random)
    if random.random() < 0.4:
        number = find_any(content, random.choice(SIGNATURES), random)
    width = random.choice((1, 2, 4, 8, 8))
    content[place : place + width] = (number % 256**width).to_bytes(width, "little")


def find_any(content, part, random) -> int:
    """Return one of the places where a part of a file begins, or 0."""
    place = content.find(part, random.randrange(max(len(content), 1)))
    return max(place if place >= 0 else content.find(part), 0)


def set_json_value(content, other, random) -> None:
    """Set a number, a text or a bracket in JSON, and keep its length."""
    start = find_any(content, random.choice((b'{"', b'["')), random)
    values = [*JSON_VALUE.finditer(content, start, start + 4000)]
    if values:
        value = random.choice(values)
        new = random.choice(JSON_VALUES)
        end = max(value.end(), value.start() + len(new))
        content[value.start() : end] = new.ljust(end - value.start())


def set_float(content, other, random) -> None:
    """Set a float of an array or attribute."""
    kind = random.choice(("<f", "<d"))
    width = struct.calcsize(kind)
    place = random.randrange(max(len(content) // 4, 1)) * 4
    content[place : place + width] = struct.pack(kind, random.choice(FLOATS))


def read(path, number) -> str:
    """Read weights and predict with them; return what came out."""
    weights = read_weights(path)
    clip = FRAMES[:, : len(weights.feature_names)]
    probabilities, (attention,) = predict_frames(weights, [clip])
    assert probabilities.shape == (1, len(weights.emotions))
    assert abs(probabilities.sum() - 1) < 1e-3, "probabilities do not sum to 1"
    assert len(attention) == len(clip)
    assert 2 <= len(set(weights.emotions)) == len(weights.emotions) <= layout.MOST_EMOTIONS
    assert all(emotion.isprintable() for emotion in weights.emotions)
    return "weights"
