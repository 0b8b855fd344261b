"""The folder of a run that somebody else has filled."""

import json
import os
import shutil

import pytest

from made import list_rows, make_predictions
from utility.errors import DataError
from utility.evaluation.results import check_files, read_result
from utility.functions import read_csv, write_csv
from utility.globalvars import ROOT
from utility.network.hyperparameters import PRESETS
from utility.reports.measures import CLEAN, read_tests
from utility.reports.report import read_chosen

ROW = {"file": "a.wav", "speaker": "03", "emotion": "anger", "fold": "a", "seed": "0", "anger": "1"}
EPOCH = {"fold": "a", "seed": 0, "epoch": 1, "loss": 1.5, "accuracy": 0.5}
RESULT = {
    **{"fold": "a", "seed": 0, "predictions": {CLEAN: [ROW]}, "trials": [], "epochs": 3},
    **{"hyperparameters": vars(PRESETS["default"]), "temperature": 1.0, "history": [EPOCH]},
}


def write_result(folder, **changes):
    """Write the result of a fold; return its path."""
    path = folder / "seed 0, a.json"
    path.write_text(json.dumps(RESULT | changes))
    return path


def test_the_result_of_a_fold_is_read(tmp_path):
    assert read_result(write_result(tmp_path), [CLEAN])["epochs"] == 3


@pytest.mark.parametrize(
    "changes",
    [
        # The name of a test becomes that of a file.
        {"predictions": {CLEAN: [ROW], "/../../../other": [ROW]}},
        {"predictions": {}},
        {"predictions": {CLEAN: []}},
        {"predictions": {CLEAN: [ROW | {"seed": "x"}]}},
        {"predictions": {CLEAN: [ROW, {"file": "b.wav"}]}},
        {"predictions": {CLEAN: [ROW | {"speaker": ["a"]}]}},
        {"predictions": [CLEAN]},
        {"history": []},
        {"history": [EPOCH, EPOCH | {"more": 1}]},
        {"history": [EPOCH | {"loss": "x"}]},
        {"history": [EPOCH | {"validation_loss": "x"}]},
        {"history": [EPOCH | {"loss": 10**400}]},
        {"history": [EPOCH | {"fold": 0}]},
        {"history": [EPOCH | {"\ud800": 1}]},
        {"predictions": {CLEAN: [ROW, ROW | {"file": 5}]}},
        {"predictions": {CLEAN: [ROW | {"speaker": "\ud800"}]}},
        {"predictions": {CLEAN: [ROW | {"file": "a\0.wav"}]}},
        {"predictions": {CLEAN: [ROW | {"emotion": "joy"}]}},
        {"predictions": {CLEAN: [ROW | {"anger": "nan"}]}},
        {"trials": False},
        {"trials": [{"fold": "a"}]},
        {"trials": 1},
        {"epochs": 1e9},
        {"seed": "0"},
        {"hyperparameters": {"layers": 3}},
        {"hyperparameters": None},
    ],
)
def test_anything_else_is_named_with_the_remedy(changes, tmp_path):
    path = write_result(tmp_path, **changes)
    with pytest.raises(DataError, match="remove it to train the fold again") as raised:
        read_result(path, [CLEAN])
    assert str(raised.value).startswith(f"{path}: not the result of a fold of this run (")


def test_losses_that_are_not_finite_and_names_that_are_not_utf_8_are_no_damage(tmp_path):
    history = [EPOCH | {"loss": float("nan"), "validation_loss": float("inf")}]
    rows = [ROW | {"speaker": "\udcff"}]
    path = write_result(tmp_path, history=history, predictions={CLEAN: rows})
    assert read_result(path, [CLEAN])["predictions"][CLEAN] == rows


@pytest.mark.parametrize("content", ["", "[]", "{}", 100_000 * "[", "\0"])
def test_json_of_something_else_is_named(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match="not the result of a fold"):
        read_result(tmp_path / "a.json", [CLEAN])


def test_a_report_does_not_replace_what_a_link_leads_to(tmp_path, call_command):
    (tmp_path / "other").write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.md").symlink_to(tmp_path / "other")
    for option in (("--report",), ("--resume",), ("--compare", tmp_path / "run")):
        done = call_command("train.py", *option, tmp_path / "run")
        assert (done.returncode, done.stdout) == (1, "")
        assert "report.md: is a link, pipe or device" in done.stderr
    assert (tmp_path / "other").read_text() == "precious"


