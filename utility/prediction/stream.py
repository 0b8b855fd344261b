"""Emotion in live sound: at each hop, the emotion of the window that ends there."""

import contextlib
import wave
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from utility.audio import resample
from utility.errors import SignalError
from utility.network.inference import predict_frames
from utility.network.weights import Weights
from utility.prediction.clip import Segment, Voice, extract_frames, rank
from utility.prediction.output import format_clock, format_part, format_ranking

FULL_SCALE = 2**15
# The shortest window at the beginning of a stream, and the shortest hop at its end.
SHORTEST_WINDOW_SECONDS = 0.1
SHORTEST_HOP_SECONDS = 0.01
# First bytes of encoded files: FLAC, Ogg, MP3, AIFF, Matroska.
ENCODED_FILES = (b"fLaC", b"OggS", b"ID3", b"FORM", b"\x1aE\xdf\xa3")


def print_stream(segments, top, *, as_json=False) -> None:
    """Print each segment as soon as it is there, until the stream ends or Ctrl-C ends it."""
    with contextlib.suppress(KeyboardInterrupt):
        for start, end, ranking in segments:
            text = f"{format_clock(end):>9}  {format_ranking(ranking, top)}\n"
            if as_json:
                text = format_part({"start": start, "end": end}, ranking)
            print(text, end="", flush=True)


def predict_stream(
    source: BinaryIO,
    weights: Weights,
    sample_rate: int,
    window_seconds: float,
    hop_seconds: float,
    voice: Voice = None,
) -> Iterator[Segment]:
    """Predict the emotions of a voice while it speaks: yield windows, which are shorter at first.

    The source is a buffered binary file that need not be seekable: WAV, or raw 16-bit
    little-endian samples of one channel, at the given sample rate in Hz. A hop is the time
    from the end of one window to the end of the next. Raises `SignalError` if the source is an
    encoded file, a WAV stream but not 16-bit PCM, or too short.
    """
    rate, hops = open_stream(source, sample_rate, hop_seconds)
    window, position, predicted = np.zeros(0), 0, False
    for hop in hops:
        position += len(hop)
        window = np.concatenate([window, hop])[-round(window_seconds * rate) :]
        if len(window) < SHORTEST_WINDOW_SECONDS * rate:
            continue
        predicted, ranking = True, None
        frames = extract_frames(resample(window, rate), weights, voice)
        if frames is not None:
            ranking = rank(weights.emotions, predict_frames(weights, [frames])[0][0])
        yield Segment(position / rate - len(window) / rate, position / rate, ranking)
    if not predicted:
        raise SignalError("-: ended before there was enough to predict; send more sound")


def open_stream(source, rate, hop_seconds) -> tuple[int, Iterator[np.ndarray]]:
    """Detect the format of a stream; return its rate in Hz and its hops, see `read_hops`."""
    start = source.peek(4)[:4]
    if start.startswith(ENCODED_FILES):
        raise SignalError("-: is an encoded file, not raw samples; decode it, or omit --stream")
    if start != b"RIFF":
        return rate, read_hops(lambda count: source.read(2 * count), 1, rate, hop_seconds)
    try:
        recording = wave.open(source, "rb")  # noqa: SIM115, standard input stays open
        rate, channels = recording.getframerate(), recording.getnchannels()
        if recording.getsampwidth() != 2:
            raise wave.Error(f"{8 * recording.getsampwidth()} bits per sample")
    except (wave.Error, EOFError) as error:
        raise SignalError(f"-: cannot be read as a stream ({error}); give 16-bit PCM") from error
    return rate, read_hops(recording.readframes, channels, rate, hop_seconds)


def read_hops(read, channels, rate, hop_seconds) -> Iterator[np.ndarray]:
    """Yield hops, of which the last may be shorter: the mean of all channels, from -1 to 1."""
    while content := read(max(1, round(hop_seconds * rate))):
        whole = len(content) - len(content) % (2 * channels)
        if whole < 2 * channels * SHORTEST_HOP_SECONDS * rate:  # the rest at the end
            return
        yield np.frombuffer(content[:whole], "<i2").reshape(-1, channels).mean(axis=1) / FULL_SCALE
