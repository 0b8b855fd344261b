"""Weights files that are made to do harm, and whole ones to make them of, without TensorFlow."""

import json
import os

import h5py
import numpy as np

from made import SMALL, SMALL_2018
from utility.furtherFeatures import ALL_NAMES
from utility.globalvars import EMOTION_LABELS
from utility.network import layout
from utility.network.weights import Calibration, Weights
from utility.voices.baseline import Statistics
from utility.voices.discriminant import Discriminant
from utility.voices.familiarity import Familiarity

KERNEL, BIAS = "member_1/dense/kernel", "member_1/dense/bias"


def make_weights():
    """Return weights of two small networks with everything that a file can hold."""
    random = np.random.default_rng(0)

    def draw(arrays, group=""):
        return {
            path.removeprefix(group): np.abs(random.normal(0, 0.3, array.shape)).astype(array.kind)
            for path, array in arrays.items()
        }

    count = len(EMOTION_LABELS)
    member = layout.list_member(SMALL, len(ALL_NAMES), count)
    groups = {name: layout.list_group(name, ALL_NAMES, count) for name in layout.GROUPS}
    offsets = draw(layout.list_group("frame_offsets", ALL_NAMES, count))["frame_offsets"]
    return Weights(
        SMALL,
        [draw(member), draw(member)],
        Statistics(random.normal(size=66), random.uniform(0.5, 2, 66)),
        scores=[{"protocol": "loso", "data": ["berlin"]}],
        discriminant=Discriminant(**draw(groups["discriminant"], "discriminant/")),
        familiarity=Familiarity(**draw(groups["familiarity"], "familiarity/")),
        frame_offsets=offsets,
        unheard=Calibration(2.0, np.ones(count)),
        licence="of tests",
    )


def make_2018_weights():
    """Return random weights of a small network of 2018."""
    random = np.random.default_rng(0)
    arrays = {
        path: random.normal(0, 0.3, array.shape).astype(array.kind)
        for path, array in layout.list_member(SMALL_2018, 36, 7).items()
    }
    return Weights(SMALL_2018, [arrays], None)


def write_keras2_model(path, weights, version="2.2.0"):
    """Write weights of the network of 2018 as Keras 2 did in that year."""
    hyperparameters = weights.hyperparameters
    units, cells = hyperparameters.dense_units, hyperparameters.lstm_units
    frames = hyperparameters.padded_frames
    dense = {"activation": "relu", "use_bias": True, "units": units}
    lstm = {"activation": "tanh", "recurrent_activation": "hard_sigmoid", "units": cells}
    lstm |= {"use_bias": True, "return_sequences": True, "go_backwards": False}
    attention = {"activation": "softmax", "use_bias": True, "units": 2 * cells}
    layers = [
        ("InputLayer", "input_5", {"batch_input_shape": [None, frames, 36]}),
        ("Masking", "masking_3", {"mask_value": -100.0}, "input_5"),
        ("Dense", "dense_9", dense, "masking_3"),
        ("Dropout", "dropout_5", {"rate": 0.5}, "dense_9"),
        ("Dense", "dense_10", dense, "dropout_5"),
        ("InputLayer", "input_6", {"batch_input_shape": [None, 2 * cells]}),
        ("Dropout", "dropout_6", {"rate": 0.5}, "dense_10"),
        ("Dense", "dense_11", attention, "input_6"),
        (
            *("Bidirectional", "bidirectional_3"),
            {"layer": {"class_name": "LSTM", "config": lstm}, "merge_mode": "concat"},
            "dropout_6",
        ),
        ("Dot", "dot_5", {"axes": -1, "normalize": False}, "dense_11", "bidirectional_3"),
        ("Activation", "activation_3", {"activation": "softmax"}, "dot_5"),
        ("Dot", "dot_6", {"axes": 1, "normalize": False}, "activation_3", "bidirectional_3"),
        ("Dense", "dense_12", attention | {"units": 7}, "dot_6"),
    ]
    config = {
        "layers": [
            {
                "class_name": kind,
                "name": name,
                "config": settings | {"name": name},
                "inbound_nodes": [[[source, 0, 0, {}] for source in sources]] if sources else [],
            }
            for kind, name, settings, *sources in layers
        ],
        "output_layers": [["dense_12", 0, 0]],
    }
    names = {"dense_1": "dense_9", "dense_2": "dense_10", "attention": "dense_11"}
    names |= {"emotion": "dense_12", "bilstm": "bidirectional_3"}
    with h5py.File(path, "w") as file:
        for name, text in (
            *(("keras_version", version), ("backend", "tensorflow")),
            ("model_config", json.dumps({"class_name": "Model", "config": config})),
        ):
            file.attrs[name] = np.bytes_(text.encode())
        for place, array in weights.members[0].items():
            layer, *parts = place.split("/")
            ending = "/".join(part for part in parts if part != "lstm_cell")
            ending = ending.replace("_lstm/", "_lstm_3/")
            name = names[layer]
            file[f"model_weights/{name}/BLSTMLayer/{name}/{ending}:0"] = array
            file[f"optimizer_weights/training/Adam/{name}/{ending}:0"] = array
        file["optimizer_weights/Adam/iterations:0"] = np.int64(10)


