"""The results as a table in Markdown, for the terminal and docs/speed.md."""

from utility.reports.report import format_table

HEADER = ("case", "measured", "ours", "peer", "peer's", "ours is")


def format_results(results) -> str:
    """Lay out the rows of `results.json`, or of a part of it, as a table."""
    return format_table(
        HEADER, [format_row(row) for part in results.values() for row in part["rows"]]
    )


def format_row(row) -> list[str]:
    """Write the cells of a row; the last says how many times faster or smaller ours is."""
    ours, other = row["ours"], row["other"]
    cells = [row["case"], row["quantity"], format_number(ours), row["peer"], "", ""]
    if other is not None:
        faster = ours / other if "real time" in row["quantity"] else other / ours
        better, worse = ("less", "more") if "MB" in row["quantity"] else ("faster", "slower")
        times, word = (faster, better) if faster >= 1 else (1 / faster, worse)
        cells[4:] = [format_number(other), f"{format_number(times)} × {word}"]
    return cells


def format_number(value) -> str:
    """Write a number with three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
