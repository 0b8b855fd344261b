"""From recordings to emotions: windows, wholes, timelines, and frames of the user's own."""

import io
import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, make_tone, make_voice, noise, random_clips, random_own_weights
from utility.audio.recording import SoundResampler, load_audio, open_recording
from utility.errors import SignalError
from utility.furtherFeatures import extract_all_features
from utility.globalvars import EMOTION_LABELS, WEIGHTS_PATH
from utility.network.inference import predict_frames
from utility.network.weights import read_weights
from utility.prediction.clip import (
    Prediction,
    divide_frames,
    extract_frames,
    predict_all,
    predict_timelines,
    predict_windows,
)
from utility.prediction.cutting import Cut, Window, cut_signal
from utility.prediction.library import learn_voice, predict
from utility.signals import trim_silence
from utility.voices.baseline import adapt, measure_baseline, sum_frames


def test_a_header_that_promises_too_much_loses_nothing(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, make_voice(20), RATE)
    content = path.read_bytes()
    # 10 s and 5 ms are left of 20 s: the remainder is no window.
    path.write_bytes(content[: 44 + 2 * (10 * RATE + 80)])
    (result,) = predict_all([path], read_weights(WEIGHTS_PATH))
    assert result.seconds == pytest.approx(10, abs=0.01)


SILENCE = round(0.1 * RATE)


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
    assert not predict(path, weights).has_voice


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


