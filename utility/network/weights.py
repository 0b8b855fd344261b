"""The weights file: one HDF5 file that holds everything prediction needs.

Each array is a data set under its member and its path in the network, such as
`member_1/dense/kernel`. The attributes of the file hold the class order, features,
hyperparameters, normalisation statistics, temperature and measured scores. Reading the file
builds arrays and runs no code.
"""

import io
import json
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

import numpy as np

from utility.errors import WeightsError, quote
from utility.files import hdf5
from utility.functions import replaced_when_done
from utility.furtherFeatures import (
    FEATURE_SETS,
    LONGEST_HOP_SECONDS,
    MOST_OWN_VALUES,
    SHORTEST_HOP_SECONDS,
    columns_of,
    feature_names,
    make_own_feature_set,
)
from utility.globalvars import EMOTION_LABELS, FRAMES, SHIPPED_WEIGHTS
from utility.network import layout
from utility.network.hyperparameters import PRESETS, Hyperparameters, read_stored_hyperparameters
from utility.voices.baseline import Statistics
from utility.voices.discriminant import Discriminant
from utility.voices.familiarity import Familiarity

# Format 2, of program version 1.0.0, has one feature version for all sets. Up to format 3, there is
# no discriminant.
FORMAT_VERSION = 4
READABLE_VERSIONS = (2, 3, 4)
REMEDY = "use one that train.py wrote, such as weights_blstm_hyperas_1.h5"


class Calibration(NamedTuple):
    """What gives probabilities their meaning: a temperature, and priors, as in `Weights`."""

    temperature: float
    priors: np.ndarray


@dataclass(frozen=True)
class Weights:
    """A trained ensemble: networks of one kind whose answers are pooled.

    Attributes
    ----------
    hyperparameters : Hyperparameters
    members : list of dict of str to np.ndarray
        The arrays of each network by their paths.
    statistics : Statistics
        Of the frames that they were trained on.
    temperature : float
        Probabilities are raised to the power of 1 / temperature and normalised.
    emotions : tuple of str
        Label of each class, in the order of the probabilities.
    scores : list of dict
        Measures of the recipe, and their protocol, as in `metrics.json`.
    feature_names : tuple of str
        The columns that the networks read; default: those of the hyperparameters.
    hop_seconds : float
        From one frame to the next.
    discriminant : Discriminant, optional
        The classifier of functionals that is combined with the networks.
    frame_offsets : np.ndarray, shape (emotions, features), optional
        How far the frames of clips of an emotion are from the mean of their voice, on average.
    priors : np.ndarray, shape (emotions,), optional
        How often each emotion is expected, relative to the others; by default equally often.
    unheard : Calibration, optional
        For recordings of other sources than the corpora that the networks were trained on. The
        temperature and priors above are for further voices of these corpora.
    familiarity : Familiarity, optional
        What the recordings of these corpora sound like.
    licence : str
        The terms of the corpora; empty if they are not known.
    keras2 : Keras2Model, optional
        Of weights that the project of 2018 trained: what Keras 2 computes otherwise.
    """

    hyperparameters: Hyperparameters
    members: list
    statistics: Statistics
    temperature: float = 1.0
    emotions: tuple = EMOTION_LABELS
    scores: list = field(default_factory=list)
    feature_names: tuple | None = None
    hop_seconds: float = FRAMES.hop_seconds
    discriminant: Discriminant | None = None
    frame_offsets: np.ndarray | None = None
    priors: np.ndarray | None = None
    unheard: Calibration | None = None
    familiarity: Familiarity | None = None
    licence: str = ""
    keras2: tuple | None = None

    def __post_init__(self):
        if self.feature_names is None:
            names = feature_names(self.hyperparameters.features)
            object.__setattr__(self, "feature_names", tuple(names))

    @property
    def columns(self) -> list[int]:
        """The columns of frames that the networks read: of `ALL_NAMES`, or all of own features."""
        own = self.hyperparameters.reads_own_features
        return columns_of(self.feature_names, self.feature_names if own else None)

    def for_unheard(self) -> "Weights":
        """Return the same networks with the calibration for recordings of other sources."""
        return self if self.unheard is None else replace(self, **self.unheard._asdict())

    def __repr__(self) -> str:
        return (
            f"Weights({self.hyperparameters.network}, {len(self.members)} members, "
            f"{len(self.feature_names)} features, emotions: {', '.join(self.emotions)})"
        )