# Edits of an open file, each a function of it; `folder` has a "secret" of bytes and a "pipe".


def replace_array(path, **options):
    """Let a data set be made anew with these options."""

    def edit(file, folder):
        shape = options.get("shape", file[path].shape if path in file else None)
        del file[path]
        made = {"dtype": "<f4"} | options | {"shape": shape}
        file.create_dataset(path, **made)

    return edit


def put(path, value):
    """Let a data set be another array."""

    def edit(file, folder):
        del file[path]
        file[path] = value

    return edit


def fill(path, value):
    """Let a data set have a value at its beginning."""

    def edit(file, folder):
        file[path][(0,) * file[path].ndim] = value

    return edit


def link(path, value):
    """Let a path be a link."""

    def edit(file, folder):
        del file[path]
        file[path] = value(folder) if callable(value) else value

    return edit


def set_attribute(name, value):
    """Let an attribute have another value; a list or dictionary is written as JSON."""
    value = json.dumps(value) if isinstance(value, list | dict) else value

    def edit(file, folder):
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value

    return edit


def set_hyperparameter(name, value):
    """Let a hyperparameter have another value."""

    def edit(file, folder):
        values = json.loads(file.attrs["hyperparameters"]) | {name: value}
        file.attrs["hyperparameters"] = json.dumps(values)

    return edit


def set_external(name, shape=None):
    """Let the bytes of a data set be in another file."""

    def edit(file, folder):
        wanted = shape or file[KERNEL].shape
        size = int(np.prod(wanted)) * 4
        path = name if name.startswith("/") else str(folder / name)
        replace_array(KERNEL, shape=wanted, external=[(path, 0, size)])(file, folder)

    return edit


def set_virtual(name):
    """Let a data set be a view of one in another file."""

    def edit(file, folder):
        shape = file[KERNEL].shape
        del file[KERNEL]
        view = h5py.VirtualLayout(shape, "<f4")
        view[:] = h5py.VirtualSource(str(folder / name), KERNEL, shape)
        file.create_virtual_dataset(KERNEL, view)

    return edit


def late(path, shape):
    """Let a data set say that it is large, with nothing stored."""

    def edit(file, folder):
        del file[path]
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
        links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
        space, kind = h5py.h5s.create_simple(shape), h5py.h5t.IEEE_F32LE
        h5py.h5d.create(file.id, path.encode(), kind, space, how, links)

    return edit


def nest(levels):
    """Let groups lie in each other."""

    def edit(file, folder):
        group = file["member_1"]
        for _ in range(levels):
            group = group.create_group("a")

    return edit


def add_many(count, make):
    """Add many objects to a group."""

    def edit(file, folder):
        for number in range(count):
            make(file, number)

    return edit


def share_members(file, folder):
    for number in range(3, 1000):
        file[f"member_{number}"] = file["member_1"]
    set_hyperparameter("members", 999)(file, folder)


def make_null(file, folder):
    del file[KERNEL]
    file[KERNEL] = h5py.Empty("<f4")


def name_a_type(file, folder):
    file["member_1/type"] = np.dtype("<f4")


def shuffle_bytes(file, folder):
    values = file[KERNEL][()]
    replace_array(KERNEL, data=values, shape=values.shape, shuffle=True)(file, folder)


def clear(file, folder):
    file.clear()


