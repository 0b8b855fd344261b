"""Measure what a few labelled clips of a voice bring: train.py --from, speaker by speaker.

python -m experiments.further_training [--data NAME] [--weights FILE]

For each speaker, weights go on with 20 clips of all emotions, drawn at random, and predict the
others, as recorded and adapted to the voice by the 20.
"""

import sys
from functools import partial

import numpy as np

from experiments.parser import make_parser
from utility.command_line import Parser, run
from utility.corpora.corpus import corpus_path, read_corpus
from utility.evaluation.further_training import Clips, go_on, learn_voices
from utility.functions import write_json
from utility.globalvars import ROOT
from utility.network.inference import predict_frames
from utility.network.weights import read_weights
from utility.parallel import in_processes

RESULTS_PATH = ROOT / "results" / "further_training.json"
CLIPS, DRAWS = 20, 3


def measure_speaker(task, weights) -> dict[str, float]:
    """Measure the UAR before and after, of the clips of a speaker that were not drawn."""
    clips, draw = task
    order = np.random.default_rng(draw).permutation(len(clips.labels))
    known, asked = clips.take(order[:CLIPS]), clips.take(order[CLIPS:])
    uar = {}
    for name, some in (("before", weights.for_unheard()), ("after", go_on(weights, known))):
        voice, *_ = learn_voices(some, known)
        for suffix, voices in (("", None), (" adapted", [voice] * len(asked.labels))):
            probabilities, _ = predict_frames(some, asked.frames, voices)
            right = probabilities.argmax(axis=1) == asked.labels
            recalls = [right[asked.labels == label].mean() for label in np.unique(asked.labels)]
            uar[name + suffix] = float(np.mean(recalls))
    return uar


def build_parser() -> Parser:
    """Describe the command line."""
    parser = make_parser(
        "experiments.further_training",
        "Measure what a few labelled clips of a voice bring.",
        RESULTS_PATH,
        "--data mine --weights any-voice",
    )
    add = parser.add_argument
    add("--data", default="nemo", metavar="NAME", help="a corpus that the weights never heard")
    add("--weights", default="emodb", metavar="FILE", help="weights to go on from")
    return parser


def main(arguments) -> None:
    """Measure all speakers in several draws, and write the means and deviations over speakers."""
    corpus, weights = read_corpus(arguments.data), read_weights(arguments.weights)
    tasks = []
    for speaker in np.unique(corpus.speaker):
        rows = np.flatnonzero(corpus.speaker == speaker)
        frames = [corpus.frames[row].take(weights.columns, axis=1) for row in rows]
        labels = np.array([weights.emotions.index(emotion) for emotion in corpus.emotion[rows]])
        clips = Clips(frames, labels, corpus.speaker[rows])
        tasks += [(clips, draw) for draw in range(DRAWS)]
    with in_processes(partial(measure_speaker, weights=weights), tasks) as measured:
        measured = list(measured)
    speakers = np.array([[*row.values()] for row in measured]).reshape(-1, DRAWS, 4).mean(axis=1)
    results = {
        name: {"mean": round(float(of.mean()), 4), "deviation": round(float(of.std(ddof=1)), 4)}
        for name, of in zip(measured[0], speakers.T, strict=True)
    }
    facts = {"corpus": corpus_path(arguments.data).name, "weights": str(arguments.weights)}
    facts |= {"clips": CLIPS, "draws": DRAWS, "speakers": len(speakers)}
    write_json(arguments.output, facts | {"uar": results})
    print(results)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
