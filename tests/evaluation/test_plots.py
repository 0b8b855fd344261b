"""The pictures of a run."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from made import make_predictions
from utility.evaluation.measures import summarise
from utility.evaluation.plots import draw_confusion

FACTS = {"protocol": "holdout"}


@pytest.mark.parametrize(("seeds", "text"), [(1, "1 seed"), (4, "mean of 4 seeds")])
def test_the_confusion_picture_shows_percent_and_the_utterances_of_a_seed(seeds, text, monkeypatch):
    shown = {}
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: shown.update(axes=figure.axes))
    draw_confusion("confusion.png", FACTS | summarise(make_predictions(seeds=seeds)))
    (axes,) = shown["axes"]
    assert axes.get_title().endswith(f"rows in percent, {text}")
    cells = np.array([float(cell.get_text()) for cell in axes.texts]).reshape(7, 7)
    np.testing.assert_allclose(cells.sum(axis=1), 100, atol=0.4)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert sum(int(label.partition("(")[2].rstrip(")")) for label in labels) == 300
