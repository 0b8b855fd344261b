"""Emotion over time: pauses and windows."""

import json

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, make_voice
from utility.audio.recording import open_recording
from utility.prediction.clip import predict
from utility.prediction.cutting import Cut, cut_signal
from utility.prediction.timeline import predict_timelines


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
        windows = list(cut_signal(recording.read_signal(), Cut(3, 3)))
    for (start, end, ranking), window in zip(voiced, windows, strict=True):
        assert window.start / 100 <= start < end <= window.end_seconds
        expected = predict(window.signal, weights, sample_rate=RATE)
        assert dict(ranking) == pytest.approx(expected.probabilities, abs=1e-6)


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
