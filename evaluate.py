"""Evaluate the networks of a weights file on corpora of labelled recordings, without training.

Every utterance is predicted as recorded, in conditions, and adapted to its speaker. The run leaves
the same folder as one of train.py: report, measures, confusion matrix and predictions.
"""

import os
import sys

if __name__ == "__main__":  # with PYTHONSAFEPATH, modules beside a script are not found
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120, saves an import

# First of all, since signals are heard from here on.
from utility.processes.interruption import finish, listen

if __name__ == "__main__":
    listen("evaluate.py")

import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path

from utility.command_line import Parser, add_debug_option, display_path, print_message, run
from utility.corpora.augmentation import CONDITIONS
from utility.corpora.corpus import MOST_CORPORA, corpus_path
from utility.errors import UsageError, WeightsError
from utility.globalvars import ROOT, WEIGHTS_PATH

tell = partial(print_message, "evaluate.py")
# Utterances that a process predicts at a time.
BLOCK_UTTERANCES = 32
# How closely the statistics of a corpus are those of the training frames, if it is the same, in
# deviations. The last digits of frames depend on the processor.
TOLERANCE = 1e-3


def build_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        prog="evaluate.py",
        description="Tell how good the networks of a weights file are on labelled recordings.",
        examples=(
            "python evaluate.py --data my",
            "python evaluate.py --data my --weights mine.h5 --adapt 3 speaker",
        ),
    )
    add, many = parser.add_argument, {"action": "extend", "nargs": "+", "default": []}
    add(
        "--data",
        nargs="+",
        required=True,
        metavar="NAME",
        help="corpora made by dataset.py: a name, a path that ends with it, or a folder with "
        "EmoDB's pickles",
    )
    add(
        "--weights",  # a Path would lose the ./ of ./emodb
        default=WEIGHTS_PATH,
        metavar="FILE",
        help="emodb, any-voice, or a weights file written by train.py",
    )
    add(
        "--adapt",
        **many,
        metavar="N",
        help="also test with adaptation to the speaker, by N other clips without their labels, or "
        "by those of one emotion, drawn at random (emotion), or by all of the speaker's clips "
        "(speaker; this is the default where it is possible)",
    )
    altered = "; ".join(f"{condition.text} ({name})" for name, condition in CONDITIONS.items())
    text = f"also test on recordings altered like this: {altered}"
    add("--conditions", **many, choices=CONDITIONS, help=text)
    text = "folder of the recordings, which --conditions needs once (default: that of the corpus)"
    add("--audio", type=Path, metavar="DIR", help=text)
    text = "new folder for the report of the run (default: runs/ and the time)"
    add("--run", type=Path, metavar="DIR", help=text)
    add("--processes", type=int, metavar="N", help="processes (default: one per core)")
    add("--quiet", action="store_true", help="show no progress, only the result")
    add_debug_option(parser)
    return parser


def check(arguments) -> None:
    """Raise `UsageError` if options are wrong or contradict each other."""
    if arguments.processes is not None and arguments.processes < 1:
        raise UsageError(f"--processes {arguments.processes}: give 1 or more")
    paths = [corpus_path(name) for name in arguments.data]
    for path in paths:
        if not path.parent.is_dir():
            raise UsageError(f"--data {path}: give a name, or a path in a folder that exists")
    if len(paths) > MOST_CORPORA:
        raise UsageError(f"--data: give {MOST_CORPORA} corpora or fewer")
    if len({path.name for path in paths}) < len(paths):
        raise UsageError("--data: give corpora of different names")
    if arguments.audio is not None and not arguments.audio.is_dir():
        raise UsageError(f"--audio {arguments.audio}: give a folder that exists")
    if arguments.audio is not None and len(paths) > 1:
        raise UsageError("--audio: goes with a single corpus; extract each with its own")
    if arguments.audio is not None and not arguments.conditions:
        raise UsageError("--audio: only --conditions needs recordings; omit it")
    if arguments.run is not None and arguments.run.exists():
        raise UsageError(f"--run {arguments.run}: exists; give a new folder")


def choose_adaptations(given, corpus, weights) -> list[str]:
    """Return the adaptations to test: those given, or by all clips of the speaker if possible."""
    from utility.evaluation.fold import WHOLE_VOICE, check_adaptation

    if not weights.hyperparameters.adapted_share:
        if given:
            raise UsageError("--adapt: these networks were not trained for it; omit it")
        return []
    for clips in given:
        check_adaptation(corpus, clips)
    if given or all(corpus.speaker_known):
        return given or [WHOLE_VOICE]
    tell("note: no test with speaker adaptation, since there are utterances without a speaker")
    return []


