"""The pictures of a run: confusion matrix and learning curves."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utility.evaluation.measures import UAR, WA
from utility.evaluation.report import format_percent, name_run

# Cells above this are so dark that white digits are read more easily on them than black ones.
DARK_PERCENT = 65


def draw_confusion(path, metrics) -> None:
    """Draw the confusion matrix, each row in percent of its utterances, as a mean over seeds."""
    from sklearn.metrics import ConfusionMatrixDisplay

    confusion, seeds = np.array(metrics["confusion_matrix"]), len(metrics["seeds"])
    counts, emotions = confusion.sum(axis=1, keepdims=True), [*metrics["class_recalls"]]
    axes = Figure(figsize=(6.8, 6), layout="constrained").add_subplot()
    percent, scale = 100 * confusion / np.maximum(counts, 1), {"vmin": 0, "vmax": 100}
    display = ConfusionMatrixDisplay(percent, display_labels=emotions)
    display.plot(ax=axes, cmap="Blues", values_format=".1f", colorbar=False, im_kw=scale)
    for text, value in zip(display.text_.flat, percent.flat, strict=True):
        text.set_color("white" if value > DARK_PERCENT else "black")
    labels = [f"{name} ({n / seeds:g})" for name, n in zip(emotions, counts[:, 0], strict=True)]
    axes.set_yticks(axes.get_yticks(), labels)
    axes.tick_params("x", rotation=35)
    per_seed, mean = (" per seed", f", mean of {seeds} seeds") if seeds > 1 else ("", "")
    axes.set(xlabel="predicted emotion", ylabel=f"true emotion (utterances{per_seed})")
    measures = metrics["measures"]
    axes.set_title(
        f"{name_run(metrics)}: WA {format_percent(measures[WA])}, "
        f"UAR {format_percent(measures[UAR])}\n"
        f"rows in percent{mean}"
    )
    axes.figure.savefig(path, dpi=120)


def draw_history(path, history) -> None:
    """Draw loss and accuracy of each epoch: one thin line per training, and their mean in bold.

    `history` are the rows of all trainings, with fold and seed; see `fit`.
    """
    figure, trainings = Figure(figsize=(9, 4), layout="constrained"), {}
    for row in history:
        trainings.setdefault((row["seed"], row["fold"]), []).append(row)
    parts = (("", "training", "#0072b2"), ("validation_", "validation speakers", "#d55e00"))
    kinds = (("loss", "cross-entropy (nats)", 1), ("accuracy", "accuracy (%)", 100))
    for axes, (name, unit, scale) in zip(figure.subplots(1, 2), kinds, strict=True):
        for prefix, label, colour in parts:
            curves = [
                [scale * row[prefix + name] for row in rows]
                for rows in trainings.values()
                if prefix + name in rows[0]
            ]
            for curve in curves:
                axes.plot(range(1, len(curve) + 1), curve, color=colour, alpha=0.2, linewidth=0.8)
            if curves:
                mean = np.mean([*zip(*curves, strict=False)], axis=1)
                marker = "o" if len(mean) == 1 else None  # a line of one point is not visible
                axes.plot(range(1, len(mean) + 1), mean, color=colour, marker=marker, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=unit)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
