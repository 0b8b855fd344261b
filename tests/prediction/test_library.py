"""The library, as programs call it."""

import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, make_tone
from utility.errors import DataError, SignalError, WeightsError
from utility.globalvars import ROOT, WEIGHTS_PATH
from utility.prediction.library import learn_voice, predict


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
        (np.zeros(0), 16_000, "is empty"),
        (np.zeros((2, 16_000)), 16_000, "transpose it"),
        (np.zeros(16_000, complex), 16_000, "give floats"),
        (np.zeros(16_000, np.uint8), 16_000, "give floats"),
        (np.zeros(16_000), None, "the sound: is an array; also give its sample_rate"),
        ([0.5, 0.25], None, "the sound: is an array; also give its sample_rate"),
        ((0.5, 0.25, 0.5), None, "the sound: is an array; also give its sample_rate"),
        ((np.ones(16_000), 16_000), 16_000, "the sound: has its own sample rate; omit sample_rate"),
        (bytes(16_000), None, "is of type bytes"),
        (np.zeros(16_000), 0, "has a sample rate of 0"),
        ("missing.wav", None, "^missing.wav: no such file"),
        ("missing.wav", 8000, "^missing.wav: has its own sample rate; omit sample_rate"),
        (None, None, "is of type NoneType"),
        (io.BytesIO(b"nothing"), None, "cannot be read as audio"),
    ],
)
def test_a_sound_that_cannot_be_predicted_raises(sound, rate, message, weights):
    with pytest.raises(SignalError, match=message):
        predict(sound, weights, sample_rate=rate)


def test_several_sounds_give_a_list(own_clips, weights):
    paths = sorted(own_clips.iterdir())
    pairs = [soundfile.read(path) for path in paths]
    arrays = [samples for samples, _ in pairs]
    expected = [predict(path, weights).probabilities for path in paths]
    with paths[0].open("rb") as file:
        for sounds, options in (
            (paths, {}),
            (tuple(map(str, paths)), {}),
            (iter(paths), {}),
            (pairs, {}),
            (arrays, {"sample_rate": RATE}),
            (tuple(arrays), {"sample_rate": RATE}),
            ([file, pairs[1], paths[2]], {}),
        ):
            results = predict(sounds, weights, **options)
            for result, one in zip(results, expected, strict=True):
                assert result.probabilities == pytest.approx(one, abs=1e-6)
    many = predict(paths * 6, weights, processes=2)  # more than one process takes at a time
    assert [one.label for one in many] == [one.label for one in predict(paths, weights)] * 6
    assert predict([], weights) == []
    assert [one.label for one in predict(paths[:1], weights)] == [
        max(expected[0], key=expected[0].get)
    ]


def test_a_bad_one_of_several_sounds_raises_or_is_reported(weights):
    sounds = [DEMO, "missing.wav", (np.zeros(0), RATE)]
    with pytest.raises(SignalError, match=r"^missing\.wav: no such file"):
        predict(sounds, weights)
    with pytest.raises(SignalError, match=r"^sound 2 of 2: is empty"):
        predict(sounds[::2], weights)
    with pytest.raises(SignalError, match=r"^sound 2 of 2: is an array; also give its sample_rate"):
        predict([DEMO, np.zeros(RATE)], weights)
    with pytest.raises(SignalError, match=r"demo\.wav: has its own sample rate"):
        predict([DEMO, DEMO], weights, sample_rate=RATE)
    reported = []
    results = predict(sounds, weights, on_error=lambda sound, error: reported.append(sound))
    assert results[0].label == "neutral"
    assert results[1:] == [None, None]
    assert reported == sounds[1:]


def assert_same_voice(first, second):
    """Compare what was learned of a voice twice."""
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.functionals, second.functionals)


def test_the_path_of_a_weights_file_serves_as_weights(own_clips, weights):
    assert predict(DEMO, str(WEIGHTS_PATH)) == predict(DEMO, weights)
    clip = own_clips / "0.wav"
    learned = learn_voice(clip, WEIGHTS_PATH)
    assert_same_voice(learned, learn_voice([clip], weights))
    with pytest.raises(WeightsError, match="no such weights file"):
        predict(DEMO, "missing.h5")


def test_a_sound_without_a_voice_has_no_emotion(weights):
    results = predict([DEMO, (make_tone(2), RATE), (np.zeros(RATE), RATE)], weights)
    assert [result.has_voice for result in results] == [True, False, False]
    assert [result.label for result in results] == ["neutral", None, None]
    assert [result.probabilities for result in results[1:]] == [{}, {}]
    assert [(result.seconds, result.windows) for result in results[1:]] == [(2, 0), (1, 0)]


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


# The baseline of a voice


def test_a_voice_is_learned_from_sounds_of_any_kind(own_clips, weights):
    paths = sorted(own_clips.iterdir())
    expected = learn_voice(paths, weights)
    pairs = [soundfile.read(path) for path in paths]
    assert_same_voice(learn_voice(pairs, weights), expected)
    arrays = [samples for samples, _ in pairs]
    assert_same_voice(learn_voice(arrays, weights, sample_rate=RATE), expected)
    alone = learn_voice(str(paths[0]), weights)
    assert_same_voice(alone, learn_voice(paths[:1], weights))
    with pytest.raises(DataError, match="no clips of the voice"):
        learn_voice([], weights)


def test_a_sound_that_cannot_be_learned_from_raises_or_is_reported(tmp_path, own_clips, weights):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    bad = [tmp_path / "missing.wav", tmp_path / "silent.wav"]
    for path, message in zip(bad, ("no such file", "holds no voice"), strict=True):
        with pytest.raises(SignalError, match=f"^{path}: {message}"):
            learn_voice([path], weights)
    reported = []
    good = sorted(own_clips.iterdir())
    voice = learn_voice([*bad, *good], weights, lambda sound, error: reported.append(sound))
    assert reported == bad
    assert_same_voice(voice, learn_voice(good, weights))
