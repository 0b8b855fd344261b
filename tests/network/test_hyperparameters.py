"""Hyperparameters: their ranges, old names, and --set."""

from dataclasses import replace

import pytest

from utility.errors import UsageError
from utility.network.hyperparameters import PRESETS, override


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nothing=1", "give one of network"),
        ("members", "members cannot be ;"),
        ("members=2.5", r"members cannot be 2\.5"),
        ("members=0", "members cannot be 0"),
        ("members=101", "members cannot be 101"),
        ("members=many", "members cannot be many"),
        ("features=40", "features cannot be 40"),
        ("copies=-1", "augmented_copies cannot be -1"),
        ("copy_kinds=21", "augmentations cannot be 21"),
        ("scaled=1", "temperature_scaling cannot be 1"),
        ("epochs=0", "epochs cannot be 0"),
        ("epochs=null", "epochs cannot be null"),
        ("dropout=high", "dropout cannot be high"),
        ("dropout=1", "dropout cannot be 1"),
        ("dropout=NaN", "dropout cannot be NaN"),
        ("learning_rate=Infinity", "learning_rate cannot be Infinity"),
        ("calibrated_share=1.1", r"adapted_share cannot be 1\.1"),
        ("patience=0", "patience cannot be 0"),
        ("gradient_norm=0", "gradient_norm cannot be 0"),
        ("network=other", "network cannot be other"),
        ("network=seed2018", "padded_frames cannot be null"),
        ("padded_frames=100", "padded_frames goes with frames_per_step"),
    ],
)
def test_hyperparameters_that_cannot_be_set_are_named(setting, message):
    with pytest.raises(UsageError, match=message):
        override(PRESETS["default"], [setting])


def test_hyperparameters_can_be_set():
    settings = ["members=1", "dropout=0", "scaled=false", "schedule=constant", "patience=3"]
    expected = replace(
        PRESETS["default"],
        members=1,
        dropout=0,
        temperature_scaling=False,
        schedule="constant",
        patience=3,
    )
    assert override(PRESETS["default"], settings) == expected
