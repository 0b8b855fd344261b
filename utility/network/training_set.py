"""The utterances that a network is trained on."""

from dataclasses import dataclass, field, replace

import numpy as np

from utility.furtherFeatures import FEATURE_SETS, columns_of, feature_names
from utility.voices.baseline import (
    Statistics,
    measure_baseline,
    measure_statistics,
    sum_frames,
)
from utility.voices.functionals import compute_functionals


@dataclass(frozen=True)
class TrainingSet:
    """Utterances to train on, in all their variants.

    `variants` holds, for each variant and each utterance, its frames: (frames, features). The
    first variant is the recordings themselves, the others are augmented copies.
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
        variants = [[tables[row] for row in rows] for tables in self.variants]
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
        functionals = [
            [compute_functionals(table[:, columns], names) for table in tables]
            for tables in self.variants
        ]
        return replace(self, functionals=np.array(functionals))

    def without_copies(self) -> "TrainingSet":
        """Return the recordings alone."""
        functionals = None if self.functionals is None else self.functionals[:1]
        return replace(self, variants=self.variants[:1], functionals=functionals)

    def list_voices(self) -> dict:
        """Return the rows of the utterances of each speaker."""
        return {name: np.flatnonzero(self.speakers == name) for name in np.unique(self.speakers)}

    def measure_statistics(self) -> Statistics:
        """Measure the recordings, without their augmented copies."""
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
