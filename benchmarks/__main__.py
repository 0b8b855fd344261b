"""Measure speed and memory compared with other programs, print a table, and write results.json.

python -m benchmarks [--only NAME] [--audio DIR]
"""

import json
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.table import format_results
from experiments.parser import make_emodb_parser
from utility.command_line import Parser, print_message, run
from utility.corpora.published import require_recordings_folder
from utility.errors import UsageError
from utility.parallel import core_count

RESULTS_PATH = Path(__file__).parent / "results.json"
NAMES = ("features", "clip", "folder", "training", "growth", "extraction", "training growth")
NAMES += ("spark", "spark training")
PACKAGES = (
    *("numpy", "scipy", "h5py", "soundfile", "soxr", "tensorflow", "keras", "librosa"),
    *("pyAudioAnalysis", "opensmile", "pyspark"),
)


def describe_machine() -> dict:
    """Return the date, processor, system and package versions of a measurement."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": read_processor(),
        "cores": core_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def read_processor() -> str:
    """Return the name and model number of the processor, as far as the system knows them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    return f"{fields.get('model name', 'unknown')}, model {fields.get('model', '?')}"


def build_parser() -> Parser:
    """Describe the command line."""
    description = (
        "Measure speed and memory compared with other programs; all takes hours, and 9 GB of disk "
        "to train with 10,000 clips."
    )
    parser = make_emodb_parser("benchmarks", description, RESULTS_PATH)
    parser.add_argument(
        "--only", choices=NAMES, action="append", metavar="NAME",
        help=f"one of {', '.join(NAMES)}; may be repeated; the results of the others are kept",
    )  # fmt: skip
    return parser


def main(arguments) -> None:
    """Measure case by case, and update the results after each."""
    try:
        from benchmarks.cases import CASES
    except ImportError as error:
        raise UsageError(f"{error}; pip install -r requirements-bench.txt") from error
    audio = Path(arguments.audio or require_recordings_folder()).resolve()
    if not any(audio.glob("*.wav")):
        raise UsageError(
            f"--audio {audio}: has no .wav files; give the folder of the EmoDB recordings"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    output = arguments.output
    results = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    for name in arguments.only or NAMES:
        print_message("benchmarks", f"measuring {name}")
        try:
            rows = CASES[name](audio)
        except ImportError as error:
            raise UsageError(f"{error}; pip install -r requirements-bench.txt") from error
        results[name] = {"machine": describe_machine(), "rows": [row._asdict() for row in rows]}
        results = {key: results[key] for key in NAMES if key in results}
        text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
        output.write_text(text, encoding="utf-8")
        print(format_results({name: results[name]}), flush=True)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
