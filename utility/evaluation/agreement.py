"""Check that Keras and NumPy compute the same network, whose arrays a weights file can hold.

`utility.network.model` and `utility.network.inference` both define the networks. A layer
that is changed in only one of them would be trained but not predict, or the reverse.
"""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from utility.errors import WeightsError
from utility.network.inference import predict_frames
from utility.network.layout import list_member
from utility.network.model import model_arrays
from utility.network.training import predict_with_keras
from utility.network.weights import Weights

TOLERANCE = 1e-3


def check_definitions_agree(
    model: keras.Model, weights: Weights, clips: Sequence[np.ndarray]
) -> None:
    """Compare the probabilities of a trained model in Keras and in NumPy.

    Only the hyperparameters, statistics and emotions of `weights` are used. The clips, each
    (frames, features), have the columns that the network reads. Raises `WeightsError` if the
    probabilities differ, or only one of the two definitions uses an array, or
    `utility.network.layout` lists others.
    """
    weights = dataclasses.replace(weights, members=[model_arrays(model)], temperature=1.0)
    in_keras = predict_with_keras(model, clips, weights.hyperparameters)
    difference = np.abs(predict_frames(weights, clips)[0] - in_keras).max()
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"the two definitions of the network disagree by {difference:.2g} on the same frames; "
            "make utility/network/model.py and utility/network/inference.py compute the same"
        )
    shapes = {path: array.shape for path, array in weights.members[0].items()}
    facts = weights.hyperparameters, len(weights.statistics.mean), len(weights.emotions)
    listed = {path: array.shape for path, array in list_member(*facts).items()}
    if differing := sorted(path for path, _ in shapes.items() ^ listed.items()):
        raise WeightsError(
            f"utility/network/layout.py lists {differing[0]} otherwise than model.py beside it"
        )
