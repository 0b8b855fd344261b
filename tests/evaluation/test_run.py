"""A run: its settings, its plan, and the weights that it keeps or replaces."""

import contextlib
import json
import re
from argparse import Namespace
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from made import DEMO, make_joined_predictions, read_json
from utility.corpora.corpus import join_corpora, read_corpus
from utility.corpora.frames import ChosenTables
from utility.corpora.protocols import holdout, loso
from utility.errors import DataError, SpeechEmotionError
from utility.evaluation import run
from utility.evaluation.fold import Plan, Task
from utility.evaluation.material import Material
from utility.globalvars import ROOT
from utility.network.hyperparameters import ADDED_LATER, PRESETS
from utility.network.weights import read_weights
from utility.parallel import KILLED, map_here
from utility.prediction.library import predict
from utility.reports.measures import CLEAN, summarise_run

DEFAULT = PRESETS["default"]


# Settings


def test_settings_of_version_1_0_0_are_read_in_todays_form():
    stored = read_json(ROOT / "results" / "loto" / "config.json")
    assert stored["arguments"].pop("calibrate") == []
    assert "adapt" not in stored["arguments"]
    assert stored["hyperparameters"]["copy_kinds"] == 20
    config = run.read_config(ROOT / "results" / "loto")
    assert config["arguments"]["adapt"] == []
    assert "calibrate" not in config["arguments"]
    assert config["hyperparameters"] == replace(DEFAULT, **ADDED_LATER)
    assert (config["protocol"], config["copies"]) == ("loto", 20)


def make_arguments(tmp_path, **changes):
    values = {name: [] for name in run.KEPT_ARGUMENTS}
    values |= {"evaluate": "loso", "max_evals": 0, "preset": "default", "epochs": 3}
    values |= {"seed": 1, "seeds": 2, "adapt": ["2"], "data": ["berlin"]}
    return Namespace(**values | {"output": tmp_path / "w.h5"} | changes)


def test_settings_round_trip(tmp_path):
    hyperparameters = replace(DEFAULT, epochs=3, augmentations=("speed", "hall"))
    config = run.make_config(make_arguments(tmp_path), hyperparameters, 12)
    (tmp_path / "config.json").write_text(json.dumps(config))
    back = run.read_config(tmp_path)
    assert back["hyperparameters"] == hyperparameters
    assert back["arguments"]["adapt"] == ["2"]
    run.check_resumed(tmp_path, hyperparameters, 12)
    facts = run.describe_config(back)
    assert facts["changed"] == {"epochs": 3, "augmentations": "speed,hall"}
    assert (facts["protocol"], facts["data"], facts["copies"]) == ("loso", ["berlin"], 12)
    for other, copies in ((DEFAULT, 12), (hyperparameters, 0)):
        with pytest.raises(DataError, match=r"started with different \w+; start a new run"):
            run.check_resumed(tmp_path, other, copies)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.clear(),
        lambda config: config["arguments"].pop("seeds"),
        lambda config: config["hyperparameters"].update(unknown=1),
        lambda config: config["hyperparameters"].update(dropout="high"),
        lambda config: config.pop("copies"),
        lambda config: config["arguments"].update(seeds="x"),
        lambda config: config["arguments"].update(seeds=True),
        lambda config: config["arguments"].update(data=5),
        lambda config: config["arguments"].update(set=[1]),
        lambda config: config["arguments"].update(output="a\0b"),
        lambda config: config["arguments"].update(data=["\ud800"]),
        lambda config: config["arguments"].update(evaluate="coin"),
        lambda config: config["arguments"].update(preset="mine"),
        lambda config: config["arguments"].update(conditions=["fog"]),
        lambda config: config.update(protocol="coin"),
        lambda config: config.update(protocol="weights"),
    ],
)
def test_settings_of_something_else_are_refused(change, tmp_path):
    config = run.make_config(make_arguments(tmp_path), DEFAULT, 20)
    config["hyperparameters"] = asdict(DEFAULT)
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"config\.json: not written by this train\.py"):
        run.read_config(tmp_path)


