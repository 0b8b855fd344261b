"""The pictures of a run: confusion matrix and learning curves."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utility.evaluation.measures import UAR, WA
from utility.evaluation.report import format_percent


def draw_confusion(path, metrics) -> None:
    """Draw the confusion matrix, each row in percent of its utterances, as a mean over seeds."""
    from sklearn.metrics import ConfusionMatrixDisplay

    confusion, seeds = np.array(metrics["confusion_matrix"]), len(metrics["seeds"])
    counts, emotions = confusion.sum(axis=1, keepdims=True), [*metrics["class_recalls"]]
    axes = Figure(figsize=(6.8, 6), layout="constrained").add_subplot()
    percent, scale = 100 * confusion / np.maximum(counts, 1), {"vmin": 0, "vmax": 100}
    display = ConfusionMatrixDisplay(percent, display_labels=emotions)
    display.plot(ax=axes, cmap="Blues", values_format=".1f", colorbar=False, im_kw=scale)
    labels = [f"{name} ({n / seeds:g})" for name, n in zip(emotions, counts[:, 0], strict=True)]
    axes.set_yticks(axes.get_yticks(), labels)
    axes.tick_params("x", rotation=35)
    axes.set(xlabel="predicted emotion", ylabel="true emotion (utterances per seed)")
    measures = metrics["measures"]
    axes.set_title(
        f"{metrics['protocol']}: WA {format_percent(measures[WA])}, "
        f"UAR {format_percent(measures[UAR])}\n"
        f"rows in percent, {f'mean of {seeds} seeds' if seeds > 1 else '1 seed'}"
    )
    axes.figure.savefig(path, dpi=120)


def draw_history(path, history) -> None:
    """Draw loss and accuracy of each epoch: one thin line per training, and their mean in bold.

    Parameters
    ----------
    path : path-like
    history : list of dict
        Rows with fold, seed, epoch, loss and accuracy, and with validation_loss and
        validation_accuracy if the training had validation speakers.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    trainings = {}
    for row in history:
        trainings.setdefault((row["seed"], row["fold"]), []).append(row)
    kinds = [("", "training", "#0072b2"), ("validation_", "validation speakers", "#d55e00")]
    for axes, name, scale in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), strict=True
    ):
        for prefix, label, colour in kinds:
            curves = [
                [scale * row[prefix + name] for row in rows]
                for rows in trainings.values()
                if prefix + name in rows[0]
            ]
            for curve in curves:
                axes.plot(range(1, len(curve) + 1), curve, color=colour, alpha=0.2, linewidth=0.8)
            if curves:
                common = min(map(len, curves))
                mean = np.mean([curve[:common] for curve in curves], axis=0)
                axes.plot(range(1, common + 1), mean, color=colour, label=label)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel("accuracy (%)" if name == "accuracy" else "cross-entropy (nats)")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
