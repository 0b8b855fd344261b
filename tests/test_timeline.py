"""Emotion over time: pauses and windows, subtitles, pictures, live sound."""

import io
import itertools
import json
import re
import signal
import subprocess
import sys
import wave

import matplotlib.image
import numpy as np
import pytest
import soundfile

from utility.audio import load_audio
from utility.errors import SignalError
from utility.globalvars import DATA_DIRECTORY, ROOT, WINDOW_SECONDS
from utility.prediction.clip import Prediction, load, predict
from utility.prediction.output import SUBTITLES, format_clock, format_timestamp
from utility.prediction.picture import make_columns, measure_attention
from utility.prediction.stream import predict_stream
from utility.prediction.timeline import (
    Segment,
    Timeline,
    average_windows,
    find_segments,
    find_voice,
    measure_loudness,
    predict_timelines,
    read_parts,
)

DEMO = DATA_DIRECTORY / "demo.wav"
RATE = 16_000
LOUD, QUIET = 1.0, 1e-6


def power(*parts):
    """Power of steps of 10 ms: of each part, its level and its seconds."""
    return np.concatenate([np.full(round(100 * seconds), level) for level, seconds in parts])


def test_stretches_of_voice_have_pauses_round_them():
    levels = power((QUIET, 1), (LOUD, 2), (QUIET, 1), (LOUD, 3), (QUIET, 1))
    assert find_voice(levels) == [(90, 310), (390, 710)]


def test_short_pauses_are_none_and_clicks_are_no_voice():
    levels = power((LOUD, 2), (QUIET, 0.25), (LOUD, 2), (QUIET, 1), (LOUD, 0.05), (QUIET, 1))
    assert find_voice(levels) == [(0, 435)]


@pytest.mark.parametrize("level", [1e-12, 1e-3, 1e6])
def test_what_is_loud_depends_on_the_recording(level):
    levels = power((QUIET, 1), (LOUD, 2), (QUIET, 1))
    assert find_voice(level * levels) == find_voice(levels)


def test_noise_that_is_far_from_silent_is_a_pause():
    # 27 dB below the voice, and the floor of the recording.
    levels = power((LOUD, 2), (2e-3, 2), (LOUD, 2))
    assert find_voice(levels) == [(0, 210), (390, 600)]


def test_one_bang_does_not_hide_the_voice():
    levels = power((0.01, 20), (QUIET, 1), (0.01, 20), (QUIET, 1), (100, 0.02))
    assert [end - start for start, end in find_voice(levels)[:2]] == [2010, 2020]


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


def test_loudness_is_that_of_each_step():
    signal_ = np.repeat([0.5, 0.0, 0.25], 1600) * np.tile([1, -1], 2400)
    powers, step, rate, length = measure_loudness((signal_, RATE))
    assert (step, rate, length) == (160, RATE, 4800)
    np.testing.assert_allclose(powers, 160 * np.repeat([0.25, 0, 0.0625], 10))


@pytest.fixture(scope="module")
def weights():
    return load()


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """The demo, a pause, and the demo again, in stereo at another rate."""
    path = tmp_path_factory.mktemp("joined") / "joined.wav"
    samples, rate = soundfile.read(DEMO)
    both = np.concatenate([samples, np.zeros(rate), samples])
    soundfile.write(path, np.stack([both, both], axis=1), rate)
    return path


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


EXAMPLE = Timeline(
    [
        Segment(0, 2.5, [("anger", 0.9), ("neutral", 0.1)]),
        Segment(1.5, 4, [("neutral", 0.6), ("anger", 0.4)]),
        Segment(4, 5, None),
        Segment(3723.0049, 3724, [("neutral", 1.0), ("anger", 0.0)]),
    ],
    Prediction(3724, [("anger", 0.5), ("neutral", 0.5)]),
)


def test_subtitles_have_the_times_of_their_format():
    texts = {form: header + write(EXAMPLE) for form, (header, write) in SUBTITLES.items()}
    assert texts["srt"] == (
        "1\n00:00:00,000 --> 00:00:01,500\nanger 90 %\n\n"
        "2\n00:00:01,500 --> 00:00:04,000\nneutral 60 %\n\n"
        "3\n01:02:03,005 --> 01:02:04,000\nneutral 100 %\n"
    )
    assert texts["vtt"].startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nanger 90 %\n\n")
    assert texts["audacity"].splitlines()[1] == "1.500\t4.000\tneutral 60 %"


def test_clock_carries_over():
    assert format_clock(59.996) == "1:00.00"
    assert format_timestamp(3599.9996, ",") == "01:00:00,000"


@pytest.mark.parametrize("form", ["srt", "vtt", "audacity"])
def test_subtitles_on_the_command_line(form, joined, call_command):
    done = call_command("predict.py", "--subtitles", form, joined)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r"neutral \d+ %", done.stdout)) == 2


# Pictures


@pytest.mark.parametrize("options", [[], ["--timeline"]])
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_picture_is_drawn_beside_the_result(options, suffix, joined, tmp_path, call_command):
    path = tmp_path / f"picture{suffix}"
    done = call_command("predict.py", *options, "--plot", path, joined)
    assert (done.returncode, done.stderr) == (0, "")
    assert "neutral" in done.stdout
    if suffix == ".png":
        picture = matplotlib.image.imread(path)
        assert min(picture.shape[:2]) >= 600
        assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 20
    else:
        assert "joined.wav" in path.read_text()


