"""What is trained on: utterances in several versions, of which some speakers decide.

Nothing here imports TensorFlow, so that a process can be handed its work before it does.
"""

from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import NamedTuple

import numpy as np

from utility.errors import DataError
from utility.globalvars import EMOTION_LABELS, Hyperparameters
from utility.network.voice import Statistics, measure_baseline, measure_statistics

# Share of the training speakers that decide (rounded up): 3 of 10.
VALIDATION_SHARE = 0.25
# Each is left out once, for a temperature that is fitted to voices not trained on.
SPEAKER_GROUPS = 3


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
    emotions : tuple of str
        The classes that labels count.
    """

    versions: list
    labels: np.ndarray
    speakers: np.ndarray
    emotions: tuple = EMOTION_LABELS

    def __len__(self):
        return len(self.labels)

    def take(self, rows) -> "TrainingSet":
        """Return some of the utterances."""
        versions = [[tables[i] for i in rows] for tables in self.versions]
        labels, speakers = self.labels[rows], self.speakers[rows]
        return replace(self, versions=versions, labels=labels, speakers=speakers)

    def columns(self, count) -> "TrainingSet":
        """Return the first columns of all frames, which are what a network reads."""
        versions = [[table[:, :count] for table in tables] for tables in self.versions]
        return replace(self, versions=versions)

    def statistics(self) -> Statistics:
        """Measure the recordings, without their copies."""
        return measure_statistics(self.versions[0])

    def baselines(self, reference) -> list[dict]:
        """Measure, for each version, what is usual for each speaker in it."""
        voices = {name: np.flatnonzero(self.speakers == name) for name in np.unique(self.speakers)}
        return [
            {
                name: measure_baseline([tables[i] for i in rows], reference)
                for name, rows in voices.items()
            }
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
    deciding : np.ndarray of int
        Their utterance numbers.
    hyperparameters : Hyperparameters
        Where a search starts from.
    seed : int
    quiet : bool
        Whether to show no progress.
    """

    everything: TrainingSet
    deciding: np.ndarray
    hyperparameters: Hyperparameters
    seed: int
    quiet: bool = False

    def divide(self, hyperparameters, rows) -> tuple[TrainingSet, TrainingSet]:
        """Return all but some utterances, and of those the recordings, without copies.

        Both have the columns that the network reads.
        """
        everything = self.everything.columns(hyperparameters.features)
        unheard = everything.take(rows)
        learning = everything.take(np.delete(np.arange(len(everything)), rows))
        return learning, replace(unheard, versions=unheard.versions[:1])

    def speaker_groups(self) -> list[np.ndarray]:
        """Return the utterance numbers of each third of the speakers, drawn at random."""
        from sklearn.model_selection import GroupKFold

        speakers = self.everything.speakers
        count = min(SPEAKER_GROUPS, len(set(speakers)))
        splitter = GroupKFold(count, shuffle=True, random_state=self.seed)
        return [rows for _, rows in splitter.split(speakers, groups=speakers)]


class Material(NamedTuple):
    """What experiments are made of: utterances, and other versions of them.

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

    def take(self, rows) -> "Material":
        """Return some of the utterances."""
        columns = {
            field.name: getattr(self.corpus, field.name)[rows]
            for field in fields(self.corpus)
            if field.name not in ("frames", "audio")
        }
        frames, *copies = ([table[i] for i in rows] for table in (self.corpus.frames, *self.copies))
        return Material(
            replace(self.corpus, **columns, frames=frames),
            copies,
            {name: [table[i] for i in rows] for name, table in self.conditions.items()},
        )


def join(materials) -> Material:
    """Put several data sets together, whose speakers, files and texts keep apart.

    Parameters
    ----------
    materials : dict of str to Material
        By the name of the data set.
    """
    if len(materials) == 1:
        return next(iter(materials.values()))
    corpora = {name: material.corpus for name, material in materials.items()}

    def chained(lists):
        return list(chain.from_iterable(lists))

    columns = {}
    for field in fields(next(iter(corpora.values()))):
        values = {name: getattr(corpus, field.name) for name, corpus in corpora.items()}
        if field.name in ("file", "speaker", "text"):
            values = {
                name: np.array([f"{name}/{value}" for value in own]) for name, own in values.items()
            }
        if field.name == "frames":
            columns[field.name] = chained(values.values())
        elif field.name != "audio":
            columns[field.name] = np.concatenate(list(values.values()))
    parts = materials.values()
    return Material(
        type(next(iter(corpora.values())))(**columns),
        [chained(copies) for copies in zip(*(part.copies for part in parts), strict=True)],
        {
            name: chained(part.conditions[name] for part in parts)
            for name in next(iter(parts)).conditions
        },
    )


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
    _, deciding = next(splitter.split(rows, groups=speakers))
    everything = TrainingSet(
        [corpus.frames, *material.copies], corpus.labels, corpus.speaker, corpus.emotions
    )
    return Experiment(everything.take(rows), deciding, hyperparameters, seed, quiet)
