"""Live sound: what a stream holds is recognised, and never guessed."""

import io
import wave

import numpy as np
import pytest
import soundfile

from audio.test_decoding import encode
from made import DEMO, RATE
from utility.audio.live import LiveFile, find_wav_format, looks_like_samples, open_stream
from utility.audio.recording import Recording, load_audio
from utility.errors import SignalError


class Pipe(io.RawIOBase):
    """A file that cannot be sought, and gives few bytes at a time."""

    def __init__(self, content):
        self.content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.content.readinto(memoryview(buffer)[:777])


def hear(content, rate=None):
    """Return the signal of a stream."""
    recording = Recording(open_stream(io.BufferedReader(Pipe(content)), rate))
    return np.concatenate(list(recording.read_signal()))


def as_wav(subtype, container="WAV", channels=1, rate=RATE):
    content = io.BytesIO()
    samples = np.repeat(load_audio(DEMO)[:, np.newaxis], channels, 1)
    soundfile.write(content, samples, rate, subtype, format=container)
    return content.getvalue()


WAVS = [("WAV", kind) for kind in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")]
WAVS += [("WAVEX", kind) for kind in ("PCM_16", "PCM_24", "FLOAT")]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("container", "subtype"), WAVS)
def test_every_wav_is_heard(container, subtype, channels):
    signal = hear(as_wav(subtype, container, channels))
    tolerance = 0.01 if subtype == "PCM_U8" else 1e-4
    np.testing.assert_allclose(signal, load_audio(DEMO), atol=tolerance)


@pytest.mark.parametrize("rate", [8000, 44_100])
@pytest.mark.parametrize(("container", "subtype"), WAVS)
def test_every_wav_is_resampled_as_its_file_is(container, subtype, rate):
    content = as_wav(subtype, container, 2, rate)
    np.testing.assert_allclose(hear(content), load_audio(io.BytesIO(content)), atol=1e-9)


@pytest.mark.parametrize("size", [0, 2**31 - 1, 2**32 - 1])
def test_a_wav_of_unknown_size_is_heard(size):
    content = bytearray(as_wav("PCM_16"))
    place = content.find(b"data") + 4
    content[place : place + 4] = size.to_bytes(4, "little")
    np.testing.assert_allclose(hear(bytes(content)), load_audio(DEMO), atol=1e-4)


def test_what_follows_the_samples_of_a_wav_is_not_heard():
    content = as_wav("PCM_16") + b"LIST" + bytes([80, 0, 0, 0]) + b"\x7f" * 80
    np.testing.assert_allclose(hear(content), load_audio(DEMO), atol=1e-4)


def test_a_file_that_is_sent_as_a_stream_is_not_read_at_once():
    recording = Recording(open_stream(io.BytesIO(as_wav("PCM_16", channels=40))))
    lengths = [len(block) for block in recording.read_signal()]
    assert max(lengths) < RATE / 4
    assert sum(lengths) == len(load_audio(DEMO))


def test_a_stream_whose_header_does_not_end_is_not_kept():
    file = io.BytesIO(b"RIFF\xff\xff\xff\xffWAVE" + 2**18 * b"JUNK\0\0\0\0")
    assert find_wav_format(LiveFile(file)) is None
    assert file.tell() < 2**17


STREAMS = [("mp3", "libmp3lame"), ("ogg", "libopus"), ("webm", "libopus"), ("flac", "flac")]
STREAMS += [("adts", "aac"), ("au", "pcm_s16be"), ("caf", "pcm_s16le"), ("asf", "wmav2")]
STREAMS += [("w64", "pcm_s16le"), ("voc", "pcm_s16le"), ("aiff", "pcm_s16be"), ("mpegts", "mp2")]
STREAMS += [("sox", "pcm_s32le"), ("ircam", "pcm_s16le"), ("tta", "tta"), ("flv", "aac")]
STREAMS += [("wav", "adpcm_ms"), ("wav", "pcm_alaw"), ("matroska", "aac"), ("rm", "ac3")]


@pytest.mark.parametrize(("container", "codec"), STREAMS, ids=map(" ".join, STREAMS))
def test_a_stream_of_a_known_format_is_heard_whole(container, codec):
    assert len(hear(encode(container, codec))) / RATE == pytest.approx(1.975, abs=0.15)


def test_an_mp4_that_cannot_be_heard_as_it_comes_says_so():
    with pytest.raises(SignalError, match="whose index comes last; save it as a file"):
        hear(encode("ipod", "aac"))


def test_raw_samples_are_heard_at_their_rate():
    samples = (load_audio(DEMO) * 32767).astype("<i2")
    assert len(hear(samples.tobytes())) == len(samples)
    assert len(hear(samples.tobytes(), 8000)) == 2 * len(samples)


NO_SAMPLES = {
    "a header of a format that is not known": b"SOUND SAMPLE DATA 2.1 "
    + (load_audio(DEMO) * 32767).astype("<i2").tobytes(),
    "text": b"It was a dark and stormy night. " * 400,
    "random bytes": np.random.default_rng(0).bytes(20_000),
    "samples of the other byte order": (load_audio(DEMO) * 32767).astype(">i2").tobytes(),
    "floats": load_audio(DEMO).astype("<f4").tobytes(),
    "bytes without sign": (load_audio(DEMO) * 127 + 128).astype("u1").tobytes(),
    "picture": b"\x89PNG\r\n\x1a\n" + np.random.default_rng(0).bytes(20_000),
}


@pytest.mark.parametrize("kind", NO_SAMPLES)
def test_what_is_neither_is_refused(kind):
    with pytest.raises(SignalError, match=r"neither a known format nor raw samples|cannot be read"):
        hear(NO_SAMPLES[kind])


def test_soft_sound_and_silence_look_like_samples():
    random = np.random.default_rng(0)
    hiss = (random.normal(size=4096) * 30).astype("<i2").tobytes()
    voice = (load_audio(DEMO)[8000:12_096] * 32767).astype("<i2").tobytes()
    for content in (b"", b"a", bytes(8192), hiss, voice):
        assert looks_like_samples(content)


def test_a_wav_of_python_is_heard():
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(RATE)
        file.writeframes(bytes(3 * RATE) + b"\0\0\x40" * RATE)
    signal = hear(content.getvalue())
    np.testing.assert_array_equal(signal, np.repeat([0, 0.5], RATE))