@pytest.mark.parametrize("name", ["report.md", "folds/seed 0, a.json", "folds"])
def test_links_and_pipes_in_a_run_are_refused(name, tmp_path):
    path, other = tmp_path / "run" / name, tmp_path / "other"
    path.parent.mkdir(parents=True)
    other.write_text("precious")
    check_files(tmp_path / "run")
    path.symlink_to(other)
    with pytest.raises(DataError, match="is a link, pipe or device"):
        check_files(tmp_path / "run")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match="is a link, pipe or device"):
        check_files(tmp_path / "run")


@pytest.fixture
def predicted(tmp_path):
    """Return the rows of a table of predictions that lies in a folder."""
    rows = list_rows(make_predictions(seeds=2))
    write_csv(tmp_path / "predictions.csv", rows)
    assert [*read_tests(tmp_path)] == [CLEAN]
    return rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [row | {"seed": "x"} for row in rows], "seeds that are not whole"),
        (lambda rows: [row | {"seed": "9999999999"} for row in rows], "numbers up to 4294967295"),
        (lambda rows: [rows[0] | {"seed": str(k)} for k in range(1001)], "more than 1000 seeds"),
        (lambda rows: [row | {"corpus": row["file"]} for row in rows], "more than 100 corpora"),
        # Each name would take as much memory as the longest.
        (
            lambda rows: (
                [rows[0] | {"file": f"{k:099999}"} for k in range(2)]
                + [rows[0] | {"file": str(k)} for k in range(1400)]
            ),
            "a cell that is too long",
        ),
        (lambda rows: [row | {"anger": "1e308"} for row in rows], "not from 0 to 1"),
        (lambda rows: rows[1:], "seeds of other utterances"),
        (lambda rows: [*rows, rows[0]], "seeds of other utterances"),
        (lambda rows: [*rows[1:], rows[0] | {"speaker": "x"}], "seeds of other utterances"),
        # Tables of 2,000 emotions would take gigabytes.
        (
            lambda rows: [rows[0] | {f"emotion {i}": "0" for i in range(2000)}],
            "probabilities of 2007 emotions",
        ),
    ],
)
def test_predictions_that_cannot_be_measured_are_named(change, message, predicted, tmp_path):
    write_csv(tmp_path / "predictions.csv", change(predicted))
    with pytest.raises(DataError, match=rf"predictions\.csv: .*{message}"):
        read_tests(tmp_path)


def test_tests_of_other_corpora_are_named(predicted, tmp_path):
    write_csv(tmp_path / "predictions_noise.csv", [row | {"corpus": "a"} for row in predicted])
    with pytest.raises(DataError, match=r"predictions_noise\.csv: of other corpora"):
        read_tests(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "fold,seed\na,0\na,0\n", "fold,seed,trial,validation_loss\na,0,1,x\na,0,2,y\n"]
)
def test_a_damaged_table_of_trials_is_named(content, tmp_path):
    (tmp_path / "trials.csv").write_text(content)
    with pytest.raises(DataError, match=r"trials\.csv: not a table of trials"):
        read_chosen(tmp_path)


def test_a_report_that_cannot_be_written_leaves_all_old_files(tmp_path, call_command):
    run = shutil.copytree(ROOT / "results" / "loso", tmp_path / "run")
    (run / "trials.csv").write_text("fold,seed\na,0\na,0\n")
    old = dict.fromkeys(("metrics.json", "confusion.png", "report.md"), b"old")
    for name, content in old.items():
        (run / name).write_bytes(content)
    done = call_command("train.py", "--report", run)
    assert (done.returncode, done.stdout) == (1, "")
    assert "trials.csv: not a table of trials" in done.stderr
    assert {name: (run / name).read_bytes() for name in old} == old


def test_names_that_are_not_utf_8_are_kept(tmp_path):
    rows = [{"file": os.fsdecode(b"Gr\xfc\xdfe/a.wav")}]
    write_csv(tmp_path / "a.csv", rows)
    assert read_csv(tmp_path / "a.csv") == (["file"], rows)
    assert b"Gr\xfc\xdfe" in (tmp_path / "a.csv").read_bytes()
