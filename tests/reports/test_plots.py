"""The pictures of a run."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from made import make_joined_predictions, make_predictions
from utility.globalvars import EMOTION_LABELS
from utility.reports.measures import CLEAN, summarise, summarise_run
from utility.reports.plots import draw_confusion, draw_history

FACTS = {"protocol": "holdout", "data": ["own"], "test_data": []}


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """Return the axes of the picture that is drawn, which stays empty, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    shown = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: shown.extend(figure.axes))
    return shown


@pytest.mark.parametrize(("seeds", "text"), [(1, ""), (4, ", mean of 4 seeds")])
def test_the_confusion_picture_shows_percent_and_the_utterances_of_a_seed(seeds, text, shown):
    draw_confusion("confusion.png", FACTS | summarise(make_predictions(seeds=seeds)))
    (axes,) = shown
    assert axes.get_title().endswith(f"rows in percent{text}")
    cells = np.array([float(cell.get_text()) for cell in axes.texts]).reshape(7, 7)
    np.testing.assert_allclose(cells.sum(axis=1), 100, atol=0.4)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert sum(int(label.partition("(")[2].rstrip(")")) for label in labels) == 300


def test_each_tested_corpus_has_a_matrix_with_rows_for_its_emotions(shown):
    joined, _ = make_joined_predictions(seeds=1)
    nan = np.full(len(joined.file), np.nan)
    corpus = SimpleNamespace(file=joined.file, emotion=joined.emotion, recognition=nan)
    draw_confusion("confusion.png", FACTS | summarise_run({CLEAN: joined}, corpus))
    assert [axes.get_title().partition(":")[0] for axes in shown] == ["one", "two"]
    for axes, count in zip(shown, (7, 3), strict=True):
        cells = np.array([float(cell.get_text()) for cell in axes.texts]).reshape(count, 7)
        np.testing.assert_allclose(cells.sum(axis=1), 100, atol=0.4)
        labels = [label.get_text().partition(" (")[0] for label in axes.get_yticklabels()]
        assert labels == list(EMOTION_LABELS[:count])
    columns = [label.get_text() for label in shown[-1].get_xticklabels()]
    assert columns == list(EMOTION_LABELS)


def contrast(colours):
    """Return the ratio of the luminances of two colours, as WCAG 2 defines it."""
    channels = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    low, high = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (high + 0.05) / (low + 0.05)


def test_the_digits_of_every_cell_can_be_read(shown):
    metrics = FACTS | summarise(make_predictions())
    shares = np.arange(49).reshape(7, 7)
    draw_confusion("confusion.png", metrics | {"confusion_matrix": shares})
    draw_confusion("confusion.png", metrics | {"confusion_matrix": 1 + 20 * np.eye(7, dtype=int)})
    for axes in shown:
        (image,) = axes.images
        colours = image.to_rgba(image.get_array()).reshape(49, 4)[:, :3]
        for text, colour in zip(axes.texts, colours, strict=True):
            assert contrast([text.get_color(), colour]) > 4


def test_numbers_of_many_emotions_which_would_overlap_are_left_out(shown):
    metrics = FACTS | summarise(make_predictions())
    recalls = {f"emotion {number}": 1.0 for number in range(21)}
    many = {"class_recalls": recalls, "confusion_matrix": np.eye(21, dtype=int)}
    draw_confusion("confusion.png", metrics | many)
    (axes,) = shown
    assert not axes.texts
    assert len(axes.get_yticklabels()) == 21


def test_a_history_of_one_epoch_shows_points(shown):
    row = {"fold": "a", "seed": 0, "epoch": 1, "loss": 1.5, "accuracy": 0.5}
    draw_history("history.png", [row])
    assert [axes.lines[-1].get_marker() for axes in shown] == ["o", "o"]
    shown.clear()
    draw_history("history.png", [row, row | {"epoch": 2}])
    assert [axes.lines[-1].get_marker() for axes in shown] == ["None", "None"]


def test_emotions_in_letters_that_the_font_lacks_are_drawn_without_a_warning(tmp_path):
    metrics = FACTS | summarise(make_predictions(count=70))
    metrics["class_recalls"] = dict(
        zip("愤怒快乐悲伤平", metrics["class_recalls"].values(), strict=True)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_confusion(tmp_path / "confusion.png", metrics)
    assert (tmp_path / "confusion.png").stat().st_size > 1000
