"""What is trained on: utterances in several versions, of which some speakers decide.

Nothing here imports TensorFlow, so that a process can be handed its work before it does.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from utility.calibration import Statistics, baseline, statistics
from utility.errors import DataError
from utility.globalvars import Hyperparameters

# Share of the training speakers that decide (rounded up): 3 of 10.
VALIDATION_SHARE = 0.25


@dataclass(frozen=True)
class TrainingSet:
    """Utterances to train on, in all their versions.

    Attributes
    ----------
    versions : list of list of np.ndarray, shape (frames, features)
        For each version, for each utterance; the first are the recordings themselves,
        the others copies of them.
    labels : np.ndarray of int, shape (utterances,)
    speakers : np.ndarray of str, shape (utterances,)
    """

    versions: list
    labels: np.ndarray
    speakers: np.ndarray

    def __len__(self):
        return len(self.labels)

    def take(self, rows) -> "TrainingSet":
        """Return some of the utterances."""
        versions = [[tables[i] for i in rows] for tables in self.versions]
        return TrainingSet(versions, self.labels[rows], self.speakers[rows])

    def columns(self, count) -> "TrainingSet":
        """Return the first columns of all frames, which are what a network reads."""
        versions = [[table[:, :count] for table in tables] for tables in self.versions]
        return TrainingSet(versions, self.labels, self.speakers)

    def statistics(self) -> Statistics:
        """Measure the recordings, without their copies."""
        return statistics(self.versions[0])

    def baselines(self, reference) -> list[dict]:
        """Measure, for each version, what is usual for each speaker in it."""
        voices = {name: np.flatnonzero(self.speakers == name) for name in np.unique(self.speakers)}
        return [
            {name: baseline([tables[i] for i in rows], reference) for name, rows in voices.items()}
            for tables in self.versions
        ]


@dataclass(frozen=True)
class Experiment:
    """Utterances to train on, some of which decide about everything that has to be chosen.

    The deciding ones are all those of some of the speakers, so that a choice is
    made on voices that were not trained on. What a result is reported on is not in here.

    Attributes
    ----------
    everything : TrainingSet
    learning, deciding : np.ndarray of int
        Utterance numbers, which together are all.
    hyperparameters : Hyperparameters
        Where a search starts from.
    seed : int
    quiet : bool
        Whether to show no progress.
    """

    everything: TrainingSet
    learning: np.ndarray
    deciding: np.ndarray
    hyperparameters: Hyperparameters
    seed: int
    quiet: bool = False

    def divide(self, hyperparameters) -> tuple[TrainingSet, TrainingSet]:
        """Return what a choice is trained on, and the recordings, without copies, that decide.

        Both have the columns that the network reads.
        """
        everything = self.everything.columns(hyperparameters.features)
        deciding = everything.take(self.deciding)
        recordings = TrainingSet(deciding.versions[:1], deciding.labels, deciding.speakers)
        return everything.take(self.learning), recordings


class Material(NamedTuple):
    """What experiments are made of.

    Attributes
    ----------
    corpus : Corpus
    copies : list of list of np.ndarray
        Frames to train on beside those of the corpus: for each copy, for each utterance.
    conditions : dict of str to list of np.ndarray
        Frames to test on, of each utterance in each condition.
    """

    corpus: object
    copies: list
    conditions: dict


def make_experiment(material, rows, hyperparameters, seed, quiet=False) -> Experiment:
    """Take some utterances and their copies, and cut the deciding speakers from them.

    Parameters
    ----------
    material : Material
    rows : np.ndarray of int
        The utterances.
    hyperparameters : Hyperparameters
    seed : int
        Draws the speakers, too.
    quiet : bool

    Raises
    ------
    DataError
        If there are fewer than two speakers.
    """
    from sklearn.model_selection import GroupShuffleSplit

    corpus = material.corpus
    speakers = corpus.speaker[rows]
    if len(set(speakers)) < 2:
        raise DataError("a part to train on has one speaker; give two or more, so that one decides")
    splitter = GroupShuffleSplit(n_splits=1, test_size=VALIDATION_SHARE, random_state=seed)
    learning, deciding = next(splitter.split(rows, groups=speakers))
    everything = TrainingSet([corpus.frames, *material.copies], corpus.labels, corpus.speaker)
    return Experiment(everything.take(rows), learning, deciding, hyperparameters, seed, quiet)
