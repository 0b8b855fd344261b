"""How a data set is divided into what is trained on and what is reported on."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from utility.errors import DataError

HOLDOUT_SHARE = 0.30
HOLDOUT_SEED = 2018
FOLD_COUNT = 10


class Fold(NamedTuple):
    """One division of a corpus: utterance numbers to train on and to report on."""

    name: str
    train: np.ndarray
    test: np.ndarray


def holdout(corpus, seed=0) -> list[Fold]:
    """Put a random 30 % aside, as the 2018 project did, whatever the seed.

    Every speaker is on both sides, so the figure flatters; `loso` does not.
    """
    from sklearn.model_selection import train_test_split

    if len(corpus) < 2:
        raise DataError("a corpus of one utterance cannot be split; extract more recordings")
    train, test = train_test_split(
        np.arange(len(corpus)), test_size=HOLDOUT_SHARE, random_state=HOLDOUT_SEED
    )
    return [Fold("holdout", train, test)]


def loso(corpus, seed=0) -> list[Fold]:
    """Leave one speaker out: a fold a speaker, tested on a voice never heard."""
    return leave_one_out("speaker", corpus.speaker)


def loto(corpus, seed=0) -> list[Fold]:
    """Leave one text out: a fold a sentence, since the same ones recur on both sides of `loso`."""
    return leave_one_out("text", corpus.text)


def leave_one_out(name, groups) -> list[Fold]:
    """Make a fold of each group, in the order of their names."""
    return [
        Fold(f"{name} {group}", np.flatnonzero(groups != group), np.flatnonzero(groups == group))
        for group in np.unique(groups)
    ]


def kfold(corpus, seed=0) -> list[Fold]:
    """Shuffle into ten folds with the emotions in equal shares, anew with each seed.

    What most papers report; speakers are on both sides, so the figure flatters.
    """
    from sklearn.model_selection import StratifiedKFold

    if min(Counter(corpus.emotion.tolist()).values()) < FOLD_COUNT:
        raise DataError(f"kfold needs {FOLD_COUNT} utterances of each emotion; use loso")
    splitter = StratifiedKFold(FOLD_COUNT, shuffle=True, random_state=seed)
    return [
        Fold(f"fold {number}", train, test)
        for number, (train, test) in enumerate(splitter.split(corpus.file, corpus.emotion), 1)
    ]


def split(corpus, seed=0) -> list[Fold]:
    """Test on what a manifest says is for that, and train on everything else."""
    test = corpus.split == "test"
    if test.all() or not test.any():
        raise DataError("--evaluate split: give the manifest a column split, train and test")
    return [Fold("split", np.flatnonzero(~test), np.flatnonzero(test))]


SPLITS = {"holdout": holdout, "loso": loso, "loto": loto, "kfold": kfold, "split": split}
