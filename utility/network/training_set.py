"""The utterances that a network is trained on."""

from dataclasses import dataclass, field, replace

import numpy as np

from utility.furtherFeatures import FEATURE_SETS, columns_of, feature_names
from utility.network.voice import Statistics, measure_baseline, measure_statistics


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

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows) -> "TrainingSet":
        """Return some of the utterances."""
        variants = [[tables[row] for row in rows] for tables in self.variants]
        labels, speakers = self.labels[rows], self.speakers[rows]
        return replace(self, variants=variants, labels=labels, speakers=speakers)

    def find_columns(self, features) -> list[int]:
        """Return the columns of the frames that belong to some feature sets, given by name."""
        sets = self.feature_sets
        return columns_of(feature_names(features, sets), feature_names(sets, sets))

    def without_copies(self) -> "TrainingSet":
        """Return the recordings alone."""
        return replace(self, variants=self.variants[:1])

    def measure_statistics(self) -> Statistics:
        """Measure the recordings, without their augmented copies."""
        return measure_statistics(self.variants[0])

    def measure_baselines(self, reference) -> list[dict]:
        """Measure the baseline of each speaker in each variant."""
        rows_of = {name: np.flatnonzero(self.speakers == name) for name in np.unique(self.speakers)}
        return [
            {
                name: measure_baseline([tables[row] for row in rows], reference)
                for name, rows in rows_of.items()
            }
            for tables in self.variants
        ]