COMPOUND = np.dtype([("a", "<f4")])
NAN = float("nan")
EDITS = {
    # Links
    "a soft link to a member": link("member_2", h5py.SoftLink("/member_1")),
    "a soft link to itself": link("member_2", h5py.SoftLink("/member_2")),
    "a soft link to nothing": link("member_2", h5py.SoftLink("/nothing")),
    "a link to another file": link(
        "member_2", lambda folder: h5py.ExternalLink(str(folder / "other.h5"), "/member_1")
    ),
    "a link to a pipe": link(
        "member_2", lambda folder: h5py.ExternalLink(str(folder / "pipe"), "/member_1")
    ),
    "a link to a device": link("member_2", h5py.ExternalLink("/dev/zero", "/member_1")),
    "an array that is linked to another file": link(
        KERNEL, lambda folder: h5py.ExternalLink(str(folder / "other.h5"), KERNEL)
    ),
    "all of itself as a member": lambda file, folder: link("member_2", file["/"])(file, folder),
    "a circle of links": lambda file, folder: file["member_1"].__setitem__("a", file["/"]),
    "a member that is linked a thousand times": share_members,
    "a thousand levels of groups": nest(1000),
    "twenty levels of groups": nest(20),
    "8,000 groups": add_many(8000, lambda file, n: file.create_group(f"a/{n}")),
    "a type by name": name_a_type,
    # Storage
    "bytes in another file": set_external("secret"),
    "bytes in a pipe": set_external("pipe"),
    "bytes in a device": set_external("/dev/zero"),
    "2 GB in a device": set_external("/dev/zero", (2**29,)),
    "a view of another file": set_virtual("other.h5"),
    "a view of a pipe": set_virtual("pipe"),
    "an array in pieces": replace_array(KERNEL, chunks=(4, 4)),
    "an array that can grow": replace_array(KERNEL, maxshape=(None, None)),
    "a compressed array": replace_array(KERNEL, compression="gzip"),
    "an array compressed in another way": replace_array(KERNEL, compression="lzf"),
    "an array with shuffled bytes": shuffle_bytes,
    "an array with checksums": replace_array(KERNEL, fletcher32=True),
    "an array of rounded numbers": replace_array(KERNEL, dtype="<i4", scaleoffset=0),
    "4 GB that are not there": late(KERNEL, (2**30,)),
    "4 GB in pieces": replace_array(KERNEL, shape=(2**30,), chunks=(2**20,)),
    "2 GB of bytes in pieces": replace_array(KERNEL, shape=(2**31,), dtype="u1", chunks=(2**20,)),
    "1 GB of zeros, compressed": replace_array(
        KERNEL, shape=(2**28,), chunks=(2**20,), compression="gzip", fillvalue=1
    ),
    "an exabyte": replace_array(KERNEL, shape=(2**58,), chunks=(2**20,)),
    "an array of the right shape that is not there": late(KERNEL, (396, 8)),
    # Types
    "double precision": put(KERNEL, np.zeros((396, 8))),
    "half precision": put(KERNEL, np.zeros((396, 8), "<f2")),
    "the other byte order": put(KERNEL, np.zeros((396, 8), ">f4")),
    "whole numbers": put(KERNEL, np.zeros((396, 8), "<i4")),
    "bytes for numbers": put(KERNEL, np.zeros((396, 8), "i1")),
    "truth values": put(KERNEL, np.zeros((396, 8), bool)),
    "complex numbers": put(KERNEL, np.zeros((396, 8), "<c8")),
    "long doubles": put(KERNEL, np.zeros((396, 8), np.longdouble)),
    "texts of one letter": put(KERNEL, np.full((396, 8), b"a")),
    "texts of any length": replace_array(KERNEL, dtype=h5py.string_dtype()),
    "arrays of any length": replace_array(KERNEL, dtype=h5py.vlen_dtype("<f4")),
    "references": replace_array(KERNEL, dtype=h5py.ref_dtype),
    "references to regions": replace_array(KERNEL, dtype=h5py.regionref_dtype),
    "structures": put(KERNEL, np.zeros((396, 8), COMPOUND)),
    "raw memory": put(KERNEL, np.zeros((396, 8), "V4")),
    "names for numbers": replace_array(KERNEL, dtype=h5py.enum_dtype({"a": 1}, "<i4")),
    "arrays of arrays": replace_array(KERNEL, dtype=np.dtype(("<f4", (2,)))),
    # Shapes
    "a bias that is added to everything": put(BIAS, np.zeros((20_000, 1, 1), "<f4")),
    "a kernel the other way round": put(KERNEL, np.zeros((8, 396), "<f4")),
    "a wide kernel of the attention": put(
        "member_1/attention/kernel", np.zeros((12, 10_000), "<f4")
    ),
    "a kernel with a dimension more": put(KERNEL, np.zeros((1, 396, 8), "<f4")),
    "a kernel in one dimension": put(KERNEL, np.zeros(396 * 8, "<f4")),
    "a kernel that is a number": put(KERNEL, np.float32(1)),
    "a kernel of nothing": put(KERNEL, np.zeros((0, 8), "<f4")),
    "a kernel without a shape": make_null,
    "outputs for six emotions": put("member_1/emotion/bias", np.zeros(6, "<f4")),
    "a discriminant of six emotions": put("discriminant/bias", np.zeros(6, "<f4")),
    "a discriminant of other features": put("discriminant/mean", np.zeros(10, "<f4")),
    "offsets of other features": put("frame_offsets", np.zeros((7, 36))),
    "offsets in single precision": put("frame_offsets", np.zeros((7, 66), "<f4")),
    "offsets that are a group": lambda file, folder: (
        file.move("frame_offsets", "further"),
        file.create_group("frame_offsets"),
        file.move("further", "frame_offsets/a"),
    ),
    "a familiarity of many values": put("familiarity/whitening", np.zeros((1200, 1200))),
    "a million distances": put("familiarity/distances", np.zeros(1_000_000)),
    # Values
    "a weight that is not a number": fill(KERNEL, NAN),
    "an infinite weight": fill(KERNEL, np.inf),
    "a weight of -1e30": fill(KERNEL, -1e30),
    "an infinite discriminant": fill("discriminant/kernel", np.inf),
    "a discriminant of 1e38": fill("discriminant/bias", 1e38),
    "a discriminant's deviation of 0": fill("discriminant/deviation", 0),
    "a discriminant's deviation below 0": fill("discriminant/deviation", -1),
    "a discriminant's deviation of 1e-40": fill("discriminant/deviation", 1e-40),
    "infinite offsets": fill("frame_offsets", -np.inf),
    "a familiarity that is not a number": fill("familiarity/mean", NAN),
    # What is there
    "nothing in it": clear,
    "a kernel missing": lambda file, folder: file.__delitem__(KERNEL),
    "a member missing": lambda file, folder: file.__delitem__("member_2"),
    "a part of the discriminant missing": lambda file, folder: file.__delitem__(
        "discriminant/offsets"
    ),
    "a part of the familiarity missing": lambda file, folder: file.__delitem__("familiarity/mean"),
    "a member more": lambda file, folder: file.copy("member_1", "member_3"),
    "a layer more": lambda file, folder: file.copy("member_1/dense", "member_1/dense_2"),
    "an array that nothing reads": lambda file, folder: file.__setitem__("a", np.zeros(3, "<f4")),
    # Hyperparameters
    "a hundred members, but two are stored": set_hyperparameter("members", 100),
    "one member, but two are stored": set_hyperparameter("members", 1),
    "no members": set_hyperparameter("members", 0),
    "a billion members": set_hyperparameter("members", 10**9),
    "an LSTM of 10 ** 12 units": set_hyperparameter("lstm_units", 10**12),
    "an LSTM of 7 units": set_hyperparameter("lstm_units", 7),
    "a layer of a million units": set_hyperparameter("dense_units", 10**6),
    "a million heads": set_hyperparameter("attention_heads", 10**6),
    "steps of 10 ** 18 frames": set_hyperparameter("frames_per_step", 10**18),
    "steps of 10 ** 30 frames": set_hyperparameter("frames_per_step", 10**30),
    "steps of no frames": set_hyperparameter("frames_per_step", 0),
    "steps of a fraction": set_hyperparameter("frames_per_step", 1.5),
    "steps of a text": set_hyperparameter("frames_per_step", "10"),
    "a discriminant that counts 10 ** 300 times": set_hyperparameter("discriminant_weight", 1e300),
    "a discriminant that counts negatively": set_hyperparameter("discriminant_weight", -1),
    "another network": set_hyperparameter("network", "seed2018"),
    "an unknown network": set_hyperparameter("network", "\x1b[2J\n"),
    "a network that is a list": set_hyperparameter("network", []),
    "an unknown hyperparameter": set_hyperparameter("a\x1b[2J\nb", 1),
    "features with an escape": set_hyperparameter("features", ["\x1b[2J"]),
    "features that are numbers": set_hyperparameter("features", [1, 2]),
    "the features of a stranger": set_hyperparameter("features", ["mine"]),
    "hyperparameters that are a list": set_attribute("hyperparameters", []),
    "hyperparameters that are a number": set_attribute("hyperparameters", "1"),
    "hyperparameters that are no JSON": set_attribute("hyperparameters", "{"),
    "hyperparameters in ten thousand brackets": set_attribute("hyperparameters", "[" * 10_000),
    "hyperparameters of 2 MB": set_attribute("hyperparameters", " " * 2_000_000 + "{}"),
    "default hyperparameters": set_attribute("hyperparameters", "{}"),
    # Emotions
    "emotions that are numbers": set_attribute("emotions", [*range(7)]),
    "emotions that are a text": set_attribute("emotions", '"abcdefg"'),
    "emotions that are a dictionary": set_attribute("emotions", dict.fromkeys("abcdefg", 1)),
    "emotions in lists": set_attribute("emotions", [["a"]] * 7),
    "seven times the same emotion": set_attribute("emotions", ["anger"] * 7),
    "one emotion": set_attribute("emotions", ["anger"]),
    "six emotions": set_attribute("emotions", [*"abcdef"]),
    "101 emotions": set_attribute("emotions", [f"a{number}" for number in range(101)]),
    "an emotion with an escape": set_attribute("emotions", ["\x1b[2J", *"bcdefg"]),
    "an emotion with a line break": set_attribute("emotions", ["a\nb", *"bcdefg"]),
    "an emotion that is half a character": set_attribute("emotions", ["\ud800", *"bcdefg"]),
    "an emotion that turns the line round": set_attribute("emotions", ["\u202e", *"bcdefg"]),
    "an emotion that is named like a column": set_attribute("emotions", ["seed", *"bcdefg"]),
    "an emotion that is named like a column of predict.py": set_attribute(
        "emotions", ["label", *"bcdefg"]
    ),
    "an emotion without a name": set_attribute("emotions", ["", *"bcdefg"]),
    "an emotion of 10,000 letters": set_attribute("emotions", ["a" * 10_000, *"bcdefg"]),
    "emotions that are no JSON": set_attribute("emotions", "anger"),
    "emotions that are not UTF-8": set_attribute("emotions", np.bytes_(b"\xff\xfe")),
    "emotions as an array of texts": set_attribute("emotions", np.array([b"a", b"b"], dtype="S1")),
    "no emotions": set_attribute("emotions", None),
    "half a character in scores": set_attribute("scores", [{"data": ["\ud800"]}]),
    # Other attributes
    "no format version": set_attribute("format_version", None),
    "a format version to come": set_attribute("format_version", 99),
    "a format version that is a text": set_attribute("format_version", "4"),
    "a format version that is a fraction": set_attribute("format_version", 4.0),
    "format versions in an array": set_attribute("format_version", np.array([4, 4])),
    "a million format versions": set_attribute("format_version", np.zeros((100, 80), int)),
    "no temperature": set_attribute("temperature", None),
    "a temperature that is a text": set_attribute("temperature", "1.5"),
    "a temperature of 0": set_attribute("temperature", 0.0),
    "a temperature below 0": set_attribute("temperature", -1.0),
    "a temperature that is not a number": set_attribute("temperature", NAN),
    "an infinite temperature": set_attribute("temperature", np.inf),
    "a temperature of 1e-320": set_attribute("temperature", 1e-320),
    "a temperature of 1e300": set_attribute("temperature", 1e300),
    "a complex temperature": set_attribute("temperature", 1j),
    "temperatures in an array": set_attribute("temperature", np.ones(7)),
    "a temperature without a value": set_attribute("temperature", h5py.Empty("<f8")),
    "no mean": set_attribute("normalisation_mean", None),
    "means that are complex": set_attribute("normalisation_mean", np.zeros(66, complex)),
    "means that are texts": set_attribute("normalisation_mean", np.full(66, b"1")),
    "means of other features": set_attribute("normalisation_mean", np.zeros(36)),
    "means in two dimensions": set_attribute("normalisation_mean", np.zeros((66, 1))),
    "means that are not numbers": set_attribute("normalisation_mean", np.full(66, NAN)),
    "deviations of 0": set_attribute("normalisation_deviation", np.zeros(66)),
    "deviations below 0": set_attribute("normalisation_deviation", -np.ones(66)),
    "deviations of 1e-320": set_attribute("normalisation_deviation", np.full(66, 1e-320)),
    "infinite deviations": set_attribute("normalisation_deviation", np.full(66, np.inf)),
    "a hop of 0": set_attribute("hop_seconds", 0.0),
    "a hop below 0": set_attribute("hop_seconds", -0.01),
    "a hop of a year": set_attribute("hop_seconds", 3e7),
    "a hop that is not a number": set_attribute("hop_seconds", NAN),
    "a hop of another length": set_attribute("hop_seconds", 0.02),
    "no feature names": set_attribute("feature_names", []),
    "feature names that are a text": set_attribute("feature_names", '"zcr"'),
    "a feature name with an escape": set_attribute("feature_names", ["\x1b[2J"]),
    "feature names twice": set_attribute("feature_names", [*ALL_NAMES[:65], ALL_NAMES[0]]),
    "a hundred thousand feature names": set_attribute(
        "feature_names", [f"a{number}" for number in range(60_000)]
    ),
    "feature versions that are a list": set_attribute("feature_versions", [1, 1]),
    "a feature version to come": set_attribute("feature_versions", {"original": 2, "further": 1}),
    "no feature versions": set_attribute("feature_versions", None),
    "scores that are a number": set_attribute("scores", "1"),
    "scores that are numbers": set_attribute("scores", [1]),
    "scores of data that are a number": set_attribute("scores", [{"data": 5}]),
    "scores of data that are numbers": set_attribute("scores", [{"data": [5]}]),
    "scores in ten thousand brackets": set_attribute("scores", "[" * 10_000),
    "no scores": set_attribute("scores", None),
    "a licence with an escape": set_attribute("licence", "\x1b[2J"),
    "a licence that is a number": set_attribute("licence", 5),
    "an unheard temperature of 0": set_attribute("unheard_temperature", 0.0),
    "an unheard temperature that is a text": set_attribute("unheard_temperature", "1"),
    "priors missing": set_attribute("unheard_priors", None),
    "priors of 0": set_attribute("unheard_priors", np.zeros(7)),
    "a prior below 0": set_attribute("unheard_priors", np.array([-1.0] + [1] * 6)),
    "priors of 1e300": set_attribute("unheard_priors", np.full(7, 1e300)),
    "priors of other emotions": set_attribute("unheard_priors", np.ones(6)),
    "priors that are not numbers": set_attribute("unheard_priors", np.full(7, NAN)),
}
HARMLESS = {
    "a member that is linked to another": lambda file, folder: link("member_2", file["member_1"])(
        file, folder
    ),
    "an attribute that nothing reads": lambda file, folder: file.attrs.__setitem__("a", "b"),
    "an attribute of an array": lambda file, folder: file[KERNEL].attrs.__setitem__("a", "b"),
    "no licence": set_attribute("licence", None),
    "no familiarity": lambda file, folder: file.__delitem__("familiarity"),
    "no discriminant": lambda file, folder: file.__delitem__("discriminant"),
    "no offsets": lambda file, folder: file.__delitem__("frame_offsets"),
}


