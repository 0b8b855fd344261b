"""The constants everything else agrees on: the emotions, the frames, the default paths.

The hyperparameters of the two networks are in `data/presets.json`. Standard library
only, and nothing here ever changes at run time: a variation
is `dataclasses.replace(PRESETS["default"], epochs=10)`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args, get_type_hints

VERSION = "1.0.0"


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


# Standardised features are cut here: a frame of digital silence can lie a million deviations out.
LARGEST_DEVIATION = 6.0
# Keeps deviations away from the kink of the square root, in standardised units.
VARIANCE_FLOOR = 1e-5

# Copies of the recordings to train on, and what a network can be tested on beside clean
# recordings; see `utility.corpora.augmentation`.
COPIES = (
    *(f"speed {factor}" for factor in (0.86, 0.93, 1.07, 1.15)),
    *(f"channel {number}" for number in range(1, 9)),
    *(f"hall {number}" for number in range(1, 9)),
)
CONDITIONS = {
    "noise": "with white noise at 20 dB",
    "telephone": "through a telephone, 300 to 3400 Hz",
    "quiet": "20 dB quieter",
    "room": "in a room, 0.5 s of reverberation",
}


# Networks whose probabilities can be averaged; so many seeds belong to each seed of a run.
MOST_MEMBERS = 100
COUNTS = ("frames_per_step", "dense_units", "lstm_units", "attention_heads", "batch_size", "epochs")
SHARES = ("input_dropout", "dropout", "label_smoothing")


@dataclass(frozen=True)
class Hyperparameters:
    """What a network is built and trained with; stored with its weights.

    Parameters
    ----------
    network : str
        "attention" or "seed2018", see `utility.network.model`.
    features : int
        How many columns of a frame are read: the 36, or all 66.
    members : int
        Networks that are trained with different seeds, their probabilities averaged.
    copies : int
        Copies of each utterance, drawn anew from those there are, that an epoch adds to it.
    copy_kinds : int
        How many of `COPIES` there are to draw from, the first ones.
    calibrated_share : float
        Share of what is drawn that is shifted and scaled to its speaker's own
        baseline, see `utility.network.voice`.
    balanced : bool
        Whether probabilities are those for classes that are equally frequent, whatever
        their shares among the training utterances.
    scaled : bool
        Whether a temperature is fitted to the probabilities, on speakers not trained on.
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

    network: str
    features: int
    members: int
    copies: int
    copy_kinds: int
    calibrated_share: float
    balanced: bool
    scaled: bool
    frames_per_step: int
    dense_units: int
    lstm_units: int
    attention_heads: int
    input_dropout: float
    dropout: float
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    schedule: str
    gradient_norm: float | None
    batch_size: int
    epochs: int
    patience: int | None
    padded_frames: int | None

    def __post_init__(self):
        for name, kind in get_type_hints(Hyperparameters).items():
            value = getattr(self, name)
            kinds = get_args(kind) or (kind,)
            if not (type(value) in kinds or (type(value) is int and float in kinds)):
                raise ValueError(f"{name} cannot be {value!r}")
        rules = {
            "network": self.network in ("attention", "seed2018"),
            "features": self.features in (36, 66),
            "schedule": self.schedule in ("constant", "cosine"),
            "members": 1 <= self.members <= MOST_MEMBERS,
            "copies": self.copies >= 0,
            "copy_kinds": 0 <= self.copy_kinds <= len(COPIES),
            "patience": self.patience is None or self.patience >= 1,
            "gradient_norm": self.gradient_norm is None or 0 < self.gradient_norm < float("inf"),
            "padded_frames": self.padded_frames is None
            or (self.padded_frames >= 1 and self.frames_per_step == 1),
            **{name: getattr(self, name) >= 1 for name in COUNTS},
            **{name: 0 <= getattr(self, name) < 1 for name in SHARES},
            "calibrated_share": 0 <= self.calibrated_share <= 1,
            "learning_rate": 0 < self.learning_rate < float("inf"),
            "weight_decay": 0 <= self.weight_decay < float("inf"),
        }
        for name, kept in rules.items():
            if not kept:
                raise ValueError(f"{name} cannot be {getattr(self, name)!r}")
        if self.network == "seed2018" and self.padded_frames is None:
            raise ValueError("padded_frames cannot be None with network seed2018")


ROOT = Path(__file__).resolve().parent.parent
DATA_DIRECTORY = ROOT / "data"
PRESETS_PATH = DATA_DIRECTORY / "presets.json"
VERSIONS_NAME = "versions"
# A data set is named by the path that its three pickles begin with.
BERLIN = ROOT / "berlin"
PICKLE_ENDINGS = ("_db.p", "_features.p", "_further_features.p")
WEIGHTS_PATH = ROOT / "weights_blstm_hyperas_1.h5"

# Ours, with the best hyperparameters known, and the network of the 2018 project.
PRESETS = {
    name: Hyperparameters(**values)
    for name, values in json.loads(PRESETS_PATH.read_text(encoding="utf-8")).items()
}
