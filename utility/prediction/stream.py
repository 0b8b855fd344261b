"""Emotion in live sound: a line for each hop, of the window that has just been heard."""

import json
import wave

import numpy as np

from utility.audio import is_silent, resample
from utility.errors import SignalError
from utility.network.inference import predict_frames
from utility.prediction.clip import frames_of, rank
from utility.prediction.output import clock, shares_text

FULL_SCALE = 2**15
SHORTEST_HOP_SECONDS = 0.01
# What files begin with that are no raw samples: FLAC, Ogg, MP3, AIFF, Matroska.
OTHER_FILES = (b"fLaC", b"OggS", b"ID3", b"FORM", b"\x1aE\xdf\xa3")


def listen(source, output, weights, voice, options) -> None:
    """Write what is heard in a stream, until it ends or Ctrl-C ends it.

    Parameters
    ----------
    source : buffered binary file
        WAV, or raw 16-bit little-endian samples of one channel. Cannot be rewound.
    output : text file
    weights : Weights
    voice : Statistics or None
    options
        window, hop : float, in seconds; rate : int, of raw samples in Hz; top, json.

    Raises
    ------
    SignalError
        If it begins like a WAV file but is none of 16 bits.
    """
    try:
        rate, hops = open_stream(source, options.rate, options.hop)
        heard = False
        for end, signal in rolling(hops, rate, options.window):
            ranking = None
            if not is_silent(signal):
                frames = frames_of(resample(signal, rate), weights, voice)
                ranking = rank(weights.emotions, predict_frames(weights, [frames])[0][0])
            start = end - len(signal) / rate
            line = as_json(start, end, ranking) if options.json else None
            if line is None:
                heard = "pause" if ranking is None else shares_text(ranking, options.top)
                line = f"{clock(end):>9}  {heard}"
            print(line, file=output, flush=True)
            heard = True
        if not heard:
            raise SignalError("-: ended before there was anything to hear; send it longer sound")
    except KeyboardInterrupt:
        return


def as_json(start, end, ranking) -> str:
    """Return an object that says what was heard, and when; no label where it was silent."""
    content = {"start": round(start, 3), "end": round(end, 3), "label": None}
    if ranking is not None:
        content["label"] = ranking[0][0]
        content["probabilities"] = {emotion: round(share, 4) for emotion, share in ranking}
    return json.dumps(content, ensure_ascii=False)


def open_stream(source, rate, hop_seconds):
    """Find out what comes in, and give it hop by hop.

    Returns
    -------
    rate : int
        In Hz.
    hops : iterator of np.ndarray, shape (samples,)
        One channel, full scale from -1 to 1; the last may be shorter.
    """
    start = source.peek(4)[:4]
    if start.startswith(OTHER_FILES):
        raise SignalError("-: is no raw sound but a file; decode it, or leave --stream away")
    if start != b"RIFF":
        return rate, read_hops(lambda count: source.read(2 * count), 1, rate, hop_seconds)
    try:
        recording = wave.open(source, "rb")  # noqa: SIM115, standard input stays open
        rate, channels = recording.getframerate(), recording.getnchannels()
        if recording.getsampwidth() != 2:
            raise wave.Error(f"{8 * recording.getsampwidth()} bits a sample")
    except (wave.Error, EOFError) as error:
        raise SignalError(f"-: cannot be heard as it comes ({error}); give 16-bit PCM") from error
    return rate, read_hops(recording.readframes, channels, rate, hop_seconds)


def read_hops(read, channels, rate, hop_seconds):
    """Read hops of samples until there are no more, each the mean of its channels."""
    while content := read(max(1, round(hop_seconds * rate))):
        whole = len(content) - len(content) % (2 * channels)
        if whole < 2 * channels * SHORTEST_HOP_SECONDS * rate:  # what is left at the end
            return
        yield np.frombuffer(content[:whole], "<i2").reshape(-1, channels).mean(axis=1) / FULL_SCALE


def rolling(hops, rate, window_seconds):
    """Follow hops with a window that ends with each of them.

    Yields
    ------
    end : float
        In seconds from the beginning.
    signal : np.ndarray, shape (samples,)
        Shorter than a window at first.
    """
    length, window, heard = round(window_seconds * rate), np.zeros(0), 0
    for hop in hops:
        heard += len(hop)
        window = np.concatenate([window, hop])[-length:]
        if len(window) >= 0.1 * rate:
            yield heard / rate, window
