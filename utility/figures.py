"""The pictures of a run: confusion matrix and learning curves."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utility.globalvars import EMOTION_LABELS


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
    numbers = range(len(EMOTION_LABELS))
    axes.set_xticks(numbers, EMOTION_LABELS, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(numbers, EMOTION_LABELS)
    axes.set_xlabel("predicted emotion")
    axes.set_ylabel("true emotion")
    axes.set_title(
        f"{metrics['split']}: WA {100 * metrics['weighted_accuracy']:.1f} %, "
        f"UAR {100 * metrics['unweighted_average_recall']:.1f} %"
    )
    figure.colorbar(image, label="share of the true emotion (%)")
    figure.savefig(path, dpi=120)


def draw_history(path, history) -> None:
    """Draw loss and accuracy of each epoch, training beside validation, a line a fold."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    folds = list(dict.fromkeys(row["fold"] for row in history))
    for axes, name, scale in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), strict=True
    ):
        for number, fold in enumerate(folds):
            rows = [row for row in history if row["fold"] == fold]
            epochs = [row["epoch"] for row in rows]
            for key, label, colour, style in (
                (name, "training", "tab:blue", "--"),
                (f"validation_{name}", "validation speakers", "tab:orange", "-"),
            ):
                axes.plot(
                    epochs,
                    [scale * row[key] for row in rows],
                    style,
                    color=colour,
                    label=label if number == 0 else None,
                )
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel("accuracy (%)" if name == "accuracy" else "cross-entropy (nats)")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
