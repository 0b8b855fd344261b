"""The pictures of a run: confusion matrix and learning curves."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utility.evaluation.report import percent


def draw_confusion(path, metrics) -> None:
    """Draw the confusion matrix: shares of each true emotion by colour, counts as text."""
    confusion = np.array(metrics["confusion_matrix"])
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6.5, 5.5), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(100 * shares, cmap="cividis", vmin=0, vmax=100)
    for row, column in np.ndindex(*confusion.shape):
        colour = "white" if shares[row, column] < 0.5 else "black"
        axes.text(column, row, confusion[row, column], ha="center", va="center", color=colour)
    labels, numbers = list(metrics["class_recalls"]), range(len(confusion))
    axes.set_xticks(numbers, labels, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(numbers, labels)
    axes.set_xlabel("predicted emotion")
    axes.set_ylabel("true emotion")
    axes.set_title(
        f"{metrics['protocol']}: WA {percent(metrics['measures']['weighted_accuracy'])}, "
        f"UAR {percent(metrics['measures']['unweighted_average_recall'])}"
    )
    figure.colorbar(image, label="share of the true emotion (%)")
    figure.savefig(path, dpi=120)


def draw_history(path, history) -> None:
    """Draw loss and accuracy of each epoch: a thin line a training, a thick one their mean.

    Parameters
    ----------
    path : path-like
    history : list of dict
        Rows with fold, seed, epoch, loss and accuracy, and where validation speakers
        decided, validation_loss and validation_accuracy.
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
