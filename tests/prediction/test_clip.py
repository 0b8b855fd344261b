"""From a recording to emotions, as programs call it."""

import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, make_voice, noise, random_clips, random_own_weights
from utility.errors import SignalError
from utility.furtherFeatures import extract_all_features
from utility.globalvars import EMOTION_LABELS, ROOT, WEIGHTS_PATH
from utility.network.inference import predict_frames
from utility.network.voice import adapt, measure_baseline
from utility.network.weights import read_weights
from utility.prediction.clip import learn_voice, predict, predict_all
from utility.signals import trim_silence


def test_a_path_a_file_and_an_array_are_the_same(weights):
    samples, rate = soundfile.read(DEMO)
    expected = predict(DEMO, weights)
    assert expected.label == expected.ranking[0][0] == next(iter(expected.probabilities))
    assert sum(expected.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert expected.seconds == pytest.approx(len(samples) / rate, abs=1e-4)
    integers, _ = soundfile.read(DEMO, dtype="int16")
    with DEMO.open("rb") as file:
        others = [
            predict(str(DEMO), weights),
            predict(file, weights),
            predict(io.BytesIO(DEMO.read_bytes()), weights),
            predict(samples, weights, sample_rate=rate),
            predict(integers, weights, sample_rate=rate),
            predict(np.stack([samples, samples], axis=1), weights, sample_rate=rate),
            predict(samples.tolist(), weights, sample_rate=rate),
        ]
    for other in others:
        assert other.probabilities == pytest.approx(expected.probabilities, abs=1e-6)


@pytest.mark.parametrize(
    ("sound", "rate", "message"),
    [
        (np.zeros(16_000), 16_000, "is silent"),
        (np.zeros(0), 16_000, "is empty"),
        (np.zeros((2, 16_000)), 16_000, "transpose it"),
        (np.zeros(16_000, complex), 16_000, "give floats"),
        (np.zeros(16_000, np.uint8), 16_000, "give floats"),
        (np.zeros(16_000), None, "also give its sample_rate"),
        (np.zeros(16_000), 0, "has a sample rate of 0"),
        ("missing.wav", None, "no such file"),
        ("missing.wav", 8000, "omit sample_rate"),
        (None, None, "is of type NoneType"),
        (io.BytesIO(b"nothing"), None, "cannot be read as audio"),
    ],
)
def test_a_sound_that_cannot_be_predicted_raises(sound, rate, message, weights):
    with pytest.raises(SignalError, match=message):
        predict(sound, weights, sample_rate=rate)


def test_the_library_prints_nothing_and_does_not_import_tensorflow():
    code = (
        "import sys; from predict import load, predict\n"
        "predict(sys.argv[1], load())\n"
        "assert 'tensorflow' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(DEMO)], cwd=ROOT, capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_header_that_promises_too_much_loses_nothing(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, make_voice(20), RATE)
    content = path.read_bytes()
    # 10 s and 5 ms are left of 20 s: the remainder is no window.
    path.write_bytes(content[: 44 + 2 * (10 * RATE + 80)])
    (result,) = predict_all([path], read_weights(WEIGHTS_PATH))
    assert result.seconds == pytest.approx(10, abs=0.01)


SILENCE = round(0.3 * RATE)


def predict_file(path, weights):
    """Return the probabilities of one recording, or raise what is wrong with it."""
    (result,) = predict_all([path], weights)
    if isinstance(result, SignalError):
        raise result
    return dict(result.ranking)


def test_file_input_equals_array_input(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, make_voice(), RATE, subtype="DOUBLE")
    weights = read_weights(WEIGHTS_PATH)
    probabilities, _ = predict_frames(weights, [extract_all_features(make_voice(), RATE)])
    expected = dict(zip(EMOTION_LABELS, probabilities[0].tolist(), strict=True))
    assert predict_file(path, weights) == pytest.approx(expected, abs=1e-6)


def test_quieter_is_the_same_until_it_is_silence(tmp_path):
    path = tmp_path / "clip.wav"
    weights = read_weights(WEIGHTS_PATH)
    soundfile.write(path, make_voice(), RATE, subtype="FLOAT")
    expected = predict_file(path, weights)
    soundfile.write(path, 0.01 * make_voice(), RATE, subtype="FLOAT")
    assert predict_file(path, weights) == pytest.approx(expected, abs=1e-4)
    soundfile.write(path, 1e-5 * make_voice(), RATE, subtype="FLOAT")
    with pytest.raises(SignalError, match="silent"):
        predict_file(path, weights)


@pytest.mark.parametrize("offset", [0, 0.05])
def test_long_silence_at_both_ends_changes_nothing(offset, tmp_path):
    weights, path = read_weights(WEIGHTS_PATH), tmp_path / "clip.wav"
    hiss = 3e-5 * np.random.default_rng(0).normal(size=(2, 2 * RATE))
    # Behind the voice it lasts for no whole number of steps.
    parts = [hiss[0], make_voice(), hiss[1, : 2 * RATE - 77]]
    long = offset + np.concatenate(parts)
    short = offset + np.concatenate([parts[0][-SILENCE:], parts[1], parts[2][:SILENCE]])
    np.testing.assert_array_equal(trim_silence(long), short)
    results = []
    for samples in (short, long):
        soundfile.write(path, samples, RATE, subtype="DOUBLE")
        results.append(predict_file(path, weights))
    assert results[1] == pytest.approx(results[0], abs=1e-6)


def test_a_long_recording_is_the_mean_of_its_windows_with_sound(tmp_path, weights):
    first, last = make_voice(2), noise(size=2 * RATE) / 10
    soundfile.write(
        tmp_path / "all.wav", np.concatenate([first, np.zeros(8 * RATE), last]), RATE, "DOUBLE"
    )
    whole = predict(tmp_path / "all.wav", weights)
    assert (whole.seconds, whole.windows) == (12, 2)
    padding = np.zeros(SILENCE)
    ends = [
        predict(part, weights, sample_rate=RATE).probabilities
        for part in (np.concatenate([first, padding]), np.concatenate([padding, last]))
    ]
    expected = {emotion: (ends[0][emotion] + ends[1][emotion]) / 2 for emotion in ends[0]}
    assert whole.probabilities == pytest.approx(expected, abs=1e-5)
    assert max(abs(ends[0][emotion] - ends[1][emotion]) for emotion in expected) > 0.05


@pytest.mark.parametrize("level", [0, 1e-3])
def test_minutes_without_a_voice_change_nothing(level, weights):
    voice = np.tile(np.concatenate([make_voice(2), np.zeros(RATE // 2)]), 5)
    hiss = level * np.random.default_rng(0).normal(size=60 * RATE)
    expected = predict(voice, weights, sample_rate=RATE)
    around = predict(np.concatenate([hiss, voice, hiss]), weights, sample_rate=RATE)
    assert around.label == expected.label
    assert around.probabilities == pytest.approx(expected.probabilities, abs=0.1)
    assert around.windows <= expected.windows + 2


# The baseline of a voice


def test_a_voice_is_learned_from_sounds_of_any_kind(own_clips, weights):
    paths = sorted(own_clips.iterdir())
    arrays = [soundfile.read(path) for path in paths]
    np.testing.assert_array_equal(learn_voice(arrays, weights), learn_voice(paths, weights))


def test_a_sound_that_cannot_be_learned_from_raises_or_is_reported(tmp_path, own_clips, weights):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    bad = [tmp_path / "missing.wav", tmp_path / "silent.wav"]
    for path, message in zip(bad, ("no such file", "is silent"), strict=True):
        with pytest.raises(SignalError, match=message):
            learn_voice([path], weights)
    reported = []
    good = sorted(own_clips.iterdir())
    voice = learn_voice([*bad, *good], weights, lambda sound, error: reported.append(sound))
    assert reported == bad
    np.testing.assert_array_equal(voice, learn_voice(good, weights))


# Frames of the user's own


def test_frames_from_a_file_and_an_array_are_the_same(tmp_path):
    own, (frames,) = random_own_weights(), random_clips([80])
    frames = frames[:, :5]
    np.save(tmp_path / "x.npy", frames)
    content = (tmp_path / "x.npy").read_bytes()
    (row,), _ = predict_frames(own, [frames])
    for source in (frames, frames.tolist(), tmp_path / "x.npy", io.BytesIO(content)):
        result = predict(source, own)
        assert result.seconds == pytest.approx(1.6)
        assert result.windows == 1
        expected = dict(zip(own.emotions, row.tolist(), strict=True))
        assert result.probabilities == pytest.approx(expected, abs=1e-6)


def test_long_frames_are_the_mean_of_their_windows():
    own, (frames,) = random_own_weights(), random_clips([1001])
    frames = frames[:, :5]
    result = predict(frames, own)
    assert (result.windows, result.seconds) == (3, pytest.approx(20.02))
    parts = [predict(part, own).probabilities for part in np.array_split(frames, 3)]
    for emotion, share in result.probabilities.items():
        assert share == pytest.approx(np.mean([part[emotion] for part in parts]), abs=1e-6)


def test_frames_are_adapted_to_a_voice():
    own, clips = random_own_weights(), [clip[:, :5] for clip in random_clips([80, 40, 60])]
    voice = learn_voice(clips[1:], own)
    np.testing.assert_array_equal(voice, measure_baseline(clips[1:], own.statistics))
    (row,), _ = predict_frames(own, [adapt(clips[0], voice, own.statistics)])
    result = predict(clips[0], own, voice=voice)
    expected = dict(zip(own.emotions, row.tolist(), strict=True))
    assert result.probabilities == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("source", "rate", "message"),
    [
        (DEMO, None, r"is not a \.npy file of frames"),
        (make_voice(), RATE, "cannot be read as sound by weights of own features; give frames"),
        (make_voice(), None, r"has shape \(16000,\); give frames"),
        ((make_voice(), RATE), None, "is not an array"),
        (np.ones((20, 4)), None, "has 4 values per frame, not 5"),
        (None, None, "has values of type object; give floats"),
    ],
)
def test_what_is_no_frames_is_refused_by_weights_of_own_features(source, rate, message):
    with pytest.raises(SignalError, match=message):
        predict(source, random_own_weights(), sample_rate=rate)
