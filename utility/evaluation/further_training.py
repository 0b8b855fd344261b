"""Go on from trained weights with a few labelled clips, such as a person's own.

A few dozen clips are too few for the networks, but enough for their last layers and for the
discriminant, which are linear. These are moved away from where they are as little as the clips
call for. Emotions that the clips lack are left out of the comparison, so that they are kept.
"""

from dataclasses import dataclass, replace

import numpy as np

from utility.errors import DataError
from utility.evaluation.fold import fit_temperature
from utility.network.adaptation import hear, measure_voice
from utility.network.inference import predict_frames, run_networks, softmax
from utility.network.weights import Calibration, Weights
from utility.voices.discriminant import standardise_clip
from utility.voices.functionals import compute_functionals

# What moving a layer costs: this times the sum of the squared changes of its kernel. Chosen on
# the speakers of nEMO.
COST_OF_CHANGES = 1.0
FOLD_COUNT = 5


@dataclass(frozen=True)
class Clips:
    """Labelled clips: their frames, of the columns that the networks read, and who speaks them."""

    frames: list
    labels: np.ndarray  # of int, shape (clips,): numbers of the weights' emotions
    speakers: np.ndarray

    def take(self, rows) -> "Clips":
        """Return some of the clips."""
        return Clips([self.frames[row] for row in rows], self.labels[rows], self.speakers[rows])


def go_on(weights: Weights, clips: Clips) -> Weights:
    """Return weights that have learned from further clips, raw and adapted to their speakers.

    Networks that are not trained for adaptation learn from the raw clips only. The new weights
    have no temperature, and the priors of `expect_emotions_again`.
    """
    priors = expect_emotions_again(weights, clips.labels)
    weights = replace(weights, temperature=1.0, priors=None, unheard=None)
    frames, labels, voices = clips.frames, clips.labels, [None] * len(clips.frames)
    if weights.hyperparameters.adapted_share:
        frames, labels = frames * 2, np.tile(labels, 2)
        voices += learn_voices(weights, clips)
    outputs = run_networks(weights, frames, voices, embed=True)
    members = []
    for number, arrays in enumerate(weights.members):
        inputs = np.array([output.embedding[number] for output in outputs])
        layer = arrays["emotion/kernel"], arrays["emotion/bias"]
        kernel, bias = move_layer(inputs, labels, *layer)
        members.append(arrays | {"emotion/kernel": kernel, "emotion/bias": bias})
    weights = replace(weights, members=members, priors=priors)
    if weights.discriminant is None:
        return weights
    usual = weights.discriminant.usual
    inputs = [
        standardise_clip(
            compute_functionals(table, weights.feature_names), usual, voice and voice.functionals
        )
        for table, voice in zip(frames, voices, strict=True)
    ]
    # In the scale in which the discriminant counts.
    weight = weights.hyperparameters.discriminant_weight
    layer = weight * weights.discriminant.kernel, weight * weights.discriminant.bias
    kernel, bias = move_layer(np.array(inputs), labels, *layer)
    changed = weights.discriminant._replace(kernel=kernel / weight, bias=bias / weight)
    return replace(weights, discriminant=changed)


def expect_emotions_again(weights, labels) -> np.ndarray:
    """Return priors: emotions of the clips count alike, others as rarely as they did elsewhere."""
    elsewhere = weights.unheard.priors if weights.unheard else np.ones(len(weights.emotions))
    return np.where(np.isin(np.arange(len(elsewhere)), labels), elsewhere.max(), elsewhere)


def learn_voices(weights, clips) -> list:
    """Return the voice of each clip, learned from all clips of its speaker."""
    heard, voices = hear(weights, clips.frames), {}
    for speaker in np.unique(clips.speakers):
        rows = np.flatnonzero(clips.speakers == speaker)
        voices[speaker] = measure_voice(weights, [heard[row] for row in rows])
    return [voices[speaker] for speaker in clips.speakers]