def cut(share):
    return lambda content: content[: int(share * len(content))]


BYTES = {
    "nothing": lambda content: b"",
    "text that is no HDF5": lambda content: b"no HDF5",
    "zeros": lambda content: bytes(10_000),
    "the signature of HDF5 and zeros": lambda content: b"\x89HDF\r\n\x1a\n" + bytes(500),
    "the signature of HDF5 and ones": lambda content: b"\x89HDF\r\n\x1a\n" + b"\xff" * 500,
    "only its first tenth": cut(0.1),
    "only its first half": cut(0.5),
    "only its first 99 percent": cut(0.99),
    "5 MB before its beginning": lambda content: bytes(2**23) + content,
}


def change_layer(layer_name, **settings):
    """Let a layer of a model of Keras have other settings."""

    def edit(file, folder):
        model = json.loads(file.attrs["model_config"])
        (layer,) = (each for each in model["config"]["layers"] if each["name"] == layer_name)
        for name, value in settings.items():
            if name == "cells":
                layer["config"]["layer"]["config"] |= value
            else:
                place = layer if name in ("class_name", "inbound_nodes") else layer["config"]
                place[name] = value
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps(model)

    return edit


LAMBDA = {"class_name": "Lambda", "function": ["4wEA", None, None]}
BIDIRECTIONAL = "model_weights/bidirectional_3/BLSTMLayer/bidirectional_3/forward_lstm_3/kernel:0"
KERAS2_EDITS = {
    "a layer with code in it": change_layer("activation_3", **LAMBDA),
    "an output with code in it": change_layer("dense_12", **LAMBDA),
    "a layer of another class": change_layer("dropout_5", class_name="GaussianNoise"),
    "a layer that reads itself": change_layer(
        "dropout_5", inbound_nodes=[[["dropout_5", 0, 0, {}]]]
    ),
    "a layer that reads nothing": change_layer("dense_10", inbound_nodes=[]),
    "a layer that reads one that is missing": change_layer(
        "dense_10", inbound_nodes=[[["a\x1b", 0, 0, {}]]]
    ),
    "another activation": change_layer("dense_10", activation="elu"),
    "no biases": change_layer("dense_9", use_bias=False),
    "another merging": change_layer("bidirectional_3", merge_mode="sum"),
    "other gates": change_layer("bidirectional_3", cells={"recurrent_activation": "tanh"}),
    "an LSTM that reads backwards": change_layer("bidirectional_3", cells={"go_backwards": True}),
    "an LSTM of 10 ** 9 units": change_layer("bidirectional_3", cells={"units": 10**9}),
    "an LSTM of a text of units": change_layer("bidirectional_3", cells={"units": "6"}),
    "10 ** 12 frames": change_layer("input_5", batch_input_shape=[None, 10**12, 36]),
    "any number of frames": change_layer("input_5", batch_input_shape=[None, None, 36]),
    "frames of 34 features": change_layer("input_5", batch_input_shape=[None, 90, 34]),
    "other padding": change_layer("masking_3", mask_value=0.0),
    "8 outputs": change_layer("dense_12", units=8),
    "outputs that are a list": change_layer("dense_12", units=[7]),
    "a model that is no JSON": set_attribute("model_config", "{"),
    "a model that is a list": set_attribute("model_config", []),
    "a model without layers": set_attribute("model_config", {"config": {"layers": []}}),
    "a model in ten thousand brackets": set_attribute("model_config", "[" * 10_000),
    "a model of 2 MB": set_attribute("model_config", " " * 2_000_000 + "{}"),
    "no version of Keras": set_attribute("keras_version", None),
    "version 3 of Keras": set_attribute("keras_version", "3.0.0"),
    "a version that is a word": set_attribute("keras_version", "2.two.0"),
    "an array of a layer missing": lambda file, folder: file.__delitem__(BIDIRECTIONAL),
    "an array of a layer twice": lambda file, folder: file.copy(
        BIDIRECTIONAL, "model_weights/bidirectional_3/forward_/kernel:0"
    ),
    "an array of another shape": put(BIDIRECTIONAL, np.zeros((8, 23), "<f4")),
    "an array in double precision": put(BIDIRECTIONAL, np.zeros((8, 24))),
    "an array that is compressed": replace_array(BIDIRECTIONAL, compression="gzip"),
    "an array that is linked to another file": link(
        BIDIRECTIONAL, lambda folder: h5py.ExternalLink(str(folder / "other.h5"), KERNEL)
    ),
    "a state of the optimiser in another file": link(
        "optimizer_weights/Adam/iterations:0",
        lambda folder: h5py.ExternalLink(str(folder / "pipe"), "/a"),
    ),
    "an infinite weight in it": fill(BIDIRECTIONAL, np.inf),
}


def list_cases():
    """Return all cases by sentences: which whole file they are made of, and how."""
    cases = {}
    for base, edits in (("weights", EDITS), ("keras2", KERAS2_EDITS)):
        kind = {"weights": "a weights file", "keras2": "a model of Keras 2"}[base]
        for what, edit in edits.items():
            cases[f"{kind} with {what} is refused"] = base, edit, None
    for what, change in BYTES.items():
        cases[f"a file with {what} is refused"] = "weights", None, change
    return cases


def write_case(folder, whole, edit=None, change=None):
    """Write a hostile weights file and what it may point to; return its path."""
    path = folder / "w.h5"
    (folder / "other.h5").write_bytes(whole)
    (folder / "secret").write_bytes(bytes(20_000))
    os.mkfifo(folder / "pipe")
    path.write_bytes(change(whole) if change else whole)
    if edit:
        with h5py.File(path, "r+") as file:
            edit(file, folder)
    return path
