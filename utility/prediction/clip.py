"""From recordings to emotions: in windows, over time, and as a whole."""

import math
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, NamedTuple

import numpy as np

from utility.audio.recording import Channel, SoundResampler, open_recording
from utility.audio.speech import holds_voice
from utility.errors import SignalError
from utility.functions import read_array
from utility.furtherFeatures import compute_all_features, validate_frames
from utility.globalvars import FRAMES, WINDOW_SECONDS
from utility.network.inference import BATCH_CLIPS, Output, run_networks
from utility.network.weights import Weights
from utility.prediction.cutting import (
    STEP_SAMPLES,
    WHOLE,
    Cut,
    Window,
    cut_signal,
    separate_pauses,
    to_seconds,
)
from utility.signals import EMPTY, find_sound, is_silent
from utility.voices.baseline import Voice

# A recording, its samples and their rate in Hz, or a channel of it; see `open_recording`. For
# weights of the user's own features, a .npy file of frames or an array of them.
Sound = str | os.PathLike | BinaryIO | tuple[np.ndarray, int] | Channel | np.ndarray
# What a prediction tells of its recording, by the names of both.
TRAITS = ("ends_early", "is_damaged", "channels_differ")
# How a recording is cut to search it for a voice.
SEARCHED = Cut(window_seconds=2.0, hop_seconds=2.0)
# A window of frames that the user computed has no more, however short the time between them.
MOST_WINDOW_FRAMES = 10_000
NO_VOICE = "holds no voice; give recordings of the voice"


class Segment(NamedTuple):
    """A part of a recording.

    Attributes
    ----------
    start, end : float
        In seconds.
    ranking : list of (str, float), or None
        The emotions with their probabilities, most likely first; None where there is no voice.
    """

    start: float
    end: float
    ranking: list[tuple[str, float]] | None


