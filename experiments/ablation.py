"""Measure the contribution of each part of the recipe, leaving one speaker out at a time.

python -m experiments.ablation [--seeds N]

Each row is a run of train.py with other hyperparameters. The runs are kept in runs/ablation
and resumed if they were stopped; their measures go to results/ablation, with one table of all
rows. A row takes about five minutes per seed on two cores, all rows some hours. The whole
recipe is not run again: its row comes from results/loso.
"""

import json
import subprocess
import sys

from utility.command_line import Parser, add_debug_option, print_message, run
from utility.errors import DataError
from utility.functions import replaced_when_done, write_json
from utility.globalvars import ROOT
from utility.reports.measures import UAR, adapted_test_name
from utility.reports.report import format_percent, format_table

RESULTS = ROOT / "results" / "ablation"
RUNS = ROOT / "runs" / "ablation"
NETWORKS_ALONE = ("discriminant_weight=0",)
# A single network shows the differences in a third of the time that three networks take.
ONE = (*NETWORKS_ALONE, "members=1", "temperature_scaling=false")
HALLS = (*ONE, "input_dropout=0.1", "dropout=0.35")
NO_HALLS = (*HALLS, "augmentations=speed,channel")
BALANCED = (*ONE, "augmentations=speed,channel", "input_dropout=0.25", "dropout=0.5")
UNBALANCED = (*BALANCED, "balanced=false")
NOT_ADAPTED = (*UNBALANCED, "adapted_share=0")
KEPT = {
    "36 features": (*NOT_ADAPTED, "features=original", "augmented_copies=0"),
    "and augmentation": (*NOT_ADAPTED, "features=original"),
    "and 30 further features": NOT_ADAPTED,
    "and half of the clips adapted": UNBALANCED,
    "and balanced classes": BALANCED,
    "and less dropout": NO_HALLS,
    "and hall augmentation": HALLS,
    "and still less dropout": ONE,
    "and three networks, temperature scaling": NETWORKS_ALONE,
}
# The whole recipe, whose run is that of the main results.
WHOLE, WHOLE_RUN = "and a discriminant", ROOT / "results" / "loso"
DROPPED = {
    "5 frames per step": (*BALANCED, "frames_per_step=5"),
    "20 frames per step": (*BALANCED, "frames_per_step=20"),
    "dense layer of 64": (*BALANCED, "dense_units=64"),
    "dense layer of 256": (*BALANCED, "dense_units=256"),
    "one attention head": (*BALANCED, "attention_heads=1"),
    "no label smoothing": (*BALANCED, "label_smoothing=0"),
    "40 epochs": (*BALANCED, "epochs=40"),
    "2 augmented copies": (*BALANCED, "augmented_copies=2"),
}
SEARCHED = (
    *(*ONE, "augmentations=speed,channel", "lstm_units=32", "frames_per_step=20"),
    *("input_dropout=0.06", "dropout=0.28", "learning_rate=0.001", "weight_decay=0.04"),
)
DROPPED_LATER = {
    "LSTM of 32": (*NO_HALLS, "lstm_units=32"),
    "the best trial of the search": SEARCHED,
}
TITLES = {
    "Kept, each added to those above": KEPT,
    "Added to balanced classes, and dropped": DROPPED,
    "Added to less dropout, and dropped": DROPPED_LATER,
}
NOTE = """\
Each speaker left out in turn; mean ± standard deviation over seeds. "Adapted": to the tested
speaker with all of the speaker's clips. Made by `python -m experiments.ablation`, which lists the
hyperparameters of each row. The last row kept is that of [loso](../loso/report.md);
[tried.md](../tried.md) lists experiments made by hand.
"""
ROWS = KEPT | DROPPED | DROPPED_LATER


def measure_row(name, settings, seeds) -> None:
    """Make or resume the run of a row, and keep its measures."""
    folder = RUNS / name
    if (folder / "config.json").exists():
        options = ("--resume", folder)
    else:
        options = ("--evaluate", "loso", "--seeds", seeds, "--conditions", "room", "--run", folder)
        if "adapted_share=0" not in settings:
            options += ("--adapt", "speaker")
        if settings:
            options += ("--set", *settings)
    command = [sys.executable, "train.py", *map(str, options)]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise DataError(f"{folder}: the run failed, see above; start again to resume it")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    names = ("changed", "seeds", "measures", "tests")
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{name}.json", {name: metrics[name] for name in names})


def format_row(name, path) -> list[str]:
    """Write the cells of a measured row."""
    row = json.loads(path.read_text(encoding="utf-8"))
    tests = [row["tests"].get(test) for test in (adapted_test_name("speaker"), "room")]
    return [
        name,
        str(len(row["seeds"])),
        format_percent(row["measures"][UAR], ""),
        *(format_percent(test[UAR], "") if test else "" for test in tests),
        format_percent(row["measures"]["top_2_accuracy"], ""),
    ]


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="experiments.ablation",
        description="Measure the contribution of each part of the recipe on speakers left out.",
        examples=("python -m experiments.ablation", "python -m experiments.ablation --seeds 1"),
    )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="seeds of the rows that are new"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(ROWS),
        metavar="NAME",
        help="a row by its name in the table; may be repeated; all rows if not given",
    )
    add_debug_option(parser)
    return parser


def main(arguments) -> None:
    """Measure the rows one by one, and update the table after each."""
    for name in arguments.only or ROWS:
        print_message("experiments.ablation", name)
        measure_row(name, ROWS[name], arguments.seeds)
        write_table()
    print((RESULTS / "README.md").read_text(encoding="utf-8"))


def write_table() -> None:
    """Write the tables of all measured rows to results/ablation/README.md."""
    header = ["recipe", "seeds", "UAR %", "adapted, UAR %", "in a room, UAR %", "top 2 %"]
    text = "# The contribution of each part of the recipe\n\n"
    for title, names in TITLES.items():
        paths = {name: RESULTS / f"{name}.json" for name in names}
        if names is KEPT:
            paths[WHOLE] = WHOLE_RUN / "metrics.json"
        rows = [format_row(name, path) for name, path in paths.items() if path.exists()]
        text += f"## {title}\n\n{format_table(header, rows)}\n\n"
    text += NOTE
    with replaced_when_done(RESULTS / "README.md") as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
