"""The weights file: it round-trips, and others are refused."""

import dataclasses
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from made import SMALL, disk_full, random_clips, random_own_weights, random_weights
from utility import furtherFeatures
from utility.errors import WeightsError
from utility.furtherFeatures import ALL_NAMES, FEATURE_SETS, feature_names, make_own_feature_set
from utility.globalvars import EMOTION_LABELS, WEIGHTS_PATH
from utility.network.hyperparameters import read_hyperparameters
from utility.network.inference import predict_frames
from utility.network.model import load_members, model_arrays
from utility.network.weights import read_weights, write_weights


@pytest.fixture(scope="module")
def small():
    """Return weights of a small network with random arrays."""
    return random_weights(SMALL)


def test_weights_round_trip(small, tmp_path):
    scores = [{"protocol": "loso", "measures": {"weighted_accuracy": 0.5}}]
    weights = dataclasses.replace(small, scores=scores)
    write_weights(tmp_path / "w.h5", weights)
    back = read_weights(tmp_path / "w.h5")
    for name in ("hyperparameters", "temperature", "emotions", "scores"):
        assert getattr(back, name) == getattr(weights, name)
    np.testing.assert_array_equal(back.statistics, weights.statistics)
    models = load_members(back)
    assert len(back.members) == len(models) == 2
    for member, arrays, model in zip(weights.members, back.members, models, strict=True):
        assert arrays.keys() == member.keys()
        again = model_arrays(model)
        for name, array in member.items():
            np.testing.assert_array_equal(arrays[name], array)
            np.testing.assert_array_equal(again[name], array)


def test_weights_are_described_in_one_line(weights):
    assert repr(weights) == (
        "Weights(attention, 3 members, 66 features, emotions: " + ", ".join(EMOTION_LABELS) + ")"
    )


def test_a_feature_that_was_added_since_does_not_matter(small, tmp_path, monkeypatch):
    path, clips = tmp_path / "w.h5", random_clips([20, 30])
    write_weights(path, small)
    expected, _ = predict_frames(small, clips)
    # A new name in the middle, as if it were the first of the further features.
    names = (*ALL_NAMES[:36], "new", *ALL_NAMES[36:])
    further = FEATURE_SETS["further"]
    monkeypatch.setitem(FEATURE_SETS, "further", further._replace(names=names[36:]))
    monkeypatch.setattr(furtherFeatures, "ALL_NAMES", names)
    weights = read_weights(path)
    assert weights.columns == [*range(36), *range(37, 67)]
    longer = [np.insert(clip, 36, 1e3, axis=1).take(weights.columns, axis=1) for clip in clips]
    np.testing.assert_array_equal(predict_frames(weights, longer)[0], expected)


def test_weights_of_version_1_0_0_are_read(small, tmp_path):
    path, clips = tmp_path / "w.h5", random_clips([20])
    write_weights(path, small)
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 2
        del file.attrs["feature_versions"]
        file.attrs["feature_version"] = 1
        values = json.loads(file.attrs["hyperparameters"])
        for old, new in (
            ("copies", "augmented_copies"),
            ("copy_kinds", "augmentations"),
            ("calibrated_share", "adapted_share"),
            ("scaled", "temperature_scaling"),
        ):
            values[old] = values.pop(new)
        values |= {"features": 66, "copy_kinds": 20}
        file.attrs["hyperparameters"] = json.dumps(values)
    back = read_weights(path)
    assert back.hyperparameters == SMALL
    np.testing.assert_array_equal(predict_frames(back, clips)[0], predict_frames(small, clips)[0])
    with h5py.File(path, "r+") as file:
        file.attrs["feature_version"] = 0
    with pytest.raises(WeightsError, match="made for other features"):
        read_weights(path)


def test_weights_of_own_features_know_their_name_size_and_hop(tmp_path):
    path, own = tmp_path / "w.h5", random_own_weights()
    write_weights(path, own)
    back = read_weights(path)
    assert back.hyperparameters.features == ("mine",)
    assert back.feature_names == ("mine_1", "mine_2", "mine_3", "mine_4", "mine_5")
    assert back.hop_seconds == 0.02
    assert repr(back).startswith("Weights(attention, 2 members, 5 features, ")
    clips = [clip[:, :5] for clip in random_clips([20, 31])]
    np.testing.assert_array_equal(predict_frames(back, clips)[0], predict_frames(own, clips)[0])
    for edit, message in (
        (edit_attribute("hop_seconds", 0.0), "hop_seconds is out of its range"),
        (
            edit_attribute("feature_names", '["mine_1", "mine_3"]'),
            "normalisation_mean is of another",
        ),
        (edit_attribute("feature_names", json.dumps([f"mine_{n}" for n in "12346"])), "other f"),
        (edit_attribute("feature_versions", '{"yours": 1}'), "other features"),
        (edit_hyperparameter("features", ["mine", "original"]), "not a weights file"),
        (edit_hyperparameter("features", ["yours"]), "other features"),
    ):
        write_weights(path, own)
        with h5py.File(path, "r+") as file:
            edit(file)
        with pytest.raises(WeightsError, match=message):
            read_weights(path)


