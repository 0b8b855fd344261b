"""The utterances that a network is trained on."""

from dataclasses import dataclass, replace

import numpy as np

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

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows) -> "TrainingSet":
        """Return some of the utterances."""
        variants = [[tables[row] for row in rows] for tables in self.variants]
        labels, speakers = self.labels[rows], self.speakers[rows]
        return replace(self, variants=variants, labels=labels, speakers=speakers)

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
