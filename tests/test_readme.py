"""What the README says is so: its commands, its output, its figures, its files."""

import csv
import json
import re
import statistics
from itertools import groupby

import numpy as np
import pytest

import dataset
from benchmarks.table import as_table
from utility.evaluation import measure
from utility.globalvars import EMOTION_LABELS, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "results"
RUNS = sorted(path.parent for path in RESULTS.glob("*/*/metrics.json"))
NETWORKS = {"default": "ours", "seed2018": "2018 network (`--preset seed2018`)"}


def block(name):
    """Return the code block that follows the comment of this name."""
    return re.search(rf"<!-- {name} -->\n```\w+\n(.*?)\n```", README, re.DOTALL)[1]


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_ci_runs_the_test_command():
    assert block("test") in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_shown_output_is_real(run_command):
    done = run_command("predict.py", "data/demo.wav")
    assert done.stdout.strip() == block("predict output")


def test_the_shown_objects_are_real(run_command):
    done = run_command(*block("json").split()[1:])
    assert (done.stdout.strip(), done.returncode) == (block("json output"), 1)


def test_the_speed_table_is_that_of_the_results():
    results = read_json(ROOT / "benchmarks" / "results.json")
    del results["growth"]  # which is a picture
    assert as_table(results) in README
    assert results["clip"]["machine"]["processor"] in README


def test_the_commands_ask_for_files_that_exist():
    for path in re.findall(r"requirements[\w-]*\.txt|data/[\w./]+\.wav", README):
        assert (ROOT / path).exists(), path


def test_every_source_file_is_listed():
    listed = re.findall(r"^([\w/]+\.py)  ", README, re.MULTILINE)
    sources = [*ROOT.glob("*.py"), *(ROOT / "utility").glob("*.py")]
    expected = {str(path.relative_to(ROOT)) for path in sources if path.name != "__init__.py"}
    assert sorted(listed) == sorted(expected)


def test_there_are_results():
    assert len(RUNS) >= 3


@pytest.mark.parametrize("run", RUNS, ids=lambda run: "-".join(run.parts[-2:]))
def test_the_metrics_follow_from_the_predictions(run):
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    corpus = dataset.read_corpus()
    folds = dataset.SPLITS[read_json(run / "metrics.json")["split"]](corpus)
    expected = {corpus.file[row]: fold.name for fold in folds for row in fold.test}
    assert {row["file"]: row["fold"] for row in rows} == expected
    assert len(rows) == len(expected)
    labels = np.array([EMOTION_LABELS.index(row["emotion"]) for row in rows])
    probabilities = np.array([[float(row[name]) for name in EMOTION_LABELS] for row in rows])
    assert read_json(run / "metrics.json").items() >= measure(labels, probabilities).items()


def results_row(runs):
    metrics = [read_json(run / "metrics.json") for run in runs]
    assert len({entry["seed"] for entry in metrics}) == len(runs)

    def cell(name):
        values = [100 * entry[name] for entry in metrics]
        deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.1f}{deviation}"

    names = ("weighted_accuracy", "unweighted_average_recall", "top_2_accuracy")
    network, split = NETWORKS[metrics[0]["preset"]], metrics[0]["split"]
    return f"| {' | '.join([network, split, str(len(runs)), *map(cell, names)])} |"


def test_the_table_follows_from_the_metrics():
    by_protocol = groupby(RUNS, key=lambda run: run.parent)
    expected = [results_row(list(runs)) for _, runs in by_protocol]
    shown = re.findall(r"^\| (?:ours|2018 network).*$", README, re.MULTILINE)
    assert sorted(shown) == sorted(expected)