def test_names_that_cannot_be_written_are_refused_in_an_evaluation_of_weights(tmp_path):
    arguments = {"weights": "w.h5", "data": ["berlin"], "adapt": [], "conditions": []}
    config = {"protocol": "weights", "arguments": arguments, "emotions": ["anger"], "seen": []}
    (tmp_path / "config.json").write_text(json.dumps(config | {"trained_on": ["my"]}))
    assert run.read_config(tmp_path)["trained_on"] == ["my"]
    (tmp_path / "config.json").write_text(json.dumps(config | {"trained_on": ["\ud800"]}))
    with pytest.raises(DataError, match=r"config\.json: not written by this train\.py"):
        run.read_config(tmp_path)


def test_settings_that_are_nested_too_deeply_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(100_000 * "[")
    with pytest.raises(DataError, match=r"config\.json: not written by this train\.py"):
        run.read_config(tmp_path)


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run.time, "strftime", lambda form: "now")
    folders = [run.make_folder() for _ in range(3)]
    assert [path.name for path in folders] == ["now", "now_2", "now_3"]
    assert all(path.is_dir() for path in folders)
    assert run.make_folder(tmp_path / "a" / "b").is_dir()
    with pytest.raises(FileExistsError):
        run.make_folder(tmp_path / "a")


# What a run will do


@pytest.fixture
def plan(data, tmp_path):
    """Return the plan of a run on the small EmoDB, with two augmented copies."""
    corpus = read_corpus(data)
    return Plan(Material(corpus, [corpus.frames] * 2, {}), DEFAULT, 0, [], tmp_path)


def describe(plan, protocol=loso, final=False, processes=2):
    tasks = [Task(0, fold) for fold in protocol(plan.material.corpus)]
    return run.describe_plan(tasks, plan, processes, final)


def test_a_plan_counts_folds_and_networks(plan):
    # Three members, and three networks for the temperature.
    text = describe(plan)
    assert re.fullmatch(
        r"training 4 of 4 folds: 24 networks \(12 to predict, 12 to fit the temperature\), 2 at a "
        r"time with \d\.\d GB of memory each; about \d+ min",
        text,
    )
    assert "training 1 of 1 fold, then the weights to save: 12 networks (6 to predict" in describe(
        plan, holdout, final=True
    )
    searched = describe(plan._replace(max_evals=8), holdout, final=True)
    assert ": 20 networks (8 to choose hyperparameters, 6 to predict, 6 to fit the " in searched
    single = replace(DEFAULT, members=1, temperature_scaling=False)
    assert "1 of 1 fold: 1 network, " in describe(plan._replace(hyperparameters=single), holdout)
    # One more to choose the number of epochs.
    stopped = plan._replace(hyperparameters=PRESETS["seed2018"])
    assert "1 of 1 fold: 2 networks (1 to choose" in describe(stopped, holdout)
    # Of two speakers, each is left out once.
    two = plan.material.corpus.take(np.flatnonzero(plan.material.corpus.speaker < "09"))
    fewer = plan._replace(material=Material(two, [], {}))
    assert "1 of 1 fold: 5 networks (3 to predict, 2 to fit" in describe(fewer, holdout)
    # Of two corpora, each is left out once as well.
    both = join_corpora({"one": plan.material.corpus, "two": plan.material.corpus})
    joined = plan._replace(material=Material(both, [], {}))
    assert "1 of 1 fold: 8 networks (3 to predict, 5 to fit" in describe(joined, holdout)


def test_a_plan_leaves_out_the_folds_that_are_finished(plan):
    folds = loso(plan.material.corpus)
    for fold in folds[:3]:
        run.result_path(Task(0, fold), plan).write_text("{}")
    assert describe(plan).startswith("training 1 of 4 folds: 6 networks")
    run.result_path(Task(0, folds[3]), plan).write_text("{}")
    assert describe(plan) == "4 folds done; training nothing"
    assert describe(plan, final=True).startswith(
        "4 folds done; training the weights to save: 6 networks"
    )


