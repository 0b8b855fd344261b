"""The material of experiments: corpora, and the variants of them that a run needs."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utility.corpora.augmentation import name_copies
from utility.corpora.corpus import (
    Corpus,
    corpus_path,
    explain_missing_audio,
    find_audio,
    join_corpora,
    read_corpus,
    read_database,
)
from utility.corpora.frames import choose_tables, join_tables
from utility.corpora.variants import MissingAudioError, load_variants
from utility.errors import DataError, UsageError
from utility.furtherFeatures import FEATURE_SETS
from utility.globalvars import VARIANTS_NAME
from utility.network.hyperparameters import Hyperparameters
from utility.network.weights import find_feature_sets


def choose_features(hyperparameters, data, test_data=()) -> Hyperparameters:
    """Return hyperparameters with the features of the given corpora.

    The default, all features of this program, stands for all of a corpus.

    Raises
    ------
    DataError
        If the corpora have different features.
    UsageError
        If they do not have the features of the hyperparameters.
    """
    first, *others = (*data, *test_data)
    _, sets = read_database(corpus_path(first))
    for other in others:
        if read_database(corpus_path(other))[1] != sets:
            raise DataError(
                f"{first} and {other} have different features, or another number of values or "
                "hop; give corpora with the same"
            )
    if hyperparameters.features == tuple(FEATURE_SETS):
        return replace(hyperparameters, features=tuple(sets))
    if not set(hyperparameters.features) <= sets.keys():
        asked, there = (",".join(names) for names in (hyperparameters.features, sets))
        have = f"the network reads the features {asked}, but {first} has {there}"
        raise UsageError(f"{have}; give --set features={there}")
    return hyperparameters


class Source(NamedTuple):
    """A corpus by its name on the command line, and the numbers of its utterances to use.

    `trained` tells whether networks are trained on it.
    """

    name: str
    corpus: Corpus
    rows: np.ndarray
    trained: bool


class Material(NamedTuple):
    """Utterances, and the frames of their variants, which may be read when they are asked for.

    `copies` are trained on in addition to the corpus: for each augmented copy, for each utterance.
    `conditions` are tested on: by condition, for each utterance.
    """

    corpus: Corpus
    copies: list
    conditions: dict


def read_sources(data, test_data, note) -> list[Source]:
    """Read the corpora of a run.

    Test utterances of emotions that are not trained on are left out, which a note says.

    Raises
    ------
    DataError
        If a corpus cannot be read, or one to train on has a single emotion.
    """
    trained = {name: read_corpus(name) for name in data}
    for name, corpus in trained.items():
        if len(corpus.emotions) < 2:
            raise DataError(
                f"{name}: every utterance has the emotion {corpus.emotions[0]}; "
                "training needs at least two emotions"
            )
    emotions = {emotion for corpus in trained.values() for emotion in corpus.emotions}
    return [
        *(Source(name, corpus, np.arange(len(corpus)), True) for name, corpus in trained.items()),
        *read_tested(test_data, emotions, note),
    ]


def find_variants(name) -> Path:
    """Return the folder where variants of a corpus are kept."""
    path = corpus_path(name)
    return path.parent / VARIANTS_NAME / path.name


def read_tested(names, emotions, note) -> list[Source]:
    """Read corpora to test networks on that know some emotions; all others are left out.

    Raises
    ------
    DataError
        If a corpus cannot be read, or has none of these emotions.
    """
    sources = []
    for name in names:
        corpus = read_corpus(name)
        known = np.isin(corpus.emotion, sorted(emotions))
        if not known.all():
            note(describe_left_out(name, corpus.emotion[~known]))
        if not known.any():
            raise DataError(
                f"{name}: has none of the emotions that the networks are trained on "
                f"({', '.join(sorted(emotions))}); name another corpus"
            )
        sources.append(Source(name, corpus, np.flatnonzero(known), False))
    return sources


def describe_left_out(name, emotions) -> str:
    """Write the note that utterances of a corpus, given by their emotions, are not tested."""
    listed = ", ".join(sorted(set(emotions.tolist())))
    why = f"whose emotions the networks are not trained on: {listed}"
    return f"note: left out {len(emotions)} of {name}, {why}"


def check_features(sources, weights) -> None:
    """Raise a `DataError` if a corpus lacks the features that the networks read."""
    read = find_feature_sets(weights)
    for source in sources:
        there = source.corpus.feature_sets
        if any(there.get(name) != feature_set for name, feature_set in read.items()):
            has, needs = " and ".join(there), " and ".join(read)
            raise DataError(
                f"{source.name}: has the features {has}, but the networks read {needs}, or as many "
                "values at another hop; give weights that were trained on such features"
            )


def join_sources(sources) -> Corpus:
    """Join the corpora of a run; see `join_corpora`.

    If some are to train on and others to test on, that is the split.
    """
    corpora = {corpus_path(it.name).name: it.corpus.take(it.rows) for it in sources}
    corpus = join_corpora(corpora) if len(corpora) > 1 else corpora.popitem()[1]
    if len({source.trained for source in sources}) == 1:
        return corpus
    roles = ["train" if it.trained else "test" for it in sources for _ in it.rows]
    return replace(corpus, split=np.array(roles))


def load_material(
    sources, *, kinds=(), conditions=(), audio=None, processes=None, quiet, note
) -> Material:
    """Open the variants of corpora that a run needs, or make them.

    `kinds` are those of data augmentation. Where recordings to train on are missing there are no
    copies, which a note says; conditions are an error then.

    Raises
    ------
    DataError
        If recordings are missing or cannot be used.
    """
    load = partial(load_variants_of, audio=audio, processes=processes, quiet=quiet)
    tested = [load(source, conditions) for source in sources]
    copies = {}
    for source in sources:
        if source.trained:
            try:
                copies[source.name] = load(source, name_copies(kinds))
            except MissingAudioError as error:
                copies[source.name] = []
                why = f"which costs accuracy: {error}"
                note(f"note: no data augmentation for {source.name}, {why}")
    count = min(map(len, copies.values()), default=0)  # all or none
    for source in sources:
        if not source.trained:
            # Test utterances need no copies; the recordings stand in for them.
            copies[source.name] = [source.corpus.frames] * count
    return Material(
        join_sources(sources),
        [join_used(sources, [copies[it.name][n] for it in sources]) for n in range(count)],
        {
            name: join_used(sources, [variants[n] for variants in tested])
            for n, name in enumerate(conditions)
        },
    )


def load_variants_of(source, names, **options) -> list:
    """Open some variants of all utterances of a corpus, or make them; see `load_variants`."""
    corpus = source.corpus
    audio = None if corpus.has_own_features else find_audio(corpus, options["audio"])
    return load_variants(
        corpus,
        names,
        folder=find_variants(source.name),
        missing_audio=explain_missing_audio(source.name, corpus),
        **options | {"audio": audio},
    )


def join_used(sources, parts):
    """Join one variant of several corpora: the frames of the utterances to use."""
    each = zip(sources, parts, strict=True)
    return join_tables([choose_tables(tables, source.rows) for source, tables in each])
