"""Speaker adaptation: a voice's baseline, measured on other clips of it without labels.

A low voice is not a sad one. Where other clips of the same voice are at hand, each feature is
shifted and scaled so that the voice's mean and deviation become those of the training frames.
The network then sees how a clip differs from what is usual for that voice.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from utility.errors import DataError
from utility.globalvars import LARGEST_DEVIATION

# A feature that hardly varies in a voice, as above the band of a telephone, is scaled by at
# most the inverse of this.
SMALLEST_DEVIATION_RATIO = 0.1
# A baseline is that of its own frames and this many of the training frames, taken together.
PRIOR_FRAMES = 300


class Statistics(NamedTuple):
    """Mean and deviation of each column of some frames or functionals, shape (columns,) each."""

    mean: np.ndarray
    deviation: np.ndarray

    def take(self, columns) -> "Statistics":
        """Return the statistics of some of the features."""
        return Statistics(self.mean[columns], self.deviation[columns])


class Voice(NamedTuple):
    """What is known of a voice from unlabelled clips of it.

    `frames` is the baseline of its frames. `functionals`, (clips, functionals), are those of its
    clips, and None where no discriminant reads them.
    """

    frames: Statistics
    functionals: np.ndarray | None = None


def measure_statistics(tables) -> Statistics:
    """Measure all frames of some clips, each (frames, features), which are read twice."""
    count = total = squares = 0
    for table in tables:
        count, total = count + len(table), total + table.sum(axis=0, dtype=np.float64)
    mean = total / count
    for table in tables:
        squares = squares + np.square(table - mean).sum(axis=0)
    return Statistics(mean, np.maximum(np.sqrt(squares / count), 1e-7))


class FrameSums(NamedTuple):
    """The frames of a clip, summed: their number, and the sums of values and of squares.

    In units of the training frames, whose mean is 0 and whose deviation is 1.
    """

    count: int
    total: np.ndarray
    squares: np.ndarray


def sum_frames(table: np.ndarray, reference: Statistics) -> FrameSums:
    """Sum the frames of a clip, (frames, features)."""
    frames = (table.astype(np.float64) - reference.mean) / reference.deviation
    frames = frames.clip(-LARGEST_DEVIATION, LARGEST_DEVIATION)
    return FrameSums(len(frames), frames.sum(axis=0), np.square(frames).sum(axis=0))


def measure_baseline(clips: Iterable[FrameSums], reference: Statistics) -> Statistics:
    """Measure the baseline of a voice in some clips of it.

    Ten clips of different emotions serve better than one. With n frames, the baseline is a weighted
    mean of their statistics (weight n) and those of the training frames, `reference` (weight
    `PRIOR_FRAMES`). Raises `DataError` if there are no clips.
    """
    clips = [*clips]
    if not clips:
        raise DataError("there are no clips of the voice to adapt to; name some")
    count, total, squares = map(sum, zip(*clips, strict=True))
    mean = total / count
    weight = count / (count + PRIOR_FRAMES)
    variance = weight * (squares / count - np.square(mean)) + (1 - weight)
    deviation = np.sqrt(np.maximum(variance, SMALLEST_DEVIATION_RATIO**2))
    mean = reference.mean + weight * mean * reference.deviation
    return Statistics(mean, deviation * reference.deviation)


def adapt(frames, voice: Statistics, reference: Statistics) -> np.ndarray:
    """Shift and scale frames so that the voice's baseline becomes that of the training frames.

    Maps (frames, features) to the same shape, float32; see `measure_baseline`.
    """
    scale = reference.deviation / voice.deviation
    return ((frames - voice.mean) * scale + reference.mean).astype(np.float32)
