"""Every command that the README shows does its work, from top to bottom, as a reader would type.

In a copy of the project, with small data and a network that is trained in no time.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from utility.globalvars import DATA_DIRECTORY, EMOTIONS, ROOT

DEMO = DATA_DIRECTORY / "demo.wav"
RATE = 16_000
# These want the internet, openSMILE, and the real recordings. Other tests download, from a
# server of their own.
ELSEWHERE = {
    "python dataset.py download",
    "python -m experiments.svm",
    "python -m experiments.timeline",
    "python -m experiments.ablation",
}
# What makes a training short. A fold still begins and ends as it does with the real ones.
SHORT = {
    "epochs": 1,
    "members": 1,
    "scaled": False,
    "copies": 2,
    "lstm_units": 2,
    "padded_frames": 64,
}


def shown_commands():
    """Return the commands of the project in shell blocks of the README, each once."""
    blocks = re.findall(r"```sh\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line.split("  #")[0].strip() for text in blocks for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if re.search(r"(^|\| )python ", line)))


def speak(path, number):
    """Write a buzz whose pitch tells the emotion."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(list(path.name.encode()))
    times = np.arange(random.integers(5000, 8000)) / RATE
    signal = np.sin(2 * np.pi * (110 + 60 * number) * times) ** 5
    soundfile.write(path, 0.3 * signal + 0.03 * random.normal(size=len(times)), RATE)


def write_recordings(project):
    """Put everything where the commands of the README look for it."""
    for name in ("path", "clip", "a", "b", "recordings/c", "my_voice/d", "my_voice/e"):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(DEMO, project / f"{name}.wav")
    samples, rate = soundfile.read(DEMO)
    for name in ("a.mp3", "b.flac", "interview.mp3"):
        soundfile.write(project / name, np.tile(samples, 6 if name[0] == "i" else 1), rate)
    soundfile.write(project / "demo.raw", samples, rate, "PCM_16", "LITTLE", "RAW")
    shutil.copy(project / "weights_blstm_hyperas_1.h5", project / "mine.h5")
    rows = ["file,emotion,speaker,split"]
    for number, (letter, emotion) in enumerate(EMOTIONS):
        for speaker in ("03", "08", "09"):
            for text in ("a01a", "a01b", "a02a", "a02b"):
                speak(project / "data/wav" / f"{speaker}{text[:3]}{letter}{text[3]}.wav", number)
        for speaker in ("ann", "bob", "cid"):
            speak(project / "home/sounds" / f"{speaker} {letter}.wav", number)
            rows.append(f"{speaker} {letter}.wav,{emotion},{speaker},{'test' * (speaker == 'cid')}")
        for speaker in (1, 2):
            name = f"03-01-0{number + 1}-01-01-01-0{speaker}.wav"
            speak(project / "home/ravdess" / name, number)
    (project / "my.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project that trains on small data, in no time."""
    project = tmp_path_factory.mktemp("project")
    for name in ("utility", "data"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("wav", "__*"))
    for pattern in ("*.py", "*.h5"):
        for path in ROOT.glob(pattern):
            shutil.copy(path, project)
    presets = json.loads((project / "data/presets.json").read_text())
    for preset in presets.values():
        preset |= {name: value for name, value in SHORT.items() if preset[name]}
    (project / "data/presets.json").write_text(json.dumps(presets))
    write_recordings(project)
    for command in (
        "python dataset.py extract",
        "python dataset.py extract --corpus ravdess --audio ~/ravdess",
        "python dataset.py extract --manifest my.csv --audio ~/sounds",
        "python train.py --evaluate holdout --run runs/DIR",
        "python train.py --data my --max-evals 0 --output my.h5 --run runs/A",
    ):
        done = carry_out(command, project)
        assert done.returncode == 0, done.stderr
    shutil.copytree(project / "runs/A", project / "runs/B")
    return project


def carry_out(command, project):
    """Run a line of the README as a shell would, with stand-ins for what it may not find here."""
    stand_ins = {
        "python": f'{shlex.quote(sys.executable)} "$@"',
        "arecord": "cat demo.raw",
        "ffmpeg": "cat demo.raw",
    }
    (project / "bin").mkdir(exist_ok=True)
    for name, line in stand_ins.items():
        (project / "bin" / name).write_text(f"#!/bin/sh\nexec {line}\n")
        (project / "bin" / name).chmod(0o755)
    path = f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        shell=True,
        cwd=project,
        env={**os.environ, "PATH": path, "HOME": str(project / "home")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize("command", [line for line in shown_commands() if line not in ELSEWHERE])
def test_it_does_its_work(command, project):
    done = carry_out(command, project)
    assert done.returncode == ("missing" in command), done.stderr
    assert done.stdout or "--output heard.csv" in command
