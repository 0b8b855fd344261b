"""A fold from beginning to end: choose hyperparameters, train, and test."""

import os
from collections import Counter
from dataclasses import asdict, replace
from functools import cache, partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from utility.command_line import native_stderr_silenced
from utility.corpora.frames import choose_tables
from utility.corpora.naming import expect_emotions
from utility.errors import SpeechEmotionError, UsageError
from utility.evaluation.experiment import (
    make_experiment,
    make_weights,
    predict_left_out,
    predict_speakers,
    train_member,
    validate,
)
from utility.evaluation.material import Material
from utility.functions import ENCODING, LONGEST_NAME
from utility.network.adaptation import hear, measure_voice
from utility.network.hyperparameters import Hyperparameters, write_names
from utility.network.inference import apply_priors, apply_temperature, predict_frames
from utility.network.weights import Calibration, Weights
from utility.parallel import in_processes, map_here
from utility.reports.measures import CLEAN, adapted_test_name, prediction_rows

TEMPERATURE_RANGE = (0.25, 8)
DIED = "the training of a network always died; give each worker more memory and start again"
# What speakers are adapted by instead of a number of their clips: all of them, or those of one
# emotion, which is what a user may have.
WHOLE_VOICE, ONE_EMOTION = "speaker", "emotion"


class Task(NamedTuple):
    """The seed and the `Fold` of an evaluation."""

    seed: int
    fold: tuple

    @property
    def name(self) -> str:
        """A file name, however long and of whatever characters a speaker's name is."""
        name = quote(self.fold.name, safe=" ", **ENCODING)
        if len(name) > LONGEST_NAME:
            name = f"{name[:LONGEST_NAME]} {sha256(name.encode()).hexdigest()[:16]}"
        return f"seed {self.seed}, {name}"


class Plan(NamedTuple):
    """Everything that all folds share.

    A search starts at `hyperparameters`, has `max_evals` trials (0: there is no search), and
    keeps them in `folder`. For `adapt` see `make_tests`.
    """

    material: Material
    hyperparameters: Hyperparameters
    max_evals: int
    adapt: list
    folder: Path


def evaluate_fold(task, plan, quiet=True, in_workers=map_here, search=None) -> dict:
    """Choose hyperparameters and train on the training part of a fold, and predict the test part.

    Networks are trained by `in_workers`, see `train_weights`, and trials made by `search`, see
    `utility.evaluation.tuning.tune`.
    Return a dictionary for JSON: fold, seed, predictions (a table for each test) and trials as
    rows of tables, hyperparameters, epochs, temperature, and history with one row per epoch.
    """
    (seed, fold), material = task, plan.material
    place = {"fold": fold.name, "seed": seed}
    experiment = make_experiment(material, fold.train, plan.hyperparameters, seed, quiet)
    trials_path = plan.folder / f"{task.name}.trials.json"
    trials = make_trials(experiment, plan.max_evals, trials_path, search)
    epochs = plan.hyperparameters.epochs
    if trials:
        best = min(trials, key=lambda trial: trial.measured["validation_loss"])
        experiment = experiment.with_hyperparameters(best.hyperparameters)
        epochs = best.epochs
    weights, history = train_weights(experiment, epochs, in_workers)
    if are_unheard(material.corpus, fold):
        weights = weights.for_unheard()
    tests = make_tests(material, fold.test, plan.adapt, weights, seed)
    emotions = material.corpus.emotions
    return {
        **place,
        "predictions": {
            name: prediction_rows(
                *(material.corpus, fold, seed, emotions),
                place_classes(predict_frames(weights, *test)[0], weights.emotions, emotions),
            )
            for name, test in tests.items()
        },
        "trials": [
            place
            | {"trial": number, "seconds": round(trial.seconds, 1)}
            | write_names(asdict(trial.hyperparameters))
            | trial.measured
            for number, trial in enumerate(trials, 1)
        ],
        "hyperparameters": asdict(experiment.hyperparameters),
        "epochs": epochs,
        "temperature": weights.temperature,
        "history": [place | row for row in (best.history if trials else history)],
    }


