"""The README, docs/ and the model card are true: commands, output, figures, files."""

import argparse
import importlib
import json
import re
import shlex
import shutil
import statistics
from pathlib import Path

import pytest

from benchmarks.table import format_results
from experiments.familiarity import join_tests
from utility.corpora.corpus import read_corpus
from utility.corpora.protocols import PROTOCOLS
from utility.evaluation.run import rewrite_report
from utility.globalvars import ROOT
from utility.reports.measures import (
    CLEAN,
    MEASURES,
    compare,
    read_predictions,
    read_tests,
    summarise_run,
)

PATHS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "MODEL_CARD.md"]
DOCUMENTS = {path.stem: path.read_text(encoding="utf-8") for path in PATHS}
README, MODEL_CARD = DOCUMENTS["README"], DOCUMENTS["MODEL_CARD"]
TEXT = "\n".join(DOCUMENTS.values())
RESULTS = ROOT / "results"
ALL_RUNS = sorted(path.parent for path in RESULTS.glob("*/metrics.json"))
# Runs that test several corpora, most of which are not in the repository.
CORPORA_RUNS = [run for run in ALL_RUNS if run.name in ("berlin_to_others", "corpora")]
RUNS = [run for run in ALL_RUNS if run not in CORPORA_RUNS]
CORPUS_NAMES = {"berlin": "EmoDB", "nemo": "nEMO", "emotiontts": "emotiontts"}
MAIN_RUNS = {  # rows of the README's table: the run and the test behind each
    "**a new speaker** (leave one speaker out, 5 seeds)": ("loso", CLEAN),
    "… adapted with 10 unlabelled clips of the speaker": ("loso", "calibrated_10"),
    "… adapted with all clips of the speaker, the tested one included": (
        "loso",
        "calibrated_speaker",
    ),
    "… through a telephone": ("loso", "telephone"),
    "… in a reverberant room": ("loso", "room"),
    "… one network, hyperparameters searched within each fold": ("nested", CLEAN),
    "**known speakers** (the random split of 2018, 3 seeds)": ("holdout", CLEAN),
    "… the network of 2018": ("seed2018", CLEAN),
}
PEER = "**for comparison**: linear SVM, openSMILE ComParE 2016, a new speaker"
WA, UAR = "weighted_accuracy", "unweighted_average_recall"
ROOMS = (
    "processes",
    "audio",
    "files",
    "corpora",
    "voices",
    "network",
    "reports",
    "evaluation",
    "prediction",
    "spark",
)
NETWORKS = {"default": "ours", "seed2018": "2018 network (`--preset seed2018`)"}


def block(name):
    """Return the code block that follows the comment of this name in any document."""
    (text,) = re.findall(rf"<!-- {name} -->\n```\w+\n(.*?)\n```", TEXT, re.DOTALL)
    return text


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_ci_runs_the_test_command():
    assert block("test") in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_shown_output_is_real(run_command):
    done = run_command("predict.py", "data/demo.wav")
    assert done.stdout.strip() == block("predict output")


@pytest.mark.parametrize(
    "name",
    [
        *("json", "csv", "timeline", "subtitles", "stream", "compare"),
        *("library", "library details", "library list"),
    ],
)
def test_the_shown_commands_print_what_is_shown(name, run_command):
    code = block(name)
    if name.startswith("library"):
        done = run_command("-c", code)
    else:
        command, _, path = code.partition(" < ")
        with (ROOT / (path or "README.md")).open("rb") as file:
            done = run_command(*command.split()[1:], stdin=file)
    assert done.stdout.strip("\n") == block(f"{name} output")
    assert done.returncode == ("predict.py --json data/demo.wav missing.wav" in code)


def shown_commands():
    """Return the words of every command of the project, a pipe's last, without its python."""
    blocks = re.findall(r"```sh\n(.*?)\n```", TEXT, re.DOTALL)
    lines = [line.split(" | ")[-1] for text in blocks for line in text.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["python"]]


@pytest.mark.parametrize("words", shown_commands(), ids=" ".join)
def test_every_command_is_one_that_the_program_knows(words):
    program, *options = words[1:] if words[0] == "-m" else words
    module = importlib.import_module(program.removesuffix(".py"))
    if hasattr(module, "__path__"):  # a package, as python -m starts it
        module = importlib.import_module(f"{program}.__main__")
    parser = module.build_parser()
    # Nothing is carried out: other tests do that, with small data.
    parser.parse_args(options[: options.index("<")] if "<" in options else options)