def write_weights(path, weights: Weights) -> None:
    """Write a weights file in one atomic step."""
    import h5py

    versions = {name: each.version for name, each in find_feature_sets(weights).items()}
    values = {
        f"member_{number}/{name}": array
        for number, arrays in enumerate(weights.members, 1)
        for name, array in arrays.items()
    }
    groups = [name for name in layout.GROUPS if getattr(weights, name) is not None]
    for name in groups:
        parts = getattr(weights, name)._asdict().items()
        values |= {f"{name}/{part}": array for part, array in parts}
    if weights.frame_offsets is not None:
        groups, values["frame_offsets"] = [*groups, "frame_offsets"], weights.frame_offsets
    expected = list_arrays(weights, groups)
    if differing := sorted(expected.keys() ^ values.keys()):
        raise ValueError(f"utility/network/layout.py does not list {differing[0]} as it is")
    # In memory, since HDF5 does not survive a disk that is full.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["feature_versions"] = json.dumps(versions)
        file.attrs["feature_names"] = json.dumps(weights.feature_names)
        file.attrs["hop_seconds"] = float(weights.hop_seconds)
        file.attrs["emotions"] = json.dumps(weights.emotions)
        file.attrs["hyperparameters"] = json.dumps(asdict(weights.hyperparameters))
        file.attrs["scores"] = json.dumps(weights.scores)
        file.attrs["temperature"] = float(weights.temperature)
        file.attrs["licence"] = weights.licence
        for name, each in weights.statistics._asdict().items():
            file.attrs[f"normalisation_{name}"] = np.asarray(each, np.float64)
        if weights.unheard is not None:
            file.attrs["unheard_temperature"] = float(weights.unheard.temperature)
            file.attrs["unheard_priors"] = np.asarray(weights.unheard.priors, np.float64)
        for name, array in expected.items():
            file[name] = np.asarray(values[name], array.kind)
    with replaced_when_done(path) as temporary:
        temporary.write_bytes(content.getvalue())


def list_arrays(weights, groups) -> dict:
    """List the arrays that belong to weights; see `utility.network.layout.list_arrays_of`."""
    names, emotions = weights.feature_names, len(weights.emotions)
    return layout.list_arrays_of(weights.hyperparameters, names, emotions, groups)


def read_weights(path) -> Weights:
    """Read a weights file, given by its path or as a name in `SHIPPED_WEIGHTS`.

    Whatever is in the file, no code is run, no other file is read, and little more memory is
    taken than twice `utility.files.hdf5.MOST_BYTES`. The networks of the project of 2018 are
    read, too, from the file that Keras 2 saved.

    Raises
    ------
    WeightsError
        If it cannot be opened, is damaged, not one of this project, or made for other features.
    """
    path = SHIPPED_WEIGHTS.get(str(path), path)
    try:
        file = hdf5.read_file(path)
        if "model_config" in file.attributes:
            return read_keras2(file)
        if hdf5.read_whole_number(file, "format_version") not in READABLE_VERSIONS:
            raise WeightsError(f"{path}: made by another version of this project; {REMEDY}")
        weights = read_facts(file)
        if not is_current(weights, file):
            raise WeightsError(f"{path}: made for other features; {REMEDY}")
        return read_arrays(weights, file)
    except WeightsError:
        raise
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such weights file; {REMEDY}") from error
    except Exception as error:  # a damaged file can raise anything
        if reason := getattr(error, "strerror", None):  # not of the content
            raise WeightsError(f"{path}: cannot be opened ({reason}); {REMEDY}") from error
        problem = f"not a weights file of this project ({quote(error)})"
        raise WeightsError(f"{path}: {problem}; {REMEDY}") from error


def read_facts(file) -> Weights:
    """Return all that a weights file holds but for its arrays."""
    emotions = layout.read_names(file, "emotions", 2, layout.MOST_EMOTIONS)
    names = layout.read_names(file, "feature_names", 1, MOST_OWN_VALUES)
    least = {"mean": -layout.LARGEST_VALUE, "deviation": layout.SMALLEST_DEVIATION}
    statistics = [
        hdf5.read_numbers(file, f"normalisation_{name}", (len(names),), least[name])
        for name in Statistics._fields
    ]
    hop_seconds = FRAMES.hop_seconds
    if "hop_seconds" in file.attributes:
        hop_seconds = hdf5.read_number(
            file, "hop_seconds", SHORTEST_HOP_SECONDS, LONGEST_HOP_SECONDS
        )
    unheard = None
    if "unheard_temperature" in file.attributes:
        temperature = hdf5.read_number(file, "unheard_temperature", *layout.TEMPERATURES)
        shape = (len(emotions),)
        priors = hdf5.read_numbers(file, "unheard_priors", shape, *layout.PRIORS)
        unheard = Calibration(temperature, priors)
    licence = hdf5.read_text(file, "licence") if "licence" in file.attributes else ""
    if not licence.isprintable():
        raise ValueError("licence is not printable")
    return Weights(
        read_stored_hyperparameters(layout.read_json_of(file, "hyperparameters", dict)),
        [],
        Statistics(*statistics),
        hdf5.read_number(file, "temperature", *layout.TEMPERATURES),
        emotions,
        layout.read_scores(file),
        names,
        hop_seconds,
        unheard=unheard,
        licence=licence,
    )


