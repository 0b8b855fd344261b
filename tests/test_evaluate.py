"""evaluate.py as users run it, on small made-up corpora of real files."""

import shutil
from dataclasses import replace

import h5py
import pytest

from made import read_json, read_rows
from utility.corpora.corpus import read_corpus, write_corpus
from utility.globalvars import EMOTION_LABELS, ROOT
from utility.network.weights import write_weights
from utility.prediction.library import learn_voice, predict
from utility.reports.measures import read_predictions, read_tests, summarise
from utility.voices.baseline import measure_statistics


@pytest.fixture(scope="module")
def evaluate(call_command):
    """Return a function that runs evaluate.py in this process."""

    def run(*options):
        return call_command("evaluate.py", "--processes", 1, *options)

    return run


@pytest.fixture(scope="module")
def evaluated(own, evaluate, tmp_path_factory):
    """Evaluate the shipped weights on a corpus; return the command and the folder of the run."""
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    done = evaluate("--data", own / "own", "--run", folder)
    assert done.returncode == 0, done.stderr
    return done, folder


def test_a_run_prints_its_result_and_leaves_its_folder(evaluated, own):
    done, run = evaluated
    result, place = done.stdout.splitlines()
    assert result.startswith("weights_blstm_hyperas_1.h5 on own: WA ")
    assert result.endswith(" of 24 utterances")
    assert place == f"report: {run / 'report.md'}"
    note = "whose emotions the networks are not trained on: surprise"
    assert done.stderr == f"evaluate.py: note: left out 12 of {own / 'own'}, {note}\n"
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "metrics.json", "report.md", "confusion.png"),
        *("predictions.csv", "predictions_calibrated_speaker.csv"),
    }
    report = (run / "report.md").read_text()
    assert "24 utterances of own, 4 speakers, predicted with `weights_blstm_hyperas_1.h5`" in report
    assert "The networks were trained on berlin." in report
    assert "adapted to the speaker with all clips" in report


def test_the_predictions_are_those_of_predict(evaluated, own, weights):
    tests = read_tests(evaluated[1])
    assert tests["clean"].emotions == EMOTION_LABELS
    corpus = read_corpus(own / "own")
    known = corpus.emotion != "surprise"
    assert sorted(tests["clean"].file) == sorted(corpus.file[known])
    speakers = dict(zip(corpus.file.tolist(), corpus.speaker.tolist(), strict=True))
    emotions = dict(zip(corpus.file.tolist(), corpus.emotion.tolist(), strict=True))
    for name, adapted in (("clean", False), ("calibrated_speaker", True)):
        table = tests[name]
        for row in (0, 13):
            file = table.file[row]
            assert (table.speaker[row], table.emotion[row]) == (speakers[file], emotions[file])
            same = [own / path for path in table.file[table.speaker == table.speaker[row]]]
            voice = learn_voice(same, weights) if adapted else None
            expected = predict(own / file, weights, voice=voice).probabilities
            # The corpus holds the further features in half precision.
            for emotion, share in zip(table.emotions, table.probabilities[row], strict=True):
                assert share == pytest.approx(expected[emotion], abs=5e-3)


def test_the_report_can_be_written_again_and_compared(evaluated, call_command):
    done, run = evaluated
    before = read_json(run / "metrics.json")
    assert before.items() >= summarise(read_predictions(run / "predictions.csv")).items()
    report = (run / "report.md").read_text()
    for name in ("metrics.json", "report.md"):
        (run / name).unlink()
    again = call_command("train.py", "--report", run)
    assert (again.stdout, again.stderr) == (done.stdout.splitlines(keepends=True)[0], "")
    assert read_json(run / "metrics.json") == before
    assert (run / "report.md").read_text() == report
    compared = call_command("train.py", "--compare", run, run)
    assert "on 24 utterances tested in both" in compared.stdout
    resumed = call_command("train.py", "--resume", run)
    assert (resumed.returncode, resumed.stdout) == (1, "")
    assert "trains nothing; run evaluate.py again instead" in resumed.stderr