def test_the_speed_table_is_that_of_the_results():
    results = read_json(ROOT / "benchmarks" / "results.json")
    del results["growth"]  # which is a picture
    for name in ("spark", "spark training"):
        assert format_results({name: results.pop(name)}) in DOCUMENTS["scaling"]
    assert format_results(results) in DOCUMENTS["speed"]
    assert results["clip"]["machine"]["processor"] in DOCUMENTS["speed"]


def test_benchmarks_begin_with_the_recordings(run_command, tmp_path):
    done = run_command("-m", "benchmarks", "--audio", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "has no .wav files; give the folder of the EmoDB recordings" in done.stderr


def test_the_commands_ask_for_files_that_exist():
    for path in re.findall(r"requirements[\w-]*\.txt|data/[\w./]+\.wav", TEXT):
        assert (ROOT / path).exists(), path


def options(parser):
    """Return the long options of a parser and of its subcommands."""
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options(command)


@pytest.mark.parametrize("program", ["predict", "train", "evaluate", "dataset"])
def test_every_option_is_explained(program):
    parser = importlib.import_module(program).build_parser()
    missing = [
        option
        for option in options(parser)
        if f"{option}" not in DOCUMENTS["usage"] + DOCUMENTS["data"]
    ]
    assert not missing


def test_every_source_file_is_listed():
    rooms = ["utility", *(f"utility/{name}" for name in ROOMS)]
    listed = re.findall(r"^([\w/]+\.py)  ", DOCUMENTS["how-it-works"], re.MULTILINE)
    sources = [*ROOT.glob("*.py"), *(ROOT / "utility").rglob("*.py")]
    expected = {str(path.relative_to(ROOT)) for path in sources if path.name != "__init__.py"}
    assert sorted(listed) == sorted(expected)
    order = [[".", *rooms].index(str(Path(name).parent)) for name in listed]
    assert order == sorted(order)


def test_the_links_lead_somewhere():
    names = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
    for path in (*PATHS, *(ROOT / name for name in names)):
        text = path.read_text(encoding="utf-8")
        for link, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", text):
            target = path.parent / link if link else path
            assert target.exists(), f"{path.name}: {link}"
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert not anchor or anchor in anchors, f"{path.name}: #{anchor}"


def test_the_tests_that_hold_a_promise_exist():
    promises = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w./]+)`", promises)
    assert "tests/network/test_layout.py" in named
    for path in named:
        assert (ROOT / path).exists(), path


def test_there_are_results():
    assert {"holdout", "loso", "seed2018"} <= {run.name for run in RUNS}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_metrics_and_the_report_follow_from_the_predictions(run, tmp_path, monkeypatch):
    monkeypatch.setattr("utility.reports.plots.draw_confusion", lambda *arguments: None)
    # All runs are of EmoDB, also those on other features, which are not in the repository.
    monkeypatch.setattr("utility.evaluation.material.read_corpus", lambda *names: read_corpus())
    copy = shutil.copytree(run, tmp_path / run.name)
    rewrite_report(copy)
    for name in ("metrics.json", "report.md"):
        assert (copy / name).read_text() == (run / name).read_text()


@pytest.mark.parametrize("run", CORPORA_RUNS, ids=lambda run: run.name)
def test_the_metrics_of_corpora_follow_from_the_predictions(run):
    metrics = read_json(run / "metrics.json")
    computed = json.loads(json.dumps(summarise_run(read_tests(run), read_corpus())))
    for name in ("measures", "confusion_matrix", "tests", "mean_over_corpora", "seeds"):
        assert computed[name] == metrics[name]
    for name, part in metrics["corpora"].items():
        for key in ("measures", "speakers", "tests", "utterances"):
            assert computed["corpora"][name][key] == part[key]


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


def percent(measured):
    """Write mean and deviation in percent, as tables do."""
    deviation = measured["deviation"]
    spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
    return f"{100 * measured['mean']:.1f}{spread}"


def results_row(run):
    metrics = read_json(run / "metrics.json")
    cells = [percent(metrics["measures"][name]) for name in MEASURES]
    seeds, network = str(len(metrics["seeds"])), NETWORKS[metrics["preset"]]
    if network == "ours" and metrics["changed"].get("discriminant_weight") == 0:
        network = "ours, without a discriminant"
    if metrics["changed"].get("members") == 1:
        features = " on openSMILE's 65 descriptors" * (metrics["data"] == ["opensmile"])
        network = f"ours, one network{features}, without augmentation"
    if metrics["max_evals"]:
        network = f"ours, one network, searched in each fold in {metrics['max_evals']} trials"
    return f"| {' | '.join([network, metrics['protocol'], seeds, *cells])} |"


def test_the_table_follows_from_the_metrics():
    shown = re.findall(r"^\| (?:ours|2018 network).*$", DOCUMENTS["results"], re.MULTILINE)
    assert sorted(shown) == sorted(map(results_row, RUNS))


def test_the_table_of_corpora_follows_from_the_metrics():
    rows = []
    for run in CORPORA_RUNS:
        metrics = read_json(run / "metrics.json")
        for tested, part in metrics["corpora"].items():
            trained = [name for name in metrics["data"] if name != tested]
            if trained == ["berlin"] and metrics["protocol"] == "corpora":
                continue  # the other run has it
            tests = part["tests"]
            cells = [
                " and ".join(CORPUS_NAMES[name] for name in trained),
                CORPUS_NAMES[tested],
                str(sum(any(row) for row in part["confusion_matrix"])),
                str(len(metrics["seeds"])),
                percent(part["measures"][UAR]),
                percent(part["measures"]["expected_calibration_error"]),
                *(percent(tests[f"calibrated_{n}"][UAR]) for n in ("3", "emotion", "speaker")),
            ]
            rows.append(f"| {' | '.join(cells)} |")
    assert "\n".join(rows) in DOCUMENTS["results"]


def test_the_table_of_familiarity_is_as_it_was_measured():
    for corpus, bands in join_tests(read_json(RESULTS / "familiarity.json")).items():
        cells = [f"{100 * right / n:.1f} of {n:,}" if n else "" for n, right in bands.values()]
        assert f"| {CORPUS_NAMES[corpus]} | {' | '.join(cells)} |" in DOCUMENTS["results"]


def test_the_table_of_further_training_is_as_it_was_measured():
    recalls = read_json(RESULTS / "further_training.json")["uar"]
    for label, suffix in (("as recorded", ""), ("adapted by the 20 clips", " adapted")):
        cells = [percent(recalls[name + suffix]) for name in ("before", "after")]
        assert f"| {label} | {' | '.join(cells)} |" in DOCUMENTS["results"]


def test_temperatures_are_as_they_were_measured():
    rows = read_json(RESULTS / "temperature.json")
    one, four = ([row["temperature"] for row in rows if row["copies"] == n] for n in (1, 4))
    said = [f"{statistics.mean(each):.2f} ± {statistics.stdev(each):.2f}" for each in (one, four)]
    text = "their temperature is {}, and that of networks with\nfour copies {}".format(*said)
    assert text in DOCUMENTS["results"]


def test_the_table_of_own_features_follows_from_the_metrics():
    rows = []
    for label, path in (
        ("openSMILE's 65 descriptors, without augmentation", "opensmile/metrics.json"),
        ("the 66 features, without augmentation", "no_copies/metrics.json"),
        ("the 66 features, with augmentation", "ablation/and still less dropout.json"),
    ):
        metrics = read_json(RESULTS / path)
        assert metrics["changed"]["members"] == 1
        assert metrics.get("copies", 20) == (0 if "without" in label else 20)
        recalls = metrics["measures"][UAR], metrics["tests"]["calibrated_speaker"][UAR]
        rows.append(f"| {label} | {len(metrics['seeds'])} | {' | '.join(map(percent, recalls))} |")
    assert "\n".join(rows) in DOCUMENTS["data"]


def test_only_without_adaptation_could_the_gain_of_own_features_vanish():
    for name, sure in (("predictions", False), ("predictions_calibrated_speaker", True)):
        paths = (RESULTS / run / f"{name}.csv" for run in ("no_copies", "opensmile"))
        low, high = compare(*map(read_predictions, paths))["measures"][UAR]["interval"]
        assert (low > 0, high > 0) == (sure, True)


def test_the_table_of_the_readme_follows_from_the_metrics():
    rows = []
    for label, (run, test) in MAIN_RUNS.items():
        metrics = read_json(RESULTS / run / "metrics.json")
        measures = metrics["measures"] if test == CLEAN else metrics["tests"][test]
        accuracy, recall = (percent(measures[name]) for name in (WA, UAR))
        rows.append(f"| {label} | {accuracy} | {recall} |")
    peer = read_json(RESULTS / "svm.json")["ComParE_2016"]["as recorded"]
    rows.append(f"| {PEER} | {100 * peer[WA]:.1f} | {100 * peer[UAR]:.1f} |")
    assert "\n".join(rows) in README


def test_the_calibration_error_by_chance_is_that_of_the_metrics():
    least = read_json(RESULTS / "loso" / "metrics.json")["least_calibration_error"]
    assert f"exact: {100 * least:.1f} for *loso*" in DOCUMENTS["results"]


def test_the_peer_is_as_it_was_measured():
    measured = read_json(RESULTS / "svm.json")["ComParE_2016"]
    row = [measured["as recorded"][name] for name in (WA, UAR)]
    cells = " | ".join(f"{100 * share:.1f}" for share in row)
    assert f"| linear SVM, ComParE 2016 | loso | | {cells} | | | |" in DOCUMENTS["results"]
    assert f"a UAR of {100 * measured['of own speaker'][UAR]:.1f} %" in DOCUMENTS["results"]


def test_long_recordings_are_as_they_were_measured():
    measured, text = read_json(RESULTS / "long_recordings.json"), DOCUMENTS["results"]
    for label, kind in (("trained on", "trained on"), ("of a speaker left out", "left out")):
        cells = [f"{row['right']} of {row['recordings']}" for row in measured[kind]["wholes"]]
        assert f"| {label} | {' | '.join(cells)} |" in text
    total = measured["left out"]["timeline"]
    text = " ".join(text.split())
    for kind, shown in (
        ("windows", "{right} of {all} windows"),
        ("clips", "{right} of {all} are right"),
    ):
        right, count = total[f"{kind}_right"], total[kind]
        assert f"{shown.format(right=right, all=count)} ({100 * right / count:.1f} %)" in text
    repeated = measured["trained on"]["repeated"]
    ((emotion, once),), ((again, often),) = (repeated[n].items() for n in ("once", "repeated"))
    assert emotion == again == "neutral"
    shown = f"({once:.2f}) and repeated {repeated['repetitions']} times ({often:.2f})"
    assert shown in text


def test_the_tables_of_no_voice_are_as_they_were_measured():
    measured, text = read_json(RESULTS / "no_voice.json"), DOCUMENTS["results"]

    def add(counts):
        return [sum(count[name] for count in counts) for name in ("no_voice", "sounds")]

    groups = {group: add(kinds.values()) for group, kinds in measured["made sounds"].items()}
    for group, (found, sounds) in groups.items():
        assert f"| {group} | {found} of {sounds} |" in text
    found, sounds = map(sum, zip(*groups.values(), strict=True))
    assert f"| all | {found} of {sounds} ({100 * found / sounds:.1f} %) |" in text
    assert found > 0.95 * sounds
    corpora = measured["voices"].values()
    for variant in next(iter(corpora)):
        counts = [corpus[variant] for corpus in corpora]
        cells = [f"{count['no_voice']} of {count['recordings']}" for count in counts]
        assert f"| {variant} | {' | '.join(cells)} |" in text
        most = 0.005 if variant == "as recorded" else 0.01
        assert variant.startswith("cut") or all(
            count["no_voice"] < most * count["recordings"] for count in counts
        )


def test_the_table_of_other_tests_is_that_of_the_report():
    report = (RESULTS / "loso" / "report.md").read_text(encoding="utf-8")
    table = re.search(r"^\| test \|.*?(?=\n\n)", report, re.MULTILINE | re.DOTALL)[0]
    assert table in DOCUMENTS["results"]
    assert table in MODEL_CARD


@pytest.mark.parametrize("text", [README, MODEL_CARD], ids=["README", "MODEL_CARD"])
def test_the_figures_in_the_text_are_those_of_the_metrics(text):
    metrics = read_json(RESULTS / "loso" / "metrics.json")
    low, high = metrics["measures"][UAR]["interval"]
    assert f"{percent(metrics['measures'][UAR])} %" in text
    assert f"{percent(metrics['tests']['calibrated_speaker'][UAR])} %" in text
    assert f"{100 * low:.1f} to {100 * high:.1f}" in " ".join(text.split())
