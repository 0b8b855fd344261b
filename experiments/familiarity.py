"""Measure how often answers are right, by how familiar the recordings sound.

python -m experiments.familiarity [RUN ...]

The answers are those of finished runs, as recorded and in conditions. Familiarity is measured with
the training part of each fold, as the weights that were trained on it would do. The picture goes
beside the results.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.parser import make_parser
from utility.command_line import Parser, run
from utility.corpora.corpus import corpus_path
from utility.corpora.protocols import PROTOCOLS
from utility.evaluation.material import load_material, read_sources
from utility.evaluation.run import read_config
from utility.functions import write_json
from utility.globalvars import ROOT
from utility.reports.measures import CLEAN, read_tests
from utility.voices.familiarity import describe_spectra, fit_familiarity, measure_familiarity

RUNS = ROOT / "results" / "loso", ROOT / "results" / "berlin_to_others"
RESULTS_PATH = ROOT / "results" / "familiarity.json"
# Familiarity from one to the next; below the first of them, predict.py prints a note.
BOUNDARIES = 0.02, 0.1, 0.3
BANDS = "below 0.02", "0.02 to 0.1", "0.1 to 0.3", "above 0.3"


def measure_run(folder) -> list[dict]:
    """Measure the answers of a run in each test: by corpus and band, how many are right."""
    arguments = read_config(folder)["arguments"]
    sources = read_sources(arguments["data"], arguments["test_data"], note=print)
    options = {"conditions": arguments["conditions"], "quiet": False, "note": print}
    material, tests = load_material(sources, **options), read_tests(folder)
    corpus, rows = material.corpus, []
    folds = PROTOCOLS[arguments["evaluate"]](corpus, arguments["seed"])
    for test, frames in {CLEAN: corpus.frames, **material.conditions}.items():
        familiarity = measure_test(corpus, frames, folds)
        parts = tests[test].divide() or {corpus_path(arguments["data"][0]).name: tests[test]}
        for name, part in parts.items():
            values = np.array([familiarity[file] for file in part.file.tolist()])
            rows += [{"corpus": name, "test": test, **row} for row in measure_bands(part, values)]
    return rows


def measure_test(corpus, frames, folds) -> dict[str, float]:
    """Measure how familiar each tested utterance is to the training part of its fold, by file."""
    names, familiarity = corpus.feature_names, {}
    described = np.array([describe_spectra(table, names) for table in corpus.frames])
    for fold in folds:
        speakers = corpus.speaker[fold.train]
        voices = [np.flatnonzero(speakers == speaker) for speaker in np.unique(speakers)]
        trained = fit_familiarity(described[fold.train], voices)
        for row in fold.test:
            file = str(corpus.file[row])
            familiarity[file] = measure_familiarity(frames[row], names, trained)
    return familiarity


def measure_bands(predictions, familiarity) -> list[dict]:
    """Count the answers in each band, those that are right, and how sure they are on average."""
    right = predictions.probabilities.argmax(axis=1) == predictions.labels
    confidence, rows = predictions.probabilities.max(axis=1), []
    for band, name in enumerate(BANDS):
        inside = np.digitize(familiarity, BOUNDARIES) == band
        if inside.any():
            measured = {"right": right[inside].mean(), "confidence": confidence[inside].mean()}
            measured = {key: round(float(value), 4) for key, value in measured.items()}
            rows.append({"band": name, "answers": int(inside.sum())} | measured)
    return rows


def join_tests(rows) -> dict[str, list]:
    """Return, for each corpus, the shares of right answers and their numbers by band."""
    joined = {}
    for row in rows:
        counts = joined.setdefault(row["corpus"], {band: [0, 0.0] for band in BANDS})[row["band"]]
        counts[0] += row["answers"]
        counts[1] += row["answers"] * row["right"]
    return joined


def draw(path, rows) -> None:
    """Draw the share of right answers by band, a line for each corpus, all tests together."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for marker, (corpus, bands) in zip("osD^v", join_tests(rows).items(), strict=False):
        shares = {band: 100 * right / count for band, (count, right) in bands.items() if count}
        axes.plot([*map(BANDS.index, shares)], [*shares.values()], marker=marker, label=corpus)
        for band, share in shares.items():
            text = f"{bands[band][0]:,}"
            place = (BANDS.index(band), share)
            axes.annotate(
                text, place, (0, 7), textcoords="offset points", ha="center", fontsize="small"
            )
    axes.set_xticks(range(len(BANDS)), BANDS)
    axes.set_xlabel("familiarity")
    axes.set_ylabel("right answers in percent (number of answers)")
    axes.set_ylim(0, 100)
    axes.legend()
    axes.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=120)


def build_parser() -> Parser:
    """Describe the command line."""
    parser = make_parser(
        "experiments.familiarity",
        "Measure how often answers are right, by how familiar recordings sound. The picture lies "
        "beside the results.",
        RESULTS_PATH,
        "runs/mine --output mine.json",
    )
    text = "finished runs of train.py (default: those of results/)"
    parser.add_argument("runs", nargs="*", type=Path, default=RUNS, metavar="RUN", help=text)
    return parser


def main(arguments) -> None:
    """Measure all runs, and write the results and the picture."""
    rows = [row for folder in arguments.runs for row in measure_run(folder)]
    write_json(arguments.output, rows)
    draw(arguments.output.with_suffix(".png"), rows)
    for corpus, bands in join_tests(rows).items():
        shares = {b: f"{100 * right / count:.1f} %" for b, (count, right) in bands.items() if count}
        print(corpus, shares)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