def test_two_processes_give_the_same_as_one(data, run_command, tmp_path):
    for processes in "12":
        options = ("--processes", processes, "--run", tmp_path / processes, "--adapt", 3)
        done = run_command("evaluate.py", "--data", data, *options)
        assert done.returncode == 0, done.stderr
    for name in ("predictions.csv", "predictions_calibrated_3.csv", "report.md"):
        assert (tmp_path / "1" / name).read_text() == (tmp_path / "2" / name).read_text()


def test_several_corpora_are_tested_in_conditions_and_adapted(own, data, evaluate, tmp_path):
    options = ("--conditions", "quiet", "--adapt", "speaker", 2, "--run", tmp_path / "run")
    for path in own.glob("own_*.p"):
        shutil.copy(path, tmp_path / path.name.replace("own", "other"))
    done = evaluate("--data", own / "own", tmp_path / "other", *options, "--quiet")
    assert done.returncode == 0, done.stderr
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert metrics["test_data"] == ["own", "other"]
    assert metrics["utterances"] == 48
    assert metrics["tests"].keys() == {"quiet", "calibrated_speaker", "calibrated_2"}
    files = [row["file"] for row in read_rows(tmp_path / "run" / "predictions_quiet.csv")]
    assert len({file for file in files if file.startswith("other/")}) == 24
    # Each in a line, and their mean.
    names = [line.partition(":")[0] for line in done.stdout.splitlines()[:-1]]
    run = "weights_blstm_hyperas_1.h5 on own and other"
    assert names == ["other", "own", f"{run}, mean of 2 corpora"]
    assert metrics["corpora"]["own"]["measures"] == metrics["corpora"]["other"]["measures"]
    assert metrics["corpora"]["own"]["tests"].keys() == metrics["tests"].keys()


