"""Measure speed and memory beside others, print a table, write results.json.

python -m benchmarks [--only NAME] [--audio DIR]
"""

import json
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.table import as_table
from utility.command_line import Parser, add_debug_option, print_message, run
from utility.corpora.emodb import find_audio_directory
from utility.errors import UsageError
from utility.parallel import core_count

RESULTS_PATH = Path(__file__).parent / "results.json"
NAMES = ("features", "clip", "folder", "training", "growth", "extraction")
PACKAGES = (
    *("numpy", "scipy", "h5py", "soundfile", "soxr", "tensorflow", "keras", "librosa"),
    *("pyAudioAnalysis", "opensmile"),
)


def describe_machine() -> dict:
    """Say on what was measured."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": processor(),
        "cores": core_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def processor() -> str:
    """Return the processor's name and number, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    return f"{fields.get('model name', 'unknown')}, model {fields.get('model', '?')}"


def build_parser() -> Parser:
    """Describe the command line."""
    parser = Parser(
        prog="benchmarks",
        description="Measure speed and memory beside others; a quarter of an hour for all.",
        examples=("python -m benchmarks", "python -m benchmarks --only features"),
    )
    parser.add_argument(
        "--only", choices=NAMES, action="append", metavar="NAME", help=f"one of {', '.join(NAMES)}"
    )
    parser.add_argument(
        "--audio", type=Path, metavar="DIR", help="folder of EmoDB, as for dataset.py"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=RESULTS_PATH,
        metavar="FILE",
        help="results, in which what is not measured anew stays",
    )
    add_debug_option(parser)
    return parser


def main(arguments) -> None:
    """Carry out the command line."""
    try:
        from benchmarks.cases import CASES
    except ImportError as error:
        raise UsageError(f"{error}; pip install -r requirements-bench.txt") from error
    audio = Path(arguments.audio or find_audio_directory()).resolve()
    if not any(audio.glob("*.wav")):
        raise UsageError(f"--audio {audio}: has no .wav files; name the folder of EmoDB")
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
        print(as_table({name: results[name]}), flush=True)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
