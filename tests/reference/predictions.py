"""Reference predictions of the shipped weights: python tests/reference/predictions.py.

Predicts sounds that are made here, and clips of EmoDB if they are there, with one and two threads,
alone, in a folder and in processes, and prints how far the probabilities are from predictions.json,
which lies beside this file. With --renew it replaces that file; do so if a change of them is meant.

All sounds are lossless, so that they are the same whatever encoded and decodes them.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from made import DEMO, make_tone, make_voice  # noqa: E402, after the paths
from utility.corpora.published import find_recordings_folder  # noqa: E402
from utility.globalvars import EMOTION_LABELS, SHIPPED_WEIGHTS  # noqa: E402

REFERENCE = Path(__file__).with_suffix(".json")
TOLERANCE = 1e-5
DECIMALS = 7
# Each emotion once.
CLIPS = ("03a01Wa", "08a07Fd", "10a01Ac", "13a05Tc", "14a07Na", "15a02La", "16a02Ea")
RATES = {"8000.wav": "PCM_16", "16000.flac": "PCM_16", "44100.wav": "PCM_24"}
RATES |= {"48000.flac": "PCM_24", "96000.aiff": "PCM_16"}
THREADS = (1, 2)
# How recordings are given to a command: one alone, or all at once.
PLACES = {"alone": [], "in a folder": ["--processes", "1"], "in processes": ["--processes", "2"]}
ALONE = "demo.wav"
PATIENCE_SECONDS = 300
# predict.py with all digits of its results.
EXACT = """
import runpy
from utility.prediction import output
output.round = lambda number, digits: number
runpy.run_path("predict.py", run_name="__main__")
"""


def find_clips() -> list[Path]:
    """Return the paths of the clips of EmoDB, as far as they are there."""
    folder = find_recordings_folder() or Path()
    return [path for path in (folder / f"{clip}.wav" for clip in CLIPS) if path.exists()]


def write_sounds(folder) -> Path:
    """Write recordings of several rates and formats to a folder, and copy the clips of EmoDB."""
    folder.mkdir()
    shutil.copy(DEMO, folder)
    # More than a process takes at a time.
    for hertz, (name, subtype) in product((110, 150, 220), RATES.items()):
        rate = int(name.partition(".")[0])
        voice = make_voice(1, rate, hertz)
        channels = np.stack([voice, voice / 2], axis=1) if rate == 48_000 else voice
        soundfile.write(folder / f"{hertz} Hz, {name}", channels, rate, subtype)
    pause = np.zeros(16_000)
    long = np.concatenate([make_voice(4, hertz=120), pause, make_voice(5, hertz=240)])
    soundfile.write(folder / "long.flac", long, 16_000)
    soundfile.write(folder / "short.wav", make_voice(0.3), 16_000)
    soundfile.write(folder / "no voice.wav", make_tone(2), 16_000)
    for clip in find_clips():
        shutil.copy(clip, folder)
    return folder


def list_kinds(folder) -> dict[str, list]:
    """Return the options of each kind of prediction."""
    adapted = ["--adapt", folder / "demo.wav", "--adapt", folder / "long.flac"]
    return {"as they are": [], "adapted": adapted, "timeline": ["--timeline"]}


def predict_exactly(words, threads) -> dict[str, list]:
    """Run predict.py in a process; return the parts of each recording, by its file name.

    A part is a list of its start and end in seconds and, if it holds a voice, its probabilities.
    """
    done = subprocess.run(
        [sys.executable, "-c", EXACT, "--json", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": str(threads)},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    recordings = {}
    for part in map(json.loads, done.stdout.splitlines()):
        times = part.get("start", 0), part.get("end", part.get("seconds"))
        shares = [part["probabilities"][emotion] for emotion in EMOTION_LABELS if part["label"]]
        values = [round(value, DECIMALS) for value in (*times, *shares)]
        recordings.setdefault(Path(part["path"]).name, []).append(values)
    return recordings


def predict_in_place(folder, options, place, threads) -> dict[str, list]:
    """Predict recordings of a folder, as the keys of `PLACES` say."""
    options = [*options, *PLACES[place]]
    return predict_exactly([*options, folder / ALONE if place == "alone" else folder], threads)


def measure_differences(recordings, reference) -> dict[str, float]:
    """Return the largest difference of each recording from the reference.

    It is infinite if there are other parts, or a voice in others.
    """
    differences = {}
    for name, parts in recordings.items():
        expected = reference[name]
        alike = [*map(len, parts)] == [*map(len, expected)]
        change = np.hstack(parts) - np.hstack(expected) if alike else np.inf
        differences[name] = np.abs(change).max()
    return differences


def read_reference() -> dict[str, dict[str, dict[str, list]]]:
    """Return the parts of each recording, for each weights file and kind of prediction."""
    return json.loads(REFERENCE.read_text())


def write_reference(folder) -> None:
    """Predict all recordings with one thread and one process, and write the reference."""
    reference = {
        weights: {
            kind: predict_in_place(folder, ["--weights", weights, *options], "in a folder", 1)
            for kind, options in list_kinds(folder).items()
        }
        for weights in SHIPPED_WEIGHTS
    }
    text = json.dumps(reference)
    REFERENCE.write_text(text.replace("]], ", "]],\n").replace("}, ", "},\n") + "\n")


def main() -> int:
    """Print the largest difference of every way; return 1 if one is too large."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--renew", action="store_true", help="replace the reference")
    renew, worst = parser.parse_args().renew, 0
    if renew and len(find_clips()) < len(CLIPS):
        parser.error("needs the EmoDB recordings; get them with: python dataset.py download")
    with tempfile.TemporaryDirectory() as name:
        folder = write_sounds(Path(name, "sounds"))
        if renew:
            write_reference(folder)
        reference = read_reference()
        for place, threads in product(PLACES, THREADS):
            for weights, (kind, options) in product(SHIPPED_WEIGHTS, list_kinds(folder).items()):
                words = ["--weights", weights, *options]
                recordings = predict_in_place(folder, words, place, threads)
                differences = measure_differences(recordings, reference[weights][kind])
                recording = max(differences, key=differences.get)
                worst = max(worst, differences[recording])
                print(f"{differences[recording]:.1e}: {recording}", end=", ")
                print(f"{weights}, {kind}, {place}, threads: {threads}", flush=True)
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
