"""Spark's context: what it needs, what it is called, and what it leaves."""

import os
import signal
import sys

import pytest

from made import DEMO
from utility.errors import UsageError
from utility.spark import context as contexts
from utility.spark.context import (
    count_attempts,
    find_setup_problem,
    list_own_settings,
    open_context,
    zip_program,
)


def test_without_java_the_user_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(UsageError, match="Java is not installed; install Java 17"):
        contexts.check_installed()


def test_java_may_be_named_by_java_home(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(mode=0o755)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(contexts, "find_spec", lambda name: name)
    contexts.check_installed()


def test_without_pyspark_the_user_is_told_how_to_install_it(monkeypatch):
    monkeypatch.setattr(contexts.shutil, "which", lambda *_, **__: "java")
    monkeypatch.setattr(contexts, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"install it with: .* -r .*requirements-spark\.txt$"):
        contexts.check_installed()


@pytest.mark.parametrize(
    ("master", "counted"),
    [
        ("local", "local[1,4]"),
        ("local[2]", "local[2,4]"),
        ("local[*]", "local[*,4]"),
        ("local[2,1]", "local[2,1]"),
        ("spark://host:7077", "spark://host:7077"),
    ],
)
def test_a_task_is_tried_again_on_this_machine_too(master, counted):
    assert count_attempts(master) == counted


def test_the_program_can_be_imported_from_its_zip(run_command, tmp_path):
    path = zip_program(tmp_path / "utility.zip")
    code = "import sys; sys.path[:] = [sys.argv[1], *sys.path[1:]]\n"
    code += "from utility.spark import mapping; print(mapping.__file__)"
    done = run_command("-c", code, path, cwd=tmp_path)
    assert done.stdout.startswith(f"{path}/utility/spark/mapping."), done.stderr


def test_the_settings_of_the_user_are_known_before_java_starts(monkeypatch, tmp_path):
    lines = ["# comment", "", "spark.driver.memory   2g", "spark.ui.enabled=true", "spark.a: b"]
    (tmp_path / "spark-defaults.conf").write_text("\n".join(lines))
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    words = "--name mine --conf spark.task.maxFailures=7 --driver-memory 1g pyspark-shell"
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", words)
    expected = {"spark.driver.memory", "spark.ui.enabled", "spark.a"}
    assert expected <= list_own_settings()
    assert {"spark.app.name", "spark.task.maxFailures"} <= list_own_settings()
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("PYSPARK_SUBMIT_ARGS")
    assert list_own_settings() == set()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "Traceback (most recent call last):\n  File x\n    f()\nImportError: no y\n\n\tat z",
            "ImportError: no y",
        ),
        (
            'a\njava.io.IOException: Cannot run program "p": error=2, No',
            'Cannot run program "p": error=2',
        ),
        ("Traceback (most recent call last):\n  File x\nMemoryError\n", None),
        ("Python worker exited unexpectedly (crashed)", None),
    ],
)
def test_what_keeps_a_worker_from_the_program_is_told_from_a_death(text, reason):
    problem = find_setup_problem(RuntimeError(text))
    assert (problem is None) if reason is None else f"({reason}); PYSPARK_PYTHON" in problem


@pytest.mark.spark
@pytest.mark.parametrize("has_python", [True, False])
def test_a_python_that_lacks_packages_is_one_line_before_anything_else(
    has_python, run_command, tmp_path, monkeypatch
):
    python = tmp_path / "python"
    if has_python:
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
        python.chmod(0o755)
    monkeypatch.setenv("PYSPARK_PYTHON", str(python))
    output = tmp_path / "results"
    done = run_command("predict.py", "--spark", "local[1]", "--output", output, DEMO)
    assert (done.returncode, done.stdout) == (2, "")
    reason = "No module named" if has_python else f'Cannot run program "{python}"'
    assert reason in done.stderr
    assert "PYSPARK_PYTHON must name a Python 3." in done.stderr
    assert done.stderr.count("\n") == 1
    assert not output.exists()


@pytest.mark.spark
def test_what_the_user_sets_goes_before_what_the_program_does(run_command, tmp_path, monkeypatch):
    (tmp_path / "spark-defaults.conf").write_text("spark.driver.memory 1500m\n")
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    code = "from utility.spark.context import open_context\n"
    code += "with open_context('local[1]') as context:\n"
    code += "    print(context.getConf().get('spark.driver.memory'))"
    assert run_command("-c", code).stdout == "1500m\n"


@pytest.mark.spark
@pytest.mark.parametrize("master", ["nonsense", "spark://127.0.0.1:1"])
def test_a_master_that_does_not_answer_is_one_line_before_anything_else(master, run_command):
    done = run_command("train.py", "--evaluate", "loso", "--spark", master)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"train.py: --spark {master}: Spark cannot be started; check")
    assert done.stderr.count("\n") == 1


@pytest.mark.spark
def test_a_context_is_of_this_machine_alone_and_leaves_signals_as_they_were():
    before = signal.getsignal(signal.SIGINT)
    with open_context("local[1]") as context:
        conf = context.getConf()
        assert conf.get("spark.driver.bindAddress") == "127.0.0.1"
        assert conf.get("spark.ui.enabled") == "false"
        assert os.environ["PYSPARK_PYTHON"] == sys.executable
        assert signal.getsignal(signal.SIGINT) is before
