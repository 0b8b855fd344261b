"""What the README says is so: its commands, its output, its figures, its files."""

import json
import re

import pytest

import dataset
from benchmarks.table import as_table
from utility.evaluation import read_predictions, summarise
from utility.globalvars import ROOT
from utility.report import describe_run, percent

README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "results"
RUNS = sorted(path.parent for path in RESULTS.glob("*/metrics.json"))
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
    assert {"holdout", "loso", "seed2018"} <= {run.name for run in RUNS}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_metrics_follow_from_the_predictions(run):
    predictions = read_predictions(run / "predictions.csv")
    metrics = read_json(run / "metrics.json")
    summary = json.loads(json.dumps(summarise(predictions)))
    assert metrics == {"protocol": metrics["protocol"], "preset": metrics["preset"]} | summary
    assert (run / "report.md").read_text() == describe_run(metrics, dataset.read_corpus())


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_every_utterance_was_tested_in_its_fold(run):
    predictions = read_predictions(run / "predictions.csv")
    corpus = dataset.read_corpus()
    metrics = read_json(run / "metrics.json")
    rows = zip(predictions.seed, predictions.file, predictions.fold, strict=True)
    expected = sorted(
        (str(seed), corpus.file[row], fold.name)
        for seed in metrics["seeds"]
        for fold in dataset.SPLITS[metrics["protocol"]](corpus, seed)
        for row in fold.test
    )
    assert sorted(rows) == expected


def results_row(run):
    metrics = read_json(run / "metrics.json")
    names = ("weighted_accuracy", "unweighted_average_recall", "macro_f1", "top_2_accuracy")
    cells = [percent(metrics["measures"][name], "") for name in names]
    seeds = str(len(metrics["seeds"]))
    return f"| {' | '.join([NETWORKS[metrics['preset']], metrics['protocol'], seeds, *cells])} |"


def test_the_table_follows_from_the_metrics():
    shown = re.findall(r"^\| (?:ours|2018 network).*$", README, re.MULTILINE)
    assert sorted(shown) == sorted(map(results_row, RUNS))
