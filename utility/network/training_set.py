"""The utterances that a network is trained on, and the steps that it reads of them."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from utility.corpora.frames import choose_tables, measure_lengths
from utility.furtherFeatures import FEATURE_SETS, columns_of, feature_names
from utility.network.inference import find_network
from utility.network.weights import Weights
from utility.voices.baseline import (
    Statistics,
    adapt,
    measure_baseline,
    measure_statistics,
    sum_frames,
)
from utility.voices.functionals import FUNCTIONALS_PER_FEATURE, compute_functionals

# The memory for functionals and kept steps, enough for EmoDB with 20 copies each. Of many
# utterances an epoch draws few items again, so that there is little use in keeping their steps.
KEPT_BYTES = 2**29


class Item(NamedTuple):
    """One thing that an epoch trains on: an utterance, which variant of it, whether adapted."""

    utterance: int
    variant: int
    adapted: bool


@dataclass(frozen=True)
class TrainingSet:
    """Utterances to train on, in all their variants.

    `variants` holds, for each variant and each utterance, its frames: (frames, features). They
    may be read when they are asked for, see `utility.corpora.frames`. The first variant is the
    recordings themselves, the others are augmented copies.
    """

    variants: list
    labels: np.ndarray  # of int, shape (utterances,): numbers of `emotions`
    speakers: np.ndarray  # of str, shape (utterances,)
    emotions: tuple
    feature_sets: dict = field(default_factory=lambda: FEATURE_SETS)  # of the columns of frames
    # of shape (variants, utterances, functionals), if a discriminant is to be fitted to them
    functionals: np.ndarray | None = None
    corpora: np.ndarray | None = None  # of str, shape (utterances,)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows) -> "TrainingSet":
        """Return some of the utterances."""
        variants = [choose_tables(tables, rows) for tables in self.variants]
        functionals = None if self.functionals is None else self.functionals[:, rows]
        return replace(
            self,
            variants=variants,
            labels=self.labels[rows],
            speakers=self.speakers[rows],
            functionals=functionals,
            corpora=None if self.corpora is None else self.corpora[rows],
        )

    def find_columns(self, features) -> list[int]:
        """Return the columns of the frames that belong to some feature sets, given by name."""
        sets = self.feature_sets
        return columns_of(feature_names(features, sets), feature_names(sets, sets))

    def with_functionals(self, features) -> "TrainingSet":
        """Compute the functionals of some feature sets, given by name, of all variants."""
        columns = self.find_columns(features)
        names = feature_names(features, self.feature_sets)
        shape = len(self.variants), len(self), FUNCTIONALS_PER_FEATURE * len(columns)
        functionals = np.empty(shape, np.float32)
        for variant, tables in enumerate(self.variants):
            for row, table in enumerate(tables):
                functionals[variant, row] = compute_functionals(table.take(columns, axis=1), names)
        return replace(self, functionals=functionals)

    def without_copies(self) -> "TrainingSet":
        """Return the recordings alone."""
        functionals = None if self.functionals is None else self.functionals[:1]
        return replace(self, variants=self.variants[:1], functionals=functionals)

    def list_voices(self) -> dict:
        """Return the rows of the utterances of each speaker."""
        return {name: np.flatnonzero(self.speakers == name) for name in np.unique(self.speakers)}

    @cached_property
    def statistics(self) -> Statistics:
        """The statistics of the recordings, without their augmented copies."""
        return measure_statistics(self.variants[0])

    def measure_baselines(self, reference) -> list[dict]:
        """Measure the baseline of each speaker in each variant."""
        voices = self.list_voices()
        sums = ([sum_frames(table, reference) for table in tables] for tables in self.variants)
        return [
            {
                name: measure_baseline([clips[row] for row in rows], reference)
                for name, rows in voices.items()
            }
            for clips in sums
        ]


def find_room(functionals_bytes: int) -> int:
    """Return the memory that steps may take beside functionals, in bytes."""
    return max(0, KEPT_BYTES - functionals_bytes)


class Steps:
    """The steps of items, made as for prediction when they are asked for: (steps, values), float16.

    They are kept for further epochs as long as there is room. Since items are drawn at random, it
    does not matter which ones are kept.
    """

    def __init__(self, training_set, hyperparameters, statistics, room_bytes=None):
        self.training_set, self.statistics = training_set, statistics
        self.columns = training_set.find_columns(hyperparameters.features)
        # What the functions of prediction read.
        self.weights = Weights(
            hyperparameters, [], statistics.take(self.columns), emotions=training_set.emotions
        )
        if room_bytes is None:
            functionals = training_set.functionals
            room_bytes = find_room(0 if functionals is None else functionals.nbytes)
        self.kept, self.room_bytes = {}, room_bytes
        self.counts = [self.count(tables) for tables in training_set.variants]

    @cached_property
    def baselines(self) -> list[dict]:
        """The baseline of each speaker in each variant."""
        return self.training_set.measure_baselines(self.statistics)

    def count(self, tables) -> np.ndarray:
        """Return the number of steps of each clip of a variant."""
        hyperparameters = self.weights.hyperparameters
        lengths = measure_lengths(tables)
        lengths = np.minimum(lengths, hyperparameters.padded_frames or lengths)
        return -(-lengths // hyperparameters.frames_per_step)

    def __getitem__(self, item) -> np.ndarray:
        if item in self.kept:
            return self.kept[item]
        rows = self.make(item)
        if rows.nbytes <= self.room_bytes:
            self.kept[item] = rows
            self.room_bytes -= rows.nbytes
        return rows

    def make(self, item) -> np.ndarray:
        """Make the steps of an item."""
        frames = self.training_set.variants[item.variant][item.utterance]
        frames = frames.take(self.columns, axis=1)
        if item.adapted:
            speaker = self.training_set.speakers[item.utterance]
            baseline = self.baselines[item.variant][speaker].take(self.columns)
            frames = adapt(frames, baseline, self.weights.statistics)
        make_steps, *_ = find_network(self.weights)
        return make_steps(frames, self.weights).astype(np.float16)
