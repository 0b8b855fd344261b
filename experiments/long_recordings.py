"""Measure how often long recordings are right: as a whole, and window by window.

python -m experiments.long_recordings [--audio DIR]

Whole recordings: all clips of a speaker and an emotion are joined, with pauses of equal length.
They are predicted by the shipped weights, which were trained on these clips, and by networks
that were trained without the speaker. One sentence, repeated for minutes, is predicted too.

Windows: for each speaker left out, clips of all emotions are joined into a recording of about two
minutes, with pauses of random length. A window of its timeline is right if its emotion is that
of the clip it overlaps most. The same network predicts the same clips one by one.
"""

import sys
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from experiments.parser import make_emodb_parser
from utility.audio.recording import load_audio
from utility.command_line import Parser, run
from utility.corpora.augmentation import name_copies
from utility.corpora.corpus import read_corpus
from utility.corpora.protocols import PROTOCOLS
from utility.corpora.published import require_recordings_folder
from utility.corpora.variants import load_variants
from utility.evaluation.experiment import make_experiment
from utility.evaluation.fold import train_weights
from utility.evaluation.material import Material
from utility.functions import write_json
from utility.globalvars import BERLIN, FRAMES, ROOT, VARIANTS_NAME
from utility.network.hyperparameters import PRESETS
from utility.parallel import in_processes, map_here
from utility.prediction.clip import predict_all, predict_windows
from utility.prediction.cutting import Cut
from utility.prediction.library import load, predict

RESULTS_PATH = ROOT / "results" / "long_recordings.json"
RATE_HZ = FRAMES.sample_rate_hz
# Whole recordings.
FEWEST_CLIPS = 4
PAUSE_SECONDS = 0.0, 0.2, 0.5
REPEATED_FILE, REPETITIONS = "03a01Nc.wav", 60
# Windows.
JOINED_SECONDS = 120
RANDOM_PAUSE_SECONDS = 0.4, 1.2
TIMELINE = Cut(3.0, 3.0)
# A single network takes a third of the time; the temperature changes no prediction.
HYPERPARAMETERS = replace(PRESETS["default"], members=1, temperature_scaling=False)


class Joined(NamedTuple):
    """Recordings joined into one signal, and where each of them starts and ends, in seconds."""

    signal: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def join_signals(signals, pause_seconds) -> Joined:
    """Join recordings, with a pause of the given length after each."""
    silences = [np.zeros(round(seconds * RATE_HZ)) for seconds in pause_seconds]
    lengths = np.array([[len(s), len(p)] for s, p in zip(signals, silences, strict=True)])
    edges = np.concatenate([[0], np.cumsum(lengths)]) / RATE_HZ
    parts = [part for pair in zip(signals, silences, strict=True) for part in pair]
    return Joined(np.concatenate(parts), edges[:-1:2], edges[1::2])


def group_by_emotion(corpus, rows) -> list[list[int]]:
    """Group utterances by speaker and emotion; leave out groups that are too small."""
    groups = {}
    for row in rows:
        groups.setdefault((corpus.speaker[row], corpus.emotion[row]), []).append(row)
    return [group for group in groups.values() if len(group) >= FEWEST_CLIPS]


def measure_wholes(corpus, signals, rows, weights) -> list[dict]:
    """Join the clips of each speaker and emotion, and count the right recordings for each pause.

    The clips are rows of the corpus, and their signals are given by row.
    """
    groups, counts = group_by_emotion(corpus, rows), []
    truth = [corpus.emotion[group[0]] for group in groups]
    for pause in PAUSE_SECONDS:
        joined = [join_signals([signals[r] for r in g], [pause] * len(g)) for g in groups]
        results = predict_all([(one.signal, RATE_HZ) for one in joined], weights)
        right = sum(result.label == t for result, t in zip(results, truth, strict=True))
        counts.append({"pause_seconds": pause, "recordings": len(groups), "right": right})
    return counts


def measure_repeated(signal, weights) -> dict:
    """Predict a sentence, and the same sentence many times in a row."""
    once = predict(signal, weights, sample_rate=RATE_HZ)
    often = predict(np.tile(signal, REPETITIONS), weights, sample_rate=RATE_HZ)
    return {
        "file": REPEATED_FILE,
        "repetitions": REPETITIONS,
        "seconds": round(often.seconds, 1),
        "once": {once.label: round(once.ranking[0][1], 4)},
        "repeated": {often.label: round(often.ranking[0][1], 4)},
    }