def test_a_picture_of_a_long_recording_wants_a_timeline(tmp_path, call_command):
    samples, rate = soundfile.read(DEMO)
    soundfile.write(tmp_path / "long.wav", np.tile(samples, 20), rate)
    done = call_command("predict.py", "--plot", tmp_path / "a.png", tmp_path / "long.wav")
    assert done.returncode == 2
    assert "also give --timeline" in done.stderr
    assert not (tmp_path / "a.png").exists()


def test_attention_lies_where_the_voice_is(weights):
    samples = load_audio(DEMO)
    later = np.concatenate([np.zeros(2 * RATE), samples])
    times, attention, probabilities = measure_attention([later], weights, None)
    assert len(times) == len(attention)
    assert attention.sum() == pytest.approx(100, abs=1e-3)
    assert times[0] > 1.5
    expected = predict(later, weights, sample_rate=RATE).probabilities
    assert dict(zip(weights.emotions, probabilities, strict=True)) == pytest.approx(expected)


def test_columns_of_a_long_picture_are_means_of_the_windows_in_them():
    def window(start, end, share):
        return Segment(start, end, [("anger", share), ("neutral", 1 - share)])

    segments = [
        window(0, 3, 1.0), Segment(3, 6, None), window(6, 7, 0.2), Segment(7, 21, None),
        window(21, 24, 0.5), window(23, 26, 0.0),
    ]  # fmt: skip
    starts, ends, shares = make_columns(segments, ("anger", "neutral"), 10)
    assert starts.tolist() == [0, 20]  # and nothing from 10 to 20, which is a pause
    assert ends.tolist() == [10, 30]
    # Of windows that overlap, the first counts up to the second: two seconds, then three.
    assert shares[:, 0] == pytest.approx([(3 * 1.0 + 1 * 0.2) / 4, 2 * 0.5 / 5])
    starts, ends, _ = make_columns(segments, ("anger", "neutral"), 0)
    assert list(zip(starts, ends, strict=True)) == [(0, 3), (6, 7), (21, 23), (23, 26)]


# Live sound


def start_stream(*options):
    return subprocess.Popen(
        [sys.executable, "predict.py", "--stream", *options, "-"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell that starts the tests in the background has them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def stream(content, *options):
    """Send bytes to a stream and return its lines."""
    command = start_stream(*options)
    output, errors = command.communicate(content, timeout=60)
    assert (command.returncode, errors) == (0, b"")
    return output.decode().splitlines()


def as_bytes(samples):
    return np.round(samples * 32767).astype("<i2").tobytes()


def test_a_stream_gives_a_line_a_hop(weights):
    samples = np.concatenate([load_audio(DEMO), np.zeros(4 * RATE)])
    lines = [json.loads(line) for line in stream(as_bytes(samples), "--json")]
    assert [line["end"] for line in lines] == [1, 2, 3, 4, 5, pytest.approx(5.975, abs=1e-3)]
    assert [line["start"] for line in lines[:4]] == [0, 0, 0, 1]
    assert lines[-1]["label"] is None
    expected = predict(samples[: 2 * RATE], weights, sample_rate=RATE)
    assert lines[1]["probabilities"] == pytest.approx(expected.probabilities, abs=1e-3)


def test_a_stream_can_be_wav_of_another_rate():
    rate = 44_100
    content = io.BytesIO()
    samples = np.resize(soundfile.read(DEMO)[0], 3 * rate)
    with wave.open(content, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(as_bytes(np.repeat(samples, 2)))
    raw = stream(as_bytes(samples), "--rate", str(rate))
    assert stream(content.getvalue()) == raw
    assert len(raw) == 3


def test_ctrl_c_ends_a_stream_cleanly():
    command = start_stream()
    command.stdin.write(as_bytes(load_audio(DEMO)))
    command.stdin.flush()
    # The line of the first second comes while the stream is open.
    assert b"0:01.00" in command.stdout.readline()
    command.send_signal(signal.SIGINT)
    output, errors = command.communicate(timeout=20)
    assert (command.returncode, output, errors) == (0, b"", b"")


def wav_of_floats():
    content = io.BytesIO()
    soundfile.write(content, load_audio(DEMO), RATE, subtype="FLOAT", format="WAV")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "enough to predict"),
        (bytes(100), "enough to predict"),
        (b"fLaC" + bytes(99_999), "decode it"),
        (b"OggS" + bytes(99_999), "decode it"),
        (wav_of_floats(), "give 16-bit PCM"),
    ],
    ids=["empty", "short", "FLAC", "Ogg", "floats"],
)
def test_a_stream_that_cannot_be_used_says_so(content, message, weights):
    source = io.BufferedReader(io.BytesIO(content))
    with pytest.raises(SignalError, match=message):
        list(predict_stream(source, weights, RATE, 3, 1))


def test_a_stream_that_fails_ends_with_1():
    command = start_stream()
    output, errors = command.communicate(b"", timeout=60)
    assert (command.returncode, output) == (1, b"")
    assert errors.startswith(b"predict.py: -: ended before")


def test_a_window_is_at_most_as_long_as_what_was_trained_on(call_command):
    done = call_command("predict.py", "--timeline", "--window", WINDOW_SECONDS + 1, DEMO)
    assert done.returncode == 2