@pytest.mark.parametrize("seconds", [2, 8.5, 20])
def test_digital_silence_at_both_ends_changes_nothing_at_all(seconds, weights):
    signal = make_voice(seconds) + 1e-3 * noise(size=round(seconds * RATE))
    alone, between = predict([signal, np.pad(signal, RATE)], weights, sample_rate=RATE)
    assert between.seconds == pytest.approx(alone.seconds + 2)
    assert between.windows == alone.windows
    assert between.probabilities == pytest.approx(alone.probabilities, abs=1e-6)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_digital_silence_changes_nothing_at_other_sample_rates_either(rate, weights):
    signal = make_voice(2, rate)[: -rate // 8]  # ends within a syllable
    alone, between = predict([signal, np.pad(signal, rate)], weights, sample_rate=rate)
    assert between.seconds == pytest.approx(alone.seconds + 2)
    assert between.probabilities == pytest.approx(alone.probabilities, abs=1e-6)


def test_a_long_recording_is_the_mean_of_its_windows_with_sound(tmp_path, weights):
    first, last = make_voice(2), make_voice(2, hertz=400) / 10
    hiss = 1e-6 * noise(size=8 * RATE)
    soundfile.write(tmp_path / "all.wav", np.concatenate([first, hiss, last]), RATE, "DOUBLE")
    whole = predict(tmp_path / "all.wav", weights, details=True)
    assert (whole.seconds, whole.windows) == (12, 2)
    parts = [np.concatenate([first, hiss[:SILENCE]]), np.concatenate([hiss[-SILENCE:], last])]
    results = predict(parts, weights, sample_rate=RATE, details=True)
    embeddings = [result.embedding for result in results]
    np.testing.assert_allclose(whole.embedding, np.mean(embeddings, axis=0), atol=1e-4)
    assert np.abs(embeddings[0] - embeddings[1]).max() > 0.1
    ends = [result.probabilities for result in results]
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


# Attention and embedding


def test_attention_lies_where_the_voice_is(weights):
    later = np.concatenate([np.zeros(2 * RATE), load_audio(DEMO)])
    result = predict(later, weights, sample_rate=RATE, details=True)
    assert len(result.frame_seconds) == len(result.attention)
    assert result.attention.min() >= 0
    assert result.attention.sum() == pytest.approx(1, abs=1e-5)
    assert result.frame_seconds[0] > 1.5
    assert np.diff(result.frame_seconds) == pytest.approx(0.01)


def test_the_attention_of_several_windows_is_joined(weights):
    samples, pause = load_audio(DEMO), np.zeros(10 * RATE)
    signal = np.concatenate([samples, pause, samples[::-1], samples])
    result = predict(signal, weights, sample_rate=RATE, details=True)
    assert result == predict(signal, weights, sample_rate=RATE)
    assert result.windows > 1
    assert result.attention.sum() == pytest.approx(1, abs=1e-5)
    times = result.frame_seconds
    assert not ((times > 3) & (times < 11)).any()
    assert (np.diff(times) > 0).all()


def test_the_last_layer_makes_the_probabilities_of_the_embedding(weights):
    weights = replace(weights, discriminant=None, priors=None)
    result = predict(DEMO, weights, details=True)
    assert len(result.embedding) == len(weights.members)
    rows = []
    for values, arrays in zip(result.embedding, weights.members, strict=True):
        scores = np.exp(values @ arrays["emotion/kernel"] + arrays["emotion/bias"])
        rows.append(np.log(scores / scores.sum()))
    powers = np.exp(np.mean(rows, axis=0) / weights.temperature)
    expected = dict(zip(weights.emotions, powers / powers.sum(), strict=True))
    assert result.probabilities == pytest.approx(expected, abs=1e-5)
    assert predict(DEMO, weights).embedding is None


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
    result = predict(frames, own, details=True)
    assert (result.windows, result.seconds) == (3, pytest.approx(20.02))
    assert result.attention.sum() == pytest.approx(1, abs=1e-5)
    assert result.frame_seconds == pytest.approx(0.01 + 0.02 * np.arange(1001))
    parts = [predict(part, own).probabilities for part in np.array_split(frames, 3)]
    for emotion, share in result.probabilities.items():
        assert share == pytest.approx(np.mean([part[emotion] for part in parts]), abs=1e-6)


def test_windows_of_frames_that_follow_fast_have_at_most_ten_thousand():
    own = replace(random_own_weights(), hop_seconds=1e-6)
    lengths = [len(window) for _, window in divide_frames(np.ones((20_001, 5)), own)]
    assert lengths == [6667] * 3


def test_frames_are_adapted_to_a_voice():
    own, clips = random_own_weights(), [clip[:, :5] for clip in random_clips([80, 40, 60])]
    voice = learn_voice(clips[1:], own)
    sums = [sum_frames(clip, own.statistics) for clip in clips[1:]]
    np.testing.assert_array_equal(voice.frames, measure_baseline(sums, own.statistics))
    assert voice.functionals is None
    (row,), _ = predict_frames(own, [adapt(clips[0], voice.frames, own.statistics)])
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


# Over time


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory):
    """Return a recording of 25 s: sentences, of which some are low, pauses, and some hiss."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    samples, rate = soundfile.read(DEMO)
    voices = [samples, make_voice(2.5, rate), samples[::-1], make_voice(3.1, rate) ** 3, samples]
    pauses = [np.zeros(round(seconds * rate)) for seconds in (0.4, 0, 0.7, 9, 0.2)]
    signal = np.concatenate([x for pair in zip(voices, pauses, strict=True) for x in pair])
    hiss = 1e-4 * np.random.default_rng(0).normal(size=len(signal))
    soundfile.write(path, signal + hiss, rate)
    return path


@pytest.mark.parametrize(("window", "hop"), [(3, 3), (2, 2), (4, 1), (10, 10)])
def test_the_whole_is_the_same_whichever_way_it_is_asked_for(window, hop, long_recording, weights):
    expected = predict(long_recording, weights)
    (result,) = predict_timelines([long_recording], weights, window, hop)
    assert result.whole == expected
    assert result.segments[-1].end == expected.seconds
    voiced = [segment for segment in result.segments if segment.ranking]
    assert (len(voiced) == expected.windows) == (window == hop == 3)
    assert max(end - start for start, end, ranking in result.segments if ranking is None) > 8


def test_windows_of_a_timeline_are_those_of_the_whole(long_recording, weights):
    (result,) = predict_timelines([long_recording], weights, 3, 3)
    rankings = [dict(segment.ranking) for segment in result.segments if segment.ranking]
    for emotion, probability in result.whole.ranking:
        assert probability == pytest.approx(np.mean([row[emotion] for row in rankings]))


def test_windows_of_a_timeline_are_predicted_like_clips(joined, weights):
    (result,) = predict_timelines([joined], weights, 3, 3)
    voiced = [segment for segment in result.segments if segment.ranking]
    assert len(voiced) == 2
    with open_recording(joined) as recording:
        windows = list(cut_signal(recording.read_signal(SoundResampler), Cut(3, 3)))
    clips = [(window, extract_frames(window, weights)) for window in windows]
    clips = [(window, frames) for window, frames in clips if frames is not None]
    for (start, end, ranking), (window, frames) in zip(voiced, clips, strict=True):
        assert window.start / 100 <= start < end < window.end_seconds + 0.01
        # Digital silence beside it is that of a pause.
        (expected,), _ = predict_frames(weights, [frames])
        assert [*dict(ranking).values()] == pytest.approx(sorted(expected, reverse=True), abs=1e-6)


def test_a_timeline_on_the_command_line(joined, tmp_path, call_command):
    text = call_command("predict.py", "--timeline", joined)
    assert (text.returncode, text.stderr) == (0, "")
    *lines, whole = text.stdout.splitlines()
    assert [line.endswith("no voice") for line in lines] == [False, True, False, True]
    assert whole.split()[0] == "whole"
    done = call_command("predict.py", "--timeline", "--json", joined)
    *rows, summary = map(json.loads, done.stdout.splitlines())
    assert len(rows) == len(lines)
    assert rows[1]["label"] is None
    assert rows[0]["end"] == rows[1]["start"]
    assert summary["label"] == max(summary["probabilities"], key=summary["probabilities"].get)
    table = call_command("predict.py", "--timeline", "--csv", joined, tmp_path / "missing.wav")
    assert table.returncode == 1
    assert len(table.stdout.splitlines()) == 1 + len(rows) + 1
    assert table.stdout.splitlines()[-1].startswith(f"{tmp_path / 'missing.wav'},,,,")


def test_a_short_recording_is_predicted_or_named_as_too_short(tmp_path, call_command):
    samples, rate = soundfile.read(DEMO)
    path, loudest = tmp_path / "short.wav", np.abs(samples).argmax()
    soundfile.write(path, samples[loudest:][: round(0.15 * rate)], rate)
    done = call_command("predict.py", "--timeline", path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    soundfile.write(path, samples[loudest:][: round(0.01 * rate)], rate)
    done = call_command("predict.py", "--timeline", path)
    assert done.returncode == 1
    assert "is too short" in done.stderr


def test_windows_without_a_voice_are_left_out_like_pauses(weights):
    voice, music = np.tile(load_audio(DEMO), 6), np.tile(make_tone(1), 12)
    alone = predict(voice, weights, sample_rate=RATE)
    for signal in (np.concatenate([music, voice]), np.concatenate([voice, music])):
        (result,) = predict_timelines([(signal, RATE)], weights, 3, 3)
        start = 12 if signal[0] == music[0] else 0
        middle = start + alone.seconds / 2
        heard = [s for s in result.segments if s.ranking]
        assert all(abs((s.start + s.end) / 2 - middle) < middle for s in heard)
        assert alone.windows - 1 <= result.whole.windows == len(heard) <= alone.windows + 1
        assert result.whole.seconds == pytest.approx(12 + alone.seconds)
        assert result.whole.probabilities == pytest.approx(alone.probabilities, abs=0.15)


@pytest.mark.parametrize("signal", [np.zeros(25 * RATE), np.tile(make_tone(1), 25)])
def test_a_long_recording_without_a_voice_is_one_stretch(signal, weights):
    (result,) = predict_timelines([(signal, RATE)], weights, 3, 3)
    assert result.segments == [(0, 25, None)]
    assert result.whole == Prediction(25, None, windows=0)
    (details,) = predict_all([(signal, RATE)], weights, details=True)
    assert (details.attention, details.embedding, details.frame_seconds) == (None, None, None)


def test_memory_of_a_timeline_does_not_grow_with_the_recording(tmp_path, run_command):
    samples, rate = soundfile.read(DEMO)
    peaks = []
    for minutes in (2, 5):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", rate, 1) as file:
            for _ in range(30 * minutes):
                file.write(samples)
        code = (
            "import resource, subprocess, sys\n"
            "command = [sys.executable, 'predict.py', '--timeline', sys.argv[1]]\n"
            "subprocess.run(command, check=True)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
        )
        done = run_command("-c", code, path)
        assert done.returncode == 0
        peaks.append(int(done.stderr))
    # In kB. The samples of three more minutes would take 23 MB.
    assert peaks[1] - peaks[0] < 12_000


def test_memory_of_overlapping_windows_is_that_of_the_recording(weights, monkeypatch):
    steps, count = 1000, 5000

    def make_windows(*arguments):
        for number in range(count):
            yield Window(10 * number, np.ones(steps), np.zeros(160 * steps)), None

    monkeypatch.setattr("utility.prediction.clip.extract_windows", make_windows)
    tracemalloc.start()
    (result,) = predict_windows([(make_voice(), RATE)], weights)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.whole.seconds == 10 * (count - 1) / 100 + 10
    assert peak < 10_000_000  # the power of all windows takes 40 MB


@pytest.mark.parametrize("before", [[make_tone(3)], [make_tone(3), noise(size=3 * RATE) / 10]])
def test_other_sounds_before_a_voice_do_not_hide_it(before, weights):
    signal = np.concatenate([*before, make_voice(4)])
    alone = predict(np.concatenate(before), weights, sample_rate=RATE)
    assert (alone.has_voice, alone.label) == (False, None)
    assert predict(signal, weights, sample_rate=RATE).has_voice
    (timeline,) = predict_timelines([(signal, RATE)], weights, 3.0, 3.0)
    assert timeline.whole.has_voice
    assert any(segment.ranking for segment in timeline.segments)
