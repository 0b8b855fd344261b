"""Emotion in live sound: at each hop, the emotion of the window that ends there."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from utility.audio.live import open_stream
from utility.audio.recording import Recording
from utility.errors import SignalError
from utility.globalvars import FRAMES
from utility.network.inference import predict_frames
from utility.network.weights import Weights
from utility.prediction.clip import Segment, extract_frames, rank
from utility.prediction.cutting import make_window
from utility.prediction.output import format_clock, format_part, format_ranking
from utility.prediction.recordings import STANDARD_INPUT
from utility.processes.interruption import expect_interruption
from utility.voices.baseline import Voice

RATE_HZ = FRAMES.sample_rate_hz
# The shortest window at the beginning of a stream, and the shortest hop at its end.
SHORTEST_WINDOW_SECONDS = 0.1
SHORTEST_HOP_SECONDS = 0.01


def print_stream(segments, top, *, as_json=False) -> None:
    """Print each segment as soon as it is there, until the stream ends or Ctrl-C ends it."""
    expect_interruption()
    for start, end, ranking in segments:
        text = f"{format_clock(end):>9}  {format_ranking(ranking, top)}\n"
        if as_json:
            text = format_part({"start": start, "end": end}, ranking)
        print(text, end="", flush=True)


def predict_stream(
    source: BinaryIO,
    weights: Weights,
    sample_rate: int | None,
    window_seconds: float,
    hop_seconds: float,
    voice: Voice | None = None,
    channel: int | None = None,
    on_end: Callable[[Recording], object] = lambda recording: None,
) -> Iterator[Segment]:
    """Predict the emotions of a voice while it speaks: yield windows, which are shorter at first.

    The source and the sample rate are those of `utility.audio.live.open_stream`. A hop is the
    time from the end of one window to the end of the next. `on_end` is called with the recording
    when all of it is read. Raises `SignalError` if the source is of no known format, or too short.
    """
    window, position, predicted = np.zeros(0), 0, False
    try:
        recording = Recording(open_stream(source, sample_rate), channel)
        for hop in read_hops(recording, hop_seconds):
            position += len(hop)
            window = np.concatenate([window, hop])[-round(window_seconds * RATE_HZ) :]
            if len(window) < SHORTEST_WINDOW_SECONDS * RATE_HZ:
                continue
            predicted, ranking = True, None
            frames = extract_frames(make_window(0, window), weights)
            if frames is not None:
                ranking = rank(weights.emotions, predict_frames(weights, [frames], [voice])[0][0])
            yield Segment((position - len(window)) / RATE_HZ, position / RATE_HZ, ranking)
    except SignalError as error:
        raise SignalError(f"{STANDARD_INPUT}: {error}") from error
    if not predicted:
        raise SignalError("-: ended before there was enough to predict; send more sound")
    on_end(recording)


def read_hops(recording, hop_seconds) -> Iterator[np.ndarray]:
    """Yield the signal in hops, of which the last may be shorter."""
    length, kept = max(1, round(hop_seconds * RATE_HZ)), np.zeros(0)
    for block in recording.read_signal():
        kept = np.concatenate([kept, block])
        while len(kept) >= length:
            yield kept[:length]
            kept = kept[length:]
    if len(kept) >= SHORTEST_HOP_SECONDS * RATE_HZ:
        yield kept
