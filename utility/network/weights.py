"""The weights file: one HDF5 file that holds everything prediction needs.

Each weight is a data set under its member and its path in the network, such as
`member_1/dense/kernel`. The attributes of the file say what the network is: class
order, features, hyperparameters, normalisation statistics, temperature and measured
scores. Reading it builds arrays, never code.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from utility.audioFeatureExtraction import FEATURE_VERSION
from utility.errors import WeightsError
from utility.functions import replaced_when_done
from utility.furtherFeatures import ALL_NAMES
from utility.globalvars import EMOTION_LABELS, Hyperparameters
from utility.network.voice import Statistics

FORMAT_VERSION = 2
# What reading a damaged file can raise.
DAMAGES = (OSError, RuntimeError, MemoryError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Weights:
    """Trained networks of one kind, whose probabilities are averaged.

    Attributes
    ----------
    hyperparameters : Hyperparameters
    members : list of dict of str to np.ndarray
        For each network, its arrays by their paths.
    statistics : Statistics
        Of the frames that they were trained on.
    temperature : float
        Probabilities are raised to the power of 1 / temperature, and sum to 1 again.
    emotions : tuple of str
        Label of each class, in the order of the probabilities.
    scores : list of dict
        What was measured of the recipe, and by which protocol, as in `metrics.json`.
    """

    hyperparameters: Hyperparameters
    members: list
    statistics: Statistics
    temperature: float = 1.0
    emotions: tuple = EMOTION_LABELS
    scores: list = field(default_factory=list)


def write_weights(path, weights) -> None:
    """Write a weights file in one atomic step."""
    import h5py

    with replaced_when_done(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["feature_version"] = FEATURE_VERSION
        file.attrs["feature_names"] = json.dumps(ALL_NAMES[: weights.hyperparameters.features])
        file.attrs["emotions"] = json.dumps(weights.emotions)
        file.attrs["hyperparameters"] = json.dumps(dataclasses.asdict(weights.hyperparameters))
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
        If it is missing, damaged, not one of this project, or made for other features.
    """
    import h5py

    remedy = "use one that train.py wrote, such as weights_blstm_hyperas_1.h5"
    if not Path(path).is_file():
        raise WeightsError(f"{path}: no such weights file; {remedy}")
    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
            if attributes["format_version"] != FORMAT_VERSION:
                raise WeightsError(f"{path}: made by another version of this project; {remedy}")
            members = [read_arrays(file[f"member_{n}"]) for n in range(1, 1 + len(file))]
        hyperparameters = Hyperparameters(**json.loads(attributes["hyperparameters"]))
        weights = Weights(
            hyperparameters,
            members,
            Statistics(attributes["normalisation_mean"], attributes["normalisation_deviation"]),
            float(attributes["temperature"]),
            tuple(json.loads(attributes["emotions"])),
            json.loads(attributes["scores"]),
        )
        names = tuple(json.loads(attributes["feature_names"]))
        expected = ALL_NAMES[: hyperparameters.features]
        current = attributes["feature_version"] == FEATURE_VERSION and names == expected
        arrays = [array for member in members for array in member.values()]
        finite = all(np.isfinite(array).all() for array in [*arrays, *weights.statistics])
        shaped = all(values.shape == (len(expected),) for values in weights.statistics)
        positive = (weights.statistics.deviation > 0).all() and 0 < weights.temperature < np.inf
        sound = finite and shaped and positive and len(members) > 0
    except DAMAGES as error:
        raise WeightsError(
            f"{path}: not a weights file of this project ({error}); {remedy}"
        ) from error
    if not current:
        raise WeightsError(f"{path}: made for other features; {remedy}")
    if not sound:
        raise WeightsError(f"{path}: damaged, with numbers missing or not finite; {remedy}")
    return weights


def read_arrays(group) -> dict:
    """Return the data sets of a group by their paths in it."""
    import h5py

    arrays = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    group.visititems(keep)
    return arrays
