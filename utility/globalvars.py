"""The constants everything else agrees on: the emotions, the frames, the default paths.

Standard library only, and nothing here ever changes at run time: a variation
is `dataclasses.replace(FRAMES, hop_seconds=0.02)`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Emotion(NamedTuple):
    """One class: its letter in EmoDB file names and its name in this project."""

    letter: str
    label: str


# The order of the classes: column k of every probability array is EMOTIONS[k].
EMOTIONS = (
    Emotion("W", "anger"),
    Emotion("L", "boredom"),
    Emotion("E", "disgust"),
    Emotion("A", "anxiety/fear"),
    Emotion("F", "happiness"),
    Emotion("T", "sadness"),
    Emotion("N", "neutral"),
)
EMOTION_LABELS = tuple(emotion.label for emotion in EMOTIONS)


@dataclass(frozen=True)
class FrameSettings:
    """How a signal is cut into frames.

    Parameters
    ----------
    sample_rate_hz : int
        Every signal is brought to this rate first.
    frame_seconds, hop_seconds : float
        Length of a frame and distance between the starts of two frames.
    """

    sample_rate_hz: int = 16_000
    frame_seconds: float = 0.025
    hop_seconds: float = 0.010

    def __post_init__(self):
        if self.sample_rate_hz <= 0:
            raise ValueError(f"sample_rate_hz must be positive, not {self.sample_rate_hz}")
        if not 0 < self.hop_seconds <= self.frame_seconds:
            raise ValueError(
                "hop_seconds must be positive and no longer than frame_seconds, "
                f"not {self.hop_seconds} with {self.frame_seconds}"
            )

    @property
    def frame_length(self) -> int:
        """Samples in a frame."""
        return round(self.frame_seconds * self.sample_rate_hz)

    @property
    def hop_length(self) -> int:
        """Samples from the start of one frame to the start of the next."""
        return round(self.hop_seconds * self.sample_rate_hz)


FRAMES = FrameSettings()

ROOT = Path(__file__).resolve().parent.parent
DATA_DIRECTORY = ROOT / "data"
DATABASE_PATH = ROOT / "berlin_db.p"
FEATURES_PATH = ROOT / "berlin_features.p"
WEIGHTS_PATH = ROOT / "weights_blstm_hyperas_1.h5"
