"""Measure how often sounds without a voice are told from voices.

python -m experiments.no_voice [--data NAME ...] [--output PATH]

Made sounds are noise, tones, clicks, hum and music of `experiments/made_sounds.py`, on which
nothing was chosen. The recordings of the corpora hold voices: as they are, in the conditions of an
evaluation, and cut to 1 s and less where they are loud enough.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np

from experiments.made_sounds import KINDS, make_sounds
from experiments.parser import make_parser
from utility.audio.recording import load_audio
from utility.command_line import Parser, run
from utility.corpora.augmentation import CONDITIONS, make_variant
from utility.corpora.corpus import explain_missing_audio, find_audio, read_corpus
from utility.errors import DataError
from utility.functions import write_json
from utility.globalvars import BERLIN, FRAMES, ROOT
from utility.parallel import in_processes
from utility.prediction.library import load, predict

RESULTS_PATH = ROOT / "results" / "no_voice.json"
RATE_HZ = FRAMES.sample_rate_hz
SEED = 2026
SOUNDS_OF_A_KIND = 40
AS_RECORDED = "as recorded"
CUTS_SECONDS = (1.0, 0.75, 0.5)
# Of a cut, half the samples' power must be there: a pause is no voice.
LEAST_CUT_POWER = 0.5


def count_made(kind, weights) -> dict:
    """Count the sounds of a kind that are called no voice."""
    sounds = make_sounds(kind, SOUNDS_OF_A_KIND, SEED)
    results = [predict(samples, weights, sample_rate=rate) for samples, rate in sounds]
    return {"sounds": len(results), "no_voice": sum(not result.has_voice for result in results)}


def list_variants(samples, number) -> dict[str, np.ndarray]:
    """Return a recording and its variants by their names; a cut only if it is long enough."""
    random = np.random.default_rng([SEED, number])
    variants = {AS_RECORDED: samples}
    variants |= {CONDITIONS[name].text: make_variant(samples, name, number) for name in CONDITIONS}
    for seconds in CUTS_SECONDS:
        if (cut := cut_randomly(samples, seconds, random)) is not None:
            variants[f"cut to {seconds:g} s"] = cut
    return variants


def cut_randomly(samples, seconds, random) -> np.ndarray | None:
    """Cut a part out of a recording, which has half the power of the whole; None without any."""
    length = round(seconds * RATE_HZ)
    total = np.cumsum(np.append(0, samples**2))
    power = (total[length:] - total[:-length]) / length
    (places,) = np.nonzero(power >= LEAST_CUT_POWER * np.mean(samples**2))
    if not len(places):
        return None
    start = random.choice(places)
    return samples[start : start + length]


def judge_recording(task, weights) -> dict[str, bool]:
    """Tell of a recording and its variants whether they have a voice."""
    path, number = task
    return {
        name: predict(samples, weights, sample_rate=RATE_HZ).has_voice
        for name, samples in list_variants(load_audio(path), number).items()
    }


def count_voices(name, weights) -> dict:
    """Count the recordings of a corpus that are called no voice, as they are and as variants."""
    corpus = read_corpus(name)
    audio = find_audio(corpus)
    if audio is None:
        raise DataError(explain_missing_audio(name, corpus))
    counts = {}
    tasks = [(audio / file, number) for number, file in enumerate(corpus.file)]
    with in_processes(partial(judge_recording, weights=weights), tasks) as judged:
        for answers in judged:
            for variant, has_voice in answers.items():
                row = counts.setdefault(variant, {"recordings": 0, "no_voice": 0})
                row["recordings"] += 1
                row["no_voice"] += not has_voice
    return counts


def build_parser() -> Parser:
    """Describe the command line."""
    parser = make_parser(
        "experiments.no_voice",
        "Measure how often sounds without a voice are told from voices.",
        RESULTS_PATH,
        "--data berlin mine",
    )
    text = "corpora whose recordings hold voices (default: EmoDB)"
    parser.add_argument("--data", nargs="+", default=[BERLIN], metavar="NAME", help=text)
    return parser


def main(arguments) -> None:
    """Judge the made sounds, then the voices of each corpus, and write all counts."""
    made, weights = {}, load()
    for group, kinds in KINDS.items():
        with in_processes(partial(count_made, weights=weights), list(kinds)) as counts:
            made[group] = dict(zip(kinds, counts, strict=True))
        print(made[group], flush=True)
    voices = {}
    for name in arguments.data:
        voices[Path(name).name] = count_voices(name, weights)
        print(voices, flush=True)
    write_json(arguments.output, {"made sounds": made, "voices": voices})


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
