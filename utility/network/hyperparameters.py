"""The hyperparameters: the meaning, the range and the default of each, and the presets."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import NamedTuple

from utility.errors import UsageError, quote
from utility.functions import is_name
from utility.furtherFeatures import FEATURE_SETS

# Seed s of a run gives its networks the seeds from MOST_MEMBERS * s on.
MOST_MEMBERS = 100
# More tell the deviation over seeds hardly any better, and are more likely a typing mistake.
MOST_SEEDS = 1000
# Of any other number, since weights files from anyone are read.
MOST = 1_000_000


def show(value) -> str:
    """Write a value as --set takes it."""
    if isinstance(value, str):
        return value
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else json.dumps(value)


class Range(NamedTuple):
    """The allowed values of a hyperparameter: a test, and a text that completes "give ..."."""

    allows: Callable
    text: str


def whole(least, most=MOST) -> Range:
    """Whole numbers from the least one to the greatest one."""
    text = f"a whole number from {least} to {most}"
    return Range(lambda v: type(v) is int and least <= v <= most, text)


def real(test, text) -> Range:
    """Numbers up to `MOST` for which a test holds."""
    return Range(lambda v: type(v) in (int, float) and abs(v) <= MOST and test(v), text)


def one_of(*values) -> Range:
    """One of the given values, which are of one type."""
    text = " or ".join(map(show, values))
    return Range(lambda v: type(v) is type(values[0]) and v in values, text)


def are_names(value) -> bool:
    """Tell whether a value is a tuple of distinct names."""
    names = isinstance(value, tuple) and all(map(is_name, value))
    return names and len(set(value)) == len(value)


def optional(allowed) -> Range:
    """A value from a range, or null."""
    return Range(lambda v: v is None or allowed.allows(v), f"{allowed.text}, or null")


SHARE = real(lambda v: 0 <= v <= 1, "a number from 0 to 1")
PART = real(lambda v: 0 <= v < 1, "a number from 0 to below 1")
POSITIVE = real(lambda v: v > 0, f"a number above 0, up to {MOST}")
NOT_NEGATIVE = real(lambda v: v >= 0, f"a number from 0 to {MOST}")
# Which names there are is checked where copies are made: prediction does not need them.
# Which names of own features there are is checked where a corpus is read.
FEATURES = Range(
    lambda v: are_names(v) and v and (len(v) == 1 or set(v) <= FEATURE_SETS.keys()),
    f"some of {', '.join(FEATURE_SETS)}, separated by commas, or the name of your own features",
)
ANY_NAMES = Range(are_names, "names from utility/corpora/augmentation.py, separated by commas")


def setting(default, allowed, *, in_2018):
    """Declare a hyperparameter: its default, its range, and its value in the 2018 project."""
    return field(default=default, metadata={"allowed": allowed, "in_2018": in_2018})


@dataclass(frozen=True)
class Hyperparameters:
    """How a network is built and trained; stored with its weights.

    Raises `ValueError` if a value is out of its range.
    """

    # The architecture, see utility/network/model.py.
    network: str = setting("attention", one_of("attention", "seed2018"), in_2018="seed2018")
    # The feature sets that the network reads: the 36 of 2018, and 30 further ones; or the one set
    # of a corpus with features of the user's own.
    features: tuple = setting(("original", "further"), FEATURES, in_2018=("original",))
    # Networks in the ensemble, trained with different seeds.
    members: int = setting(3, whole(1, MOST_MEMBERS), in_2018=1)
    # Augmented copies of each utterance that an epoch adds, redrawn every epoch.
    augmented_copies: int = setting(4, whole(0), in_2018=0)
    # The kinds of data augmentation that these copies are drawn from.
    augmentations: tuple = setting(("speed", "channel", "hall"), ANY_NAMES, in_2018=())
    # Fraction of the training items that are adapted to their speaker, see voice.py.
    adapted_share: float = setting(0.5, SHARE, in_2018=0.0)
    # Whether classes count as equally frequent, whatever their shares in the training part.
    balanced: bool = setting(True, one_of(True, False), in_2018=False)
    # The weight of the discriminant in the pool, where all networks together have 1, for a voice
    # that is well known; see utility/voices/discriminant.py. 0: there is none.
    discriminant_weight: float = setting(0.5, NOT_NEGATIVE, in_2018=0.0)
    # Whether a temperature is fitted to training speakers that were left out in turn.
    temperature_scaling: bool = setting(True, one_of(True, False), in_2018=False)
    # The temperature for recordings of other sources than the training corpora, where these are a
    # single one; of several, each is left out in turn to fit it.
    unheard_temperature: float = setting(2.4, POSITIVE, in_2018=1.0)
    # Frames that make one step of the Bi-LSTM.
    frames_per_step: int = setting(10, whole(1, 1000), in_2018=1)
    # Width of the dense layer, of the LSTM in each direction, and number of attention heads.
    dense_units: int = setting(128, whole(1, 4096), in_2018=512)
    lstm_units: int = setting(64, whole(1, 1024), in_2018=128)
    attention_heads: int = setting(4, whole(1, 64), in_2018=1)
    # Fraction of the inputs, and of the outputs of each layer, that training drops.
    input_dropout: float = setting(0.05, PART, in_2018=0.0)
    dropout: float = setting(0.25, PART, in_2018=0.5)
    # The learning rate and weight decay of AdamW.
    learning_rate: float = setting(0.002, POSITIVE, in_2018=0.001)
    weight_decay: float = setting(0.0016, NOT_NEGATIVE, in_2018=0.0)
    # Label smoothing of the cross-entropy loss.
    label_smoothing: float = setting(0.1, PART, in_2018=0.0)
    # "cosine": warm up over the first fifth of the updates, then decay to 0 over all epochs.
    schedule: str = setting("cosine", one_of("cosine", "constant"), in_2018="constant")
    # Gradients are clipped to this norm; null: no clipping.
    gradient_norm: float | None = setting(1.0, optional(POSITIVE), in_2018=None)
    # Clips in a batch.
    batch_size: int = setting(32, whole(1), in_2018=128)
    # Epochs of a training; the most where it stops early.
    epochs: int = setting(20, whole(1), in_2018=60)
    # Early stopping: epochs without a lower validation loss, after which the best number of
    # epochs is taken. null trains for all, as suits a learning rate that decays to 0.
    patience: int | None = setting(None, optional(whole(1)), in_2018=15)
    # Length to which every clip is padded or, keeping its end, cut. null pads a batch to its
    # longest clip. A fixed length needs one frame per step.
    padded_frames: int | None = setting(None, optional(whole(1, 100_000)), in_2018=1024)

    def __post_init__(self):
        for item in fields(self):
            value, allowed = getattr(self, item.name), item.metadata["allowed"]
            if not allowed.allows(value):
                raise ValueError(f"{item.name} cannot be {quote(show(value))}; give {allowed.text}")
        if self.padded_frames is not None and self.frames_per_step != 1:
            raise ValueError("padded_frames goes with frames_per_step=1; give null")
        if self.network == "seed2018" and self.padded_frames is None:
            raise ValueError("padded_frames cannot be null with network=seed2018; give a number")

    @property
    def reads_own_features(self) -> bool:
        """Whether the network reads features that this program does not compute."""
        return not set(self.features) <= FEATURE_SETS.keys()

    @property
    def has_discriminant(self) -> bool:
        """Whether a discriminant is fitted: not to own features, which can be thousands."""
        return self.discriminant_weight > 0 and not self.reads_own_features


IN_2018 = {item.name: item.metadata["in_2018"] for item in fields(Hyperparameters)}
PRESETS = {"default": Hyperparameters(), "seed2018": Hyperparameters(**IN_2018)}

# What holds for runs and weights from before these hyperparameters were added.
ADDED_LATER = {"discriminant_weight": 0.0, "unheard_temperature": 1.0}
# Up to 1.0.0, hyperparameters had these names, and features and augmentations were counted.
OLD_NAMES = {
    "copies": "augmented_copies",
    "copy_kinds": "augmentations",
    "calibrated_share": "adapted_share",
    "scaled": "temperature_scaling",
}
OLD_COUNTS = {
    "features": {36: "original", 66: "original,further"},
    "augmentations": {0: "", 4: "speed", 12: "speed,channel", 20: "speed,channel,hall"},
}


def read_hyperparameters(values, base=PRESETS["default"]) -> Hyperparameters:
    """Return hyperparameters from a dictionary, as JSON gives it, in the current or the old form.

    Names may be a list or a text with commas; `base` has the values that are not given. Raises
    `KeyError` with the name of an unknown hyperparameter, `ValueError` if a value is out of range.
    """
    known = {item.name for item in fields(Hyperparameters)}
    changes = {}
    for old_name, value in values.items():
        name = OLD_NAMES.get(old_name, old_name)
        if name not in known:
            raise KeyError(name)
        if type(value) is int:
            value = OLD_COUNTS.get(name, {}).get(value, value)
        if name in OLD_COUNTS and isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        changes[name] = tuple(value) if isinstance(value, list) else value
    return replace(base, **changes)


def read_stored_hyperparameters(values) -> Hyperparameters:
    """Return the hyperparameters of a run or a weights file; see `read_hyperparameters`."""
    return read_hyperparameters(ADDED_LATER | values)


def override(hyperparameters, settings) -> Hyperparameters:
    """Return hyperparameters with some of them set by a command line.

    A setting is NAME=VALUE, the value as in JSON; anything that is not JSON is text. Raises
    `UsageError` if there is no such hyperparameter, or it cannot have that value.
    """
    values = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: give NAME=VALUE")
        try:
            values[name] = json.loads(value)
        except (ValueError, RecursionError):
            values[name] = value
    try:
        return read_hyperparameters(values, hyperparameters)
    except KeyError as error:
        names = ", ".join(asdict(hyperparameters))
        raise UsageError(f"--set {error.args[0]}: give one of {names}") from error
    except ValueError as error:
        raise UsageError(f"--set: {error}") from error


def write_names(values: dict) -> dict:
    """Return hyperparameters with tuples of names as text, for tables and reports."""
    return {name: show(v) if isinstance(v, tuple | list) else v for name, v in values.items()}
