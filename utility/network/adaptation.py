"""Speaker adaptation: learn a voice from unlabelled clips of it, whatever their emotions are.

What the clips have in common is the voice, the room and the microphone, but also the emotions,
if they are not as mixed as in the training data. So the networks first say what they hear in the
clips, and where that explains how the clips differ from the training data, it is taken out.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from utility.network.inference import BATCH_CLIPS, predict_frames
from utility.network.weights import Weights
from utility.voices.baseline import FrameSums, Statistics, Voice, measure_baseline, sum_frames
from utility.voices.functionals import compute_functionals


class Heard(NamedTuple):
    """A clip of a voice that is to be learned.

    `emotions` are probabilities without adaptation, and `functionals` is None if there is no
    discriminant.
    """

    frames: FrameSums
    emotions: np.ndarray
    functionals: np.ndarray | None


def learn_voice(weights: Weights, clips: Iterable[np.ndarray]) -> Voice:
    """Learn a voice from clips, each (frames, features); raise `DataError` if there are none."""
    clips, heard = iter(clips), []
    while some := list(islice(clips, BATCH_CLIPS)):
        heard += hear(weights, some)
    return measure_voice(weights, heard)


def hear(weights: Weights, clips: Sequence[np.ndarray]) -> list[Heard]:
    """Predict the emotions of clips, and compute their functionals."""
    clips = [clip[:, : len(weights.feature_names)] for clip in clips]
    plain = dataclasses.replace(weights, temperature=1.0, priors=None)
    emotions, _ = predict_frames(plain, clips)
    functionals = [None] * len(clips)
    if weights.discriminant is not None:
        functionals = [compute_functionals(clip, weights.feature_names) for clip in clips]
    sums = [sum_frames(clip, weights.statistics) for clip in clips]
    return [*map(Heard, sums, emotions, functionals)]


# Weights of a stranger may hold values so large that they overflow; what comes of it is checked.
@np.errstate(all="ignore")
def measure_voice(weights: Weights, heard: Sequence[Heard]) -> Voice:
    """Measure the baseline of a voice in clips of it, without what their emotions explain."""
    frames = measure_baseline([one.frames for one in heard], weights.statistics)
    emotions = np.array([one.emotions for one in heard])
    if weights.frame_offsets is not None:
        counts = np.array([one.frames.count for one in heard])
        explained = explain_shift(
            frames.mean - weights.statistics.mean,
            counts @ emotions / counts.sum() @ weights.frame_offsets,
            weights.statistics.deviation,
        )
        frames = Statistics(frames.mean - explained, frames.deviation)
    if weights.discriminant is None:
        return Voice(frames)
    functionals = np.array([one.functionals for one in heard])
    usual, offsets = weights.discriminant.usual, weights.discriminant.offsets
    shift = functionals.mean(axis=0) - usual.mean
    explained = explain_shift(shift, emotions.mean(axis=0) @ offsets, usual.deviation)
    return Voice(frames, functionals - explained)


def explain_shift(shift, expected, deviation) -> np.ndarray:
    """Return the part of a voice's shift from the training data that its emotions explain.

    `expected` is the shift that these emotions would cause in a voice of the training data. It is
    taken out as far as it points in the direction of the shift that was measured, in units of
    `deviation`: wholly if both are equal, hardly if a room or a microphone shifts more or in
    another direction. There the emotions that were heard are not to be relied on, either.
    """
    measured, wanted = shift / deviation, expected / deviation
    squared = measured @ measured
    share = np.clip(measured @ wanted / squared, 0, 1) if squared > 0 else 0
    return share * expected
