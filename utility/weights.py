"""The weights file: one HDF5 file that holds everything prediction needs.

Each weight is a data set under its path in the network, such as `dense/kernel`.
The attributes of the file say what the network is: class order, features,
hyperparameters, normalisation statistics and measured scores. Reading it builds
arrays, never code.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from utility.audioFeatureExtraction import FEATURE_NAMES, FEATURE_VERSION
from utility.errors import WeightsError
from utility.functions import replaced_when_done
from utility.globalvars import EMOTION_LABELS, Hyperparameters

FORMAT_VERSION = 1
STATISTICS = ("mean", "variance")


@dataclass(frozen=True)
class Weights:
    """A trained network.

    Attributes
    ----------
    hyperparameters : Hyperparameters
    arrays : dict of str to np.ndarray
        By path in the network.
    emotions : tuple of str
        Label of each class, in the order of the probabilities.
    scores : dict
        What `python train.py` measured, as in `metrics.json`, and how.
    """

    hyperparameters: Hyperparameters
    arrays: dict
    emotions: tuple = EMOTION_LABELS
    scores: dict = field(default_factory=dict)


def write_weights(path, weights) -> None:
    """Write a weights file in one atomic step."""
    import h5py

    with replaced_when_done(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["feature_version"] = FEATURE_VERSION
        file.attrs["feature_names"] = json.dumps(FEATURE_NAMES)
        file.attrs["emotions"] = json.dumps(weights.emotions)
        file.attrs["hyperparameters"] = json.dumps(dataclasses.asdict(weights.hyperparameters))
        file.attrs["scores"] = json.dumps(weights.scores)
        for name, array in weights.arrays.items():
            if name.startswith("standardise/"):
                file.attrs[name.replace("standardise/", "normalisation_")] = array
            else:
                file[name] = array


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
            attributes, arrays = dict(file.attrs), {}
            file.visititems(
                lambda name, item: (
                    arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
                )
            )
        version = attributes["format_version"]
        names = tuple(json.loads(attributes["feature_names"]))
        for statistic in STATISTICS:
            if f"normalisation_{statistic}" in attributes:
                arrays[f"standardise/{statistic}"] = attributes[f"normalisation_{statistic}"]
        weights = Weights(
            Hyperparameters(**json.loads(attributes["hyperparameters"])),
            arrays,
            tuple(json.loads(attributes["emotions"])),
            json.loads(attributes["scores"]),
        )
        current = version == FORMAT_VERSION and attributes["feature_version"] == FEATURE_VERSION
        finite = all(np.isfinite(array).all() for array in arrays.values())
    except (OSError, RuntimeError, MemoryError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}: not a weights file of this project ({error}); {remedy}"
        ) from error
    if not current or names != FEATURE_NAMES:
        raise WeightsError(f"{path}: made for other features or another version; {remedy}")
    if not finite:
        raise WeightsError(f"{path}: has weights that are not finite; {remedy}")
    return weights
