"""The shipped weights predict what they did, on every processor and in every way.

With the EmoDB recordings, also for clips of these. `python tests/reference/predictions.py` measures
more ways than are tried here.
"""

import pytest

from reference.predictions import (
    TOLERANCE,
    list_kinds,
    measure_differences,
    predict_in_place,
    read_reference,
    write_sounds,
)
from utility.globalvars import SHIPPED_WEIGHTS

WAYS = [
    ("as they are", "alone", 1),
    ("as they are", "in a folder", 2),
    ("as they are", "in processes", 1),
    ("adapted", "in processes", 2),
    ("timeline", "in a folder", 1),
]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return write_sounds(tmp_path_factory.mktemp("golden") / "sounds")


@pytest.mark.parametrize("weights", SHIPPED_WEIGHTS)
@pytest.mark.parametrize(("kind", "place", "threads"), WAYS)
def test_probabilities_are_those_of_the_reference(weights, kind, place, threads, sounds):
    options = ["--weights", weights, *list_kinds(sounds)[kind]]
    recordings = predict_in_place(sounds, options, place, threads)
    differences = measure_differences(recordings, read_reference()[weights][kind])
    name = max(differences, key=differences.get)
    assert differences[name] <= TOLERANCE, (
        f"{name}: probabilities differ by up to {differences[name]:.1e}; if that is meant, "
        "run: python tests/reference/predictions.py --renew"
    )
