"""The four recipes of CONTRIBUTING.md: each is a change of one file, or of two for a layer.

The changes are read from CONTRIBUTING.md and applied to copies of the project. Their commands
share one process, which imports TensorFlow once.
"""

import json
import re

import h5py
import numpy as np
import pytest

from made import DEMO, TINY, speak, write_emodb
from utility.globalvars import ROOT, WEIGHTS_PATH

RECIPES = {
    "Add a feature": ["utility/furtherFeatures.py"],
    "Add an augmentation": ["utility/corpora/augmentation.py"],
    "Add a corpus": ["utility/corpora/naming.py"],
    "Add a layer": [f"utility/network/{name}.py" for name in ("model", "inference", "layout")],
}
QUICK = ("--max-evals", 0, "--epochs", 1, "--set", *(f"{k}={v}" for k, v in TINY.items()))
QUICK += ("temperature_scaling=false", "augmented_copies=0")
AUDIO = ("--audio", "audio")


def read_recipe(title):
    """Return the lines of a recipe."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.split(r"\n#+ ", text.partition(f"\n### {title}\n")[2])[0].strip().splitlines()


def read_changes(title):
    """Return the changes of a recipe: files, and pairs of their lines before and after."""
    changes = {}
    for path, block in re.findall(
        r"```diff\n--- (\S+)\n(.*?)\n```", "\n".join(read_recipe(title)), re.DOTALL
    ):
        lines = block.split("\n")
        before, after = (
            "".join(f"{line[1:]}\n" for line in lines if line[:1] != sign) for sign in "+-"
        )
        changes.setdefault(path, []).append((before, after))
    return changes


@pytest.fixture(scope="module")
def run(start_session):
    """Return a function that runs a command line in the process that all recipes share."""
    return start_session()


@pytest.fixture
def follow(copy_project, run, tmp_path):
    """Return a function that changes a copy of the project as a recipe says, and enters it."""

    def follow(title, only=None):
        copy_project(tmp_path)
        for path, pairs in read_changes(title).items():
            if only in (None, path):
                text = (tmp_path / path).read_text(encoding="utf-8")
                for before, after in pairs:
                    assert text.count(before) == 1, before
                    text = text.replace(before, after)
                (tmp_path / path).write_text(text, encoding="utf-8")
        write_emodb(tmp_path / "audio", takes=("a01a",))
        run("cd", tmp_path)
        return tmp_path

    return follow


@pytest.fixture
def succeed(run):
    """Return a function that runs a command line, which must succeed, and returns its output."""

    def succeed(*words):
        code, output, errors = run(*words)
        assert (code, "defect" in errors) == (0, False), errors
        return output

    return succeed


def predict(succeed, weights):
    """Return the probabilities that some weights give the demo."""
    output = succeed("predict.py", "--json", "--weights", weights, DEMO)
    return json.loads(output)["probabilities"]


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_is_short_and_changes_only_its_files(title):
    assert [*read_changes(title)] == RECIPES[title]
    lines = [line for line in read_recipe(title) if line and not line.startswith("```")]
    assert len(lines) <= 10


def test_a_feature_is_extracted_trained_on_and_predicted_with(follow, succeed, call_command):
    project = follow("Add a feature")
    assert "frames of 67 features" in succeed("dataset.py", "extract", *AUDIO)
    succeed("train.py", *QUICK, "--output", "new.h5")
    with h5py.File(project / "new.h5") as file:
        *_, added = json.loads(file.attrs["feature_names"])
        assert added == "low_power"
        assert file.attrs["normalisation_deviation"][-1] > 0.01
    assert sum(predict(succeed, "new.h5").values()) == pytest.approx(1, abs=1e-3)
    # Weights that were trained without the feature predict as before.
    before = call_command("predict.py", "--json", DEMO)
    assert predict(succeed, WEIGHTS_PATH) == json.loads(before.stdout)["probabilities"]


def test_an_augmentation_can_be_trained_with(follow, succeed):
    project = follow("Add an augmentation")
    succeed("dataset.py", "extract", *AUDIO)
    settings = ("augmentations=fade", "augmented_copies=1")
    succeed("train.py", *QUICK, *settings, *AUDIO, "--output", "new.h5", "--run", "run")
    config = json.loads((project / "run" / "config.json").read_text())
    assert config["copies"] == 4
    assert config["hyperparameters"]["augmentations"] == ["fade"]
    kept = {path.name.split("_")[0] for path in (project / "variants" / "berlin").iterdir()}
    assert kept == {"fade 1", "fade 2", "fade 3", "fade 4"}


def test_a_corpus_is_read_from_its_file_names(follow, succeed):
    project = follow("Add a corpus")
    for number, emotion in enumerate(("ang", "neu", "sad")):
        for speaker in ("p01", "p02"):
            speak(project / "sounds" / f"{emotion}_{speaker}_s05.wav", number)
    output = succeed("dataset.py", "extract", "--corpus", "mine", "--audio", "sounds")
    assert output.startswith("6 utterances")
    rows = [line.split() for line in output.splitlines()]
    for row in (["anger", "2"], ["neutral", "2"], ["sadness", "2"], ["P01", "3"], ["s05", "6"]):
        assert row in rows


def test_a_layer_in_both_definitions_is_trained_and_predicted_with(follow, run, succeed):
    project = follow("Add a layer")
    succeed("dataset.py", "extract", *AUDIO)
    succeed("train.py", *QUICK, "--output", "new.h5")
    with h5py.File(project / "new.h5") as file:
        kernel = file["member_1/dense_2/kernel"][()]
    assert kernel.shape == (TINY["dense_units"], TINY["dense_units"])
    assert np.abs(kernel).max() > 0
    assert sum(predict(succeed, "new.h5").values()) == pytest.approx(1, abs=1e-3)
    # Weights that were trained without the layer are refused.
    code, output, errors = run("predict.py", DEMO)
    assert (code, output) == (3, "")
    assert "not a weights file of this project (lacks member_1/dense_2/bias)" in errors


def test_a_layer_in_keras_alone_ends_the_training(follow, run, succeed):
    project = follow("Add a layer", only="utility/network/model.py")
    succeed("dataset.py", "extract", *AUDIO)
    code, output, errors = run("train.py", *QUICK, "--output", "new.h5")
    assert (code, output) == (3, "")
    assert re.search(r"inference\.py does not read .*dense_2/kernel", errors)
    assert not (project / "new.h5").exists()
