"""Every command that the README and docs/ show works, from top to bottom, as a reader types it.

In a copy of the project with small data and networks that train in no time. The commands run one
after the other in a single process, which imports TensorFlow once; pipes run in a shell.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from made import DEMO, speak, write_emodb
from utility.globalvars import EMOTIONS, ROOT

# These need the internet, openSMILE, or the real recordings. Other tests download, from a
# server of their own, and start Spark.
ELSEWHERE = {
    "python dataset.py download",
    "python dataset.py download nemo",
    "python -m benchmarks",
    "python -m experiments.svm",
    "python -m experiments.long_recordings",
    "python -m experiments.familiarity",
    "python -m experiments.further_training",
    "python -m experiments.temperature",
    "python -m experiments.ablation",
    "python -m experiments.opensmile_frames",
}
# What makes a training short. A fold still begins and ends as it does with the real data.
SHORT = {
    "epochs": 1,
    "members": 1,
    "temperature_scaling": False,
    "augmented_copies": 1,
    "augmentations": ("speed",),
    "batch_size": 256,
    "dense_units": 4,
    "lstm_units": 2,
    "padded_frames": 64,
}
# Costly numbers of a documented command, and those that the test uses instead.
CHEAPER = ((r"--seeds \d+", "--seeds 1"), (r"--max-evals [1-9]\d*", "--max-evals 2"))


def shown_blocks(language="sh"):
    """Return the code blocks of a language in the README and docs/."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    return re.findall(rf"```{language}\n(.*?)\n```", text, re.DOTALL)


def shown_commands():
    """Return the commands of the project in shell blocks, each once."""
    lines = [re.sub(" +#.*", "", line) for text in shown_blocks() for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if re.search(r"(^|\| )python ", line)))


def write_recordings(project):
    """Put everything where the documented commands look for it."""
    for name in ("path", "clip", "a", "b", "recordings/c", "my_voice/d", "my_voice/e"):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(DEMO, project / f"{name}.wav")
    samples, rate = soundfile.read(DEMO)
    for name in ("a.mp3", "b.flac", "interview.mp3"):
        soundfile.write(project / name, np.tile(samples, 6 if name[0] == "i" else 1), rate)
    soundfile.write(project / "call.wav", np.stack([samples, samples[::-1]], 1), rate)
    soundfile.write(project / "demo.raw", samples, rate, "PCM_16", "LITTLE", "RAW")
    shutil.copy(project / "weights_blstm_hyperas_1.h5", project / "mine.h5")
    write_emodb(project / "data/wav", ("03", "08", "09"), ("a01a", "a01b", "a02a", "a02b"))
    rows = ["file,emotion,speaker,split"]
    for number, (letter, emotion) in enumerate(EMOTIONS):
        for speaker in ("ann", "bob", "cid"):
            speak(project / "home/sounds" / f"{speaker} {letter}.wav", number)
            rows.append(f"{speaker} {letter}.wav,{emotion},{speaker},{'test' * (speaker == 'cid')}")
        for speaker in (1, 2):
            name = f"03-01-0{number + 1}-01-01-01-0{speaker}.wav"
            speak(project / "home/ravdess" / name, number)
    names = []
    for number, emotion in enumerate(("anger", "fear", "happiness", "neutral", "sadness")):
        for speaker in ("AB0", "CD0"):
            names.append(f"{speaker}_{emotion}_1.wav")
            speak(project / "data/nemo" / names[-1], number)
    (project / "data/nemo.csv").write_text("\n".join(["file", *names]) + "\n")
    (project / "my.csv").write_text("\n".join(rows) + "\n")
    write_frames(project, rows)


def write_frames(project, rows):
    """Write the frames of a corpus that is listed like my.csv, of a clip, and of EmoDB."""
    random = np.random.default_rng(0)
    (project / "framed.csv").write_text("\n".join(rows) + "\n")
    for folder in ("home/frames", "runs/opensmile"):
        (project / folder).mkdir(parents=True)
    names = [Path("home/frames", row.partition(".")[0]) for row in rows[1:]]
    names += [Path("runs/opensmile", path.stem) for path in (project / "data/wav").glob("*.wav")]
    for name in [*names, "clip"]:
        np.save(project / f"{name}.npy", random.normal(size=(30, 4)).astype(np.float32))


def write_stand_ins(project):
    """Write programs to bin/ that shell lines call and that are not here."""
    (project / "bin").mkdir()
    for name, line in (
        ("python", f'{shlex.quote(sys.executable)} "$@"'),
        ("arecord", "cat demo.raw"),
        ("ffmpeg", "cat demo.raw"),
    ):
        (project / "bin" / name).write_text(f"#!/bin/sh\nexec {line}\n")
        (project / "bin" / name).chmod(0o755)


@pytest.fixture(scope="module")
def project(tmp_path_factory, copy_project):
    """Return a copy of the project that trains quickly on small data."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    with (project / "utility/network/hyperparameters.py").open("a") as file:
        file.write(
            f"\nSHORT = {SHORT}\nPRESETS = {{\n"
            "    name: replace(preset, **{k: v for k, v in SHORT.items() if getattr(preset, k)})\n"
            "    for name, preset in PRESETS.items()\n}\n"
        )
    write_recordings(project)
    write_stand_ins(project)
    return project


@pytest.fixture(scope="module")
def carry_out(project, start_session):
    """Return a function that runs a documented line; its commands share one process."""
    environment = {
        "HOME": str(project / "home"),
        "PATH": f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    run = start_session(**environment)
    run("cd", project)

    def carry_out(line):
        if "|" in line:
            options = {"cwd": project, "env": os.environ | environment, "text": True}
            done = subprocess.run(
                line, shell=True, capture_output=True, timeout=300, check=False, **options
            )
            return done.returncode, done.stdout, done.stderr
        for costly, cheap in CHEAPER:
            line = re.sub(costly, cheap, line)
        command, _, source = line.partition(" < ")
        return run(*shlex.split(command)[1:], source=source or None)

    for line in ("python dataset.py extract", "python train.py --evaluate holdout --run runs/DIR"):
        code, _, errors = carry_out(line)
        assert code == 0, errors
    return carry_out


def needs_more(line):
    """Tell whether a command needs what is not here."""
    return line in ELSEWHERE or "emotiontts" in line or "--spark" in line


@pytest.mark.parametrize("line", [line for line in shown_commands() if not needs_more(line)])
def test_it_works(line, carry_out):
    code, output, errors = carry_out(line)
    assert code == ("missing" in line), errors
    assert output or ("predict.py" in line and "--output" in line)


def test_it_works_from_another_folder(project, tmp_path):
    shutil.copy(DEMO, tmp_path / "clip.wav")
    place = "/path/to/speech_emotion"
    lines = [line for text in shown_blocks() for line in text.splitlines() if place in line]
    assert len(lines) == 2
    for line in lines:
        line = line.replace(f"{place}/.venv/bin/python", shlex.quote(sys.executable))
        line = line.replace(place, shlex.quote(str(project)))
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout
