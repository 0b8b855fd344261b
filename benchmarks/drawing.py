"""The picture of growth: time and memory by length and number of recordings."""

import re


def draw_growth(path, rows) -> None:
    """Draw time and peak memory of `predict.py` by recording length and by number of clips."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {"one recording of ([0-9]+) s": "length of the recording (s)",
              "([0-9]+) clips?$": "number of clips of 2 s"}  # fmt: skip
    figure, all_axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axes, (pattern, label) in zip(all_axes, panels.items(), strict=True):
        points = {"s, wall": [], "MB at peak": []}
        for row in rows:
            if match := re.search(pattern, row.case):
                points[row.quantity].append((int(match[1]), row.ours))
        memory_axes = axes.twinx()
        for each, quantity, colour, marker in (
            (axes, "s, wall", "#0072b2", "o"),
            (memory_axes, "MB at peak", "#d55e00", "s"),
        ):
            each.plot(*zip(*points[quantity], strict=True), color=colour, marker=marker)
            each.set_ylabel("time (s)" if each is axes else "peak memory (MB)", color=colour)
        axes.set(xscale="log", yscale="log", xlabel=label)
        memory_axes.set_ylim(0, 1.3 * max(value for _, value in points["MB at peak"]))
    figure.suptitle("python predict.py, started cold, all cores")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
