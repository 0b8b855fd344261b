"""Any recording as one signal: rates, channels, formats, lengths, pipes, parts of it, faults."""

import io
import os
import threading

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, make_voice
from utility.audio.recording import (
    Channel,
    Resampler,
    SoundResampler,
    count_channels,
    load_audio,
    open_recording,
)
from utility.errors import SignalError


def listen(sound):
    """Return the seconds of a recording, and the recording after it was read."""
    with open_recording(sound) as recording:
        length = sum(map(len, recording.read_signal()))
    return length / RATE, recording


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels_read_as_librosa_reads_them(rate, channels, tmp_path):
    import librosa

    random = np.random.default_rng(rate + channels)
    samples = make_voice(0.5, rate)[:, np.newaxis] * random.uniform(0.2, 1, channels)
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, rate)
    expected, _ = librosa.load(path, sr=RATE, mono=True)
    signal = load_audio(path)
    # librosa rounds the length up, with a zero, where soxr rounds it to the nearest.
    assert len(expected) - len(signal) in (0, 1)
    np.testing.assert_allclose(signal, expected[: len(signal)], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("a.flac", 1e-4), ("a.aiff", 1e-4), ("a.ogg", 0.1), ("a.mp3", 0.1), ("a.au", 1e-4)],
)
def test_other_formats_hold_the_same_sound(name, tolerance, tmp_path):
    soundfile.write(tmp_path / name, make_voice(), RATE)
    signal = load_audio(tmp_path / name)
    length = min(len(signal), RATE)
    assert length > 0.9 * RATE
    if tolerance < 0.01:
        np.testing.assert_allclose(signal, make_voice(), atol=tolerance)
    else:
        assert np.corrcoef(signal[:length], make_voice()[:length])[0, 1] > 0.9


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_a_signal_does_not_depend_on_how_it_is_read(rate, tmp_path):
    samples = make_voice(3.3, rate)
    soundfile.write(tmp_path / "clip.wav", samples, rate, subtype="DOUBLE")
    whole = load_audio(tmp_path / "clip.wav")
    np.testing.assert_array_equal(load_audio((samples, rate)), whole)
    with (tmp_path / "clip.wav").open("rb") as file:
        np.testing.assert_array_equal(load_audio(file), whole)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_101, 48_000, 11_127.5])
@pytest.mark.parametrize("block_length", [7, 1000, 10**6])
def test_digital_silence_around_a_sound_stays_what_it_is(rate, block_length):
    def read(samples, make_resampler=SoundResampler):
        resampler = make_resampler(rate)
        blocks = [samples[i : i + block_length] for i in range(0, len(samples), block_length)]
        parts = [*map(resampler.resample, blocks), resampler.flush()]
        return np.concatenate([part for blocks in parts for part in blocks])

    sound = make_voice(0.3, rate) + 0.1
    sound[500:700] = 0  # within the sound, it is none of it
    level = np.full(round(2 * rate), 0.2)
    np.testing.assert_array_equal(read(sound), read(sound, Resampler))
    # What is no whole number of steps goes through the resampler.
    lead = np.full(5, 0.2)
    alone = read(np.concatenate([lead, sound, lead]))
    around = read(np.concatenate([level, lead, sound, lead, level]))
    np.testing.assert_array_equal(around, np.pad(alone, 2 * RATE, constant_values=0.2))
    np.testing.assert_array_equal(read(level), np.full(2 * RATE, 0.2))


def test_a_segment_is_that_part_of_the_whole():
    whole = load_audio(DEMO)
    for start, end in ((0, 0.5), (0.25, 1.75), (1.5, 99)):
        part = load_audio(DEMO, start, end)
        np.testing.assert_array_equal(part, whole[round(start * RATE) : round(end * RATE)])


def test_a_pipe_is_read_to_its_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    content = DEMO.read_bytes()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    signal = load_audio(tmp_path / "pipe")
    writer.join()
    np.testing.assert_array_equal(signal, load_audio(DEMO))


def test_one_channel_can_be_heard_alone(tmp_path):
    left, right = make_voice(), make_voice() * np.linspace(0, 1, RATE)
    soundfile.write(tmp_path / "call.wav", np.stack([left, right], 1), RATE, subtype="DOUBLE")
    assert count_channels(tmp_path / "call.wav") == 2
    for number, expected in ((1, left), (2, right)):
        np.testing.assert_array_equal(load_audio(Channel(tmp_path / "call.wav", number)), expected)
    with pytest.raises(SignalError, match="has 2 channels, so no channel 3; give another"):
        load_audio(Channel(tmp_path / "call.wav", 3))


def test_a_silent_recording_is_read(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.full(RATE, 0.25), RATE)
    assert load_audio(tmp_path / "silent.wav") == pytest.approx(0.25)


def test_samples_beyond_any_full_scale_are_refused(tmp_path):
    soundfile.write(tmp_path / "huge.wav", np.full(800, 1e308), RATE, subtype="DOUBLE")
    with pytest.raises(SignalError, match=r"holds samples of 1e.308"):
        listen(tmp_path / "huge.wav")


def test_an_empty_recording_says_so(tmp_path):
    (tmp_path / "a.wav").touch()
    soundfile.write(tmp_path / "b.wav", np.zeros(0), RATE)
    for sound in (tmp_path / "a.wav", tmp_path / "b.wav", io.BytesIO(), (np.zeros(0), RATE)):
        with pytest.raises(SignalError, match="is empty"):
            listen(sound)


def test_a_recording_that_does_not_fit_into_memory_says_so():
    class Vast:
        channel_count = 1

        def read_blocks(self):
            raise MemoryError

    from utility.audio.recording import Recording

    with pytest.raises(SignalError, match="does not fit into memory; cut it"):
        list(Recording(Vast()).read_signal())


def test_samples_without_a_header_are_told_from_what_is_no_sound(tmp_path):
    samples = (load_audio(DEMO) * 32767).astype("<i2")
    (tmp_path / "clip.raw").write_bytes(samples.tobytes())
    with pytest.raises(SignalError, match=r"send it to predict.py --stream --rate HZ -"):
        listen(tmp_path / "clip.raw")
    with pytest.raises(SignalError, match="no sound in it is of a known format"):
        listen(io.BytesIO(b"This is a text. " * 600))
