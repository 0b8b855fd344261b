"""Measure how often the windows of a timeline are right, where the speaker was never heard.

python -m experiments.timeline [--audio DIR]

For each speaker a network is trained on the others. The speaker's recordings are joined
to one of about two minutes, with pauses of random length between them; a window of its
timeline is right if it has the emotion of the recording that it overlaps most. The same
network hears the same recordings one by one, too.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utility.audio import load_audio
from utility.command_line import Parser, add_debug_option, run
from utility.corpora.corpus import read_corpus
from utility.corpora.emodb import find_audio_directory
from utility.corpora.protocols import SPLITS
from utility.corpora.variants import load_variants
from utility.evaluation.experiment import make_experiment
from utility.evaluation.fold import train_weights
from utility.evaluation.material import Material
from utility.functions import write_json
from utility.globalvars import COPIES, FRAMES, ROOT, VARIANTS_NAME
from utility.network.hyperparameters import PRESETS
from utility.parallel import in_processes

RESULTS_PATH = ROOT / "results" / "timeline.json"
JOINED_SECONDS = 120
PAUSE_SECONDS = 0.4, 1.2
WINDOW_SECONDS = 3.0
# A single network takes a third of the time, and the temperature changes no answer.
HYPERPARAMETERS = replace(PRESETS["default"], members=1, scaled=False)


class Joined(NamedTuple):
    """Recordings in one signal: its samples, and where each of them starts and ends, in seconds."""

    signal: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def join(signals, random) -> Joined:
    """Put recordings behind each other, with a pause of random length behind each."""
    pauses = random.uniform(*PAUSE_SECONDS, len(signals))
    silences = [np.zeros(round(seconds * FRAMES.sample_rate_hz)) for seconds in pauses]
    lengths = np.array([[len(s), len(p)] for s, p in zip(signals, silences, strict=True)])
    edges = np.concatenate([[0], np.cumsum(lengths)]) / FRAMES.sample_rate_hz
    parts = [part for pair in zip(signals, silences, strict=True) for part in pair]
    return Joined(np.concatenate(parts), edges[:-1:2], edges[1::2])


def enough(signals) -> int:
    """Count the recordings that make, with pauses, a joined one of the length wanted."""
    lengths = np.array([len(s) / FRAMES.sample_rate_hz + np.mean(PAUSE_SECONDS) for s in signals])
    return int(np.searchsorted(np.cumsum(lengths), JOINED_SECONDS)) + 1


def answers_of_windows(joined, weights) -> list[tuple[str, int]]:
    """List the emotion of each window of the timeline, and the recording that it overlaps most."""
    from utility.prediction.timeline import find_emotions

    sound = joined.signal, FRAMES.sample_rate_hz
    answers = []
    for segment in find_emotions(sound, weights, WINDOW_SECONDS, WINDOW_SECONDS):
        if segment.ranking is not None:
            ends, starts = np.minimum(joined.ends, segment.end), joined.starts
            overlaps = ends - np.maximum(starts, segment.start)
            answers.append((segment.ranking[0][0], int(np.argmax(overlaps))))
    return answers


def measure(fold, material, audio) -> dict:
    """Train without the speaker of a fold, and count what is right of the speaker's recordings."""
    from utility.prediction.clip import predict_all

    corpus = material.corpus
    experiment = make_experiment(material, fold.train, HYPERPARAMETERS, seed=0, quiet=True)
    weights, _ = train_weights(experiment, HYPERPARAMETERS, HYPERPARAMETERS.epochs, processes=1)
    random = np.random.default_rng(0)
    rows = random.permutation(fold.test)
    signals = [load_audio(audio / corpus.file[row]) for row in rows]
    signals = signals[: enough(signals)]
    truth = [corpus.emotions[corpus.labels[row]] for row in rows]
    windows = answers_of_windows(join(signals, random), weights)
    alone = predict_all([(signal, FRAMES.sample_rate_hz) for signal in signals], weights)
    return {
        "speaker": fold.name,
        "windows": len(windows),
        "windows_right": sum(emotion == truth[clip] for emotion, clip in windows),
        "clips": len(alone),
        "clips_right": sum(a.label == t for a, t in zip(alone, truth, strict=False)),
    }


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="experiments.timeline",
        description="Measure how often windows of a timeline are right, each speaker left out.",
        examples=(
            "python -m experiments.timeline",
            "python -m experiments.timeline --audio data/wav",
        ),
    )
    parser.add_argument("--audio", type=Path, metavar="DIR", help="folder of the recordings")
    parser.add_argument(
        "--output", type=Path, default=RESULTS_PATH, metavar="FILE", help="where to write"
    )
    add_debug_option(parser)
    return parser


def main(arguments) -> None:
    """Carry out the command line."""
    corpus = read_corpus(ROOT)
    audio = arguments.audio or find_audio_directory()
    folder = ROOT / VARIANTS_NAME / "berlin"
    kinds = COPIES[: HYPERPARAMETERS.copy_kinds]
    copies = load_variants(corpus, kinds, folder=folder, find_audio=lambda: audio)
    work = partial(measure, material=Material(corpus, copies, {}), audio=audio)
    rows = []
    with in_processes(work, SPLITS["loso"](corpus, 0)) as results:
        for row in results:
            print(row, flush=True)
            rows.append(row)
    counts = ("windows", "windows_right", "clips", "clips_right")
    total = {name: sum(row[name] for row in rows) for name in counts}
    write_json(arguments.output, {"total": total, "speakers": rows})
    print(total)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
