"""Utterances to train on, in all their variants, and their steps."""

import dataclasses
import itertools

import numpy as np
import pytest

from made import NETWORKS, random_clips, random_training_set, random_weights
from utility.globalvars import EMOTION_LABELS
from utility.network.hyperparameters import PRESETS
from utility.network.model import cut_at_steps, load_members
from utility.network.training_set import Item, Steps, TrainingSet
from utility.voices.baseline import adapt, measure_baseline, sum_frames


def test_a_speaker_is_measured_in_each_variant_separately():
    everything = random_training_set(variants=3)
    reference = everything.statistics
    frames = np.concatenate(everything.variants[0])
    np.testing.assert_allclose(reference.mean, frames.mean(axis=0))
    measured = everything.measure_baselines(reference)
    for tables, voices in zip(everything.variants, measured, strict=True):
        for first, speaker in enumerate(("03", "08")):
            expected = measure_baseline(
                [sum_frames(table, reference) for table in tables[first::2]], reference
            )
            np.testing.assert_array_equal(voices[speaker], expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_reads_the_same_from_steps_as_from_frames(name):
    weights = random_weights(NETWORKS[name])
    model = load_members(weights)[0]
    variants = [random_clips([31, 90, 47, 12], seed) for seed in (1, 2)]
    speakers = np.array(["03", "03", "08", "08"])
    training_set = TrainingSet(variants, np.zeros(4, int), speakers, EMOTION_LABELS)
    # As the model standardises frames, and as the speakers are adapted.
    columns = training_set.find_columns(weights.hyperparameters.features)
    statistics = training_set.statistics
    for part, own in zip(statistics, weights.statistics, strict=True):
        part[columns] = own
    hyperparameters = dataclasses.replace(weights.hyperparameters, adapted_share=0.5)
    steps, network = Steps(training_set, hyperparameters, statistics), cut_at_steps(model)
    voices = training_set.measure_baselines(statistics)
    for item in itertools.starmap(Item, itertools.product(range(4), range(2), (False, True))):
        frames = variants[item.variant][item.utterance]
        if item.adapted:
            frames = adapt(frames, voices[item.variant][speakers[item.utterance]], statistics)
        rows = steps[item]
        assert len(rows) == steps.counts[item.variant][item.utterance]
        np.testing.assert_allclose(
            network.predict_on_batch(rows[np.newaxis].astype(np.float32)),
            model.predict_on_batch(frames[np.newaxis, :, columns]),
            atol=0.01,
        )


def test_steps_are_kept_within_their_room_and_are_the_same_again():
    training_set = random_training_set(variants=3)
    statistics = training_set.statistics
    items = [Item(row, variant, bool(row % 2)) for row in range(20) for variant in range(3)]
    room_bytes = 40_000
    plenty, little, none = (
        Steps(training_set, PRESETS["default"], statistics, room) for room in (1e9, room_bytes, 0)
    )
    for _ in range(2):
        for item in items:
            np.testing.assert_array_equal(little[item], plenty[item])
            np.testing.assert_array_equal(none[item], plenty[item])
    assert set(plenty.kept) == set(items)
    assert 0 < sum(rows.nbytes for rows in little.kept.values()) <= room_bytes
    assert not none.kept
