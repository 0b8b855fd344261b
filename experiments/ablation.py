"""Measure what each part of the recipe is worth, leaving one speaker out at a time.

python -m experiments.ablation [--seeds N]

Each row is a run of train.py with other hyperparameters, kept in runs/ablation and
continued where it was stopped; what it measured goes to results/ablation, and all of
that into one table. A row takes about five minutes a seed on two cores, all some hours.
The whole recipe is not run again: its row is that of results/loso.
"""

import json
import subprocess
import sys

from utility.command_line import Parser, add_debug_option, print_message, run
from utility.errors import DataError
from utility.evaluation.report import percent
from utility.functions import replaced_when_done, write_json
from utility.globalvars import ROOT

RESULTS = ROOT / "results" / "ablation"
RUNS = ROOT / "runs" / "ablation"
# A single network tells the parts apart at a third of the time that three take.
ONE = ("members=1", "scaled=false")
HALLS = (*ONE, "input_dropout=0.1", "dropout=0.35")
NO_HALLS = (*HALLS, "copy_kinds=12")
BALANCED = (*ONE, "copy_kinds=12", "input_dropout=0.25", "dropout=0.5")
UNBALANCED = (*BALANCED, "balanced=false")
UNCALIBRATED = (*UNBALANCED, "calibrated_share=0")
KEPT = {
    "36 features": (*UNCALIBRATED, "features=36", "copies=0"),
    "and copies": (*UNCALIBRATED, "features=36"),
    "and 30 further features": UNCALIBRATED,
    "and half of it calibrated": UNBALANCED,
    "and balanced classes": BALANCED,
    "and less dropout": NO_HALLS,
    "and copies in halls": HALLS,
    "and dropout lower still": ONE,
}
# The whole recipe, whose run is that of the other figures.
WHOLE, WHOLE_RUN = "and three networks, scaled", ROOT / "results" / "loso"
DROPPED = {
    "5 frames a step": (*BALANCED, "frames_per_step=5"),
    "20 frames a step": (*BALANCED, "frames_per_step=20"),
    "dense layer of 64": (*BALANCED, "dense_units=64"),
    "dense layer of 256": (*BALANCED, "dense_units=256"),
    "one attention head": (*BALANCED, "attention_heads=1"),
    "no label smoothing": (*BALANCED, "label_smoothing=0"),
    "40 epochs": (*BALANCED, "epochs=40"),
    "2 copies": (*BALANCED, "copies=2"),
}
SEARCHED = (
    *("members=1", "scaled=false", "copy_kinds=12", "lstm_units=32", "frames_per_step=20"),
    *("input_dropout=0.06", "dropout=0.28", "learning_rate=0.001", "weight_decay=0.04"),
)
DROPPED_LATER = {
    "LSTM of 32": (*NO_HALLS, "lstm_units=32"),
    "the best trial of the search": SEARCHED,
}
TITLES = {
    "Kept, one after the other": KEPT,
    "Tried with that of balanced classes, and dropped": DROPPED,
    "Tried with that of less dropout, and dropped": DROPPED_LATER,
}

ROWS = KEPT | DROPPED | DROPPED_LATER


def measure(name, settings, seeds) -> None:
    """Make the run of a row, as far as it is not made, and keep what it measured."""
    folder = RUNS / name
    if (folder / "config.json").exists():
        options = ("--resume", folder)
    else:
        options = ("--evaluate", "loso", "--seeds", seeds, "--conditions", "room", "--run", folder)
        if "calibrated_share=0" not in settings:
            options += ("--calibrate", "speaker")
        if settings:
            options += ("--set", *settings)
    command = [sys.executable, "train.py", *map(str, options)]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise DataError(f"{folder}: the run failed, see above; what it did is kept")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    names = ("changed", "seeds", "measures", "tests")
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{name}.json", {name: metrics[name] for name in names})


def table(title, rows) -> list[str]:
    """Lay out what is measured of some rows."""
    lines = [
        f"## {title}",
        "",
        "| recipe | seeds | UAR % | calibrated, UAR % | in a room, UAR % | top 2 % |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    paths = {name: RESULTS / f"{name}.json" for name in rows}
    if rows is KEPT:
        paths[WHOLE] = WHOLE_RUN / "metrics.json"
    for name, path in paths.items():
        if path.exists():
            row = json.loads(path.read_text(encoding="utf-8"))
            lines.append(f"| {name} | {len(row['seeds'])} | {' | '.join(cells(row))} |")
    return [*lines, ""]


def cells(row) -> list[str]:
    """Write the figures of a row."""
    uar = "unweighted_average_recall"
    tests = [row["tests"].get(test) for test in ("calibrated_speaker", "room")]
    return [
        percent(row["measures"][uar], ""),
        *(percent(test[uar], "") if test else "" for test in tests),
        percent(row["measures"]["top_2_accuracy"], ""),
    ]


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="experiments.ablation",
        description="Measure what each part of the recipe is worth on speakers left out.",
        examples=("python -m experiments.ablation", "python -m experiments.ablation --seeds 1"),
    )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="of rows that are not begun"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(ROWS),
        metavar="NAME",
        help="a row by its name in the table; all, if none is given",
    )
    add_debug_option(parser)
    return parser


def main(arguments) -> None:
    """Carry out the command line."""
    for name in arguments.only or ROWS:
        print_message("experiments.ablation", name)
        measure(name, ROWS[name], arguments.seeds)
        write_table()
    print((RESULTS / "README.md").read_text(encoding="utf-8"))


def write_table() -> None:
    """Write the table of all rows that are measured."""
    lines = ["# What each part of the recipe is worth", ""]
    for title, rows in TITLES.items():
        lines += table(title, rows)
    lines += [
        "Each speaker left out in turn; mean ± standard deviation over seeds. From",
        "`python -m experiments.ablation`, which says what each row sets. The last row kept is",
        "that of [loso](../loso/report.md); [tried.md](../tried.md) has what was tried by hand.",
        "",
    ]
    with replaced_when_done(RESULTS / "README.md") as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