def move_layer(inputs, labels, kernel, bias) -> tuple[np.ndarray, np.ndarray]:
    """Move a softmax layer so that it tells some items apart, but no further than that is worth.

    Minimises the sum of the cross-entropies over the emotions that the labels have, plus
    `COST_OF_CHANGES` times the squared changes, which for the bias count a tenth. The columns of
    other emotions stay as they are.
    """
    from scipy.optimize import minimize

    emotions, targets = np.unique(labels, return_inverse=True)
    inputs = inputs.astype(np.float64)
    rows, shape = np.arange(len(labels)), (inputs.shape[1] + 1, len(emotions))
    start = np.vstack([kernel[:, emotions], bias[emotions]]).astype(np.float64)
    with_one = np.hstack([inputs, np.ones((len(inputs), 1))])
    costs = np.full((shape[0], 1), COST_OF_CHANGES)
    costs[-1] /= 10

    def measure(changes):
        changes = changes.reshape(shape)
        probabilities = softmax(with_one @ (start + changes), axis=1)
        loss = -np.log(np.maximum(probabilities[rows, targets], 1e-12)).sum()
        probabilities[rows, targets] -= 1
        gradient = with_one.T @ probabilities + 2 * costs * changes
        return loss + (costs * np.square(changes)).sum(), gradient.ravel()

    best = minimize(measure, np.zeros(start.size), jac=True, method="L-BFGS-B").x.reshape(shape)
    kernel, bias = kernel.copy(), bias.copy()
    kernel[:, emotions] += best[:-1]
    bias[emotions] += best[-1]
    return kernel, bias


def cross_validate(weights: Weights, clips: Clips, seed: int = 0) -> dict[str, np.ndarray]:
    """Predict each clip before and after going on from the weights with other clips.

    Before, recordings count as those of other sources, as for predict.py.

    Returns the probabilities, (clips, emotions), by "before" and "after", and for networks that are
    trained for it the same adapted to the voice as far as the other clips tell it, by
    "before adapted" and "after adapted".

    Raises
    ------
    DataError
        If an emotion has a single clip, or all clips have the same one.
    """
    from sklearn.model_selection import StratifiedKFold

    counts = np.unique(clips.labels, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < 2:
        raise DataError("clips to go on with need two emotions, and two clips of each; add some")
    folds = StratifiedKFold(min(FOLD_COUNT, counts.min()), shuffle=True, random_state=seed)
    adapts = bool(weights.hyperparameters.adapted_share)
    tests = ("before", "after", "before adapted", "after adapted")[: 4 if adapts else 2]
    results = {name: np.empty((len(clips.labels), len(weights.emotions))) for name in tests}
    for train, test in folds.split(clips.labels, clips.labels):
        known, asked = clips.take(train), clips.take(test)
        after = go_on(weights, known)
        for name, some in (("before", weights.for_unheard()), ("after", after)):
            results[name][test], _ = predict_frames(some, asked.frames)
            if adapts:
                voices = dict(zip(known.speakers, learn_voices(some, known), strict=True))
                each = [voices.get(speaker) for speaker in asked.speakers]
                results[f"{name} adapted"][test], _ = predict_frames(some, asked.frames, each)
    return results


def train_further(weights: Weights, corpus, seed: int = 0) -> tuple[Weights, list[str]]:
    """Go on from weights with a corpus; return the new weights and what to tell about them.

    Both temperatures are fitted to the cross-validation, but not below 1: a few clips that were
    easy do not justify more certainty than the networks have.
    """
    labels = np.array([weights.emotions.index(emotion) for emotion in corpus.emotion])
    frames = [table.take(weights.columns, axis=1) for table in corpus.frames]
    clips = Clips(frames, labels, corpus.speaker)
    results = cross_validate(weights, clips, seed)
    after = [rows for name, rows in results.items() if name.startswith("after")]
    fitted = fit_temperature(np.tile(labels, len(after)), np.concatenate(after))
    new = go_on(weights, clips)
    calibration = Calibration(max(1.0, fitted), new.priors)
    new = replace(new, **calibration._asdict(), unheard=calibration, scores=[])
    return new, describe(results, labels)


def describe(results, labels) -> list[str]:
    """Say in lines how often clips are right before and after, and whether that tells anything."""
    lines = []
    for suffix, name in (
        ("", "UAR in cross-validation, as recorded"),
        (" adapted", "adapted to the speaker by the other clips"),
    ):
        if f"after{suffix}" in results:
            before, after = (
                measure_recall(results[n + suffix], labels) for n in ("before", "after")
            )
            verdict = "better" if after > before else "not better; keep the weights as they were"
            lines.append(f"{name}: {before:.1f} % before, {after:.1f} % after, {verdict}")
    # The standard error of a difference of two shares is at most this.
    chance = 100 * np.sqrt(0.5 / len(labels))
    return [
        *lines,
        f"with {len(labels)} clips, differences of up to {chance:.0f} points can be chance",
    ]


def measure_recall(probabilities, labels) -> float:
    """Return the UAR over the emotions that the labels have, in percent."""
    right = probabilities.argmax(axis=1) == labels
    return 100 * float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))
