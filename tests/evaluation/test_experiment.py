"""An experiment: its validation speakers come from the training part alone."""

import numpy as np
import pytest

from utility.corpora.protocols import holdout, loso, loto
from utility.errors import DataError
from utility.evaluation.experiment import make_experiment
from utility.evaluation.material import Material
from utility.network.hyperparameters import PRESETS


def test_validation_speakers_come_from_the_training_part_alone(corpus):
    for fold in [*holdout(corpus), *loso(corpus), *loto(corpus)]:
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


def test_every_training_speaker_is_left_out_once_to_fit_the_temperature(corpus):
    for fold in [*holdout(corpus), *loso(corpus)]:
        material = Material(corpus, [], {})
        experiment = make_experiment(material, fold.train, PRESETS["default"], seed=0)
        groups = experiment.group_speakers()
        assert sorted(np.concatenate(groups)) == [*range(len(fold.train))]
        speakers = [set(experiment.training_set.speakers[rows]) for rows in groups]
        assert sum(map(len, speakers)) == len(set.union(*speakers))
        assert {len(group) for group in speakers} <= {3, 4}


def test_one_speaker_cannot_both_train_and_validate(corpus):
    rows = np.flatnonzero(corpus.speaker == "03")
    with pytest.raises(DataError, match="one speaker only"):
        make_experiment(Material(corpus, [], {}), rows, PRESETS["default"], seed=0)
