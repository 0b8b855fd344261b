"""The weights file: one HDF5 file that holds everything prediction needs.

Each array is a data set under its member and its path in the network, such as
`member_1/dense/kernel`. The attributes of the file hold the class order, features,
hyperparameters, normalisation statistics, temperature and measured scores. Reading the file
builds arrays and runs no code.
"""

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from utility.errors import WeightsError
from utility.functions import replaced_when_done
from utility.furtherFeatures import FEATURE_SETS, columns_of, feature_names, make_own_feature_set
from utility.globalvars import EMOTION_LABELS, FRAMES
from utility.network.hyperparameters import Hyperparameters, read_hyperparameters
from utility.network.voice import Statistics

# Format 2, of program version 1.0.0, has one feature version for all sets.
FORMAT_VERSION = 3
READABLE_VERSIONS = (2, 3)
# The errors that reading a damaged file can raise.
DAMAGES = (OSError, RuntimeError, MemoryError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Weights:
    """A trained ensemble: networks of one kind whose probabilities are averaged.

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
    """

    hyperparameters: Hyperparameters
    members: list
    statistics: Statistics
    temperature: float = 1.0
    emotions: tuple = EMOTION_LABELS
    scores: list = field(default_factory=list)
    feature_names: tuple | None = None
    hop_seconds: float = FRAMES.hop_seconds

    def __post_init__(self):
        if self.feature_names is None:
            names = feature_names(self.hyperparameters.features)
            object.__setattr__(self, "feature_names", tuple(names))

    @property
    def columns(self) -> list[int]:
        """The columns of frames that the networks read: of `ALL_NAMES`, or all of own features."""
        own = self.hyperparameters.reads_own_features
        return columns_of(self.feature_names, self.feature_names if own else None)

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
        for name, values in weights.statistics._asdict().items():
            file.attrs[f"normalisation_{name}"] = values
        for number, arrays in enumerate(weights.members, 1):
            for name, array in arrays.items():
                file[f"member_{number}/{name}"] = array


def read_weights(path) -> Weights:
    """Read a weights file.

    Raises
    ------
    WeightsError
        If it cannot be opened, is damaged, not one of this project, or made for other features.
    """
    remedy = "use one that train.py wrote, such as weights_blstm_hyperas_1.h5"
    try:
        with open_hdf5(path) as file:
            attributes = dict(file.attrs)
            if attributes["format_version"] not in READABLE_VERSIONS:
                raise WeightsError(f"{path}: made by another version of this project; {remedy}")
            members = [read_arrays(file[f"member_{n}"]) for n in range(1, 1 + len(file))]
        weights = Weights(
            read_hyperparameters(json.loads(attributes["hyperparameters"])),
            members,
            Statistics(attributes["normalisation_mean"], attributes["normalisation_deviation"]),
            float(attributes["temperature"]),
            tuple(json.loads(attributes["emotions"])),
            json.loads(attributes["scores"]),
            tuple(json.loads(attributes["feature_names"])),
            float(attributes.get("hop_seconds", FRAMES.hop_seconds)),
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


def is_sound(weights) -> bool:
    """Tell whether all numbers of weights are there, finite and in their range."""
    statistics, shape = weights.statistics, (len(weights.feature_names),)
    arrays = [array for member in weights.members for array in member.values()]
    return (
        len(weights.members) > 0
        and all(np.isfinite(array).all() for array in [*arrays, *statistics])
        and all(values.shape == shape for values in statistics)
        and (statistics.deviation > 0).all()
        and 0 < weights.temperature < np.inf
        and 0 < weights.hop_seconds < np.inf
    )


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
