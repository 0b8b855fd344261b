"""Live sound: a window at each hop, raw samples or WAV, and how a stream ends."""

import io
import json
import signal
import subprocess
import wave

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, make_tone
from utility.audio.recording import load_audio
from utility.errors import SignalError
from utility.globalvars import WINDOW_SECONDS
from utility.prediction.library import predict
from utility.prediction.stream import predict_stream


@pytest.fixture
def start_stream(start_command):
    """Return a function that starts to predict a stream of bytes."""

    def start(*options):
        stream = ("predict.py", "--stream", *options, "-")
        return start_command(*stream, stdin=subprocess.PIPE, text=False)

    return start


@pytest.fixture
def stream(start_stream):
    """Return a function that sends bytes to a stream, and returns its lines."""

    def send(content, *options):
        command = start_stream(*options)
        output, errors = command.communicate(content, timeout=300)
        assert (command.returncode, errors) == (0, b"")
        return output.decode().splitlines()

    return send


def as_bytes(samples):
    return np.round(samples * 32767).astype("<i2").tobytes()


def test_a_stream_gives_one_line_per_hop(stream, weights):
    samples = np.concatenate([load_audio(DEMO), np.zeros(4 * RATE)])
    samples += np.resize([0, 1, -1], len(samples)) / 2**15  # no digital silence, which is cut off
    lines = [json.loads(line) for line in stream(as_bytes(samples), "--json")]
    assert [line["end"] for line in lines] == [1, 2, 3, 4, 5, pytest.approx(5.975, abs=1e-3)]
    assert [line["start"] for line in lines[:4]] == [0, 0, 0, 1]
    assert lines[-1]["label"] is None
    expected = predict(samples[: 2 * RATE], weights, sample_rate=RATE)
    assert lines[1]["probabilities"] == pytest.approx(expected.probabilities, abs=1e-3)


def test_a_stream_says_where_there_is_no_voice(stream):
    samples = np.concatenate([make_tone(4), *[load_audio(DEMO)] * 2])
    silent = [line.endswith("no voice") for line in stream(as_bytes(samples))]
    assert (silent[:4], silent[-1]) == ([True] * 4, False)
    rows = [json.loads(line) for line in stream(as_bytes(make_tone(2)), "--json")]
    assert rows == [{"start": 0.0, "end": end, "label": None} for end in (1.0, 2.0)]


def test_a_stream_can_be_wav_of_another_rate(stream):
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


def test_ctrl_c_ends_a_stream_cleanly(start_stream):
    command = start_stream()
    command.stdin.write(as_bytes(load_audio(DEMO)))
    command.stdin.flush()
    # The line of the first second comes while the stream is open.
    assert b"0:01.00" in command.stdout.readline()
    command.send_signal(signal.SIGINT)
    output, errors = command.communicate(timeout=300)
    assert (command.returncode, output, errors) == (0, b"", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "-: is empty"),
        (bytes(100), "-: ended before there was enough to predict"),
        (b"A text is no sound. " * 999, "-: is neither a known format nor raw samples"),
    ],
    ids=["empty", "short", "text"],
)
def test_a_stream_that_cannot_be_used_says_so(content, message, weights):
    source = io.BufferedReader(io.BytesIO(content))
    with pytest.raises(SignalError, match=message):
        list(predict_stream(source, weights, None, 3, 1))


def test_a_stream_that_fails_ends_with_1(start_stream):
    command = start_stream()
    output, errors = command.communicate(b"", timeout=300)
    assert (command.returncode, output) == (1, b"")
    assert errors.startswith(b"predict.py: -: is empty")


def test_a_window_is_at_most_as_long_as_the_training_clips(call_command):
    done = call_command("predict.py", "--timeline", "--window", WINDOW_SECONDS + 1, DEMO)
    assert done.returncode == 2


@pytest.mark.parametrize(
    "option", ["--csv", "--timeline", "--output=a", "--output-dir=a", "--plot=a.png"]
)
def test_a_stream_goes_with_few_options(option, call_command):
    done = call_command("predict.py", "--stream", option, "-")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--stream: omit --timeline, --subtitles, --plot, --csv, --output" in done.stderr


def test_a_stream_ends_with_the_notes_of_its_recording(start_stream):
    call = io.BytesIO()
    samples = load_audio(DEMO)
    soundfile.write(call, np.stack([samples, samples[::-1]], 1), RATE, format="WAV")
    command = start_stream()
    _, errors = command.communicate(call.getvalue()[:-4000], timeout=300)
    assert command.returncode == 0
    early, differ = errors.decode().splitlines()
    assert early == "predict.py: note: -: ends early; heard up to there"
    assert differ.startswith("predict.py: note: -: its channels differ")
