"""The pictures of a run: confusion matrix and learning curves."""

import warnings

import numpy as np

from utility.command_line import give_matplotlib_a_folder, in_folder_of_program
from utility.functions import replaced_when_done
from utility.reports.measures import UAR, WA
from utility.reports.report import format_percent, name_run

give_matplotlib_a_folder()
with in_folder_of_program():
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

# Nor are settings of the user obeyed.
matplotlib.rcdefaults()
# Names of corpora and emotions are not formulas, even with two dollar signs.
matplotlib.rcParams["text.parse_math"] = False
# Cells above this are so dark that white digits are read more easily on them than black ones.
DARK_PERCENT = 65
# The numbers of more columns would overlap, and of 100 emotions take 20 s to draw.
MOST_NUMBERED_EMOTIONS = 20


def draw_confusion(path, metrics) -> None:
    """Draw the confusion matrix, each row in percent of its utterances, as a mean over seeds.

    If several corpora were tested, each has a matrix of its own, with rows for its emotions.
    """
    parts, seeds = metrics.get("corpora", {"": metrics}), len(metrics["seeds"])
    heights = [sum(map(bool, part["class_recalls"].values())) for part in parts.values()]
    if len(parts) == 1:
        heights = [len(metrics["class_recalls"])]
    size = 6.8, 1.9 + 0.6 * sum(heights) + 0.5 * (len(parts) - 1)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(parts), sharex=True, squeeze=False, height_ratios=heights)
    per_seed, mean = (" per seed", f", mean of {seeds} seeds") if seeds > 1 else ("", "")
    note = f"rows in percent{mean}"
    for axes, (name, part) in zip(grid[:, 0], parts.items(), strict=True):
        fill_confusion(axes, part, seeds, every_row=not name)
        measures = part["measures"]
        shares = f"WA {format_percent(measures[WA])}, UAR {format_percent(measures[UAR])}"
        axes.set_title(f"{name}: {shares}" if name else f"{name_run(metrics)}: {shares}\n{note}")
    axes.tick_params("x", rotation=35)
    axes.set_xlabel("predicted emotion")
    figure.supylabel(f"true emotion (utterances{per_seed})", fontsize="medium")
    if len(parts) > 1:
        figure.suptitle(f"{name_run(metrics)}\n{note}")
    save(figure, path)


def fill_confusion(axes, metrics, seeds, every_row) -> None:
    """Draw the confusion matrix of a corpus, with all rows or those that have utterances."""
    confusion, emotions = np.array(metrics["confusion_matrix"]), [*metrics["class_recalls"]]
    counts = confusion.sum(axis=1)
    shown = np.flatnonzero(every_row | (counts > 0))
    percent = 100 * confusion[shown] / np.maximum(counts[shown, np.newaxis], 1)
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    numbered = percent if len(emotions) <= MOST_NUMBERED_EMOTIONS else np.empty((0, 0))
    for (row, column), value in np.ndenumerate(numbered):
        colour = "white" if value > DARK_PERCENT else "black"
        axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(emotions)), emotions)
    labels = [f"{emotions[row]} ({counts[row] / seeds:g})" for row in shown]
    axes.set_yticks(range(len(shown)), labels)


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
    save(figure, path)


def save(figure, path) -> None:
    """Write a figure as PNG in one atomic step."""
    with replaced_when_done(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of characters that the font lacks
        figure.savefig(temporary, format="png", dpi=120)
