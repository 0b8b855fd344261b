"""The structure: rooms that import in one direction, few modules in each, light commands."""

import ast
import re
from pathlib import Path

import pytest

from made import DEMO
from utility.globalvars import ROOT

UTILITY = ROOT / "utility"
SCRIPTS = ("predict.py", "train.py", "evaluate.py", "dataset.py")
# From which rooms the modules of a room may import; all may import from the root of utility/.
IMPORTABLE = {
    "": set(),
    "processes": {"processes"},
    "audio": {"audio"},
    "files": {"files"},
    "corpora": {"processes", "audio", "files", "corpora"},
    "voices": {"voices"},
    "network": {"files", "corpora", "voices", "network"},
    "reports": {"corpora", "network", "reports"},
    "evaluation": {"corpora", "voices", "network", "reports", "evaluation"},
    "prediction": {"processes", "audio", "voices", "network", "prediction"},
    "spark": {"processes", "audio", "corpora", "evaluation", "prediction", "spark"},
}
FOLDERS = [UTILITY, *(UTILITY / room for room in IMPORTABLE if room)]
MODULES = sorted(UTILITY.rglob("*.py"))
PROGRAMS = [
    path
    for folder in ("utility", "benchmarks", "demo", "experiments")
    for path in sorted((ROOT / folder).rglob("*.py"))
] + [ROOT / name for name in SCRIPTS]
MOST_MODULES = 8
LONGEST = {"train.py": 360, "README.md": 200}
HEAVY = ("tensorflow", "keras", "scipy", "librosa", "sklearn", "matplotlib", "hyperopt", "hyperas")


def parse(path):
    """Return the syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def list_imports(path):
    """Return the modules that a file imports anywhere, also inside functions, in full."""
    modules = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports relative to itself"
            # "from utility import parallel" names a module, "from utility.audio import x" does not.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules += names if node.module == "utility" else [node.module]
    return modules


def find_room(module):
    """Return the room of a module of utility/, "" for its root."""
    _, *parts = module.split(".")
    return parts[0] if parts and parts[0] in IMPORTABLE else ""


def test_the_rooms_are_all_there_are():
    folders = {path.name for path in UTILITY.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders == IMPORTABLE.keys() - {""}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_in_one_direction(path):
    room = path.relative_to(UTILITY).parent.as_posix().removeprefix(".")
    for module in list_imports(path):
        assert module.split(".")[0] not in ("predict", "train", "evaluate", "dataset", "tests"), (
            module
        )
        if module.split(".")[0] == "utility":
            assert find_room(module) in {"", *IMPORTABLE[room]}, module


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_folder_says_what_it_is_and_has_few_modules(folder):
    (docstring,) = parse(folder / "__init__.py").body
    assert isinstance(docstring.value.value, str)
    modules = [path.stem for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert 0 < len(modules) <= MOST_MODULES


@pytest.mark.parametrize("name", LONGEST)
def test_the_front_doors_stay_short(name):
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= LONGEST[name]


def test_only_tests_are_named_test():
    for path in PROGRAMS:
        functions = (node for node in ast.walk(parse(path)) if hasattr(node, "name"))
        assert not [node.name for node in functions if str(node.name).startswith("test_")], path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_tests_of_a_module_are_found_by_its_name(path):
    if path.name not in ("__init__.py", "globalvars.py", "errors.py"):
        folder = Path("tests") / path.parent.relative_to(UTILITY)
        assert (ROOT / folder / f"test_{path.name}").exists()


# What the commands import


def list_imported(done):
    """Return the packages and modules that a process with -X importtime imported."""
    return set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_imports_nothing_heavy(script, run_command):
    done = run_command("-X", "importtime", script, "--help")
    assert done.returncode == 0
    imported = list_imported(done)
    assert "argparse" in imported
    assert not imported & {*HEAVY, *["numpy"] * (script == "predict.py")}


def test_prediction_imports_neither_tensorflow_nor_another_heavy_package(run_command):
    done = run_command("-X", "importtime", "predict.py", DEMO)
    assert done.returncode == 0
    imported = list_imported(done)
    assert "soundfile" in imported
    assert not imported & {*HEAVY}


def test_weights_are_evaluated_without_tensorflow(own, run_command, tmp_path):
    options = ("--data", own / "own", "--run", tmp_path / "run", "--processes", 1)
    done = run_command("-X", "importtime", "evaluate.py", *options)
    assert done.returncode == 0, done.stderr
    imported = list_imported(done)
    assert "matplotlib" in imported
    assert not imported & {"tensorflow", "keras", "hyperopt", "hyperas"}