def place_classes(probabilities, known, emotions) -> np.ndarray:
    """Return probabilities of the known emotions as those of all, of which others have 0."""
    placed = np.zeros((len(probabilities), len(emotions)))
    placed[:, [emotions.index(emotion) for emotion in known]] = probabilities
    return placed


def are_unheard(corpus, fold) -> bool:
    """Tell whether a fold tests no corpus that it trains on."""
    names = corpus.corpus_names
    return corpus.joined and not np.isin(names[fold.test], names[fold.train]).any()


def make_trials(experiment, max_evals, trials_path, search=None) -> list:
    """Try hyperparameters on the validation speakers, if anything is to be chosen.

    That is a search of `max_evals` trials, or with early stopping a single trial, which
    chooses the number of epochs; otherwise nothing.
    """
    if max_evals:
        import_tensorflow()
        from utility.evaluation.tuning import tune

        return tune(experiment, max_evals, trials_path, search)
    if experiment.hyperparameters.patience:
        import_tensorflow()
        return [validate(experiment)]
    return []


def train_weights(experiment, epochs, in_workers=in_processes) -> tuple[Weights, list[dict]]:
    """Train all members of the ensemble and fit its temperature.

    The temperature is fitted to single networks, each of which is trained without a third of
    the speakers and predicts that third. Fitting it to ensembles would take three times as many.
    That for recordings of other sources is fitted to networks that are each trained without one
    of the corpora, if there are several. Networks are trained by `in_workers`, which maps them as
    `utility.parallel.in_processes` does. The history has the means over members. Raises a
    `SpeechEmotionError` if there is None instead of a network, since its task always died.
    """
    hyperparameters = experiment.hyperparameters
    speakers = corpora = []
    if hyperparameters.temperature_scaling:
        speakers, corpora = experiment.group_speakers(), experiment.list_corpora()
    # Those that take longest come first: no core should wait for a long one at the end.
    networks = [(train_member, number) for number in range(hyperparameters.members)]
    networks += [(predict_left_out, rows) for rows in corpora]
    networks += [(predict_speakers, rows) for rows in speakers]
    trained = iter(train_networks(networks, experiment, epochs, in_workers))
    arrays, histories = zip(*islice(trained, hyperparameters.members), strict=True)
    corpora, speakers = [*islice(trained, len(corpora))], [*trained]
    history = [
        {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        | {"epoch": rows[0]["epoch"]}
        for rows in zip(*histories, strict=True)
    ]
    weights = make_weights(experiment.training_set, hyperparameters, [*arrays])
    if hyperparameters.temperature_scaling:
        weights = calibrate(weights, speakers, corpora)
    return weights, history


def train_networks(networks, experiment, epochs, in_workers) -> list:
    """Train networks side by side; return what the function of each returns."""
    from tqdm import tqdm

    several = len(networks) > 1 and in_workers is not map_here
    quiet = experiment.quiet or several
    # Networks that train side by side share one bar, which counts them.
    work = partial(train_network, experiment=replace(experiment, quiet=quiet), epochs=epochs)
    disable = True if experiment.quiet or not several else None
    with in_workers(work, networks) as results:
        bar = tqdm(results, "networks", len(networks), unit="network", leave=False, disable=disable)
        trained = list(bar)
    if any(each is None for each in trained):
        raise SpeechEmotionError(DIED)
    return trained


def calibrate(weights, speakers, corpora) -> Weights:
    """Fit the temperatures to what `predict_left_out` returned for speakers and for corpora."""
    labels, probabilities = (np.concatenate(parts) for parts in zip(*speakers, strict=True))
    temperature = fit_temperature(labels, probabilities)
    priors = expect_emotions(weights.emotions)
    unheard = weights.hyperparameters.unheard_temperature
    if corpora:
        labels, probabilities = (np.concatenate(parts) for parts in zip(*corpora, strict=True))
        unheard = fit_temperature(labels, probabilities, priors)
    return replace(weights, temperature=temperature, unheard=Calibration(unheard, priors))


def train_network(network, experiment, epochs):
    """Train one network of `train_weights`, given by a function and its last argument."""
    import_tensorflow()
    function, argument = network
    if function is not train_member:
        experiment.forget_steps()  # since the members come first
    return function(experiment, epochs, argument)


def fit_temperature(labels, probabilities, priors=None) -> float:
    """Return the temperature at which probabilities have the lowest cross-entropy, with priors.

    Temperature scaling, after C. Guo et al., "On calibration of modern neural networks",
    ICML 2017. The probabilities stand in for the logits: only their ratios matter.
    """
    from scipy.optimize import minimize_scalar
    from sklearn.metrics import log_loss

    classes = np.arange(probabilities.shape[1])

    def loss(temperature):
        calibrated = apply_priors(apply_temperature(probabilities, temperature), priors)
        return log_loss(labels, calibrated, labels=classes)

    # The loss has a single minimum, so a bounded search finds it wherever it starts.
    return float(minimize_scalar(loss, bounds=TEMPERATURE_RANGE, method="bounded").x)


def check_adaptation(corpus, clips) -> None:
    """Raise `UsageError` unless every speaker has the number of other clips that --adapt says."""
    if not all(corpus.speaker_known):
        raise UsageError(f"--adapt {clips}: there are utterances without a speaker; omit it")
    most = min(Counter(corpus.speaker.tolist()).values()) - 1
    if not most and clips != WHOLE_VOICE:
        raise UsageError(f"--adapt {clips}: a speaker has a single clip; give {WHOLE_VOICE}")
    words = WHOLE_VOICE, ONE_EMOTION
    is_number = clips.isdecimal() and len(clips) < 10  # int takes no more than 4300 digits
    if clips not in words and not (is_number and 1 <= int(clips) <= most):
        raise UsageError(
            f"--adapt {clips}: give {' or '.join(words)}, or a number of clips from 1 to {most}"
        )


def make_tests(material, rows, adaptations, weights, seed) -> dict:
    """List what each test reads, clean, in conditions, adapted: frames of utterances, and voices.

    `rows` are the test utterances. Of the `adaptations`, "speaker" adapts by all clips of the
    speaker, "emotion" by all other clips of one emotion, and a number by that many other clips,
    drawn at random for each utterance.
    """
    corpus, columns = material.corpus, weights.columns

    @cache
    def hear_utterance(row):
        return hear(weights, [corpus.frames[row].take(columns, axis=1)])[0]

    @cache
    def learn(clips):
        return measure_voice(weights, [*map(hear_utterance, clips)])

    clean = choose_tables(corpus.frames, rows, columns)
    tests = {CLEAN: (clean, None)}
    for name, variant in material.conditions.items():
        tests[name] = choose_tables(variant, rows, columns), None
    for clips in adaptations:
        voices = [learn((*draw_clips(corpus, row, clips, seed),)) for row in rows]
        tests[adapted_test_name(clips)] = clean, voices
    return tests


def draw_clips(corpus, utterance, clips, seed) -> np.ndarray:
    """Draw utterances of the same speaker, whatever their emotion, to adapt one with.

    If they are to be of one emotion, it is drawn, too.
    """
    voice = np.flatnonzero(corpus.speaker == corpus.speaker[utterance])
    if clips == WHOLE_VOICE:
        return voice
    others, random = voice[voice != utterance], np.random.default_rng([seed, utterance])
    if clips == ONE_EMOTION:
        emotions = corpus.emotion[others]
        return others[emotions == random.choice(np.unique(emotions))]
    return random.permutation(others)[: int(clips)]


def import_tensorflow() -> None:
    """Import TensorFlow without the notes that it prints for its developers.

    Keras will use it, and no settings of the user, such as half precision.
    """
    os.environ |= {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": os.devnull}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_stderr_silenced():
        import tensorflow
    # TensorFlow warns that a function is traced often; every training traces its own.
    tensorflow.get_logger().setLevel("ERROR")
