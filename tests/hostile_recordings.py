"""Recordings that are made to take memory, time or a place on the screen, by sentences.

Each has its bytes, and what the error says that refuses it.
"""

import io
import struct

import numpy as np
import soundfile

from made import make_voice

PCM, DOUBLE, G721 = 1, 3, 23
NOISE = (3000 * np.random.default_rng(0).normal(size=50_000)).astype("<i2").tobytes()
RATE_ERROR, CHANNEL_ERROR = "has a sample rate of", "channels; give at most 64"
HUGE_ERROR, NAN_ERROR = "holds samples of", "is not finite"


def make_wav(rate=16_000, channels=1, bits=16, data=NOISE, code=PCM):
    """Return a WAV file whose header says what it is told."""
    width = channels * bits // 8
    fields = code, channels, rate, rate * width % 2**32, width % 2**16, bits
    form = struct.pack("<HHIIHH", *fields)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def make_doubles(*channels):
    """Return a WAV file with these samples, repeated."""
    samples = np.tile(np.transpose(channels).astype("<f8"), (4000, 1))
    return make_wav(channels=len(channels), bits=64, data=samples.tobytes(), code=DOUBLE)


def make_au(rate, channels, code):
    """Return an AU file of unknown length."""
    return b".snd" + struct.pack(">5I", 24, 2**32 - 1, code, rate, channels) + NOISE[:1500]


def make_flac(samples, rate, channels):
    """Return a FLAC file of silence whose header is changed to another rate."""
    content = io.BytesIO()
    soundfile.write(content, np.zeros((samples, channels), np.int16), 48_000, format="FLAC")
    content = bytearray(content.getvalue())
    content[18:21] = (rate << 4 | content[20] & 15).to_bytes(3, "big")
    return bytes(content)


def make_mp4(codec, sample_count, chunk_count=1, reference=None):
    """Return an MP4 file with an index of samples of one byte, all in the same place.

    `reference` is the box that says in which file the samples are; by default, in this one.
    """

    def box(name, *parts):
        content = b"".join(parts)
        return struct.pack(">I", 8 + len(content)) + name + content

    def table(name, *numbers):
        return box(name, bytes(4), struct.pack(f">{len(numbers)}I", *numbers))

    kind = box(b"ftyp", b"M4A \0\0\0\0M4A ")
    form = struct.pack(">HHHHI", 1, 16, 0, 0, 16_000 << 16)
    entry = box(codec, bytes(7), b"\1", bytes(8), form)
    index = box(
        b"stbl",
        box(b"stsd", bytes(7), b"\1", entry),
        table(b"stts", 1, sample_count, 1024),
        table(b"stsc", 1, 1, sample_count // chunk_count, 1),
        table(b"stsz", 1, sample_count),
        table(b"stco", chunk_count, *[len(kind) + 8] * chunk_count),
    )
    sources = box(b"dref", bytes(7), b"\1", reference or box(b"url ", b"\0\0\0\1"))
    parts = table(b"smhd", 0), box(b"dinf", sources), index
    media = box(
        b"mdia",
        table(b"mdhd", 0, 0, 16_000, sample_count, 0),
        box(b"hdlr", bytes(8), b"soun", bytes(13)),
        box(b"minf", *parts),
    )
    track = box(b"trak", box(b"tkhd", b"\0\0\0\7", bytes(8), b"\0\0\0\1", bytes(68)), media)
    header = box(b"mvhd", bytes(12), struct.pack(">II", 1000, 1000), bytes(80))
    return kind + box(b"mdat", NOISE[:4096]) + box(b"moov", header, track)


def make_dump():
    """Return a dump of samples in MIDI (SDS), of which libsndfile prints on standard output."""
    header = b"\xf0\x7e\0\1\0\0\x08\x48\xff\xff\xff\x7f" + bytes(8)
    return header + b"\0\xf7\xf0\xfe\0\2\0\x7f\xf0" + bytes(498)


CASES = {
    "a WAV file of 1,000 channels": (make_wav(channels=1000), CHANNEL_ERROR),
    "a WAV file of 65 channels": (make_wav(channels=65), CHANNEL_ERROR),
    "a WAV file of 65,535 channels": (make_wav(channels=65_535), "cannot be read|channels"),
    "a WAV file of 33 MHz": (make_wav(33_600_000), RATE_ERROR),
    "a WAV file of 2 GHz": (make_wav(2**31 - 1), RATE_ERROR),
    "a WAV file of 1 Hz": (make_wav(1), RATE_ERROR),
    "an AU file of G.721 at 33 MHz": (make_au(33_600_000, 1, G721), "has a sample rate|is empty"),
    "an AU file of 64 channels at 768 kHz": (make_au(768_000, 64, PCM), None),
    "a FLAC file of 8 channels at 655 kHz": (make_flac(2_000_000, 655_350, 8), None),
    "an MP4 file of 80 million samples in 4 kB": (
        make_mp4(b"mp4a", 80_000_000),
        "cannot be read as audio",
    ),
    "an MP4 file of two billion samples": (
        make_mp4(b"samr", 2_000_000_000),
        "cannot be read as audio",
    ),
    "an MP4 file with the same sound 500 times": (
        make_mp4(b"ulaw", 2_000_000, 500),
        "its index names the same sound again and again",
    ),
    "samples of 1e308": (make_doubles([1e308, -1e308]), HUGE_ERROR),
    "samples of 1e308 in two channels": (make_doubles([1e308, -1e308], [0, 1]), HUGE_ERROR),
    "samples of 1e155 in two channels": (make_doubles([1e155, -1e155], [0, 1]), HUGE_ERROR),
    "samples that are infinite": (make_doubles([0, np.inf], [1, -np.inf]), NAN_ERROR),
    "samples that are no numbers": (make_doubles([0, np.nan], [1, 1]), NAN_ERROR),
    "a dump of MIDI": (make_dump(), "cannot be read as audio"),
}
# Odd, but harmless.
ANSWERED = {
    "samples that are denormal": make_doubles([5e-324, 0], [0, 5e-324]),
    "samples of 1e-300": make_doubles([1e-300, -1e-300]),
    "64 channels": make_wav(48_000, 64),
    "768 kHz": make_wav(768_000),
    "a voice among hostile recordings": make_wav(
        data=(32_767 * make_voice(2)).astype("<i2").tobytes()
    ),
}
CASES |= {name: (content, None) for name, content in ANSWERED.items()}
