"""Utterances to train on, in all their variants."""

import numpy as np

from utility.globalvars import EMOTION_LABELS
from utility.network.training_set import TrainingSet
from utility.network.voice import measure_baseline


def training_set(versions):
    random = np.random.default_rng(0)
    tables = [[random.normal(size=(20, 66)) for _ in range(50)] for _ in range(versions)]
    return TrainingSet(tables, np.arange(50) % 7, np.array(["03", "08"] * 25), EMOTION_LABELS)


def test_a_voice_is_measured_in_each_version_by_itself():
    everything = training_set(versions=3)
    reference = everything.measure_statistics()
    frames = np.concatenate(everything.variants[0])
    np.testing.assert_allclose(reference.mean, frames.mean(axis=0))
    measured = everything.measure_baselines(reference)
    for tables, voices in zip(everything.variants, measured, strict=True):
        for first, speaker in enumerate(("03", "08")):
            expected = measure_baseline(tables[first::2], reference)
            np.testing.assert_array_equal(voices[speaker], expected)