def test_the_classes_are_those_of_the_weights(own, weights, evaluate, tmp_path):
    emotions = ("surprise", "calm", *weights.emotions[:5])
    write_weights(tmp_path / "w.h5", replace(weights, emotions=emotions, scores=[]))
    options = ("--weights", tmp_path / "w.h5", "--run", tmp_path / "run")
    done = evaluate("--data", own / "own", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("w.h5 on own: WA ")
    assert "left out 12 of " in done.stderr
    assert done.stderr.endswith("not trained on: sadness\n")
    assert read_predictions(tmp_path / "run" / "predictions.csv").emotions == emotions
    report = (tmp_path / "run" / "report.md").read_text()
    assert "does not say what its networks were trained on" in report


# What the weights were trained on


@pytest.mark.parametrize("together", [False, True])
def test_a_corpus_that_was_trained_on_is_recognised(
    together, data, own, weights, evaluate, tmp_path
):
    names = [data, own / "own"] if together else [data]
    tables = [table for name in names for table in read_corpus(name).frames]
    statistics = measure_statistics(tables).take(weights.columns)
    write_weights(tmp_path / "w.h5", replace(weights, statistics=statistics))
    options = ("--weights", tmp_path / "w.h5", "--run", tmp_path / "run")
    done = evaluate("--data", data, own / "own", *options)
    assert done.returncode == 0, done.stderr
    seen = f"{data} and {own / 'own'}" if together else data
    assert f"note: the networks were trained on the recordings of {seen}\n" in done.stderr
    assert (
        "**The networks were trained on the recordings of berlin"
        in (tmp_path / "run" / "report.md").read_text()
    )


def test_a_corpus_of_the_same_name_may_have_been_trained_on(data, evaluate, tmp_path):
    done = evaluate("--data", data, "--run", tmp_path / "run")
    assert (done.returncode, done.stderr) == (0, "")
    report = (tmp_path / "run" / "report.md").read_text()
    assert "The networks were trained on berlin. If that berlin has recordings in" in report


def test_the_shipped_weights_know_emodb(corpus, weights):
    from evaluate import find_seen
    from utility.evaluation.material import read_tested

    assert find_seen(read_tested(["berlin"], weights.emotions, print), weights) == ["berlin"]


# Speakers


def test_without_speakers_there_is_no_adaptation_and_no_interval(own, evaluate, tmp_path):
    corpus = read_corpus(own / "own")
    write_corpus(tmp_path / "anonymous", replace(corpus, speaker=corpus.file))
    options = ("--data", tmp_path / "anonymous", "--run", tmp_path / "run")
    done = evaluate(*options)
    assert done.returncode == 0, done.stderr
    assert "note: no test with speaker adaptation, since there are utterances" in done.stderr
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert (metrics["tests"], metrics["speakers"]) == ({}, {})
    assert metrics["measures"]["weighted_accuracy"]["interval"] is None
    assert "of anonymous, speakers unknown, " in (tmp_path / "run" / "report.md").read_text()
    shutil.rmtree(tmp_path / "run")
    asked = evaluate(*options, "--adapt", "speaker")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "--adapt speaker: there are utterances without a speaker; omit it" in asked.stderr
    assert not (tmp_path / "run").exists()


def test_networks_that_are_not_trained_for_it_are_not_adapted(own, weights, evaluate, tmp_path):
    hyperparameters = replace(weights.hyperparameters, adapted_share=0)
    write_weights(tmp_path / "w.h5", replace(weights, hyperparameters=hyperparameters))
    options = ("--data", own / "own", "--weights", tmp_path / "w.h5", "--run", tmp_path / "run")
    asked = evaluate(*options, "--adapt", 2)
    assert asked.returncode == 2
    assert "not trained for it; omit it" in asked.stderr
    assert evaluate(*options).returncode == 0
    assert read_json(tmp_path / "run" / "metrics.json")["tests"] == {}


# Errors


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "required: --data"),
        (["--data", "/no/such/folder/my"], 2, "folder that exists"),
        (["--data", "berlin", "berlin"], 2, "of different names"),
        (["--data", *map(str, range(101))], 2, "give 100 corpora or fewer"),
        (["--data", "berlin", "--processes", "0"], 2, "give 1 or more"),
        (["--data", "berlin", "--run", ROOT], 2, "exists; give a new folder"),
        (["--data", "berlin", "--audio", "/no/such/folder"], 2, "give a folder that exists"),
        (["--data", "berlin", "--audio", ROOT], 2, "only --conditions needs recordings"),
        (["--data", "berlin", "my", "--audio", ROOT], 2, "goes with a single corpus"),
        (["--data", "berlin", "--conditions", "hail"], 2, "invalid choice"),
        (
            ["--data", "berlin", "--adapt", "0"],
            2,
            "--adapt 0: give speaker or emotion, or a number",
        ),
        (["--data", "missing"], 1, "missing: no corpus of that name"),
        (["--data", "berlin", "--weights", "none.h5"], 3, "none.h5: no such weights file"),
        (["--data", "berlin", "--weights", ROOT / "LICENSE"], 3, "LICENSE: not a weights file"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_folder(options, code, message, evaluate, tmp_path):
    run = [] if "--run" in options else ["--run", tmp_path / "run"]
    done = evaluate(*options, *run)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_weights_that_do_not_fit_their_network_are_named(own, weights, evaluate, tmp_path):
    write_weights(tmp_path / "w.h5", weights)
    with h5py.File(tmp_path / "w.h5", "r+") as file:
        del file["member_2"]
    done = evaluate("--data", own / "own", "--weights", tmp_path / "w.h5", "--run", tmp_path / "r")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"evaluate.py: {tmp_path / 'w.h5'}: not a weights file" in done.stderr
    assert not (tmp_path / "r").exists()
