"""A recording as one signal: opened, decoded, mixed to one channel and resampled, in blocks."""

import contextlib
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utility.audio.blocks import check_blocks, check_channel, check_channel_count, count_samples
from utility.audio.mixing import Mixer
from utility.errors import SignalError
from utility.globalvars import FRAMES
from utility.signals import EMPTY, check_sample_rate, count_equal, repeat_sample

# The beginnings of usual formats, of which at least that much is whole.
FORMATS = (b"fLaC", b"OggS", b"ID3", b"\x1aE\xdf\xa3", b"0&\xb2u", b"wvpk", b"#!AM", b"FLV")
NOTHING_WHOLE = (
    "cannot be read as audio: it is cut off or damaged, and nothing in it can be decoded; get it "
    "again"
)
NO_HEADER = (
    "cannot be read as audio: it has no header; if it holds raw samples, send it to "
    "predict.py --stream --rate HZ -, or convert it to WAV"
)
# More of an input that cannot be read twice, such as a pipe, goes to the disk.
KEPT_IN_MEMORY_BYTES = 2**22
# Nine hours of samples at 16 kHz. An input may also be endless.
LARGEST_COPY_BYTES = 2**30
READ_BYTES = 2**18
TOO_LARGE = (
    "sends more than 1 GiB; give the path of a file, or add --stream to hear it while it arrives"
)


class Channel(NamedTuple):
    """A single channel of a recording, numbered from 1."""

    sound: object
    number: int


class Recording:
    """An open recording, to be read once from its start.

    Attributes
    ----------
    channel_count : int
        According to its header.
    ends_early : bool
        Whether less sound was found than the file promises; known when all of it is read.
    is_damaged : bool
        Whether parts of it cannot be decoded, and were left out; likewise.
    channels_differ : bool
        Whether the channels differ, so that one was heard and not their mean; likewise.
    """

    def __init__(self, source, channel: int | None = None):
        self.source, self.channel, self.mixer = source, channel, Mixer()
        self.channel_count = source.channel_count
        check_channel_count(self.channel_count)
        if channel is not None:
            check_channel(channel, self.channel_count)

    @property
    def ends_early(self) -> bool:
        """See the attributes of the class."""
        return self.source.ends_early

    @property
    def is_damaged(self) -> bool:
        """See the attributes of the class."""
        return getattr(self.source, "is_damaged", False)

    @property
    def channels_differ(self) -> bool:
        """See the attributes of the class."""
        return self.mixer.channels_differ

    def read_signal(self, make_resampler=None) -> Iterator[np.ndarray]:
        """Yield the sound as one channel at 16 kHz, float64, full scale from -1 to 1, in blocks.

        It is resampled by a `Resampler`, or by what is made for each rate instead.

        Raises
        ------
        SignalError
            If it holds no samples, or some that cannot be decoded or are not finite; see also
            `check_blocks`.
        """
        resampler = None
        with explain_reading_errors():
            blocks = check_blocks(self.source.read_blocks(), self.channel)
            for signal, rate in self.mixer.mix(blocks):
                if resampler is None or resampler.rate != rate:
                    yield from resampler.flush() if resampler else ()
                    resampler = (make_resampler or Resampler)(rate)
                yield from resampler.resample(signal)
            if resampler is None:
                raise SignalError(EMPTY)
            yield from resampler.flush()


class Resampler:
    """Resample a signal to 16 kHz as it comes (soxr, high quality, as `librosa.load` does)."""

    def __init__(self, rate):
        self.rate, self.stream = rate, None
        if rate != FRAMES.sample_rate_hz:
            import soxr

            self.stream = soxr.ResampleStream(rate, FRAMES.sample_rate_hz, 1, "float64", "HQ")

    def resample(self, signal) -> Iterator[np.ndarray]:
        """Yield the samples that are ready."""
        if self.stream:
            signal = self.stream.resample_chunk(np.ascontiguousarray(signal))
        if len(signal):
            yield signal

    def flush(self) -> Iterator[np.ndarray]:
        """Yield the rest."""
        if self.stream and len(rest := self.stream.resample_chunk(np.zeros(0), last=True)):
            yield rest


