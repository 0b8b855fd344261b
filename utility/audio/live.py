"""Sound that is still arriving: any format that is decoded as it comes, or raw samples."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from utility.audio.uncompressed import UNKNOWN_SIZE
from utility.errors import SignalError
from utility.globalvars import FRAMES

# First bytes of files whose next bytes could pass for samples: MP3, FLV, Matroska, ASF, IRCAM.
HEADERS = (
    b"ID3",
    b"FLV",
    b"\x1aE\xdf\xa3",
    b"0&\xb2u",
    b"\x64\xa3",
    b"\x00\x01\xa3",
    b"\x00\x02\xa3",
)
HEADER_BYTES = 4
# Enough to tell whether they are samples: a quarter of a second at 16 kHz.
START_BYTES = 8192
READ_BYTES = 2**16
# FFmpeg would look at 5 s of sound before it gives out the first.
OPTIONS = {"analyzeduration": "100000"}
# Of raw samples: effective values of random bytes are 0.58; a step of 16 bits is 3e-5.
LOUDEST_NOISE = 0.25
LOUDEST, LARGEST_OFFSET = 0.6, 0.2
TINY = 1e-9
UNKNOWN = (
    "is neither a known format nor raw samples (16 bits, little-endian, one channel); for those, "
    "give --rate, and for anything else, convert it to WAV"
)
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


class SampleFormat(NamedTuple):
    """How samples follow each other in a stream, little-endian."""

    rate: int  # in Hz
    channel_count: int = 1
    kind: str = "<i2"  # as NumPy calls it; "i3" has three bytes
    byte_count: int = UNKNOWN_SIZE

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return int(self.kind[-1]) * self.channel_count


KINDS = {
    **{(PCM, 8): "u1", (PCM, 16): "<i2", (PCM, 24): "i3", (PCM, 32): "<i4"},
    **{(FLOAT, 32): "<f4", (FLOAT, 64): "<f8"},
}


class LiveFile:
    """A file without places to seek, whose start can be looked at before it is read."""

    def __init__(self, file):
        self.read_some = getattr(file, "read1", file.read)
        self.start = b""

    def look_at_start(self, size) -> bytes:
        """Return the first bytes, as many as given unless the stream is shorter."""
        while len(self.start) < size and (content := self.read_some(size - len(self.start))):
            self.start += content
        return self.start

    def read(self, size) -> bytes:
        """Read what is there, at most so many bytes; nothing at the end."""
        if self.start:
            content, self.start = self.start[:size], self.start[size:]
            return content
        return self.read_some(size)


class SampleSource:
    """Uncompressed samples as a source of a `Recording`."""

    def __init__(self, file, form: SampleFormat):
        self.file, self.form, self.channel_count = file, form, form.channel_count
        self.ends_early = False

    def read_blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield samples as they come, shape (samples, channels), and their rate in Hz."""
        left, rest = self.form.byte_count, b""
        while content := self.file.read(min(READ_BYTES, left)):
            left -= len(content) if left < UNKNOWN_SIZE else 0
            content = rest + content
            whole = len(content) - len(content) % self.form.frame_bytes
            rest = content[whole:]
            samples = convert_samples(content[:whole], self.form.kind)
            yield samples.reshape(-1, self.channel_count), self.form.rate
        self.ends_early = 0 < left < UNKNOWN_SIZE


def convert_samples(content, kind) -> np.ndarray:
    """Convert bytes to float64 samples with full scale from -1 to 1."""
    if kind == "i3":
        padded = np.zeros((len(content) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        content, kind = padded.tobytes(), "<i4"
    samples = np.frombuffer(content, kind).astype(np.float64)
    if kind == "u1":
        return samples / 128 - 1
    return samples / (1 if "f" in kind else -float(np.iinfo(kind).min))


def open_stream(file, sample_rate: int | None = None):
    """Open a stream as a source for a `Recording`.

    Parameters
    ----------
    file : binary file
        It need not be seekable.
    sample_rate : int, optional
        That of raw samples, in Hz. Without it the format is recognised; what is not but looks
        like raw samples has 16 kHz.

    Raises
    ------
    SignalError
        If the format is not known.
    """
    live = LiveFile(file)
    if sample_rate:
        return SampleSource(live, SampleFormat(sample_rate))
    header = live.look_at_start(HEADER_BYTES)
    # FFmpeg reads two seconds of WAV before it gives out the first.
    if header == b"RIFF" and (form := find_wav_format(live)):
        return SampleSource(live, form)
    if not has_header(header) and looks_like_samples(live.look_at_start(START_BYTES)):
        return SampleSource(live, SampleFormat(FRAMES.sample_rate_hz))
    from utility.audio.decoding import DecodedSource

    try:
        return DecodedSource(live, OPTIONS, block_seconds=0)
    except SignalError as error:
        raise SignalError(UNKNOWN) from error


def find_wav_format(live) -> SampleFormat | None:
    """Read the header of a WAV stream up to its samples; None, with nothing read, if compressed."""
    place, form = 12, None
    while len(start := live.look_at_start(place + 8)) == place + 8:
        name, size = struct.unpack("<4sI", start[place:])
        place += 8
        if name == b"data":
            if form:
                live.start = b""
                return form._replace(byte_count=size) if 0 < size < UNKNOWN_SIZE else form
            return None
        if place + size > READ_BYTES:
            return None
        chunk = live.look_at_start(place + size)[place:]
        if name == b"fmt " and len(chunk) >= 16:
            code, channel_count, rate, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
            if code == EXTENSIBLE and len(chunk) >= 26:
                (code,) = struct.unpack("<H", chunk[24:26])
            kind = KINDS.get((code, bits))
            form = SampleFormat(rate, channel_count, kind) if kind and channel_count else None
        place += size + size % 2
    return None


def has_header(start: bytes) -> bool:
    """Tell whether the first bytes of a file are those of a header: most of them are letters."""
    start = start[:HEADER_BYTES]
    return start.startswith(HEADERS) or (len(start) == HEADER_BYTES and is_printable(start))


def is_printable(content: bytes) -> bool:
    """Tell whether all bytes are characters of ASCII, which quiet samples are not."""
    return all(32 <= byte < 127 for byte in content)


def looks_like_samples(content: bytes) -> bool:
    """Tell whether bytes can be 16-bit samples of sound.

    Samples of sound lie around 0, each is about as loud as the next, and they are not as loud
    and unlike their neighbours as random bytes; compressed sound, text, and samples of other
    sizes or byte orders fail one of these.
    """
    pairs = np.frombuffer(content[: len(content) // 4 * 4], "<i2").reshape(-1, 2) / 2**15
    if not pairs.any():
        return True
    power, (first, second) = np.square(pairs).mean(), np.square(pairs).mean(axis=0)
    is_noise = np.square(np.diff(pairs.ravel())).mean() > power > LOUDEST_NOISE**2
    is_even = 0.1 < (first + TINY) / (second + TINY) < 10
    is_in_range = power < LOUDEST**2 and abs(pairs.mean()) < LARGEST_OFFSET
    return bool(is_in_range and is_even and not is_noise)
