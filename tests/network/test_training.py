"""Training: batches, epochs and losses."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from made import TINY, random_training_set
from utility.network.hyperparameters import PRESETS
from utility.network.training import (
    cross_entropy,
    draw_epoch,
    fit,
    make_batches,
    make_optimizer,
    pad,
    predict_with_keras,
)
from utility.network.training_set import Steps


def test_pad_puts_zeros_behind_and_keeps_the_end():
    padded = pad([np.ones((2, 3)), 2 * np.arange(1, 6)[:, np.newaxis] * np.ones(3)], 4)
    np.testing.assert_array_equal(padded[:, :, 0], [[1, 1, 0, 0], [4, 6, 8, 10]])


def test_batches_hold_every_clip_once_and_similar_lengths():
    lengths = np.random.default_rng(0).integers(50, 900, 101)
    division = make_batches(lengths, 16, np.random.default_rng(1))
    assert sorted(np.concatenate(division)) == list(range(101))
    assert {len(batch) for batch in division} == {16, 5}
    padding = sum(lengths[batch].max() * len(batch) for batch in division) / lengths.sum()
    assert padding < 1.3
    again = make_batches(lengths, 16, np.random.default_rng(2))
    assert [set(batch) for batch in again] != [set(batch) for batch in division]


def test_cross_entropy_of_a_coin_is_one_bit():
    assert cross_entropy(np.array([0, 1]), np.full((2, 2), 0.5)) == pytest.approx(np.log(2))


def test_a_class_without_training_utterances_is_not_answered(eager):
    labels = np.arange(50) % 5  # of seven classes
    training_set = replace(random_training_set(variants=1), labels=labels)
    settings = {"augmented_copies": 0, "batch_size": 50, "learning_rate": 0.05}
    hyperparameters = replace(PRESETS["default"], epochs=20, **TINY, **settings)
    steps = Steps(training_set, hyperparameters, training_set.statistics)
    model, _ = fit(steps, seed=0, progress=None)
    probabilities = predict_with_keras(model, training_set.variants[0], hyperparameters)
    assert probabilities[:, 5:].mean() < 0.1 < probabilities[:, :5].mean()


def test_an_update_in_one_kernel_is_that_of_keras():
    hyperparameters, results = PRESETS["default"], []
    fused = make_optimizer(hyperparameters, 50)
    options = {"weight_decay": fused.weight_decay, "clipnorm": fused.clipnorm}
    for optimizer in (keras.optimizers.AdamW(fused._learning_rate, **options), fused):
        random = np.random.default_rng(0)
        variable = keras.Variable(random.normal(size=(7, 9)), dtype="float32")
        optimizer.build([variable])
        for _ in range(50):
            optimizer.apply([keras.ops.convert_to_tensor(random.normal(size=(7, 9)), "float32")])
        results.append(variable.numpy())
    np.testing.assert_allclose(*results, atol=1e-5)
    assert np.abs(results[0] - np.random.default_rng(0).normal(size=(7, 9))).max() > 0.01


def test_an_epoch_has_each_recording_and_some_of_its_copies():
    hyperparameters = replace(PRESETS["default"], augmented_copies=4, adapted_share=0.5)
    random = np.random.default_rng(0)
    items = draw_epoch(random_training_set(variants=9), hyperparameters, random)
    for utterance in range(50):
        drawn = [variant for number, variant, _ in items if number == utterance]
        assert drawn.count(0) == 1
        assert len(set(drawn)) == len(drawn) == 5
    assert {variant for _, variant, _ in items} == set(range(9))
    assert 0.4 < np.mean([adapted for _, _, adapted in items]) < 0.6
    assert draw_epoch(random_training_set(variants=9), hyperparameters, random) != items
    # Without copies the recordings take their place, so that an epoch is as long.
    alone = draw_epoch(random_training_set(variants=1), hyperparameters, random)
    assert [(number, variant) for number, variant, _ in alone] == [
        (number, 0) for number in range(50) for _ in range(5)
    ]
    never = replace(hyperparameters, augmented_copies=0, adapted_share=0.0)
    assert draw_epoch(random_training_set(variants=9), never, random) == [
        (n, 0, False) for n in range(50)
    ]
