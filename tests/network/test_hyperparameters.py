"""Hyperparameters: their ranges, old names, and --set."""

from dataclasses import asdict, replace

import pytest

from utility.errors import UsageError
from utility.network.hyperparameters import (
    PRESETS,
    Hyperparameters,
    override,
    read_hyperparameters,
    show,
)

DEFAULT = PRESETS["default"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nothing=1", "--set nothing: give one of network, features, members, augmented_copies, "),
        ("members", "--set members: give NAME=VALUE"),
        ("members=2.5", r"members cannot be 2\.5; give a whole number from 1 to 100"),
        ("members=0", "members cannot be 0; give a whole number from 1 to 100"),
        ("members=101", "members cannot be 101; give a whole number from 1 to 100"),
        ("members=many", "members cannot be many; give a whole number from 1 to 100"),
        ("features=mine,original", "features cannot be mine,original; give some of original,"),
        ("features=40", "features cannot be 40; give some of original, further, separated by"),
        ("features=", "features cannot be ; give some of original, further, separated by commas"),
        ("features=original,original", "features cannot be original,original; give some of"),
        ("copies=-1", "augmented_copies cannot be -1; give a whole number from 0 to 1000000"),
        ("copy_kinds=21", r"augmentations cannot be 21; give names from \S+augmentation\.py"),
        ("scaled=1", "temperature_scaling cannot be 1; give true or false"),
        ("epochs=0", "epochs cannot be 0; give a whole number from 1 to 1000000"),
        ("epochs=null", "epochs cannot be null; give a whole number from 1 to 1000000"),
        ("dropout=high", "dropout cannot be high; give a number from 0 to below 1"),
        ("dropout=1", "dropout cannot be 1; give a number from 0 to below 1"),
        ("dropout=NaN", "dropout cannot be NaN; give a number from 0 to below 1"),
        ("learning_rate=Infinity", "learning_rate cannot be Infinity; give a number above 0"),
        ("calibrated_share=1.1", r"adapted_share cannot be 1\.1; give a number from 0 to 1"),
        ("patience=0", "patience cannot be 0; give a whole number from 1 to 1000000, or null"),
        (
            "gradient_norm=0",
            "gradient_norm cannot be 0; give a number above 0, up to 1000000, or null",
        ),
        ("epochs=" + "[" * 60_000, r"epochs cannot be \[{200}\.\.\.; give a whole number from 1"),
        ("network=other", "network cannot be other; give attention or seed2018"),
        ("network=seed2018", "padded_frames cannot be null with network=seed2018; give a number"),
        ("padded_frames=100", "padded_frames goes with frames_per_step=1; give null"),
    ],
)
def test_hyperparameters_that_cannot_be_set_are_named_with_the_values_that_can(setting, message):
    with pytest.raises(UsageError, match=message):
        override(DEFAULT, [setting])


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


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_hyperparameters_can_be_set_to_what_they_are_shown_as(preset):
    settings = [f"{name}={show(value)}" for name, value in asdict(preset).items()]
    assert override(Hyperparameters(), settings) == preset


def test_lists_of_names_can_be_set():
    changed = override(DEFAULT, ["features=original", "augmentations=speed, hall"])
    assert (changed.features, changed.augmentations) == (("original",), ("speed", "hall"))
    assert override(DEFAULT, ["augmentations="]).augmentations == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"features": 36}, {"features": ("original",)}),
        ({"features": 66}, {"features": ("original", "further")}),
        ({"copies": 2}, {"augmented_copies": 2}),
        ({"copy_kinds": 0}, {"augmentations": ()}),
        ({"copy_kinds": 4}, {"augmentations": ("speed",)}),
        ({"copy_kinds": 12}, {"augmentations": ("speed", "channel")}),
        ({"copy_kinds": 20}, {"augmentations": ("speed", "channel", "hall")}),
        ({"calibrated_share": 0.25}, {"adapted_share": 0.25}),
        ({"scaled": False}, {"temperature_scaling": False}),
    ],
)
def test_names_and_counts_of_version_1_0_0_are_read(old, new):
    assert read_hyperparameters(old) == replace(DEFAULT, **new)
    settings = [f"{name}={show(value)}" for name, value in old.items()]
    assert override(DEFAULT, settings) == replace(DEFAULT, **new)
