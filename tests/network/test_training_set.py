"""Utterances to train on, in all their variants."""

import numpy as np

from made import random_training_set
from utility.voices.baseline import measure_baseline, sum_frames


def test_a_speaker_is_measured_in_each_variant_separately():
    everything = random_training_set(variants=3)
    reference = everything.measure_statistics()
    frames = np.concatenate(everything.variants[0])
    np.testing.assert_allclose(reference.mean, frames.mean(axis=0))
    measured = everything.measure_baselines(reference)
    for tables, voices in zip(everything.variants, measured, strict=True):
        for first, speaker in enumerate(("03", "08")):
            expected = measure_baseline(
                [sum_frames(table, reference) for table in tables[first::2]], reference
            )
            np.testing.assert_array_equal(voices[speaker], expected)
