"""The model that the project of 2018 saved with Keras 2, made here as that project did."""

import dataclasses
import json
import re

import h5py
import numpy as np
import pytest

from hostile_weights import make_2018_weights, write_keras2_model
from made import DEMO, RATE, SMALL_2018, sine
from utility.audioFeatureExtraction import extract_features
from utility.errors import WeightsError
from utility.files.hdf5 import read_file
from utility.files.keras2 import find_model
from utility.globalvars import EMOTION_LABELS
from utility.network.inference import predict_frames
from utility.network.weights import read_weights

SMALL = dataclasses.replace(SMALL_2018, dense_units=16, lstm_units=8, padded_frames=60)
FULL = dataclasses.replace(SMALL_2018, dense_units=512, lstm_units=128, padded_frames=1024)
LENGTHS = (60, 25, 1, 75)


def build(hyperparameters, **options):
    """Build the network of 2018 with Keras 2; also return its parts up to the attention."""
    from tf_keras import Model, layers

    width = 2 * hyperparameters.lstm_units
    constant = layers.Input((width,))
    u = layers.Dense(width, activation="softmax")(constant)
    frames = layers.Input((hyperparameters.padded_frames, 36))
    x = layers.Masking(mask_value=-100.0)(frames)
    for _ in range(2):
        x = layers.Dense(hyperparameters.dense_units, activation="relu")(x)
        x = layers.Dropout(0.5)(x)
    lstm = layers.LSTM(hyperparameters.lstm_units, return_sequences=True, dropout=0.5, **options)
    y = layers.Bidirectional(lstm)(x)
    shares = layers.Activation("softmax")(layers.dot([u, y], axes=-1))
    pooled = layers.dot([shares, y], axes=1)
    output = layers.Dense(7, activation="softmax")(pooled)
    return Model([constant, frames], output), Model(frames, y), Model(constant, u)


def draw_arrays(model):
    """Give a model arrays of the usual size, so that emotions differ."""
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.4, it.shape) for it in model.get_weights()])


def make_constants(count, width=2 * SMALL.lstm_units):
    """Return the input of the attention, which is always the same."""
    return np.full((count, width), 1 / width, np.float32)


def pad(clips, count=SMALL.padded_frames):
    """Return frames as the project of 2018 gave them to its network."""
    inputs = np.full((len(clips), count, 36), -100.0, np.float32)
    for row, clip in zip(inputs, clips, strict=True):
        standard = (clip - clip.mean(axis=1, keepdims=True)) / clip.std(axis=1, keepdims=True)
        row[: len(clip)] = standard[-count:]
    return inputs


def make_clips():
    """Return clips of random frames."""
    random = np.random.default_rng(1)
    return [random.normal(3, 2, size=(length, 36)).astype(np.float32) for length in LENGTHS]


def test_the_saved_model_predicts_as_in_keras_2(tmp_path):
    model, *_ = build(SMALL)
    model.compile("adam", "categorical_crossentropy")
    clips = make_clips()
    inputs = [make_constants(4), pad(clips)]
    # So that the file has the state of an optimiser, as after a training.
    model.optimizer.build(model.trainable_variables)
    draw_arrays(model)
    model.save(tmp_path / "original.h5")
    weights = read_weights(tmp_path / "original.h5")
    assert weights.emotions == EMOTION_LABELS
    assert weights.hyperparameters.padded_frames == 60
    probabilities, attention = predict_frames(weights, clips)
    expected = model(inputs).numpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    # Emotions and clips differ by far more than that, so that their order counts.
    assert np.ptp(expected, axis=0).max() > 0.01
    assert np.ptp(expected, axis=1).min() > 0.01
    assert [len(shares) for shares in attention] == [*LENGTHS]
    np.testing.assert_allclose([shares.sum() for shares in attention], 1)


def test_a_file_of_2018_predicts_as_keras_did_in_that_year(tmp_path):
    model, steps, attention = build(SMALL, recurrent_activation="hard_sigmoid")
    draw_arrays(model)
    model.save(tmp_path / "later.h5")
    weights = read_weights(tmp_path / "later.h5")
    assert (weights.keras2.hard_gates, weights.keras2.repeats_output) == (True, False)
    clips = make_clips()
    expected = model([make_constants(4), pad(clips)]).numpy()
    np.testing.assert_allclose(predict_frames(weights, clips)[0], expected, atol=1e-5)
    write_keras2_model(tmp_path / "then.h5", weights)
    weights = read_weights(tmp_path / "then.h5")
    assert (weights.keras2.hard_gates, weights.keras2.repeats_output) == (True, True)
    # Until Keras 2.3, an LSTM repeated its last output for padding; that which reads from the
    # end begins with padding, and with 0.
    outputs = steps(pad(clips)).numpy()
    for row, length in zip(outputs, LENGTHS, strict=True):
        row[length:] = 0
        row[length:, :8] = row[min(length, 60) - 1, :8]
    scores = np.exp(outputs @ attention(make_constants(1)).numpy()[0])
    pooled = np.einsum("bt,btd->bd", scores / scores.sum(axis=1, keepdims=True), outputs)
    kernel, bias = model.layers[-1].get_weights()
    before, expected = expected, np.exp(pooled @ kernel + bias)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict_frames(weights, clips)[0], expected, atol=1e-5)
    assert np.abs(before - expected).max() > 0.01


def test_the_network_in_its_original_size_predicts_a_recording(tmp_path, call_command):
    model, *_ = build(FULL)
    draw_arrays(model)
    path = tmp_path / "original.h5"
    model.save(path)
    done = call_command("predict.py", "--json", "--weights", path, DEMO)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["probabilities"].keys() == {*EMOTION_LABELS}
    signal = sine(200, 2) * (1 + sine(3, 2))
    frames = extract_features(signal, RATE).astype(np.float32)
    (predicted,), _ = predict_frames(read_weights(path), [frames])
    inputs = [make_constants(1, 256), pad([frames], 1024)]
    np.testing.assert_allclose(predicted, model.predict(inputs, verbose=0)[0], atol=1e-4)
    # Their training frames are not known, so neither adaptation nor further training is possible.
    for script, options, code in (
        ("predict.py", ["--adapt", DEMO, "--weights", path, DEMO], 2),
        ("train.py", ["--from", path, "--data", "berlin", "--output", tmp_path / "new.h5"], 2),
    ):
        done = call_command(script, *options)
        assert done.returncode == code
        assert re.search("was not trained for it|is a model of Keras 2", done.stderr)


def test_models_of_another_number_of_emotions_are_refused(tmp_path):
    write_keras2_model(tmp_path / "w.h5", make_2018_weights())
    read_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "r+") as file:
        model = json.loads(file.attrs["model_config"])
        model["config"]["layers"][-1]["config"]["units"] = 6
        file.attrs["model_config"] = json.dumps(model)
    assert find_model(read_file(tmp_path / "w.h5")).class_count == 6
    with pytest.raises(WeightsError, match="a network of 6 emotions, whose names are not known"):
        read_weights(tmp_path / "w.h5")
