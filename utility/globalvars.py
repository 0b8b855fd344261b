"""The constants everything else agrees on: the emotions, the frames, the default paths.

Standard library only, and nothing here ever changes at run time: a variation
is `dataclasses.replace(PRESETS["default"], epochs=10)`.
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
        if not 1 <= self.hop_length <= self.frame_length:
            raise ValueError(
                "hop_seconds must be a sample or more and no longer than frame_seconds, "
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
# A longer recording is heard in windows, each like a clip of EmoDB, where the longest has 9 s.
WINDOW_SECONDS = 10.0


@dataclass(frozen=True)
class Hyperparameters:
    """What a network is built and trained with; stored with its weights.

    The defaults are the best known ones, found by `python train.py` on
    validation speakers.

    Parameters
    ----------
    network : str
        "attention" or "seed2018", see `utility.model`.
    frames_per_step : int
        Frames that make one step of the Bi-LSTM.
    dense_units, lstm_units, attention_heads : int
        Width of the dense layer, of the LSTM in each direction, and number of
        attention heads.
    input_dropout, dropout : float
        Share of inputs, and of the outputs of each layer, dropped in training.
    learning_rate, weight_decay, label_smoothing : float
        Of AdamW and of the cross-entropy.
    schedule : str
        "cosine" warms the learning rate up and then lowers it to 0 over
        `epochs`; "constant" leaves it.
    gradient_norm : float or None
        Largest norm of a gradient.
    batch_size : int
    epochs : int
    patience : int or None
        Stop where the validation loss has not fallen for so many epochs, and
        train for as many as were best. None trains for all epochs, which is
        what a learning rate that ends at 0 is for.
    padded_frames : int or None
        Length to which every clip is padded or, keeping its end, cut; None pads
        a batch to its longest clip. Only for a network with a step a frame.
    """

    network: str = "attention"
    frames_per_step: int = 10
    dense_units: int = 128
    lstm_units: int = 32
    attention_heads: int = 2
    input_dropout: float = 0.25
    dropout: float = 0.27
    learning_rate: float = 2.5e-3
    weight_decay: float = 0.0016
    label_smoothing: float = 0.1
    schedule: str = "cosine"
    gradient_norm: float | None = 1.0
    batch_size: int = 16
    epochs: int = 40
    patience: int | None = None
    padded_frames: int | None = None

    def __post_init__(self):
        if self.padded_frames is not None and self.frames_per_step != 1:
            raise ValueError(
                "padded_frames needs frames_per_step 1, since steps are what is padded"
            )


PRESETS = {
    "default": Hyperparameters(),
    "seed2018": Hyperparameters(
        network="seed2018",
        frames_per_step=1,
        dense_units=512,
        lstm_units=128,
        attention_heads=1,
        input_dropout=0.0,
        dropout=0.5,
        learning_rate=1e-3,
        weight_decay=0.0,
        label_smoothing=0.0,
        schedule="constant",
        gradient_norm=None,
        batch_size=128,
        epochs=60,
        patience=15,
        padded_frames=1024,
    ),
}

ROOT = Path(__file__).resolve().parent.parent
DATA_DIRECTORY = ROOT / "data"
DATABASE_PATH = ROOT / "berlin_db.p"
FEATURES_PATH = ROOT / "berlin_features.p"
WEIGHTS_PATH = ROOT / "weights_blstm_hyperas_1.h5"
