"""Measure how often the windows of a timeline are right, for speakers not trained on.

python -m experiments.timeline [--audio DIR]

For each speaker, a network is trained on the other speakers. The speaker's recordings are
joined into one of about two minutes, with pauses of random length between them. A window of
its timeline is right if its emotion is that of the recording it overlaps most. The same
network also predicts the same recordings one by one.
"""

import sys
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from experiments.parser import make_parser
from utility.audio import load_audio
from utility.command_line import Parser, run
from utility.corpora.augmentation import name_copies
from utility.corpora.corpus import read_corpus
from utility.corpora.emodb import require_recordings_folder
from utility.corpora.protocols import PROTOCOLS
from utility.corpora.variants import load_variants
from utility.evaluation.experiment import make_experiment
from utility.evaluation.fold import train_weights
from utility.evaluation.material import Material
from utility.functions import write_json
from utility.globalvars import BERLIN, FRAMES, ROOT, VARIANTS_NAME
from utility.network.hyperparameters import PRESETS
from utility.parallel import in_processes

RESULTS_PATH = ROOT / "results" / "timeline.json"
JOINED_SECONDS = 120
PAUSE_SECONDS = 0.4, 1.2
WINDOW_SECONDS = 3.0
# A single network takes a third of the time; the temperature changes no prediction.
HYPERPARAMETERS = replace(PRESETS["default"], members=1, temperature_scaling=False)


class Joined(NamedTuple):
    """Recordings joined into one signal, and where each of them starts and ends, in seconds."""

    signal: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def join_signals(signals, random) -> Joined:
    """Join recordings, with a pause of random length after each."""
    pauses = random.uniform(*PAUSE_SECONDS, len(signals))
    silences = [np.zeros(round(seconds * FRAMES.sample_rate_hz)) for seconds in pauses]
    lengths = np.array([[len(s), len(p)] for s, p in zip(signals, silences, strict=True)])
    edges = np.concatenate([[0], np.cumsum(lengths)]) / FRAMES.sample_rate_hz
    parts = [part for pair in zip(signals, silences, strict=True) for part in pair]
    return Joined(np.concatenate(parts), edges[:-1:2], edges[1::2])


def count_needed(signals) -> int:
    """Return how many recordings fill `JOINED_SECONDS` with their pauses."""
    lengths = np.array([len(s) / FRAMES.sample_rate_hz + np.mean(PAUSE_SECONDS) for s in signals])
    return int(np.searchsorted(np.cumsum(lengths), JOINED_SECONDS)) + 1


def predict_windows(joined, weights) -> list[tuple[str, int]]:
    """Predict the windows of the timeline: the emotion, and the recording it overlaps most."""
    from utility.prediction.timeline import find_emotions

    sound = joined.signal, FRAMES.sample_rate_hz
    windows = []
    for segment in find_emotions(sound, weights, WINDOW_SECONDS, WINDOW_SECONDS):
        if segment.ranking is not None:
            ends, starts = np.minimum(joined.ends, segment.end), joined.starts
            overlaps = ends - np.maximum(starts, segment.start)
            windows.append((segment.ranking[0][0], int(np.argmax(overlaps))))
    return windows


def measure_speaker(fold, material, audio) -> dict:
    """Train without the speaker of a fold, and count the right windows and clips of the speaker."""
    from utility.prediction.clip import predict_all

    corpus = material.corpus
    experiment = make_experiment(material, fold.train, HYPERPARAMETERS, seed=0, quiet=True)
    weights, _ = train_weights(experiment, HYPERPARAMETERS.epochs, processes=1)
    random = np.random.default_rng(0)
    rows = random.permutation(fold.test)
    signals = [load_audio(audio / corpus.file[row]) for row in rows]
    signals = signals[: count_needed(signals)]
    truth = [corpus.emotions[corpus.labels[row]] for row in rows]
    windows = predict_windows(join_signals(signals, random), weights)
    clips = predict_all([(signal, FRAMES.sample_rate_hz) for signal in signals], weights)
    return {
        "speaker": fold.name,
        "windows": len(windows),
        "windows_right": sum(emotion == truth[clip] for emotion, clip in windows),
        "clips": len(clips),
        "clips_right": sum(clip.label == t for clip, t in zip(clips, truth, strict=False)),
    }


def build_parser() -> Parser:
    """Describe the command line."""
    return make_parser(
        "experiments.timeline",
        "Measure how often the windows of a timeline are right, leaving each speaker out once.",
        RESULTS_PATH,
    )


def main(arguments) -> None:
    """Measure every speaker, and write the counts and their totals."""
    corpus = read_corpus(ROOT)
    audio = arguments.audio or require_recordings_folder()
    names = name_copies(HYPERPARAMETERS.augmentations)
    copies = load_variants(corpus, names, ROOT / VARIANTS_NAME / BERLIN.name, audio)
    work = partial(measure_speaker, material=Material(corpus, copies, {}), audio=audio)
    rows = []
    with in_processes(work, PROTOCOLS["loso"](corpus, 0)) as results:
        for row in results:
            print(row, flush=True)
            rows.append(row)
    counts = ("windows", "windows_right", "clips", "clips_right")
    total = {name: sum(row[name] for row in rows) for name in counts}
    write_json(arguments.output, {"total": total, "speakers": rows})
    print(total)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
