"""What the README says is so: its commands, its output, its figures, its files."""

import importlib
import json
import re
import shlex

import pytest

from benchmarks.table import as_table
from train import about
from utility.corpora.corpus import read_corpus
from utility.corpora.protocols import PROTOCOLS
from utility.evaluation.measures import CLEAN, MEASURES, read_predictions, read_tests, summarise
from utility.evaluation.report import describe_run, interval, percent
from utility.evaluation.report import test_section as section_of_tests
from utility.globalvars import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MODEL_CARD = (ROOT / "MODEL_CARD.md").read_text(encoding="utf-8")
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


@pytest.mark.parametrize(
    "name", ["json", "csv", "timeline", "subtitles", "stream", "library", "compare"]
)
def test_the_shown_commands_print_what_is_shown(name, run_command):
    code = block(name)
    if name == "library":
        done = run_command("-c", code)
    else:
        command, _, path = code.partition(" < ")
        with (ROOT / (path or "README.md")).open("rb") as file:
            done = run_command(*command.split()[1:], stdin=file)
    assert done.stdout.strip("\n") == block(f"{name} output")
    assert done.returncode == ("missing" in code)


def commands_of_the_readme():
    """Return the words of every command of the project, a pipe's last, without what starts it."""
    blocks = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
    lines = [line.split(" | ")[-1] for text in blocks for line in text.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["python"]]


@pytest.mark.parametrize("words", commands_of_the_readme(), ids=" ".join)
def test_every_command_is_one_that_the_program_knows(words):
    program, *options = words[1:] if words[0] == "-m" else words
    parser = importlib.import_module(program.removesuffix(".py")).build_parser()
    # Nothing is carried out: other tests do that, with small data.
    parser.parse_args(options[: options.index("<")] if "<" in options else options)


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
    metrics = read_json(run / "metrics.json")
    tests = {name: summarise(predictions) for name, predictions in read_tests(run).items()}
    expected = about(read_json(run / "config.json")) | tests.pop(CLEAN)
    expected["tests"] = {name: summary["measures"] for name, summary in tests.items()}
    assert metrics == json.loads(json.dumps(expected))
    assert (run / "report.md").read_text() == describe_run(metrics, read_corpus())


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_every_utterance_was_tested_in_its_fold(run):
    predictions = read_predictions(run / "predictions.csv")
    corpus = read_corpus()
    metrics = read_json(run / "metrics.json")
    rows = zip(predictions.seed, predictions.file, predictions.fold, strict=True)
    expected = sorted(
        (str(seed), corpus.file[row], fold.name)
        for seed in metrics["seeds"]
        for fold in PROTOCOLS[metrics["protocol"]](corpus, seed)
        for row in fold.test
    )
    assert sorted(rows) == expected


def results_row(run):
    metrics = read_json(run / "metrics.json")
    cells = [percent(metrics["measures"][name], "") for name in MEASURES]
    seeds, network = str(len(metrics["seeds"])), NETWORKS[metrics["preset"]]
    if metrics["max_evals"]:
        network = f"ours, one network, searched in each fold in {metrics['max_evals']} trials"
    return f"| {' | '.join([network, metrics['protocol'], seeds, *cells])} |"


def test_the_table_follows_from_the_metrics():
    shown = re.findall(r"^\| (?:ours|2018 network).*$", README, re.MULTILINE)
    assert sorted(shown) == sorted(map(results_row, RUNS))


def test_the_peer_is_as_it_was_measured():
    measured = read_json(RESULTS / "svm.json")["ComParE_2016"]
    uar = "unweighted_average_recall"
    row = [measured["as recorded"][name] for name in ("weighted_accuracy", uar)]
    cells = " | ".join(f"{100 * share:.1f}" for share in row)
    assert f"| linear SVM, ComParE 2016 | loso | | {cells} | | | |" in README
    assert f"a UAR of {100 * measured['of own speaker'][uar]:.1f} %" in README


def test_the_windows_of_a_timeline_are_as_they_were_measured():
    total = read_json(RESULTS / "timeline.json")["total"]
    text = " ".join(README.split())
    for kind, shown in (
        ("windows", "{right} of {all} windows"),
        ("clips", "{right} of {all} right"),
    ):
        right, count = total[f"{kind}_right"], total[kind]
        assert f"{shown.format(right=right, all=count)} ({100 * right / count:.1f} %)" in text


def test_the_other_tests_follow_from_the_metrics():
    metrics = read_json(RESULTS / "loso" / "metrics.json")
    rows = [line for line in section_of_tests(metrics) if line.startswith("|")]
    assert "\n".join(rows) in README
    assert "\n".join(rows) in MODEL_CARD


@pytest.mark.parametrize("text", ["README", "MODEL_CARD"])
def test_the_figures_in_the_text_are_those_of_the_metrics(text):
    metrics = read_json(RESULTS / "loso" / "metrics.json")
    uar = "unweighted_average_recall"
    figures = [
        percent(metrics["measures"][uar]),
        percent(metrics["tests"]["calibrated_speaker"][uar]),
        interval(metrics["measures"][uar]),
    ]
    for figure in figures:
        assert figure in {"README": README, "MODEL_CARD": MODEL_CARD}[text]
