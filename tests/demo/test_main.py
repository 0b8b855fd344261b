"""The command that serves the page, as a user and as a Hugging Face Space starts it."""

import importlib.util
import os
import re
import shutil
import socket
import urllib.error
import urllib.request
from fnmatch import fnmatch
from pathlib import Path

import pytest

from demo.__main__ import remove_old_files
from serving import end_page, start_page
from utility.globalvars import ROOT

needs_gradio = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="needs requirements-demo.txt"
)


def read_text(name):
    """Return a document with all line breaks as blanks."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def list_requirements(name):
    """Return the packages that a file of requirements lists."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line[:1].isalpha()}


def fetch(address):
    """Return what is at an address."""
    with urllib.request.urlopen(address, timeout=60) as response:
        return response.read().decode()


def test_without_gradio_it_says_what_to_install(run_command, tmp_path):
    (tmp_path / "gradio.py").write_text("raise ModuleNotFoundError('no gradio here')\n")
    done = run_command("-m", "demo", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "python -m demo: no gradio here; pip install -r requirements-demo.txt\n"


def test_help_tells_the_options(run_command):
    done = run_command("-m", "demo", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--host ADDRESS" in done.stdout


def test_the_requirements_are_those_of_prediction_and_pictures_and_gradio():
    others = list_requirements("requirements-predict.txt") | list_requirements("requirements.txt")
    added = list_requirements("requirements-demo.txt") - others
    assert list_requirements("requirements-predict.txt") < list_requirements(
        "requirements-demo.txt"
    )
    assert {re.split("[<>]", line)[0] for line in added} == {"gradio", "pandas"}


def test_what_it_is_not_for_are_sentences_of_the_model_card():
    text = read_text("demo/page.py")
    card = read_text("MODEL_CARD.md")
    for part in (
        "hiring, policing, education, insurance, medicine, or any monitoring",
        "of people who have not agreed to it.",
        "The model judges how a voice sounds",
        "expect far lower accuracy",
    ):
        assert part in text
        assert part in card


@pytest.mark.parametrize("where", [("--port", 99999), ("--host", "203.0.113.1")])
def test_an_address_that_is_not_of_this_machine_is_refused(where, run_command):
    done = run_command("-m", "demo", *where)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"python -m demo: --host and --port: .*; give others\n", done.stderr)


@pytest.mark.parametrize(("option", "message"), [("--runs", "runs"), ("--audio", "recordings")])
def test_a_folder_that_is_none_is_refused(option, message, run_command, tmp_path):
    done = run_command("-m", "demo", option, tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"python -m demo: {option} \S+: .*{message}.*\n", done.stderr)


def test_uploads_are_removed_when_they_are_old(tmp_path):
    old, new = tmp_path / "old/clip.wav", tmp_path / "new/clip.wav"
    for path in (old, new):
        path.parent.mkdir()
        path.touch()
    os.utime(old, (0, 0))
    remove_old_files(tmp_path)
    assert new.exists()
    assert not old.exists()


def test_a_port_that_is_taken_is_refused(run_command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_command("-m", "demo", "--port", taken.getsockname()[1])
    assert (done.returncode, done.stdout) == (2, "")
    assert "in use" in done.stderr


@needs_gradio
def test_it_listens_here_only_gives_out_no_files_and_leaves_no_uploads_behind(tmp_path):
    process, address = start_page(env=os.environ | {"TMPDIR": str(tmp_path)})
    try:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/?", address)
        assert "What emotion does a voice carry?" in fetch(address)
        assert any(tmp_path.iterdir())
        with pytest.raises(urllib.error.HTTPError, match="403"):
            fetch(f"{address.rstrip('/')}/gradio_api/file={ROOT / 'README.md'}")
    finally:
        code, rest = end_page(process)
    assert (code, rest) == (143, "demo: interrupted\n")
    assert not any(tmp_path.iterdir())


@needs_gradio
def test_the_files_that_the_document_names_are_a_space(tmp_path):
    text = (ROOT / "docs/demo.md").read_text(encoding="utf-8")
    patterns = re.findall(r'--include "([^"]+)"', text)
    names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.*") if path.is_file()]
    for name in names:
        if any(fnmatch(name, pattern) for pattern in patterns):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    (app,) = re.findall("app_file: (.+)", (tmp_path / "demo/README.md").read_text())
    environment = os.environ | {"SPACE_ID": "me/mine", "GRADIO_SERVER_NAME": "0.0.0.0"}
    process, address = start_page(command=[app], cwd=tmp_path, env=environment)
    port = address.rstrip("/").rpartition(":")[2]
    try:
        assert "What emotion does a voice carry?" in fetch(f"http://127.0.0.1:{port}")
    finally:
        end_page(process)
    assert {Path(name).parts[0] for name in names if Path(tmp_path, name).exists()} == {
        *("demo", "utility", "data", "results", "weights_any_voice.h5"),
        "weights_blstm_hyperas_1.h5",
    }
