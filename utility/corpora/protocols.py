"""Protocols: how a corpus is divided into folds of a training part and a test part."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from utility.errors import DataError

HOLDOUT_SHARE = 0.30
HOLDOUT_SEED = 2018
FOLD_COUNT = 10
REMEDY = "give them in a manifest, or use --evaluate holdout or kfold"


class Fold(NamedTuple):
    """One division of a corpus; `train` and `test` hold utterance numbers."""

    name: str
    train: np.ndarray
    test: np.ndarray


def holdout(corpus, seed: int = 0) -> list[Fold]:
    """Test on the same random 30 % as the 2018 project, whatever the seed.

    Every speaker is in both parts, so the scores are too high; use `loso` for honest ones.
    """
    from sklearn.model_selection import train_test_split

    if len(corpus) < 2:
        raise DataError("a corpus of one utterance cannot be divided; extract more recordings")
    train, test = train_test_split(
        np.arange(len(corpus)), test_size=HOLDOUT_SHARE, random_state=HOLDOUT_SEED
    )
    return [Fold("holdout", train, test)]


def loso(corpus, seed: int = 0) -> list[Fold]:
    """Leave one speaker out: one fold per speaker, tested on a voice not trained on."""
    if not all(corpus.speaker_known):
        raise DataError(f"--evaluate loso: there are utterances without a speaker; {REMEDY}")
    return leave_one_out("speaker", corpus.speaker)


def loto(corpus, seed: int = 0) -> list[Fold]:
    """Leave one text out: one fold per sentence, tested on a sentence not trained on."""
    return leave_one_out("text", corpus.text)


def leave_one_out(name: str, groups: np.ndarray) -> list[Fold]:
    """Make one fold per group, in the order of their names."""
    if len(np.unique(groups)) < 2:
        raise DataError(f"leaving one {name} out needs two of them; {REMEDY}")
    return [
        Fold(f"{name} {group}", np.flatnonzero(groups != group), np.flatnonzero(groups == group))
        for group in np.unique(groups)
    ]


def kfold(corpus, seed: int = 0) -> list[Fold]:
    """Stratified ten-fold cross-validation, shuffled by the seed.

    Most papers report this. Every speaker is in both parts, so the scores are too high.
    """
    from sklearn.model_selection import StratifiedKFold

    if min(Counter(corpus.emotion.tolist()).values()) < FOLD_COUNT:
        raise DataError(f"kfold needs {FOLD_COUNT} utterances of each emotion; use loso")
    splitter = StratifiedKFold(FOLD_COUNT, shuffle=True, random_state=seed)
    return [
        Fold(f"fold {number}", train, test)
        for number, (train, test) in enumerate(splitter.split(corpus.file, corpus.emotion), 1)
    ]


def given_split(corpus, seed: int = 0) -> list[Fold]:
    """Test on the utterances that the manifest marks with "test", and train on all others."""
    test = corpus.split == "test"
    if test.all() or not test.any():
        raise DataError("--evaluate split: the manifest needs a column split with train and test")
    return [Fold("split", np.flatnonzero(~test), np.flatnonzero(test))]


def corpora(corpus, seed: int = 0) -> list[Fold]:
    """Leave one corpus out: one fold per corpus, tested on recordings of another origin.

    Utterances of emotions that no other corpus has are not tested.
    """
    folds = []
    for fold in leave_one_out("corpus", corpus.corpus_names):
        known = np.isin(corpus.emotion[fold.test], corpus.emotion[fold.train])
        if not known.any():
            raise DataError(
                f"--evaluate corpora: {fold.name} has none of the emotions of the others; omit it"
            )
        folds.append(fold._replace(test=fold.test[known]))
    return folds


def find_left_out(corpus, folds) -> dict[str, np.ndarray]:
    """Return the emotions of utterances that a fold neither trains nor tests on, by corpus."""
    left_out = np.zeros(len(corpus), bool)
    for fold in folds:
        left_out[np.setdiff1d(np.arange(len(corpus)), [*fold.train, *fold.test])] = True
    names = corpus.corpus_names
    return {
        name: corpus.emotion[left_out & (names == name)]
        for name in np.unique(names[left_out]).tolist()
    }


PROTOCOLS = {
    "holdout": holdout,
    "loso": loso,
    "loto": loto,
    "kfold": kfold,
    "corpora": corpora,
    "split": given_split,
}
