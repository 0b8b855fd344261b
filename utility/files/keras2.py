"""The model that the project of 2018 saved with Keras 2: found in its HDF5 file by name.

Only the description of the layers is read, and compared with the network that this project builds
itself; nothing that the file says is built or run.
"""

import json
from typing import NamedTuple

from utility.files.hdf5 import read_text

FEATURE_COUNT = 36
PADDING = -100.0


class Keras2Model(NamedTuple):
    """The network of 2018 in a file of Keras 2.

    Attributes
    ----------
    arrays : dict
        The paths of the arrays in the file, by those in the network "seed2018".
    dense_units, lstm_units, class_count, padded_frames : int
        As the file says, unchecked.
    hard_gates : bool
        Whether the LSTM has the "hard" sigmoid, as was usual up to Keras 2.2.
    repeats_output : bool
        Whether the LSTM repeats its last output for padding, as up to Keras 2.3; later, that is 0.
    """

    arrays: dict
    dense_units: int
    lstm_units: int
    class_count: int
    padded_frames: int
    hard_gates: bool
    repeats_output: bool


def find_model(file) -> Keras2Model:
    """Find the network of 2018 in a file; raise `ValueError` or `KeyError` if it is another.

    Layers may have any names, and be of any size.
    """
    config = json.loads(read_text(file, "model_config"))["config"]
    layers = {layer["name"]: layer for layer in config["layers"]}

    def find_inputs(layer, *kinds):
        (inputs,) = layer["inbound_nodes"]
        found = [layers[name] for name, *_ in inputs]
        require([each["class_name"] for each in found] == [*kinds])
        return found

    ((output, *_),) = config["output_layers"]
    emotion = layers[output]
    (pool,) = find_inputs(emotion, "Dot")
    shares, lstm = find_inputs(pool, "Activation", "Bidirectional")
    (scores,) = find_inputs(shares, "Dot")
    attention, same_lstm = find_inputs(scores, "Dense", "Bidirectional")
    (constant,) = find_inputs(attention, "InputLayer")
    (dropout,) = find_inputs(lstm, "Dropout")
    (dense_2,) = find_inputs(dropout, "Dense")
    (dropout,) = find_inputs(dense_2, "Dropout")
    (dense_1,) = find_inputs(dropout, "Dense")
    (masking,) = find_inputs(dense_1, "Masking")
    (frames,) = find_inputs(masking, "InputLayer")

    cells = lstm["config"]["layer"]
    units, lstm_units = dense_1["config"]["units"], cells["config"]["units"]
    padded_frames = frames["config"]["batch_input_shape"][1]
    class_count = emotion["config"]["units"]
    require(same_lstm is lstm and emotion["class_name"] == "Dense")
    width = {"units": 2 * lstm_units}
    expect(emotion, activation="softmax", use_bias=True)
    expect(pool, axes=1, normalize=False)
    expect(shares, activation="softmax")
    expect(scores, axes=-1, normalize=False)
    expect(attention, activation="softmax", use_bias=True, **width)
    expect(constant, batch_input_shape=[None, *width.values()])
    expect(lstm, merge_mode="concat")
    require(cells["class_name"] == "LSTM")
    expect(cells, activation="tanh", use_bias=True, return_sequences=True, go_backwards=False)
    expect(dense_2, activation="relu", use_bias=True, units=units)
    expect(dense_1, activation="relu", use_bias=True)
    expect(masking, mask_value=PADDING)
    expect(frames, batch_input_shape=[None, padded_frames, FEATURE_COUNT])
    gates = cells["config"]["recurrent_activation"]
    require(gates in ("sigmoid", "hard_sigmoid"))

    dense_layers = {"dense_1": dense_1, "dense_2": dense_2, "attention": attention}
    found = {
        f"{path}/{name}": find_array(file, layer, name)
        for path, layer in (dense_layers | {"emotion": emotion}).items()
        for name in ("kernel", "bias")
    }
    for direction in ("forward", "backward"):
        for name in ("kernel", "recurrent_kernel", "bias"):
            path = f"bilstm/{direction}_lstm/lstm_cell/{name}"
            found[path] = find_array(file, lstm, name, f"/{direction}_")
    sizes = units, lstm_units, class_count, padded_frames
    return Keras2Model(found, *sizes, gates == "hard_sigmoid", is_first_keras(file))


def require(holds) -> None:
    """Raise a `ValueError` if something does not hold of the network of 2018."""
    if not holds:
        raise ValueError("a model of Keras, but not the network of 2018")


def expect(layer, **settings) -> None:
    """Raise an error if a layer has other settings."""
    require(all(layer["config"][name] == value for name, value in settings.items()))


def find_array(file, layer, name, part="") -> str:
    """Find the path of an array of a layer, which depends on the version of Keras."""
    paths = [
        path
        for path in file.arrays
        if path.startswith(f"model_weights/{layer['name']}/")
        and path.rpartition("/")[2].partition(":")[0] == name
        and part in path
    ]
    require(len(paths) == 1)
    return paths[0]


def is_first_keras(file) -> bool:
    """Tell whether a file was written before Keras became a part of TensorFlow."""
    version = read_text(file, "keras_version")
    major, minor, *_ = version.split(".")
    require(major == "2")
    return int(minor) < 4 and not version.endswith("-tf")
