"""The constants that everything shares: emotions, frames and paths. Standard library only."""

from pathlib import Path
from typing import NamedTuple

VERSION = "1.1.0.dev0"


class Emotion(NamedTuple):
    """A class: its letter in EmoDB file names and its name in this project."""

    letter: str
    label: str


# The order of the classes in EmoDB; a weights file or corpus lists its own.
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
# Columns of tables beside those of the probabilities, which are named like the emotions: of the
# predictions of a run, and of `predict.py --csv`.
COLUMN_NAMES = frozenset(
    (
        *("file", "corpus", "speaker", "emotion", "fold", "seed"),
        *("path", "seconds", "start", "end", "label", "error"),
    )
)


class FrameSettings(NamedTuple):
    """How a signal is cut into frames, once it is resampled to `sample_rate_hz`."""

    sample_rate_hz: int = 16_000
    frame_seconds: float = 0.025
    hop_seconds: float = 0.010

    @property
    def frame_length(self) -> int:
        """Samples in a frame."""
        return round(self.frame_seconds * self.sample_rate_hz)

    @property
    def hop_length(self) -> int:
        """Samples from the start of one frame to the start of the next."""
        return round(self.hop_seconds * self.sample_rate_hz)


FRAMES = FrameSettings()
# A longer recording is predicted in windows of at most this length. The longest of EmoDB lasts 9 s.
WINDOW_SECONDS = 10.0

# The endings of recordings' names, the usual ones first, and of files of frames.
RECORDING_ENDINGS = (
    *(".wav", ".wave", ".bwf", ".w64", ".rf64", ".flac", ".aiff", ".aif", ".aifc", ".au", ".snd"),
    *(".caf", ".voc", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".m4a", ".aac", ".mp4", ".3gp"),
    *(".amr", ".wma", ".webm", ".mka"),
)
FRAMES_ENDING = ".npy"

# Standardised features are clipped here: a frame of digital silence can lie a million
# deviations from the mean.
LARGEST_DEVIATION = 6.0
# Keeps deviations away from 0, where the square root has no slope; in standardised units.
VARIANCE_FLOOR = 1e-5

ROOT = Path(__file__).resolve().parent.parent
DATA_DIRECTORY = ROOT / "data"
# A corpus is named by the path that its three pickles begin with.
BERLIN = ROOT / "berlin"
VARIANTS_NAME = "variants"
WEIGHTS_PATH = ROOT / "weights_blstm_hyperas_1.h5"
# Of the program and of the shipped weights; the terms of weights are those of their recordings.
LICENCES = "program: MIT; weights emodb: CC BY 4.0; weights any-voice: CC BY-NC-SA 4.0"
SHIPPED_WEIGHTS = {"emodb": WEIGHTS_PATH, "any-voice": ROOT / "weights_any_voice.h5"}
