"""Which weights answer, with their licence and figures."""

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import gradio as gr

from utility.errors import WeightsError
from utility.network.weights import Weights
from utility.prediction.library import load
from utility.reports.measures import UAR
from utility.reports.report import escape, format_percent

# What the protocols mean to somebody who has not read the documents.
PROTOCOLS = {"loso": "on new speakers:", "holdout": "on known speakers:"}
FILE = "file"
CHOICES = [("EmoDB", "emodb"), ("any voice", "any-voice"), ("a file of mine", FILE)]


@lru_cache(maxsize=4)
def read_sound_weights(path) -> Weights:
    """Read weights that hear sound; raise a `WeightsError` if they cannot be used."""
    weights = load(path)
    if weights.hyperparameters.reads_own_features:
        raise WeightsError("reads own features, not sound; give weights that read sound")
    return weights


def build_choice() -> gr.State:
    """Build the choice of weights; return the path or name of those that are chosen."""
    chosen = gr.State("emodb")
    with gr.Row(equal_height=True):
        choice = gr.Radio(CHOICES, value="emodb", label="Weights", min_width=300)
        with gr.Column(min_width=300):
            about = gr.Markdown(describe("emodb"), container=True)
    file = gr.File(label="Weights file, written by train.py (.h5)", visible=False, height=110)
    outputs = [file, about, chosen]
    gr.on([choice.input, file.upload, file.clear], choose, [choice, file], outputs)
    return chosen


def choose(choice, file):
    """Return what to show of a choice, and the path; until there is a file, that of EmoDB."""
    path = (file or "emodb") if choice == FILE else choice
    try:
        about = describe(path)
    except WeightsError as error:
        reason = str(error).removeprefix(f"{path}: ")
        path, about = "emodb", f"**{escape(Path(path).name)}: {reason}.** EmoDB answers."
    if choice == FILE and file is None:
        about = "EmoDB answers until you give a file."
    return gr.File(visible=choice == FILE), about, path


def describe(path) -> str:
    """Describe weights: their figures, and the terms of the recordings they learned from."""
    weights, figures = read_sound_weights(path), {"loso": "not measured"}
    for score in weights.scores:
        with suppress(KeyError, TypeError):  # a file of somebody else may hold anything
            figures[score["protocol"]] = format_percent(score["measures"][UAR])
    parts = [f"{escape(PROTOCOLS.get(name, name))} {figure}" for name, figure in figures.items()]
    text = f"Mean recall of the emotions: {'; '.join(parts)}."
    return f"{text}\n\nRecordings: {escape(weights.licence or 'terms not known')}."