def find_seen(sources, weights) -> list[str]:
    """List the corpora that weights were trained on, alone or together, by their frames.

    A weights file has the mean and deviation of its training frames. A corpus of which only a part
    was trained on, or that is only a part of what was trained on, is not found.
    """
    if is_trained_on(sources, weights):
        return [source.name for source in sources]
    return [source.name for source in sources if is_trained_on([source], weights)]


def is_trained_on(sources, weights) -> bool:
    """Tell whether the training frames have the mean and deviation of these corpora."""
    import numpy as np

    from utility.voices.baseline import measure_statistics

    tables = [table for source in sources for table in source.corpus.frames]
    measured, trained = measure_statistics(tables).take(weights.columns), weights.statistics
    differences = [(a - b) / trained.deviation for a, b in zip(measured, trained, strict=True)]
    return bool(np.abs(differences).max() < TOLERANCE)


def predict_block(rows, material, adaptations, weights) -> dict:
    """Predict some utterances in every test; return the rows of the table of each."""
    from utility.corpora.protocols import Fold
    from utility.evaluation.fold import make_tests
    from utility.network.inference import predict_frames
    from utility.reports.measures import prediction_rows

    place = material.corpus, Fold("all", (), rows), 0, weights.emotions
    return {
        name: prediction_rows(*place, predict_frames(weights, *test)[0])
        for name, test in make_tests(material, rows, adaptations, weights, seed=0).items()
    }


def predict_tests(material, adaptations, weights, processes, quiet) -> list[dict]:
    """Predict all utterances in every test, on all cores, in blocks of `predict_block`."""
    import numpy as np
    from tqdm import tqdm

    from utility.parallel import in_processes

    # The utterances of a speaker together, so that a baseline is measured once or twice.
    rows = np.argsort(material.corpus.speaker, kind="stable")
    blocks = np.split(rows, range(BLOCK_UTTERANCES, len(rows), BLOCK_UTTERANCES))
    work = partial(predict_block, material=material, adaptations=adaptations, weights=weights)
    progress = {"total": len(blocks), "unit": "block", "disable": True if quiet else None}
    with in_processes(work, blocks, processes) as results:
        return list(tqdm(results, "predicting", **progress))


def make_config(arguments, adaptations, weights, seen) -> dict:
    """Collect the settings of a run for `config.json`; `train.py --report` reads it, too."""
    from utility.reports.report import WEIGHTS_PROTOCOL

    score = weights.scores[0] if weights.scores else {}
    return {
        "protocol": WEIGHTS_PROTOCOL,
        "arguments": {
            "weights": display_path(Path(arguments.weights).resolve()),
            "data": arguments.data,
            "adapt": adaptations,
            "conditions": arguments.conditions,
        },
        "versions": {"numpy": version("numpy"), "python": platform.python_version()},
        "emotions": weights.emotions,
        "trained_on": score.get("data", []),
        "seen": [corpus_path(name).name for name in seen],
    }


def main(arguments) -> None:
    """Predict the utterances of the corpora, and write the report."""
    check(arguments)
    from threadpoolctl import threadpool_limits

    from utility.evaluation import run as runs
    from utility.evaluation.material import (
        check_features,
        join_sources,
        load_material,
        read_tested,
    )
    from utility.functions import check_room, write_json
    from utility.network.weights import read_weights

    check_room(arguments.run or ROOT / "runs", runs.RUN_BYTES)  # not after minutes of work
    weights = read_weights(arguments.weights)
    sources = read_tested(arguments.data, weights.emotions, note=tell)
    check_features(sources, weights)
    adaptations = choose_adaptations(arguments.adapt, join_sources(sources), weights)
    if seen := find_seen(sources, weights):
        tell(f"note: the networks were trained on the recordings of {' and '.join(seen)}")
    else:
        weights = weights.for_unheard()
    names = ("conditions", "audio", "processes", "quiet")
    options = {name: getattr(arguments, name) for name in names}
    material = load_material(sources, **options, note=tell)
    try:
        with threadpool_limits(1):
            options = {"processes": arguments.processes, "quiet": arguments.quiet}
            predictions = predict_tests(material, adaptations, weights, **options)
    except WeightsError as error:
        raise WeightsError(f"{arguments.weights}: {error}") from error
    folder = runs.make_folder(arguments.run)
    runs.write_predictions(folder, predictions)
    write_json(folder / "config.json", make_config(arguments, adaptations, weights, seen))
    print(runs.describe_metrics(runs.write_report(folder, material.corpus)))
    print(f"report: {display_path(folder / 'report.md')}")


if __name__ == "__main__":
    finish(run(build_parser(), main))
