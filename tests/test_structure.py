"""The structure."""

import re

import pytest

from made import DEMO


@pytest.mark.parametrize("script", ["predict.py", "train.py", "dataset.py"])
def test_help_has_usage_examples_options_and_imports_nothing_heavy(script, run_command):
    done = run_command("-X", "importtime", script, "--help")
    assert done.returncode == 0
    usage, examples, options = re.split("\nexamples:\n|\noptions:\n", done.stdout)
    assert usage.startswith(f"usage: {script} ")
    assert len(re.findall(rf"^ .*python {script}", examples, re.MULTILINE)) in (2, 3, 4)
    assert options.startswith("  -h, --help ")
    assert not re.search(r"\(default: (None|False|\[.*\]|/.*)\)", " ".join(options.split()))
    heavy = ("tensorflow", "keras", "librosa", "sklearn", "hyperopt")
    for module in (*heavy, *["numpy"] * (script == "predict.py")):
        assert not re.search(rf"\| +{module}\b", done.stderr), module


def test_prediction_imports_no_tensorflow(run_command):
    done = run_command("-X", "importtime", "predict.py", DEMO)
    assert done.returncode == 0
    assert "soundfile" in done.stderr
    for module in ("tensorflow", "keras", "librosa", "scipy", "sklearn"):
        assert not re.search(rf"\| +{module}\b", done.stderr), module