def test_results_of_other_columns_than_those_of_the_first_fold_are_named(plan):
    plan = plan._replace(folder=plan.folder / "folds")
    plan.folder.mkdir()
    row = {"file": "a.wav", "speaker": "03", "emotion": "anger", "fold": "a", "seed": "0"}
    epoch = {"fold": "a", "seed": 0, "epoch": 1, "loss": 1.5, "accuracy": 0.5}
    result = {"seed": 0, "epochs": 3, "trials": [], "hyperparameters": vars(DEFAULT)}
    result |= {"predictions": {CLEAN: [row | {"anger": "1"}]}, "history": [epoch]}
    tasks = [Task(0, fold) for fold in loso(plan.material.corpus)]
    for task in tasks:
        run.result_path(task, plan).write_text(json.dumps(result))
    here = run.Workers(1, map_here)
    assert run.evaluate_folds(tasks, plan, here, quiet=True) == [json.loads(json.dumps(result))] * 4
    other = {"predictions": {CLEAN: [row | {"anger": "1", "joy": "0"}]}}
    run.result_path(tasks[2], plan).write_text(json.dumps(result | other))
    with pytest.raises(DataError, match=r"09\.json: has other columns than .*03\.json; remove the"):
        run.evaluate_folds(tasks, plan, here, quiet=True)


@pytest.mark.parametrize(("max_evals", "expected"), [(0, [4]), (1, [])])
def test_spark_shares_out_folds_unless_it_shares_out_their_trials(
    max_evals, expected, plan, monkeypatch
):
    shared_out = []

    @contextlib.contextmanager
    def in_workers(work, items):
        shared_out.append(len(items))
        yield map(work, items)

    monkeypatch.setattr(run, "evaluate_fold", lambda *_, **__: None)
    tasks = [Task(0, fold) for fold in loso(plan.material.corpus)]
    workers = run.Workers(2, in_workers, search=print)
    with pytest.raises(SpeechEmotionError, match="always died"):
        run.evaluate_folds(tasks, plan._replace(max_evals=max_evals), workers, quiet=True)
    assert shared_out == expected


def test_a_long_time_is_given_in_hours(plan):
    longest = plan._replace(hyperparameters=replace(DEFAULT, epochs=100_000))
    assert re.search(r"; about \d{2,} h$", describe(longest))


def read_minutes(text):
    return int(re.search(r"about (\d+) min", text)[1])


def test_more_work_takes_more_minutes_and_more_processes_fewer(plan):
    longer = plan._replace(hyperparameters=replace(DEFAULT, epochs=500))
    assert read_minutes(describe(longer)) > read_minutes(describe(plan))
    assert read_minutes(describe(longer, processes=1)) == pytest.approx(
        2 * read_minutes(describe(longer, processes=2)), abs=1
    )


def test_copies_and_shorter_steps_take_more_memory(plan):
    needed = run.estimate_memory(plan)
    assert needed > run.TENSORFLOW_BYTES
    copies = [plan.material.corpus.frames] * 20
    augmented = plan._replace(material=Material(plan.material.corpus, copies, {}))
    assert run.estimate_memory(augmented) > needed
    single = replace(DEFAULT, frames_per_step=1)
    assert run.estimate_memory(plan._replace(hyperparameters=single)) > needed


def test_ten_thousand_clips_on_disk_with_20_copies_fit_into_2_gigabytes(plan):
    corpus = plan.material.corpus
    everything = ChosenTables((corpus.frames,), np.array([(0, row % 56) for row in range(10_000)]))
    many = SimpleNamespace(frames=everything, feature_names=corpus.feature_names)
    large = plan._replace(material=Material(many, [everything] * 20, {}))
    assert run.estimate_memory(large) < 2e9


@pytest.mark.parametrize("error", [MemoryError(), SpeechEmotionError(KILLED)])
def test_where_memory_runs_out_a_line_tells_how_to_go_on(error, plan):
    pattern = r"memory ran out: training takes about \d\.\d GB a network; finished folds are kept, "
    pattern += r"continue with: python train\.py --resume \S+ "
    of_spark = run.Workers(8, map_here, search=map_here)
    for workers, remedy in (
        (run.choose_processes(8, plan), "--processes 4$"),
        (run.choose_processes(1, plan), "when other programs are closed$"),
        (of_spark, "when each worker of Spark has more memory$"),
    ):
        with (
            pytest.raises(SpeechEmotionError, match=pattern + remedy),
            run.memory_explained(plan, workers),
        ):
            raise error
    with pytest.raises(DataError, match="another"), run.memory_explained(plan, of_spark):
        raise DataError("another")