class SoundResampler(Resampler):
    """Resample the sound in a signal, but not the digital silence before and after it.

    That is put together again from samples that are all equal. Resampled, it would have ripples
    next to the sound, which could not be told from sound any more.
    """

    def __init__(self, rate):
        super().__init__(rate)
        self.level, self.waiting, self.begun = 0.0, 0, False

    def resample(self, signal) -> Iterator[np.ndarray]:
        """Yield the samples that are ready. Equal ones wait until others follow them."""
        if not self.waiting and len(signal):
            self.level = signal[0]
        equal = count_equal(signal, self.level)
        self.waiting += equal
        if equal == len(signal):
            return
        if not self.begun:
            yield from repeat_sample(self.level, self.set_aside())
        yield from self.resample_waiting()
        last = count_equal(signal[::-1], signal[-1])
        yield from super().resample(signal[equal : len(signal) - last])
        self.level, self.waiting, self.begun = signal[-1], last, True

    def flush(self) -> Iterator[np.ndarray]:
        """Yield the rest."""
        count = self.set_aside()
        yield from self.resample_waiting()
        yield from super().flush()
        yield from repeat_sample(self.level, count)

    def set_aside(self) -> int:
        """Set aside what waits, in whole steps of 10 ms; return the number of samples at 16 kHz.

        If a step is no whole number of samples, it is so many of them together as are.
        """
        samples, seconds = float(self.rate).as_integer_ratio()
        steps = seconds * FRAMES.sample_rate_hz // FRAMES.hop_length
        shared = math.gcd(samples, steps)
        count, self.waiting = divmod(self.waiting, samples // shared)
        return count * (steps // shared) * FRAMES.hop_length

    def resample_waiting(self) -> Iterator[np.ndarray]:
        """Resample the samples that wait."""
        for block in repeat_sample(self.level, self.waiting):
            yield from super().resample(block)
        self.waiting = 0


@contextlib.contextmanager
def open_recording(sound):
    """Open a recording; yield a `Recording`.

    Parameters
    ----------
    sound : path-like, binary file, pair of np.ndarray and int, or Channel
        A file of any format that libsndfile or FFmpeg knows, at any sample rate and with any
        number of channels; or samples and their rate in Hz: floats with full scale from -1 to
        1, or integers, of shape (samples,) or (samples, channels). All channels are mixed,
        see `Mixer`, unless a `Channel` names one.

    Raises
    ------
    SignalError
        If the recording is missing, empty, or of no known format.
    """
    sound, channel = sound if isinstance(sound, Channel) else (sound, None)
    if isinstance(sound, tuple):
        yield Recording(ArraySource(*sound), channel)
        return
    is_path = isinstance(sound, str | os.PathLike)
    if not (is_path or hasattr(sound, "read")):
        raise SignalError(f"is of type {type(sound).__name__}; give a path, a file or an array")
    with contextlib.ExitStack() as stack:
        with explain_reading_errors():
            file = stack.enter_context(Path(sound).open("rb")) if is_path else sound
            if not file.seekable():
                file = stack.enter_context(copy_to_seekable_file(file))
            file.seek(0)
            source = stack.enter_context(contextlib.closing(open_source(file)))
            recording = Recording(source, channel)
        yield recording


def open_source(file):
    """Open a file with the library that reads it best.

    libsndfile is loaded faster, but does not always know how long compressed sound is.
    """
    from utility.audio.uncompressed import (
        BEGINNING_BYTES,
        BEGINNINGS,
        RARE_BEGINNINGS,
        open_uncompressed,
    )

    start = file.read(BEGINNING_BYTES)
    if not start:
        raise SignalError(EMPTY)
    file.seek(0)
    uncompressed = failure = None
    is_rare = RARE_BEGINNINGS.match(start)
    if is_rare or BEGINNINGS.match(start):
        try:
            uncompressed = open_uncompressed(file)
        except SignalError as error:
            failure = error
        else:
            if is_rare or uncompressed.is_plain:
                return uncompressed
        file.seek(0)
    from utility.audio.decoding import UNREADABLE, open_compressed
    from utility.audio.live import START_BYTES, has_header, looks_like_samples

    try:
        return open_compressed(file)
    except SignalError as error:
        if uncompressed:
            return uncompressed
        file.seek(0)
        content = file.read(START_BYTES)
        is_raw = len(content) == START_BYTES and looks_like_samples(content)
        if str(error) == UNREADABLE and is_raw and not has_header(start):
            raise SignalError(NO_HEADER) from None
        if str(error) == UNREADABLE and not failure and start.startswith(FORMATS):
            raise SignalError(NOTHING_WHOLE) from None
        raise (error if failure is None or str(error) != UNREADABLE else failure) from None


def copy_to_seekable_file(file):
    """Copy a pipe to a temporary file, which is read from the start."""
    copy = tempfile.SpooledTemporaryFile(KEPT_IN_MEMORY_BYTES)  # noqa: SIM115, the caller closes it
    copy_bytes(file, copy)
    return copy


def copy_bytes(file, copy) -> None:
    """Copy a file that cannot be read twice; raise a `SignalError` if it sends too much."""
    left = LARGEST_COPY_BYTES
    while content := file.read(READ_BYTES):
        if (left := left - len(content)) < 0:
            raise SignalError(TOO_LARGE)
        copy.write(content)


def count_channels(sound) -> int:
    """Return the number of channels of a recording; 0 if it cannot be read."""
    try:
        with open_recording(sound) as recording:
            return recording.channel_count
    except SignalError:
        return 0  # the error is raised again, with its place, when it is read


def load_audio(sound, start_seconds=0.0, end_seconds=np.inf) -> np.ndarray:
    """Read a recording, or a segment of it, as one channel at 16 kHz.

    Parameters
    ----------
    sound
        As for `open_recording`.
    start_seconds, end_seconds : float
        Where the segment starts and ends.

    Returns
    -------
    np.ndarray, shape (samples,), float64
        Full scale from -1 to 1.

    Raises
    ------
    SignalError
        If the file is missing or cannot be read.
    """
    first, end = (seconds * FRAMES.sample_rate_hz for seconds in (start_seconds, end_seconds))
    blocks, place = [], 0
    with open_recording(sound) as recording:
        for block in recording.read_signal():
            blocks.append(block[max(round(first) - place, 0) :])
            place += len(block)
            if place >= end:
                break
    signal = np.concatenate([*blocks, []])
    if end < place:
        signal = signal[: max(len(signal) - (place - round(end)), 0)]
    return signal


class ArraySource:
    """Samples of an array as a single block."""

    ends_early = False

    def __init__(self, samples, rate):
        samples = np.asarray(samples)
        if samples.ndim not in (1, 2) or samples.dtype.kind not in "if":
            raise SignalError(
                f"is an array of {samples.dtype}, shape {samples.shape}; give floats or signed "
                "integers of shape (samples,) or (samples, channels)"
            )
        if not samples.size:
            raise SignalError(EMPTY)
        channels = samples.reshape(len(samples), -1)
        if channels.shape[1] > len(channels):
            size = f"{channels.shape[1]} channels of {len(channels)} samples"
            raise SignalError(f"has {size}; transpose it")
        check_sample_rate(rate)
        self.full_scale = -float(np.iinfo(samples.dtype).min) if samples.dtype.kind == "i" else 1.0
        self.channels, self.rate, self.channel_count = channels, rate, channels.shape[1]

    def read_blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield samples, shape (samples, channels), full scale from -1 to 1, and their rate."""
        length = count_samples(self.rate, self.channel_count)
        for start in range(0, len(self.channels), length):
            with np.errstate(over="ignore"):  # of wider floats, which become infinite
                block = self.channels[start : start + length].astype(np.float64)
            yield block / self.full_scale, self.rate


@contextlib.contextmanager
def explain_reading_errors():
    """Turn any error of reading a file into a `SignalError` that says what to do."""
    try:
        yield
    except SignalError:
        raise
    except FileNotFoundError as error:
        raise SignalError(explain_missing_file(str(error.filename))) from error
    except IsADirectoryError as error:
        raise SignalError("is a folder; give a recording, or a folder that holds some") from error
    except OSError as error:
        reason = error.strerror or error
        raise SignalError(f"cannot be opened ({reason}); check the file") from error
    except MemoryError as error:
        raise SignalError("does not fit into memory; cut it into shorter recordings") from error
    except (RuntimeError, TypeError, ValueError, EOFError) as error:
        reason = str(error).strip().rstrip(".")
        raise SignalError(f"cannot be read as audio ({reason}); convert it to WAV") from error


def explain_missing_file(path) -> str:
    """Return what is wrong with the path of a file that does not exist, and what to do."""
    scheme, colon, rest = path.partition(":/")
    if colon and scheme.lower() == "file":
        return f"is an address; give the path alone: /{rest.lstrip('/')}"
    if colon and len(scheme) > 1 and scheme.isalnum():  # a single letter is a drive
        return "is an address on a network; download the recording first"
    if any(mark in path for mark in "*?["):
        return "no such file; if it is a pattern, no file matches it"
    return "no such file; check the path"
