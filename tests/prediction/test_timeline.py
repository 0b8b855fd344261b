"""Emotion over time: pauses and windows."""

import itertools
import json

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE
from utility.audio import load_audio
from utility.errors import SignalError
from utility.prediction.clip import predict
from utility.prediction.timeline import (
    Segment,
    average_windows,
    find_segments,
    find_speech,
    measure_loudness,
    predict_timelines,
    read_parts,
)

LOUD, QUIET = 1.0, 1e-6


def power(*parts):
    """Power of steps of 10 ms: of each part, its level and its seconds."""
    return np.concatenate([np.full(round(100 * seconds), level) for level, seconds in parts])


def test_stretches_of_voice_have_pauses_around_them():
    levels = power((QUIET, 1), (LOUD, 2), (QUIET, 1), (LOUD, 3), (QUIET, 1))
    assert find_speech(levels) == [(90, 310), (390, 710)]


def test_short_pauses_and_clicks_are_ignored():
    levels = power((LOUD, 2), (QUIET, 0.25), (LOUD, 2), (QUIET, 1), (LOUD, 0.05), (QUIET, 1))
    assert find_speech(levels) == [(0, 435)]


@pytest.mark.parametrize("level", [1e-12, 1e-3, 1e6])
def test_loudness_is_relative_to_the_recording(level):
    levels = power((QUIET, 1), (LOUD, 2), (QUIET, 1))
    assert find_speech(level * levels) == find_speech(levels)


def test_noise_that_is_far_from_silent_is_a_pause():
    # 27 dB below the voice, and the floor of the recording.
    levels = power((LOUD, 2), (2e-3, 2), (LOUD, 2))
    assert find_speech(levels) == [(0, 210), (390, 600)]


def test_one_bang_does_not_hide_the_voice():
    levels = power((0.01, 20), (QUIET, 1), (0.01, 20), (QUIET, 1), (100, 0.02))
    assert [end - start for start, end in find_speech(levels)[:2]] == [2010, 2020]


@pytest.mark.parametrize("seconds", [0.5, 1.4, 1.6, 3, 4.4, 4.6, 30])
@pytest.mark.parametrize("hop", [100, 300])
def test_windows_cover_a_stretch_of_voice(seconds, hop):
    segments = find_segments(power((LOUD, seconds)), 300, hop)
    starts, ends, voiced = zip(*segments, strict=True)
    assert all(voiced)
    assert (starts[0], ends[-1]) == (0, round(100 * seconds))
    assert set(np.diff(starts)) <= {hop}
    assert {end - start for start, end, _ in segments[:-1]} <= {300}
    last = ends[-1] - starts[-1]
    assert last <= 300 + hop / 2
    assert last >= 300 - hop / 2 or len(segments) == 1


def test_segments_follow_each_other_to_the_end():
    random = np.random.default_rng(0)
    parts = [(random.choice([LOUD, QUIET]), random.uniform(0.05, 5)) for _ in range(200)]
    levels = power(*parts)
    segments = find_segments(levels, 300, 300)
    assert segments[0][0] == 0
    assert segments[-1][1] == len(levels)
    for (_, end, _), (start, _, _) in itertools.pairwise(segments):
        assert start == end


@pytest.mark.parametrize("name", ["clip.wav", "clip.flac", "clip.ogg"])
def test_parts_are_those_of_the_recording(name, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, (40 * RATE, 2))
    soundfile.write(tmp_path / name, noise, RATE)
    whole = load_audio(tmp_path / name)
    parts = [(0, 100), (50, 48_000), (40_000, 60_000), (500_000, 500_400), (639_990, 640_000)]
    for (start, end), part in zip(parts, read_parts(tmp_path / name, parts), strict=True):
        np.testing.assert_allclose(part, whole[start:end], atol=1e-6)


def test_parts_behind_the_end_are_empty():
    with pytest.raises(SignalError, match="is empty"):
        list(read_parts((np.ones(2 * RATE), RATE), [(3 * RATE, 4 * RATE)]))


def test_nothing_has_no_stretches_of_voice():
    assert find_speech(np.zeros(0)) == []


def test_loudness_is_that_of_each_step():
    signal_ = np.repeat([0.5, 0.0, 0.25], 1600) * np.tile([1, -1], 2400)
    powers, step, rate, length = measure_loudness((signal_, RATE))
    assert (step, rate, length) == (160, RATE, 4800)
    np.testing.assert_allclose(powers, 160 * np.repeat([0.25, 0, 0.0625], 10))


def test_windows_of_a_timeline_are_predicted_like_clips(joined, weights):
    (result,) = predict_timelines([joined], weights, 3, 3)
    voiced = [segment for segment in result.segments if segment.ranking]
    assert len(voiced) == 2
    signal_ = load_audio(joined)
    for start, end, ranking in voiced:
        part = signal_[round(start * RATE) : round(end * RATE)]
        expected = predict(part, weights, sample_rate=RATE).probabilities
        # Resampled apart, the edges differ by a little.
        assert dict(ranking) == pytest.approx(expected, abs=0.03)
    assert result.whole.seconds == pytest.approx(len(signal_) / RATE, abs=1e-3)


def test_the_whole_is_the_mean_by_length():
    segments = [
        Segment(0, 3, [("anger", 0.9), ("neutral", 0.1)]),
        Segment(3, 4, None),
        Segment(4, 5, [("neutral", 0.7), ("anger", 0.3)]),
    ]
    whole = average_windows(segments)
    assert (whole.seconds, whole.windows, whole.label) == (5, 2, "anger")
    assert whole.probabilities == pytest.approx({"anger": 0.75, "neutral": 0.25})


def test_a_timeline_on_the_command_line(joined, tmp_path, call_command):
    text = call_command("predict.py", "--timeline", joined)
    assert (text.returncode, text.stderr) == (0, "")
    *lines, whole = text.stdout.splitlines()
    assert [line.endswith("pause") for line in lines] == [False, True, False, True]
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
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2
    soundfile.write(path, samples[loudest:][: round(0.01 * rate)], rate)
    done = call_command("predict.py", "--timeline", path)
    assert done.returncode == 1
    assert "is too short" in done.stderr


def test_silence_has_no_timeline(tmp_path, call_command):
    soundfile.write(tmp_path / "silent.wav", np.zeros(5 * RATE), RATE)
    done = call_command("predict.py", "--timeline", tmp_path / "silent.wav")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is silent" in done.stderr


def test_memory_of_a_timeline_does_not_grow_with_the_recording(tmp_path, run_command):
    samples, rate = soundfile.read(DEMO)
    peaks = []
    for minutes in (1, 8):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", rate, 1) as file:
            for _ in range(30 * minutes):
                file.write(samples)
        code = (
            "import resource, runpy, sys; sys.argv = ['predict.py', '--timeline', sys.argv[1]]\n"
            "try: runpy.run_path('predict.py', run_name='__main__')\n"
            "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        done = run_command("-c", code, path)
        assert done.returncode == 0
        peaks.append(int(done.stderr))
    assert peaks[1] < 1.1 * peaks[0]