def test_as_many_networks_are_trained_at_a_time_as_fit_into_memory(plan, monkeypatch):
    needed = run.estimate_memory(plan)
    monkeypatch.setattr(run, "core_count", lambda: 8)
    for available, expected in ((0, 1), (1.5, 1), (3.5, 3), (100, 8)):
        monkeypatch.setattr(run, "available_memory", lambda: available * needed)  # noqa: B023
        assert run.choose_processes(None, plan).count == expected
    assert run.choose_processes(5, plan).count == 5


# The weights to save


def scored(weights, recall, copies=20, **changes):
    """Return weights whose score of a run is a recall in percent."""
    measures = {run.UAR: {"mean": recall / 100, "deviation": None}}
    score = {"protocol": "holdout", "data": ["berlin"], "copies": copies, "measures": measures}
    return replace(weights, scores=[score | changes])


@pytest.mark.parametrize(
    ("kept", "new", "reason"),
    [
        ({"recall": 90}, {"recall": 80}, "its holdout UAR of 90.0 % is above 80.0 %"),
        ({"recall": 50}, {"recall": 80, "copies": 0}, "were trained without data augmentation"),
    ],
)
def test_better_weights_in_place_are_kept(kept, new, reason, weights, tmp_path, capsys):
    output = tmp_path / "w.h5"
    run.write_weights(output, scored(weights, **kept))
    before = output.read_bytes()
    path = run.save_weights(scored(weights, **new), output, tmp_path)
    assert path == tmp_path / "weights.h5"
    assert output.read_bytes() == before
    printed, message = capsys.readouterr()
    assert printed == ""
    assert message.startswith(f"train.py: note: {output} is kept, since ")
    assert reason in message
    assert f"python predict.py --weights {path} clip.wav" in message
    assert f"cp {path} {output}" in message
    # The new weights predict from the folder of the run.
    assert predict(DEMO, read_weights(path)).label == "neutral"


@pytest.mark.parametrize(
    ("kept", "new"),
    [
        ({"recall": 80}, {"recall": 80}),
        ({"recall": 80}, {"recall": 90}),
        ({"recall": 80, "copies": 0}, {"recall": 90, "copies": 0}),
        ({"recall": 90, "data": ["other"]}, {"recall": 80}),
        ({"recall": 90, "protocol": "loso"}, {"recall": 80}),
        ({"recall": 90, "measures": {}}, {"recall": 80}),
        ({"recall": 90, "measures": {run.UAR: {"mean": 10**400}}}, {"recall": 80}),
        (None, {"recall": 80}),
        (b"not weights", {"recall": 80}),
    ],
)
def test_other_files_in_place_are_replaced(kept, new, weights, tmp_path, capsys):
    output = tmp_path / "w.h5"
    if isinstance(kept, bytes):
        output.write_bytes(kept)
    elif kept:
        run.write_weights(output, scored(weights, **kept))
    assert run.save_weights(scored(weights, **new), output, tmp_path) == output
    assert read_weights(output).scores[0]["measures"][run.UAR]["mean"] == new["recall"] / 100
    assert [path.name for path in tmp_path.iterdir()] == ["w.h5"]
    assert capsys.readouterr() == ("", "")


def test_weights_that_several_corpora_tested_carry_the_mean_over_them():
    joined, _ = make_joined_predictions(seeds=1)
    nan = np.full(len(joined.file), np.nan)
    corpus = Namespace(file=joined.file, emotion=joined.emotion, recognition=nan)
    facts = dict.fromkeys(("protocol", "data", "preset", "changed", "copies"))
    metrics = facts | summarise_run({CLEAN: joined}, corpus)
    score = run.summarise_for_weights(metrics)
    assert score["measures"] == metrics["mean_over_corpora"]["measures"] != metrics["measures"]


def test_the_shipped_weights_carry_the_score_of_their_recipe(tmp_path, monkeypatch):
    (score,) = run.read_recipe_scores(DEFAULT, 20)
    assert score["protocol"] == "loso"
    assert run.read_recipe_scores(replace(DEFAULT, epochs=3), 20) == []
    assert run.read_recipe_scores(DEFAULT, 0) == []
    monkeypatch.setattr(run, "ROOT", tmp_path)
    assert run.read_recipe_scores(DEFAULT, 20) == []
