"""Measure what the field's usual peer hears: a linear SVM on openSMILE's functionals.

python -m experiments.svm [--audio DIR]

Each speaker is left out in turn, as with train.py --evaluate loso. C is chosen by
leaving speakers of the training part out. The functionals are standardised by those of
the training part, or of each speaker's own clips; the latter is what `--calibrate speaker`
is to our network.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np

from utility.command_line import Parser, add_debug_option, run
from utility.corpora.corpus import read_corpus
from utility.corpora.emodb import find_audio_directory
from utility.corpora.protocols import SPLITS
from utility.functions import write_json
from utility.globalvars import ROOT
from utility.parallel import in_processes

RESULTS_PATH = ROOT / "results" / "svm.json"
FEATURE_SETS = ("eGeMAPSv02", "ComParE_2016")
PENALTIES = np.logspace(-5, -1, 5)


def functionals(path, feature_set) -> np.ndarray:
    """Describe a recording by one row of openSMILE's functionals."""
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.Functionals)
    return smile.process_file(str(path)).to_numpy()[0]


def of_own_speaker(rows, speakers) -> np.ndarray:
    """Standardise rows by the mean and deviation of their speaker's."""
    standard = np.empty_like(rows)
    for speaker in np.unique(speakers):
        own = speakers == speaker
        deviation = rows[own].std(axis=0)
        standard[own] = (rows[own] - rows[own].mean(axis=0)) / np.where(deviation, deviation, 1)
    return standard


def leave_speakers_out(corpus, rows) -> dict:
    """Train and test an SVM for each speaker, and measure all answers together."""
    from sklearn.metrics import accuracy_score, recall_score
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    answers = np.empty_like(corpus.labels)
    for fold in SPLITS["loso"](corpus, 0):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), SVC(kernel="linear")),
            {"svc__C": PENALTIES},
            scoring="recall_macro",
            cv=GroupKFold(3),
            n_jobs=-1,
        )
        search.fit(rows[fold.train], corpus.labels[fold.train], groups=corpus.speaker[fold.train])
        answers[fold.test] = search.predict(rows[fold.test])
    return {
        "weighted_accuracy": accuracy_score(corpus.labels, answers),
        "unweighted_average_recall": recall_score(corpus.labels, answers, average="macro"),
    }


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="experiments.svm",
        description="Measure a linear SVM on openSMILE's functionals, each speaker left out once.",
        examples=("python -m experiments.svm", "python -m experiments.svm --audio data/wav"),
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
    results = {}
    for feature_set in FEATURE_SETS:
        work = partial(functionals, feature_set=feature_set)
        with in_processes(work, [audio / file for file in corpus.file]) as described:
            rows = np.array(list(described))
        results[feature_set] = {
            "functionals": rows.shape[1],
            "as recorded": leave_speakers_out(corpus, rows),
            "of own speaker": leave_speakers_out(corpus, of_own_speaker(rows, corpus.speaker)),
        }
        print(feature_set, results[feature_set], flush=True)
    write_json(arguments.output, results)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
