"""Sessions of Spark: what they need, what they are called, and what they leave."""

import os
import signal
import sys

import pytest

from utility.errors import UsageError
from utility.spark import session as sessions
from utility.spark.session import count_attempts, open_session, zip_program


def test_without_java_the_user_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(UsageError, match="Java is not installed; install Java 17"):
        sessions.check_installed()


def test_java_may_be_named_by_java_home(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(mode=0o755)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(sessions, "find_spec", lambda name: name)
    sessions.check_installed()


def test_without_pyspark_the_user_is_told_how_to_install_it(monkeypatch):
    monkeypatch.setattr(sessions.shutil, "which", lambda *_, **__: "java")
    monkeypatch.setattr(sessions, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"install it with: .* -r .*requirements-spark\.txt$"):
        sessions.check_installed()


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


@pytest.mark.spark
@pytest.mark.parametrize("master", ["nonsense", "spark://127.0.0.1:1"])
def test_a_master_that_does_not_answer_is_one_line_before_anything_else(master, run_command):
    done = run_command("train.py", "--evaluate", "loso", "--spark", master)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"train.py: --spark {master}: Spark cannot be started; check")
    assert done.stderr.count("\n") == 1


@pytest.mark.spark
def test_a_session_is_of_this_machine_alone_and_leaves_signals_as_they_were():
    before = signal.getsignal(signal.SIGINT)
    with open_session("local[1]") as session:
        conf = session.sparkContext.getConf()
        assert conf.get("spark.driver.bindAddress") == "127.0.0.1"
        assert conf.get("spark.ui.enabled") == "false"
        assert os.environ["PYSPARK_PYTHON"] == sys.executable
        assert signal.getsignal(signal.SIGINT) is before
