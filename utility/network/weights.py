"""The weights file: one HDF5 file that holds everything prediction needs.

Each array is a data set under its member and its path in the network, such as
`member_1/dense/kernel`. The attributes of the file hold the class order, features,
hyperparameters, normalisation statistics, temperature and measured scores. Reading the file
builds arrays and runs no code.
"""

import io
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utility.errors import WeightsError
from utility.functions import replaced_when_done
from utility.furtherFeatures import FEATURE_SETS, columns_of, feature_names, make_own_feature_set
from utility.globalvars import EMOTION_LABELS, FRAMES, SHIPPED_WEIGHTS
from utility.network.hyperparameters import Hyperparameters, read_stored_hyperparameters
from utility.voices.baseline import Statistics
from utility.voices.discriminant import Discriminant
from utility.voices.familiarity import COEFFICIENTS, KEPT_DISTANCES, Familiarity
from utility.voices.functionals import FUNCTIONALS_PER_FEATURE

# Format 2, of program version 1.0.0, has one feature version for all sets. Up to format 3, there is
# no discriminant.
FORMAT_VERSION = 4
READABLE_VERSIONS = (2, 3, 4)
# What a weights file may have beside the networks, each in a group of its own.
GROUPS = {"discriminant": Discriminant, "familiarity": Familiarity}
# The errors that reading a damaged file can raise.
DAMAGES = (OSError, RuntimeError, MemoryError, AttributeError, KeyError, TypeError, ValueError)


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
    with replaced_when_done(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["feature_versions"] = json.dumps(versions)
        file.attrs["feature_names"] = json.dumps(weights.feature_names)
        file.attrs["hop_seconds"] = weights.hop_seconds
        file.attrs["emotions"] = json.dumps(weights.emotions)
        file.attrs["hyperparameters"] = json.dumps(asdict(weights.hyperparameters))
        file.attrs["scores"] = json.dumps(weights.scores)
        file.attrs["temperature"] = weights.temperature
        file.attrs["licence"] = weights.licence
        for name, values in weights.statistics._asdict().items():
            file.attrs[f"normalisation_{name}"] = values
        if weights.unheard is not None:
            file.attrs["unheard_temperature"] = weights.unheard.temperature
            file.attrs["unheard_priors"] = weights.unheard.priors
        if weights.frame_offsets is not None:
            file["frame_offsets"] = weights.frame_offsets
        groups = {f"member_{n}": arrays for n, arrays in enumerate(weights.members, 1)}
        for name in GROUPS:
            if (values := getattr(weights, name)) is not None:
                groups[name] = values._asdict()
        for group, arrays in groups.items():
            for name, array in arrays.items():
                file[f"{group}/{name}"] = array


def read_weights(path) -> Weights:
    """Read a weights file, given by its path or as a name in `SHIPPED_WEIGHTS`.

    Raises
    ------
    WeightsError
        If it cannot be opened, is damaged, not one of this project, or made for other features.
    """
    path = SHIPPED_WEIGHTS.get(str(path), path)
    remedy = "use one that train.py wrote, such as weights_blstm_hyperas_1.h5"
    try:
        with open_hdf5(path) as file:
            attributes = dict(file.attrs)
            if attributes["format_version"] not in READABLE_VERSIONS:
                raise WeightsError(f"{path}: made by another version of this project; {remedy}")
            member_count = sum(name.startswith("member_") for name in file)
            members = [read_arrays(file[f"member_{n}"]) for n in range(1, 1 + member_count)]
            further = {
                name: make(**read_arrays(file[name]))
                for name, make in GROUPS.items()
                if name in file
            }
            if "frame_offsets" in file:
                further["frame_offsets"] = file["frame_offsets"][()]
        weights = Weights(
            read_stored_hyperparameters(json.loads(attributes["hyperparameters"])),
            members,
            Statistics(attributes["normalisation_mean"], attributes["normalisation_deviation"]),
            float(attributes["temperature"]),
            tuple(json.loads(attributes["emotions"])),
            json.loads(attributes["scores"]),
            tuple(json.loads(attributes["feature_names"])),
            float(attributes.get("hop_seconds", FRAMES.hop_seconds)),
            unheard=read_unheard(attributes),
            licence=str(attributes.get("licence", "")),
            **further,
        )
        current, sound = is_current(weights, attributes), is_sound(weights)
    except WeightsError:
        raise
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such weights file; {remedy}") from error
    except DAMAGES as error:
        if reason := getattr(error, "strerror", None):  # not of the content
            raise WeightsError(f"{path}: cannot be opened ({reason}); {remedy}") from error
        problem = f"not a weights file of this project ({error})"
        raise WeightsError(f"{path}: {problem}; {remedy}") from error
    if not current:
        raise WeightsError(f"{path}: made for other features; {remedy}")
    if not sound:
        raise WeightsError(f"{path}: damaged, with numbers missing or not finite; {remedy}")
    return weights


def open_hdf5(path):
    """Open an HDF5 file to read, also one that another process holds open."""
    import h5py

    try:
        return h5py.File(path, "r", locking=False)
    except OSError:
        # Files of HDF5's latest format say themselves that they are open to write; content that
        # is read by Python is not asked. If it cannot be read, Python says why.
        return h5py.File(io.BytesIO(Path(path).read_bytes()), "r")


def read_unheard(attributes) -> Calibration | None:
    """Return the calibration for recordings of other sources, if there is one."""
    if "unheard_temperature" not in attributes:
        return None
    return Calibration(float(attributes["unheard_temperature"]), attributes["unheard_priors"])


def is_sound(weights) -> bool:
    """Tell whether all numbers of weights are there, finite and in their range."""
    statistics, shape = weights.statistics, (len(weights.feature_names),)
    arrays = [array for member in weights.members for array in member.values()]
    shapes = list_shapes(weights)
    further = [array for array, _ in shapes]
    return (
        len(weights.members) > 0
        and all(np.isfinite(array).all() for array in [*arrays, *statistics, *further])
        and all(values.shape == shape for values in statistics)
        and all(array.shape == shape for array, shape in shapes)
        and (weights.discriminant is None or (weights.discriminant.deviation > 0).all())
        and (weights.unheard is None or is_calibration(weights.unheard))
        and (statistics.deviation > 0).all()
        and 0 < weights.temperature < np.inf
        and 0 < weights.hop_seconds < np.inf
    )


def list_shapes(weights) -> list[tuple]:
    """List the arrays beside those of the networks, each with the shape that it must have."""
    emotions, features = len(weights.emotions), len(weights.feature_names)
    functionals, shapes = features * FUNCTIONALS_PER_FEATURE, []
    if weights.discriminant is not None:
        kernel, bias, mean, deviation, offsets = weights.discriminant
        shapes += [(kernel, (functionals, emotions)), (bias, (emotions,))]
        shapes += [(mean, (functionals,)), (deviation, (functionals,))]
        shapes += [(offsets, (emotions, functionals))]
    if weights.familiarity is not None:
        count, (mean, whitening, distances) = 2 * COEFFICIENTS, weights.familiarity
        shapes += [(mean, (count,)), (whitening, (count, count)), (distances, (KEPT_DISTANCES,))]
    if weights.frame_offsets is not None:
        shapes += [(weights.frame_offsets, (emotions, features))]
    if weights.unheard is not None:
        shapes += [(weights.unheard.priors, (emotions,))]
    return shapes


def is_calibration(calibration) -> bool:
    """Tell whether the numbers of a calibration are in their range."""
    return 0 < calibration.temperature < np.inf and (calibration.priors > 0).all()


def find_feature_sets(weights) -> dict:
    """Return the feature sets that the networks read, by name."""
    sets = weights.hyperparameters.features
    if weights.hyperparameters.reads_own_features:
        count = len(weights.feature_names)
        return {name: make_own_feature_set(name, count, weights.hop_seconds) for name in sets}
    return {name: FEATURE_SETS[name] for name in sets}


def is_current(weights, attributes) -> bool:
    """Tell whether the features of weights are those that this program extracts.

    Features that were added to a set since do not matter.
    """
    sets, names = find_feature_sets(weights), weights.feature_names
    if attributes["format_version"] == 2:
        stored = dict.fromkeys(sets, int(attributes["feature_version"]))
    else:
        stored = json.loads(attributes["feature_versions"])
    versions = {name: each.version for name, each in sets.items()}
    # In the order of extraction, each once.
    order = sets if weights.hyperparameters.reads_own_features else FEATURE_SETS
    in_order = [name for name in feature_names(sets, order) if name in names]
    return len(names) > 0 and stored == versions and [*names] == in_order


def read_arrays(group) -> dict:
    """Return the data sets of a group by their paths in it."""
    paths = []
    group.visit(paths.append)
    items = {path: group[path] for path in paths}
    return {path: item[()] for path, item in items.items() if hasattr(item, "shape")}