def measure_windows(corpus, signals, rows, weights) -> dict:
    """Count the right windows of two minutes of a speaker, and the right ones among the clips."""
    random = np.random.default_rng(0)
    rows = random.permutation(rows)
    rows = rows[: count_needed([signals[row] for row in rows])]
    clips = [signals[row] for row in rows]
    truth = corpus.emotion[rows].tolist()
    joined = join_signals(clips, random.uniform(*RANDOM_PAUSE_SECONDS, len(clips)))
    windows = list_windows(joined, weights)
    results = predict_all([(clip, RATE_HZ) for clip in clips], weights)
    return {
        "windows": len(windows),
        "windows_right": sum(emotion == truth[clip] for emotion, clip in windows),
        "clips": len(clips),
        "clips_right": sum(r.label == t for r, t in zip(results, truth, strict=True)),
    }


def count_needed(signals) -> int:
    """Return how many recordings fill `JOINED_SECONDS` with their pauses."""
    pause = np.mean(RANDOM_PAUSE_SECONDS)
    lengths = np.array([len(signal) / RATE_HZ + pause for signal in signals])
    return int(np.searchsorted(np.cumsum(lengths), JOINED_SECONDS)) + 1


def list_windows(joined, weights) -> list[tuple[str, int]]:
    """Predict the windows of a timeline: the emotion, and the recording it overlaps most."""
    (timeline,) = predict_windows([(joined.signal, RATE_HZ)], weights, cut=TIMELINE)
    windows = []
    for segment in timeline.segments:
        if segment.ranking is not None:
            ends, starts = np.minimum(joined.ends, segment.end), joined.starts
            overlaps = ends - np.maximum(starts, segment.start)
            windows.append((segment.ranking[0][0], int(np.argmax(overlaps))))
    return windows


def measure_speaker(fold, material, audio) -> dict:
    """Train without the speaker of a fold, and measure recordings and windows of the speaker."""
    corpus = material.corpus
    experiment = make_experiment(material, fold.train, HYPERPARAMETERS, seed=0, quiet=True)
    weights, _ = train_weights(experiment, HYPERPARAMETERS.epochs, map_here)
    signals = {row: load_audio(audio / corpus.file[row]) for row in fold.test}
    parts = corpus, signals, fold.test, weights
    return {
        "speaker": fold.name,
        "wholes": measure_wholes(*parts),
        "timeline": measure_windows(*parts),
    }


def measure_trained(corpus, audio) -> dict:
    """Measure the shipped weights on recordings of the clips that they were trained on."""
    rows, weights = range(len(corpus)), load(in_domain=True)
    signals = [load_audio(audio / file) for file in corpus.file]
    sentence = signals[corpus.file.tolist().index(REPEATED_FILE)]
    return {
        "wholes": measure_wholes(corpus, signals, rows, weights),
        "repeated": measure_repeated(sentence, weights),
    }


def add_up(rows) -> dict:
    """Add the counts of all speakers."""
    wholes = [
        {"pause_seconds": pause}
        | {name: sum(count[name] for count in counts) for name in ("recordings", "right")}
        for pause, *counts in zip(PAUSE_SECONDS, *(row["wholes"] for row in rows), strict=True)
    ]
    names = rows[0]["timeline"]
    timeline = {name: sum(row["timeline"][name] for row in rows) for name in names}
    return {"wholes": wholes, "timeline": timeline}


def build_parser() -> Parser:
    """Describe the command line."""
    return make_emodb_parser(
        "experiments.long_recordings",
        "Measure how often long recordings and their windows are right.",
        RESULTS_PATH,
    )


def main(arguments) -> None:
    """Measure the shipped weights, then every speaker left out, and write all counts."""
    corpus = read_corpus(ROOT)
    audio = arguments.audio or require_recordings_folder()
    results = {"trained on": measure_trained(corpus, audio)}
    print(results, flush=True)
    names = name_copies(HYPERPARAMETERS.augmentations)
    copies = load_variants(corpus, names, ROOT / VARIANTS_NAME / BERLIN.name, audio)
    work = partial(measure_speaker, material=Material(corpus, copies, {}), audio=audio)
    rows = []
    with in_processes(work, PROTOCOLS["loso"](corpus, 0)) as measured:
        for row in measured:
            print(row, flush=True)
            rows.append(row)
    results |= {"left out": add_up(rows), "speakers": rows}
    write_json(arguments.output, results)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
