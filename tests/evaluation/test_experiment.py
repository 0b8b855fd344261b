"""An experiment: its validation speakers come from the training part alone."""

import numpy as np
import pytest

from made import write_emodb
from utility.corpora import protocols as splits
from utility.corpora.corpus import read_corpus
from utility.corpora.extraction import extract_emodb
from utility.errors import DataError
from utility.evaluation.experiment import make_experiment
from utility.evaluation.material import Material
from utility.network.hyperparameters import PRESETS


def test_deciding_speakers_come_from_the_training_part_alone():
    corpus = read_corpus()
    for fold in [*splits.holdout(corpus), *splits.loso(corpus), *splits.loto(corpus)]:
        material = Material(corpus, [corpus.frames[::-1]], {})
        experiment = make_experiment(material, fold.train, PRESETS["default"], seed=0)
        learning, deciding = experiment.divide(experiment.validation_rows)
        assert not set(learning.speakers) & set(deciding.speakers)
        assert len(set(deciding.speakers)) == 3
        rows = np.arange(len(fold.train))
        others = np.setdiff1d(rows, experiment.validation_rows)
        assert len(learning) + len(deciding) == len(rows)
        everything = experiment.training_set
        np.testing.assert_array_equal(everything.labels, corpus.labels[fold.train])
        np.testing.assert_array_equal(everything.speakers, corpus.speaker[fold.train])
        for frames, copy, row in zip(*everything.variants, fold.train, strict=True):
            assert frames is corpus.frames[row]
            assert copy is corpus.frames[::-1][row]
        # What decides are recordings, not copies of them.
        assert (len(learning.variants), len(deciding.variants)) == (2, 1)
        for part, numbers in ((learning, others), (deciding, experiment.validation_rows)):
            for frames, number in zip(part.variants[0], numbers, strict=True):
                np.testing.assert_array_equal(frames, everything.variants[0][number])


def test_a_temperature_hears_every_training_speaker_left_out_once():
    corpus = read_corpus()
    for fold in [*splits.holdout(corpus), *splits.loso(corpus)]:
        material = Material(corpus, [], {})
        experiment = make_experiment(material, fold.train, PRESETS["default"], seed=0)
        groups = experiment.group_speakers()
        assert sorted(np.concatenate(groups)) == [*range(len(fold.train))]
        speakers = [set(experiment.training_set.speakers[rows]) for rows in groups]
        assert sum(map(len, speakers)) == len(set.union(*speakers))
        assert {len(group) for group in speakers} <= {3, 4}


def test_one_speaker_cannot_decide_and_train(tmp_path):
    extract_emodb(write_emodb(tmp_path / "audio", speakers=("03",)), tmp_path)
    corpus = read_corpus(tmp_path)
    with pytest.raises(DataError, match="one speaker only"):
        make_experiment(
            Material(corpus, [], {}), np.arange(len(corpus)), PRESETS["default"], seed=0
        )
