"""The results as a table in Markdown, for the terminal and the README."""

HEADER = "| case | measured | ours | peer | peer's | ours is |"


def as_table(results) -> str:
    """Put the rows of `results.json`, or of a part of it, into a table."""
    lines = [HEADER, "| --- | --- | --- | --- | --- | --- |"]
    for part in results.values():
        lines += [as_line(row) for row in part["rows"]]
    return "\n".join(lines)


def as_line(row) -> str:
    """Put a row into a line; the last cell says how many times as good ours is."""
    ours, other = row["ours"], row["other"]
    cells = [row["case"], row["quantity"], format_number(ours), row["peer"], "", ""]
    if other is not None:
        faster = ours / other if "real time" in row["quantity"] else other / ours
        better, worse = ("less", "more") if "MB" in row["quantity"] else ("faster", "slower")
        times, word = (faster, better) if faster >= 1 else (1 / faster, worse)
        cells[4:] = [format_number(other), f"{format_number(times)} × {word}"]
    return f"| {' | '.join(cells)} |"


def format_number(value) -> str:
    """Write a number with three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