@dataclass(frozen=True)
class Prediction:
    """The emotions of a recording, or of a part of one.

    Attributes
    ----------
    seconds : float
        Its length.
    ranking : list of (str, float), or None
        The emotions with their probabilities, most likely first; None if there is no voice.
    windows : int
        The number of windows with voice, whose probabilities and embeddings were averaged.
    ends_early : bool
        Whether less sound was found than the file promises.
    is_damaged : bool
        Whether parts of it cannot be decoded, and were left out.
    channels_differ : bool
        Whether the channels differ, so that one was heard at a time and not their mean.
    familiarity : float, or None
        How like the training recordings it sounds, from 0 to 1; None if that is not known.

    On request and if there is a voice, otherwise None:

    frame_seconds : np.ndarray, shape (frames,)
        The middle of each frame, from the start of the recording. Pauses between windows, and
        silence at the ends that was cut off, have no frames.
    attention : np.ndarray, shape (frames,)
        The share of the networks' attention on each frame; sums to 1.
    embedding : np.ndarray, shape (members, values)
        What the last layer of each network reads: a recording as a vector.
    """

    seconds: float
    ranking: list[tuple[str, float]] | None
    windows: int = 1
    ends_early: bool = False
    is_damaged: bool = False
    channels_differ: bool = False
    familiarity: float | None = None
    frame_seconds: np.ndarray | None = field(default=None, repr=False, compare=False)
    attention: np.ndarray | None = field(default=None, repr=False, compare=False)
    embedding: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def has_voice(self) -> bool:
        """Whether there is a voice, and so an emotion."""
        return self.ranking is not None

    @property
    def label(self) -> str | None:
        """The most likely emotion; None if there is no voice."""
        return self.ranking[0][0] if self.has_voice else None

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each emotion, most likely first; empty if there is no voice."""
        return dict(self.ranking or ())


class Timeline(NamedTuple):
    """The windows and pauses of a recording in order, and the prediction for the whole."""

    segments: list[Segment]
    whole: Prediction
    is_digital_silence: bool = False


def predict_all(
    sounds: Sequence[Sound], weights: Weights, voice: Voice | None = None, details: bool = False
) -> list[Prediction | SignalError]:
    """Predict recordings of any length.

    Parameters
    ----------
    sounds : sequence
        Each as for `utility.audio.recording.open_recording`.
    weights, voice, details
        As for `utility.prediction.library.predict`.

    Returns
    -------
    list of Prediction or SignalError
        For each sound the mean over its windows with voice, or what is wrong with it.
    """
    if weights.hyperparameters.reads_own_features:
        return [predict_table(source, weights, voice, details) for source in sounds]
    timelines = predict_wholes(sounds, weights, voice, details)
    return [one if isinstance(one, SignalError) else one.whole for one in timelines]


def predict_wholes(sounds, weights, voice=None, details=False) -> list[Timeline | SignalError]:
    """Predict recordings in the windows of `WHOLE`, or if these hold no voice, in shorter ones.

    A tone or music before a sentence must not hide it.
    """
    timelines = predict_windows(sounds, weights, voice, details=details)
    again = [
        number
        for number, one in enumerate(timelines)
        if not isinstance(one, SignalError) and not (one.whole.has_voice or one.is_digital_silence)
    ]
    found = predict_windows([sounds[number] for number in again], weights, voice, SEARCHED, details)
    for number, timeline in zip(again, found, strict=True):
        timelines[number] = timeline
    return timelines


def predict_windows(
    sounds: Sequence[Sound],
    weights: Weights,
    voice: Voice | None = None,
    cut: Cut = WHOLE,
    details: bool = False,
) -> list[Timeline | SignalError]:
    """Predict the windows of recordings, which go through the networks in batches.

    The first arguments are as for `predict_all`, and `cut` says how the recordings are cut.
    The whole of each timeline is the mean over these windows.
    """
    errors, seconds, traits = {}, [0.0] * len(sounds), [{}] * len(sounds)
    # Of each sound: the power of its steps, and its windows with voice by their spans.
    power, heard = [array("d") for _ in sounds], [{} for _ in sounds]

    def extract_all():
        for number, sound in enumerate(sounds):
            try:
                with open_recording(sound) as recording:
                    for window, frames in extract_windows(recording, weights, cut):
                        # Windows may overlap.
                        power[number].extend(window.power[len(power[number]) - window.start :])
                        seconds[number] = window.end_seconds
                        if frames is not None:
                            start = find_first_frame(window) if details else None
                            yield number, window.span, start, frames
                    traits[number] = {name: getattr(recording, name) for name in TRAITS}
            except SignalError as error:
                errors[number] = error

    clips = extract_all()
    while batch := list(islice(clips, BATCH_CLIPS)):
        *places, frames = zip(*batch, strict=True)
        outputs = run_networks(weights, frames, [voice] * len(frames), details)
        for number, span, start, output in zip(*places, outputs, strict=True):
            # Of an hour, the attention takes several megabytes.
            heard[number][span] = start, output if details else output._replace(attention=None)
    return [
        errors.get(number) or make_timeline(*parts, weights.emotions)
        for number, parts in enumerate(zip(power, heard, seconds, traits, strict=True))
    ]


def find_first_frame(window) -> float:
    """Return the time of the middle of the first frame of a window, in seconds."""
    start, _ = find_sound(window.power)
    return to_seconds(window.start + start / STEP_SAMPLES) + FRAMES.frame_seconds / 2


def predict_timelines(
    sounds: Sequence[Sound],
    weights: Weights,
    window_seconds: float,
    hop_seconds: float,
    voice: Voice | None = None,
) -> list[Timeline | SignalError]:
    """Predict the emotions of a voice over time. The whole is that of `predict_all`.

    Parameters
    ----------
    sounds, weights, voice
        As for `predict_all`.
    window_seconds, hop_seconds : float
        About the length of a window, and the time from its start to that of the next.

    Returns
    -------
    list of Timeline or SignalError
        For each sound its timeline, or what is wrong with it.
    """
    cut = Cut(window_seconds, hop_seconds)
    return [predict_timeline(sound, weights, cut, voice) for sound in sounds]


def predict_timeline(sound, weights, cut, voice) -> Timeline | SignalError:
    """Predict one timeline; the recording is read again if the whole is cut in another way."""
    (timeline,) = predict_wholes([sound], weights, voice)
    if isinstance(timeline, SignalError):
        return timeline
    if timeline.is_digital_silence:
        return timeline
    if timeline.whole.windows > 1 and cut == WHOLE._replace(uncut_seconds=0):
        return timeline
    (parts,) = predict_windows([sound], weights, voice, cut)
    if timeline.whole.has_voice and not any(segment.ranking for segment in parts.segments):
        return timeline  # only shorter windows hold a voice
    return parts if isinstance(parts, SignalError) else timeline._replace(segments=parts.segments)


def make_timeline(power, heard, seconds, traits, emotions) -> Timeline:
    """Arrange the windows of a recording that lasts some seconds, and average them.

    Given are the power of its steps; the windows with voice by their spans, as the time of their
    first frame, None without details, and an `Output`; and what else is known of the recording by
    the names in `TRAITS`.
    """
    power = np.asarray(power)
    spans, segments, voiced = sorted(heard), [], []
    for start, end, number in separate_pauses(spans, power):
        ranking = None
        if number is not None:
            voiced.append(heard[spans[number]])
            ranking = rank(emotions, voiced[-1][1].probabilities)
        segments.append(Segment(to_seconds(start), min(to_seconds(end), seconds), ranking))
    averaged = {"ranking": None, "windows": 0}
    if voiced:
        averaged = average_windows(*zip(*voiced, strict=True), FRAMES.hop_seconds, emotions)
    return Timeline(segments, Prediction(seconds, **averaged, **traits), not power.any())


def average_windows(starts, outputs: Sequence[Output], hop_seconds, emotions) -> dict:
    """Return the fields of a `Prediction` for windows; `starts` are the times of first frames."""
    rows, attention, embeddings, familiarities = zip(*outputs, strict=True)
    mean = np.mean(rows, axis=0, dtype=float)
    fields = {"ranking": rank(emotions, mean), "windows": len(rows)}
    if familiarities[0] is not None:
        fields["familiarity"] = float(np.mean(familiarities))
    if embeddings[0] is None:  # no details are asked for
        return fields
    times = [
        start + hop_seconds * np.arange(len(shares))
        for start, shares in zip(starts, attention, strict=True)
    ]
    return fields | {
        "frame_seconds": np.concatenate(times),
        "attention": np.concatenate(attention) / len(rows),
        "embedding": np.mean(embeddings, axis=0),
    }


def extract_windows(recording, weights, cut=WHOLE) -> Iterator[tuple[Window, np.ndarray | None]]:
    """Yield each window of an open recording and its frames, None if it holds no voice.

    Raises a `SignalError` if there are no windows.
    """
    window = None
    for window in cut_signal(recording.read_signal(SoundResampler), cut):
        yield window, extract_frames(window, weights)
    if window is None:
        raise SignalError(EMPTY)


def predict_table(source, weights, voice=None, details=False) -> Prediction | SignalError:
    """Predict frames that the user computed; see `divide_frames`."""
    try:
        seconds, windows = zip(*divide_frames(source, weights), strict=True)
    except SignalError as error:
        return error
    starts = np.cumsum([0, *seconds[:-1]]) + weights.hop_seconds / 2
    outputs = run_networks(weights, windows, [voice] * len(windows), details)
    averaged = average_windows(starts, outputs, weights.hop_seconds, weights.emotions)
    return Prediction(sum(seconds), **averaged)


def divide_frames(source, weights) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the seconds and the frames of each window of frames that the user computed.

    The source is a .npy file, by its path or open, or an array of shape (frames, values).
    """
    is_file = isinstance(source, str | os.PathLike) or hasattr(source, "read")
    frames = read_array(source) if is_file else source
    frames = validate_frames(frames, len(weights.feature_names))
    seconds = len(frames) * weights.hop_seconds
    window_count = max(seconds / WINDOW_SECONDS, len(frames) / MOST_WINDOW_FRAMES)
    for window in np.array_split(frames, math.ceil(window_count)):
        yield len(window) * weights.hop_seconds, window


def extract_frames(window, weights) -> np.ndarray | None:
    """Return the frames of a window without silence at its ends; None if without a voice."""
    if is_silent(window.signal):
        return None
    start, end = find_sound(window.power)
    frames = compute_all_features(window.signal[start:end])
    return frames.take(weights.columns, axis=1) if holds_voice(frames) else None


def extract_voiced(sound, weights) -> Iterator[np.ndarray]:
    """Yield the frames of each window with voice of a recording.

    Raises a `SignalError` if there are none.
    """
    if weights.hyperparameters.reads_own_features:
        yield from (frames for _, frames in divide_frames(sound, weights))
        return
    with open_recording(sound) as recording:
        has_voice = False
        for _, frames in extract_windows(recording, weights):
            if frames is not None:
                has_voice = True
                yield frames
    if not has_voice:
        raise SignalError(NO_VOICE)


def rank(emotions, probabilities) -> list[tuple[str, float]]:
    """Pair emotions with their probabilities, most likely first."""
    pairs = zip(emotions, map(float, probabilities), strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])
