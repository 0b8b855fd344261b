"""Measure the accuracy of the usual baseline: a linear SVM on openSMILE's functionals.

python -m experiments.svm [--audio DIR]

Each speaker is left out in turn, as with train.py --evaluate loso. C is chosen by
cross-validation over the speakers of the training part. The functionals are standardised by
those of the training part, and in a second experiment by those of each speaker first, which
corresponds to our network adapted to the speaker with all clips.
"""

import sys
from functools import partial

import numpy as np

from experiments.parser import make_emodb_parser
from utility.command_line import Parser, run
from utility.corpora.corpus import read_corpus
from utility.corpora.protocols import PROTOCOLS
from utility.corpora.published import require_recordings_folder
from utility.functions import write_json
from utility.globalvars import ROOT
from utility.parallel import in_processes

RESULTS_PATH = ROOT / "results" / "svm.json"
FEATURE_SETS = ("eGeMAPSv02", "ComParE_2016")
PENALTIES = np.logspace(-5, -1, 5)


def extract_functionals(path, feature_set) -> np.ndarray:
    """Extract openSMILE's functionals of a recording, shape (functionals,)."""
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.Functionals)
    return smile.process_file(str(path)).to_numpy()[0]


def standardise_by_speaker(rows, speakers) -> np.ndarray:
    """Standardise rows by the mean and deviation of all rows of the same speaker."""
    standard = np.empty_like(rows)
    for speaker in np.unique(speakers):
        own = speakers == speaker
        deviation = rows[own].std(axis=0)
        standard[own] = (rows[own] - rows[own].mean(axis=0)) / np.where(deviation, deviation, 1)
    return standard


def leave_speakers_out(corpus, rows) -> dict:
    """Train an SVM without each speaker, test it on the speaker, and measure all predictions."""
    from sklearn.metrics import accuracy_score, recall_score
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    predicted = np.empty_like(corpus.labels)
    for fold in PROTOCOLS["loso"](corpus, 0):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), SVC(kernel="linear")),
            {"svc__C": PENALTIES},
            scoring="recall_macro",
            cv=GroupKFold(3),
            n_jobs=-1,
        )
        search.fit(rows[fold.train], corpus.labels[fold.train], groups=corpus.speaker[fold.train])
        predicted[fold.test] = search.predict(rows[fold.test])
    return {
        "weighted_accuracy": accuracy_score(corpus.labels, predicted),
        "unweighted_average_recall": recall_score(corpus.labels, predicted, average="macro"),
    }


def build_parser() -> Parser:
    """Describe the command line."""
    return make_emodb_parser(
        "experiments.svm",
        "Measure a linear SVM on openSMILE's functionals, leaving each speaker out once.",
        RESULTS_PATH,
    )


def main(arguments) -> None:
    """Measure both feature sets with both ways to standardise, and write the results."""
    corpus = read_corpus(ROOT)
    audio = arguments.audio or require_recordings_folder()
    results = {}
    for feature_set in FEATURE_SETS:
        work = partial(extract_functionals, feature_set=feature_set)
        with in_processes(work, [audio / file for file in corpus.file]) as extracted:
            rows = np.array(list(extracted))
        results[feature_set] = {
            "functionals": rows.shape[1],
            "as recorded": leave_speakers_out(corpus, rows),
            "of own speaker": leave_speakers_out(
                corpus, standardise_by_speaker(rows, corpus.speaker)
            ),
        }
        print(feature_set, results[feature_set], flush=True)
    write_json(arguments.output, results)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
