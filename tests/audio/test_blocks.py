"""Blocks: bounded whatever a header says, and refused with samples beyond any scale."""

import io
import json
import warnings

import av
import numpy as np
import pytest

from audio.test_decoding import encode
from hostile_recordings import CASES, make_wav
from made import RATE, make_voice
from utility.audio.blocks import BLOCK_VALUES
from utility.audio.live import open_stream
from utility.audio.recording import Channel, Recording, load_audio, open_recording
from utility.errors import SignalError
from utility.signals import resample

MOST_KILOBYTES = 500_000


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_recording_is_read_or_refused_without_a_warning(case):
    content, message = CASES[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if message is None:
            assert np.isfinite(load_audio(io.BytesIO(content))).all()
        else:
            with pytest.raises(SignalError, match=message):
                load_audio(io.BytesIO(content))


@pytest.mark.parametrize("options", [(), ("--timeline",)], ids=["whole", "timeline"])
def test_hostile_recordings_take_little_memory_and_print_only_results(
    options, tmp_path, run_command
):
    for case, (content, _) in CASES.items():
        (tmp_path / f"{case}.wav").write_bytes(content)
    code = (
        "import resource, subprocess, sys\n"
        "command = [sys.executable, 'predict.py', *sys.argv[1:]]\n"
        "done = subprocess.run(command, check=False)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(done.returncode)"
    )
    done = run_command("-c", code, "--json", "--processes", 1, *options, tmp_path)
    assert done.returncode == 1
    *messages, peak = done.stderr.splitlines()
    assert all(message.startswith("predict.py: ") for message in messages), messages
    assert int(peak) < MOST_KILOBYTES
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    errors = {answer["path"] for answer in answers if "error" in answer}
    assert {answer["path"] for answer in answers} == set(map(str, tmp_path.iterdir()))
    assert errors >= {str(tmp_path / f"{case}.wav") for case in CASES if CASES[case][1]}
    assert str(tmp_path / "a voice among hostile recordings.wav") not in errors


@pytest.mark.parametrize(
    ("rate", "channels"), [(768_000, 64), (768_000, 1), (48_000, 64), (48_000, 2)]
)
def test_a_block_is_bounded_in_values(rate, channels):
    samples = np.zeros((BLOCK_VALUES // channels + 1000, channels))
    for sound in (io.BytesIO(make_wav(rate, channels, data=bytes(2 * samples.size))), samples):
        array = (samples, rate) if sound is samples else sound
        with open_recording(array) as recording:
            sizes = [block.size for block, _ in recording.source.read_blocks()]
        assert max(sizes) <= min(BLOCK_VALUES, rate * channels)
        assert sum(sizes) == samples.size


@pytest.mark.parametrize(
    ("rate", "channels", "message"),
    [
        (16_000, 65, "has 65 channels"),
        (768_001, 1, "has a sample rate of 768001"),
        (10**10, 1, "sample rate"),
    ],
)
def test_what_nobody_records_is_refused_in_files_arrays_and_streams(rate, channels, message):
    with pytest.raises(SignalError, match=message):
        load_audio((np.zeros((1000, channels)), rate))
    if rate < 2**32:
        with pytest.raises(SignalError, match=message):
            load_audio(io.BytesIO(make_wav(rate, channels)))
        with pytest.raises(SignalError, match=message):
            list(Recording(open_stream(io.BytesIO(make_wav(rate, channels)))).read_signal())


def test_a_planar_recording_of_eight_channels_is_heard():
    # Of more planes than there are, PyAV would read beyond them.
    for channels, rate in ((8, 48_000), (7, 16_000)):
        signal = load_audio(io.BytesIO(encode_channels(channels, rate)))
        assert len(signal) == pytest.approx(RATE, abs=0.2 * RATE)


def test_twenty_four_channels_at_192_khz_are_heard():
    content, voice = io.BytesIO(), make_voice(1, 192_000)
    with av.open(content, "w", format="matroska") as file:
        stream = file.add_stream("pcm_s24le", rate=192_000, layout="22.2")
        for part in np.split(np.repeat(voice.astype("f4"), 24)[np.newaxis], 10, axis=1):
            frame = av.AudioFrame.from_ndarray(part, "flt", "22.2")
            frame.sample_rate = 192_000
            for packet in stream.encode(frame):
                file.mux(packet)
    np.testing.assert_allclose(load_audio(content), resample(voice, 192_000), atol=1e-3)


def encode_channels(channels, rate):
    """Return a voice in so many channels as AAC."""
    content, layout = io.BytesIO(), {7: "6.1", 8: "7.1"}[channels]
    with av.open(content, "w", format="matroska") as file:
        stream = file.add_stream("aac", rate=rate, layout=layout)
        samples = np.tile(make_voice(1, rate).astype("f4"), (channels, 1))
        frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1).copy(), "flt", layout)
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    return content.getvalue()


def test_a_channel_that_ends_before_the_others_is_named():
    stereo = np.tile(make_voice()[:, np.newaxis], 2)
    both = encode("ogg", "libvorbis", stereo) + encode("ogg", "libvorbis", make_voice())
    with pytest.raises(SignalError, match="has 1 channel, so no channel 2"):
        load_audio(Channel(io.BytesIO(both), 2))
    assert len(load_audio(io.BytesIO(both))) == 2 * RATE


def test_a_damaged_channel_does_not_matter_where_another_is_heard():
    samples = np.stack([make_voice(), np.full(RATE, np.nan)], 1)
    np.testing.assert_array_equal(load_audio(Channel((samples, RATE), 1)), make_voice())
    with pytest.raises(SignalError, match="is not finite"):
        load_audio((samples, RATE))


def test_wider_and_narrower_floats_are_heard_alike():
    for kind, tolerance in (("f2", 1e-3), ("f4", 1e-7), ("g", 0)):
        samples = np.tile(make_voice()[:, np.newaxis], 2).astype(kind)
        np.testing.assert_allclose(load_audio((samples, RATE)), make_voice(), atol=tolerance)
