"""The material of experiments: corpora, and the variants of them that a run needs."""

from dataclasses import replace
from functools import partial
from itertools import chain
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
from utility.corpora.variants import MissingAudioError, load_variants
from utility.errors import DataError, UsageError
from utility.furtherFeatures import FEATURE_SETS
from utility.globalvars import VARIANTS_NAME
from utility.network.hyperparameters import Hyperparameters


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


class Material(NamedTuple):
    """Utterances, and the frames of their variants.

    `copies` are trained on in addition to the corpus: for each augmented copy, for each utterance.
    `conditions` are tested on: by condition, for each utterance.
    """

    corpus: Corpus
    copies: list
    conditions: dict

    def take(self, rows) -> "Material":
        """Return some of the utterances."""
        return Material(
            self.corpus.take(rows),
            [[tables[row] for row in rows] for tables in self.copies],
            {name: [tables[row] for row in rows] for name, tables in self.conditions.items()},
        )


def join_materials(materials: dict[str, Material]) -> Material:
    """Join the materials of several corpora, by name; see `join_corpora`."""
    if len(materials) == 1:
        return next(iter(materials.values()))

    def join_tables(parts):
        return list(chain.from_iterable(parts))

    parts = list(materials.values())
    return Material(
        join_corpora({name: part.corpus for name, part in materials.items()}),
        [join_tables(copies) for copies in zip(*(part.copies for part in parts), strict=True)],
        {
            name: join_tables(part.conditions[name] for part in parts)
            for name in parts[0].conditions
        },
    )


def load_material(
    data, test_data=(), *, kinds=(), conditions=(), audio=None, processes=None, quiet, note
) -> Material:
    """Read the corpora of a run, and the variants of them that it needs.

    `kinds` are those of data augmentation. Where the recordings are missing there are no
    copies, which a note says; conditions are an error then.

    Raises
    ------
    DataError
        If a corpus cannot be read or has a single emotion, or recordings are missing.
    """
    materials = {}
    for name in (*data, *test_data):
        corpus, path = read_corpus(name), corpus_path(name)
        folder = None if corpus.has_own_features else find_audio(corpus, audio)
        load = partial(
            load_variants,
            corpus,
            folder=path.parent / VARIANTS_NAME / path.name,
            audio=folder,
            missing_audio=explain_missing_audio(name, corpus),
            processes=processes,
            quiet=quiet,
        )
        tested, copies = dict(zip(conditions, load(conditions), strict=True)), []
        if name in data:
            if len(corpus.emotions) < 2:
                raise DataError(
                    f"{name}: every utterance has the emotion {corpus.emotions[0]}; "
                    "training needs at least two emotions"
                )
            try:
                copies = load(name_copies(kinds))
            except MissingAudioError as error:
                note(f"note: no data augmentation for {name}, which costs accuracy: {error}")
        materials[name] = Material(corpus, copies, tested)
    return combine_materials(materials, test_data, note)


def combine_materials(materials, test_data, note) -> Material:
    """Join the corpora of a run; test utterances of emotions never trained on are dropped."""
    trained = {name: part for name, part in materials.items() if name not in test_data}
    if not all(part.copies for part in trained.values()):
        materials = {name: part._replace(copies=[]) for name, part in materials.items()}
    if not test_data:
        return join_materials({corpus_path(name).name: part for name, part in materials.items()})
    emotions = {emotion for part in trained.values() for emotion in part.corpus.emotions}
    copy_count = max(len(part.copies) for part in materials.values())
    parts = {}
    for name, part in materials.items():
        known = np.isin(part.corpus.emotion, sorted(emotions))
        if not known.all():
            count = (~known).sum()
            note(f"note: left out {count} of {name}, whose emotions are not trained on")
        role = "test" if name in test_data else "train"
        corpus = replace(part.corpus, split=np.full(len(known), role))
        # Test utterances need no copies; the recordings stand in for them in the joined lists.
        copies = [corpus.frames] * copy_count if name in test_data else part.copies
        part = Material(corpus, copies, part.conditions)
        parts[corpus_path(name).name] = part.take(np.flatnonzero(known))
    return join_materials(parts)
