"""What a weights file holds: its arrays with their shapes, and its facts with their ranges."""

import json
import math
from typing import NamedTuple

from utility.errors import UsageError
from utility.files.hdf5 import MOST_BYTES, read_text
from utility.functions import is_name
from utility.globalvars import COLUMN_NAMES
from utility.voices.discriminant import Discriminant
from utility.voices.familiarity import COEFFICIENTS, KEPT_DISTANCES, Familiarity, has_spectra
from utility.voices.functionals import FUNCTIONALS_PER_FEATURE

MOST_EMOTIONS = 100
# For all but the networks.
OTHER_BYTES = 4 * 2**20
# Far beyond what training reaches; products of such numbers are still finite.
LARGEST_WEIGHT = 1e6
LARGEST_VALUE = 1e30
# Training keeps those of frames above 1e-7, which float32 rounds.
SMALLEST_DEVIATION = 1e-8
TEMPERATURES = (0.01, 100.0)
PRIORS = (1e-6, 1e6)
# What a weights file may have beside the networks, each in a group of its own.
GROUPS = {"discriminant": Discriminant, "familiarity": Familiarity}


class Array(NamedTuple):
    """An array of a weights file: its shape, its type, and the range of its values."""

    shape: tuple
    kind: str = "<f4"
    least: float = -LARGEST_WEIGHT
    most: float = LARGEST_WEIGHT


def list_member(hyperparameters, feature_count, emotion_count) -> dict[str, Array]:
    """List the arrays of one network by their paths; see `utility.network.model`."""
    units, width = hyperparameters.dense_units, 2 * hyperparameters.lstm_units
    if hyperparameters.network == "attention":
        # Mean and deviation of features, standardised in two ways, and of their slopes.
        layers = {"dense": (6 * feature_count, units)}
        pooled = 2 * width * hyperparameters.attention_heads
        shapes = {"attention/kernel": (width, hyperparameters.attention_heads)}
    else:
        layers = {"dense_1": (feature_count, units), "dense_2": (units, units)}
        layers["attention"] = (width, width)
        pooled, shapes = width, {}
    layers["emotion"] = (pooled, emotion_count)
    for name, (inputs, outputs) in layers.items():
        shapes |= {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}
    for direction in ("forward", "backward"):
        cell, gates = f"bilstm/{direction}_lstm/lstm_cell", 2 * width
        shapes[f"{cell}/kernel"] = units, gates
        shapes[f"{cell}/recurrent_kernel"] = hyperparameters.lstm_units, gates
        shapes[f"{cell}/bias"] = (gates,)
    return {path: Array(shape) for path, shape in shapes.items()}


def list_group(name, feature_names, emotion_count) -> dict[str, Array]:
    """List the arrays that a file may have beside the networks, by their paths."""
    functionals = len(feature_names) * FUNCTIONALS_PER_FEATURE
    far = {"least": -LARGEST_VALUE, "most": LARGEST_VALUE}
    double = {"kind": "<f8", **far}
    if name == "frame_offsets":
        return {name: Array((emotion_count, len(feature_names)), **double)}
    if name == "discriminant":
        return {
            f"{name}/kernel": Array((functionals, emotion_count)),
            f"{name}/bias": Array((emotion_count,)),
            f"{name}/mean": Array((functionals,), **far),
            f"{name}/deviation": Array((functionals,), "<f4", SMALLEST_DEVIATION, LARGEST_VALUE),
            f"{name}/offsets": Array((emotion_count, functionals), **far),
        }
    count = 2 * COEFFICIENTS
    if not has_spectra(feature_names):
        return {}
    return {
        f"{name}/mean": Array((count,), **double),
        f"{name}/whitening": Array((count, count), **double),
        f"{name}/distances": Array((KEPT_DISTANCES,), **double),
    }


def list_arrays_of(hyperparameters, feature_names, emotion_count, groups) -> dict[str, Array]:
    """List all arrays of a weights file by their paths; `groups` are those beside the networks."""
    member = list_member(hyperparameters, len(feature_names), emotion_count)
    arrays = {
        f"member_{number}/{path}": array
        for number in range(1, 1 + hyperparameters.members)
        for path, array in member.items()
    }
    for name in groups:
        arrays |= list_group(name, feature_names, emotion_count)
    return arrays


def read_json_of(file, name, kind):
    """Read JSON that is an attribute of a weights file and of a type, such as a list."""
    value = json.loads(read_text(file, name))
    if type(value) is not kind:
        raise ValueError(f"{name} is of another type")
    return value


def read_names(file, name, least, most) -> tuple[str, ...]:
    """Read distinct names that can be shown, at least and at most so many, from an attribute."""
    names = read_json_of(file, name, list)
    if not (least <= len(names) <= most and all(map(is_name, names))):
        raise ValueError(f"{name} are not from {least} to {most} printable names")
    if len(set(names)) < len(names) or COLUMN_NAMES & {*names}:
        raise ValueError(f"{name} are not distinct, or named like a column")
    return tuple(names)


def read_scores(file) -> list[dict]:
    """Read the measures of the folds from a weights file."""
    scores = read_json_of(file, "scores", list)
    for score in scores:
        data = score.get("data", []) if type(score) is dict else None
        if type(data) is not list or not all(type(n) is str and n.isprintable() for n in data):
            raise ValueError("scores is of another type")
    return scores


def check_size(hyperparameters, feature_count, emotion_count) -> None:
    """Raise a `UsageError` if networks are too large for a weights file, or emotions too many."""
    if emotion_count > MOST_EMOTIONS:
        raise UsageError(f"there are {emotion_count} emotions; give at most {MOST_EMOTIONS}")
    arrays = list_member(hyperparameters, feature_count, emotion_count).values()
    size = sum(4 * math.prod(array.shape) for array in arrays)
    if hyperparameters.members * size > MOST_BYTES - OTHER_BYTES:
        raise UsageError(
            f"the networks would not fit into a weights file of {MOST_BYTES >> 20} MB; set fewer "
            "members, or smaller dense_units or lstm_units"
        )