def read_arrays(weights, file, paths=None) -> Weights:
    """Return weights with their arrays, each of which must be there and fit; and no others.

    `paths` has those of the arrays in the file, where they are others than in weights files.
    """
    paths = paths or {path: path for path in file.arrays}
    groups = [name for name in (*layout.GROUPS, "frame_offsets") if has_group(paths, name)]
    expected = list_arrays(weights, groups)
    if missing := sorted(expected.keys() - paths.keys()):
        raise ValueError(f"lacks {missing[0]}")
    if unknown := sorted(paths.keys() - expected.keys()):
        raise ValueError(f"has {unknown[0]}, which does not belong to the networks")
    values = {}
    for path, array in expected.items():
        values[path] = hdf5.read_values(file, paths[path], array.shape, array.kind)
        # Also false if one is not a number.
        if not (values[path].min() >= array.least and values[path].max() <= array.most):
            raise ValueError(f"{path} has values that are not finite, or out of their range")
    count = weights.hyperparameters.members
    members = [take_group(values, f"member_{number}") for number in range(1, 1 + count)]
    further = {
        name: make(**take_group(values, name))
        for name, make in layout.GROUPS.items()
        if name in groups
    }
    return replace(weights, members=members, frame_offsets=values.get("frame_offsets"), **further)


def has_group(paths, name) -> bool:
    """Tell whether there are arrays in a group, or an array of that name."""
    return any(path.partition("/")[0] == name for path in paths)


def take_group(values, group) -> dict:
    """Return the arrays of a group by their paths in it."""
    start = f"{group}/"
    return {
        path.removeprefix(start): each for path, each in values.items() if path.startswith(start)
    }


def read_keras2(file) -> Weights:
    """Return the network of 2018 from the file that Keras 2 saved.

    Its emotions are those of EmoDB, in the same order as here. The statistics of its training
    frames are not known.
    """
    from utility.files.keras2 import find_model

    model = find_model(file)
    if model.class_count != len(EMOTION_LABELS):
        raise ValueError(f"a network of {model.class_count} emotions, whose names are not known")
    hyperparameters = replace(
        PRESETS["seed2018"],
        dense_units=model.dense_units,
        lstm_units=model.lstm_units,
        padded_frames=model.padded_frames,
    )
    count = len(feature_names(hyperparameters.features))
    weights = Weights(
        hyperparameters,
        [],
        Statistics(np.zeros(count), np.ones(count)),
        keras2=model._replace(arrays={}),
    )
    return read_arrays(weights, file, {f"member_1/{name}": it for name, it in model.arrays.items()})


def find_feature_sets(weights) -> dict:
    """Return the feature sets that the networks read, by name."""
    sets = weights.hyperparameters.features
    if weights.hyperparameters.reads_own_features:
        count = len(weights.feature_names)
        return {name: make_own_feature_set(name, count, weights.hop_seconds) for name in sets}
    return {name: FEATURE_SETS[name] for name in sets}


def is_current(weights, file) -> bool:
    """Tell whether the features of weights are those that this program extracts.

    Features that were added to a set since do not matter.
    """
    sets, names = find_feature_sets(weights), weights.feature_names
    if hdf5.read_whole_number(file, "format_version") == 2:
        stored = dict.fromkeys(sets, hdf5.read_whole_number(file, "feature_version"))
    else:
        stored = layout.read_json_of(file, "feature_versions", dict)
    versions = {name: each.version for name, each in sets.items()}
    # In the order of extraction, each once.
    own = weights.hyperparameters.reads_own_features
    in_order = [
        name for name in feature_names(sets, sets if own else FEATURE_SETS) if name in names
    ]
    right_hop = own or weights.hop_seconds == FRAMES.hop_seconds
    return stored == versions and [*names] == in_order and right_hop
