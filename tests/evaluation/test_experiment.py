"""An experiment: its validation speakers come from the training part alone."""

from dataclasses import replace

import numpy as np
import pytest

import hostile_weights
from made import random_clips
from utility.corpora.protocols import holdout, loso, loto
from utility.errors import DataError, UsageError
from utility.evaluation.experiment import check_training_part, make_experiment, make_weights
from utility.evaluation.material import Material
from utility.globalvars import EMOTION_LABELS
from utility.network.hyperparameters import PRESETS
from utility.network.weights import read_weights, write_weights
from utility.voices.functionals import FUNCTIONALS_PER_FEATURE


def test_validation_speakers_come_from_the_training_part_alone(corpus):
    for fold in [*holdout(corpus), *loso(corpus)[:2], *loto(corpus)[:2]]:
        material = Material(corpus, [corpus.frames[::-1]], {})
        experiment = make_experiment(material, fold.train, PRESETS["default"], seed=0)
        learning, validation = experiment.divide(experiment.validation_rows)
        assert not set(learning.speakers) & set(validation.speakers)
        assert len(set(validation.speakers)) == 3
        rows = np.arange(len(fold.train))
        others = np.setdiff1d(rows, experiment.validation_rows)
        assert len(learning) + len(validation) == len(rows)
        everything = experiment.training_set
        np.testing.assert_array_equal(everything.labels, corpus.labels[fold.train])
        np.testing.assert_array_equal(everything.speakers, corpus.speaker[fold.train])
        for frames, copy, row in zip(*everything.variants, fold.train, strict=True):
            assert frames is corpus.frames[row]
            assert copy is corpus.frames[::-1][row]
        # Choices are validated on the recordings, not on copies of them.
        assert (len(learning.variants), len(validation.variants)) == (2, 1)
        for part, numbers in ((learning, others), (validation, experiment.validation_rows)):
            for frames, number in zip(part.variants[0], numbers, strict=True):
                np.testing.assert_array_equal(frames, everything.variants[0][number])


def test_chosen_features_have_functionals_of_their_own(corpus):
    rows = np.arange(4)
    experiment = make_experiment(Material(corpus, [], {}), rows, PRESETS["default"], seed=0)
    assert experiment.training_set.functionals.shape == (1, 4, 66 * FUNCTIONALS_PER_FEATURE)
    chosen = replace(PRESETS["default"], features=("original",))
    functionals = experiment.with_hyperparameters(chosen).training_set.functionals
    assert functionals.shape == (1, 4, 36 * FUNCTIONALS_PER_FEATURE)


def test_the_classes_are_the_emotions_of_the_training_part(corpus):
    rows = np.flatnonzero(np.isin(corpus.emotion, ["boredom", "neutral"]))
    material = Material(corpus, [], {})
    training_set = make_experiment(material, rows, PRESETS["default"], seed=0).training_set
    assert training_set.emotions == ("boredom", "neutral")
    names = np.array(training_set.emotions)[training_set.labels]
    np.testing.assert_array_equal(names, corpus.emotion[rows])


def test_every_training_speaker_is_left_out_once_to_fit_the_temperature(corpus):
    for fold in [*holdout(corpus), *loso(corpus)]:
        material = Material(corpus, [], {})
        experiment = make_experiment(material, fold.train, PRESETS["default"], seed=0)
        groups = experiment.group_speakers()
        assert sorted(np.concatenate(groups)) == [*range(len(fold.train))]
        speakers = [set(experiment.training_set.speakers[rows]) for rows in groups]
        assert sum(map(len, speakers)) == len(set.union(*speakers))
        assert {len(group) for group in speakers} <= {3, 4}


def test_one_speaker_alone_is_trained_on_and_validates_nothing(corpus):
    rows = np.flatnonzero(corpus.speaker == "03")
    experiment = make_experiment(Material(corpus, [], {}), rows, PRESETS["default"], seed=0)
    assert len(experiment.validation_rows) == 0
    assert len(experiment.training_set) == len(rows)


@pytest.mark.parametrize(
    ("preset", "changes", "max_evals", "options"),
    [
        ("default", {}, 8, "--max-evals 0 --set temperature_scaling=false"),
        ("default", {}, 0, "--set temperature_scaling=false"),
        ("seed2018", {}, 0, "--set patience=null"),
        ("default", {"temperature_scaling": False}, 0, ""),
        ("default", {"temperature_scaling": False}, 3, "--max-evals 0"),
    ],
)
def test_one_speaker_is_refused_with_a_way_out_if_others_are_needed(
    preset, changes, max_evals, options, corpus
):
    settings = replace(PRESETS[preset], **changes), max_evals
    one, two = (
        np.flatnonzero(np.isin(corpus.speaker, [*names])) for names in (["03"], ["03", "08"])
    )
    check_training_part(corpus, two, *settings)
    if not options:
        check_training_part(corpus, one, *settings)
        return
    with pytest.raises(DataError, match=f"one speaker only, .* with {options}$"):
        check_training_part(corpus, one, *settings)


def test_a_training_part_of_one_emotion_is_refused(corpus):
    angry = np.flatnonzero(corpus.emotion == "anger")
    with pytest.raises(DataError, match="has the emotion anger only; training needs two"):
        check_training_part(corpus, angry, PRESETS["default"], 0)


def test_networks_too_large_for_a_weights_file_are_refused_before_they_are_trained(corpus):
    large = replace(PRESETS["default"], dense_units=4000, members=20)
    with pytest.raises(UsageError, match="would not fit into a weights file of 64 MB; set fewer"):
        check_training_part(corpus, range(100), large, 0)


@pytest.mark.parametrize("scale", [0, 1])
def test_weights_of_recordings_that_are_all_alike_can_be_read(scale, corpus, tmp_path):
    rows, (clip,) = np.arange(28), random_clips([60])
    emotion, frames = np.array(EMOTION_LABELS)[rows % 7], [scale * clip] * len(rows)
    alike = replace(corpus.take(rows), emotion=emotion, frames=frames)
    of_networks = hostile_weights.make_weights()
    settings = replace(of_networks.hyperparameters, features=PRESETS["default"].features)
    experiment = make_experiment(Material(alike, [], {}), rows, settings, seed=0)
    weights = make_weights(experiment.training_set, settings, of_networks.members)
    write_weights(tmp_path / "w.h5", weights)
    assert read_weights(tmp_path / "w.h5").familiarity is None