def test_as_many_own_features_as_are_allowed_fit_into_a_weights_file(tmp_path):
    names = make_own_feature_set("x" * 20, 2048, 0.02).names
    hyperparameters = dataclasses.replace(SMALL, features=("x" * 20,), members=1)
    own = random_weights(hyperparameters, feature_names=names)
    write_weights(tmp_path / "w.h5", own)
    assert read_weights(tmp_path / "w.h5").feature_names == names


def edit_attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def edit_hyperparameter(name, value):
    def edit(file):
        values = json.loads(file.attrs["hyperparameters"]) | {name: value}
        file.attrs["hyperparameters"] = json.dumps(values)

    return edit


def remove(name):
    return lambda file: file.__delitem__(name)


def not_finite(file):
    file["member_2/dense/bias"][0] = np.nan


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_attribute("format_version", 99), "another version"),
        (edit_attribute("feature_versions", '{"original": 0, "further": 1}'), "other features"),
        (edit_hyperparameter("features", 36), "other features"),
        (edit_hyperparameter("features", "66"), "other features"),
        (edit_attribute("hyperparameters", '{"no": 1}'), "not a weights file"),
        (edit_attribute("emotions", '["anger"]'), "not from 2 to 100 printable names"),
        (remove("member_2/emotion"), "lacks member_2/emotion/bias"),
        (remove("member_1"), "lacks member_1/attention/kernel"),
        (remove("member_2/dense/kernel"), "lacks member_2/dense/kernel"),
        (not_finite, "member_2/dense/bias has values that are not finite"),
        (edit_attribute("normalisation_deviation", np.zeros(66)), "out of its range"),
        (edit_attribute("temperature", "warm"), "temperature is not of type float64"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(small, tmp_path, edit, message):
    path = tmp_path / "w.h5"
    write_weights(path, small)
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(WeightsError, match=message):
        predict_frames(read_weights(path), random_clips([20]))


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(500), "cut"])
def test_other_files_are_refused_as_weights(small, tmp_path, content):
    path = tmp_path / "w.h5"
    if content == "cut":
        write_weights(path, small)
        content = path.read_bytes()[:20_000]
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a weights file"):
        read_weights(path)


def test_weights_that_another_process_writes_to_are_read(small, tmp_path):
    path, clips = tmp_path / "w.h5", random_clips([20])
    write_weights(path, small)
    expected, _ = predict_frames(small, clips)
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'a')\n"
    code += "print(flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, str(path)], **pipes) as other:
        assert other.stdout.readline() == b"\n"
        with pytest.raises(OSError, match="lock"):
            h5py.File(path, "r")
        np.testing.assert_array_equal(predict_frames(read_weights(path), clips)[0], expected)
        other.communicate()
    assert other.returncode == 0


def test_weights_that_cannot_be_opened_say_why(tmp_path):
    (tmp_path / "folder").mkdir()
    for name, message in (
        ("missing.h5", "missing.h5: no such weights file; use one that train.py wrote"),
        ("folder", r"folder: cannot be opened \(Is a directory\); use one that train.py wrote"),
        ("x" * 300, r"x: cannot be opened \(File name too long\); "),
    ):
        with pytest.raises(WeightsError, match=message):
            read_weights(tmp_path / name)


def test_shipped_weights_carry_all_that_prediction_needs():
    assert WEIGHTS_PATH.stat().st_size <= 5_000_000
    with h5py.File(WEIGHTS_PATH) as file:
        attributes, groups = dict(file.attrs), set(file)
    hyperparameters = read_hyperparameters(json.loads(attributes["hyperparameters"]))
    members = {f"member_{number}" for number in range(1, 1 + hyperparameters.members)}
    assert groups == members | {"discriminant", "familiarity", "frame_offsets"}
    assert tuple(json.loads(attributes["emotions"])) == EMOTION_LABELS
    names = json.loads(attributes["feature_names"])
    assert tuple(names) == feature_names(hyperparameters.features)
    assert attributes["normalisation_mean"].shape == (len(names),)
    assert attributes["normalisation_deviation"].shape == (len(names),)
    assert 0.25 < attributes["temperature"] < 4
    scores = {score["protocol"]: score for score in json.loads(attributes["scores"])}
    assert scores.keys() == {"holdout", "loso"}
    assert scores["holdout"]["measures"]["weighted_accuracy"]["mean"] > 0.6087


def test_a_full_disk_keeps_the_old_weights(weights, tmp_path):
    path = tmp_path / "w.h5"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="File too large") as raised, disk_full():
        write_weights(path, weights)
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
