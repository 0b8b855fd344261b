"""Made-up voices, recordings, corpora, predictions and weights for the tests."""

import contextlib
import csv
import ctypes
import io
import json
import os
import resource
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import soundfile

from utility.furtherFeatures import ALL_NAMES, feature_names, make_own_feature_set
from utility.globalvars import DATA_DIRECTORY, EMOTION_LABELS, EMOTIONS, FRAMES
from utility.network.hyperparameters import PRESETS
from utility.network.training_set import TrainingSet
from utility.network.weights import Weights
from utility.reports.measures import KEY_COLUMNS, Predictions
from utility.voices.baseline import Statistics

DEMO = DATA_DIRECTORY / "demo.wav"
RATE = FRAMES.sample_rate_hz
# Settings for --set of a network that trains in no time.
TINY = {"dense_units": 8, "lstm_units": 4, "attention_heads": 2, "members": 1}
SMALL = replace(PRESETS["default"], dense_units=8, lstm_units=6, attention_heads=2, members=2)
SMALL_2018 = replace(PRESETS["seed2018"], dense_units=8, lstm_units=6, padded_frames=90)
# From linux/capability.h and linux/prctl.h.
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24
NETWORKS = {
    "default": PRESETS["default"],
    "small": SMALL,
    "one frame per step": replace(SMALL, frames_per_step=1),
    "long steps, one head": replace(SMALL, frames_per_step=25, attention_heads=1),
    "36 features, one member": replace(SMALL, features=("original",), members=1),
    "seed2018": PRESETS["seed2018"],
    "small seed2018": SMALL_2018,
}


@contextlib.contextmanager
def disk_full():
    """Let no file grow beyond 1 kB in this process, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def obey_permissions():
    """Let this process be refused what files and folders do not permit, even if it is root's.

    To be called between fork and exec, on Linux.
    """
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "a capability cannot be given up")


# Sound


def sine(hertz, seconds=1.0):
    """Return a sine at 16 kHz."""
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def noise(seed=0, size=RATE):
    """Return white noise."""
    return np.random.default_rng(seed).normal(size=size)


def make_voice(seconds=1.0, rate=RATE, hertz=150):
    """Return four syllables a second, each a buzz and a hiss: enough of a voice to be predicted."""
    t = np.arange(round(seconds * rate)) / rate
    syllable = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * t)
    buzz = np.sin(2 * np.pi * hertz * t + 20 * np.sin(2 * np.pi * t)) ** 5
    # Of 16 kHz, so that the same is heard at any rate.
    hiss = np.interp(
        t, np.arange(int(seconds * RATE) + 1) / RATE, noise(size=int(seconds * RATE) + 1)
    )
    return 0.3 * syllable**3 * buzz + (0.1 * (1 - syllable) ** 3 + 0.005) * hiss


def make_tone(seconds=1.0, rate=RATE):
    """Return a buzz that holds its pitch and is no voice."""
    t = np.arange(round(seconds * rate)) / rate
    return 0.3 * np.sin(2 * np.pi * 150 * t) ** 5 + 0.05 * np.sin(2 * np.pi * 900 * t)


def speak(path, emotion, speaker=0):
    """Write a voice whose pitch tells the number of the emotion and, slightly, of the speaker."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(list(path.name.encode()))
    seconds = random.integers(4000, 8000) / RATE
    signal = make_voice(seconds, hertz=100 + 60 * emotion + speaker)
    soundfile.write(path, signal + 0.01 * random.normal(size=len(signal)), RATE)


# Corpora


def write_emodb(folder, speakers=("03", "08", "09", "10"), takes=("a01a", "a01b")):
    """Write recordings with the file names of EmoDB, each emotion a buzz; return the folder."""
    for speaker in speakers:
        for number, (letter, _) in enumerate(EMOTIONS):
            for take in takes:
                speak(folder / f"{speaker}{take[:3]}{letter}{take[3]}.wav", number, int(speaker))
    return folder


def write_own_corpus(folder):
    """Write recordings of four speakers in four emotions, and a manifest in an odd order.

    Two of the emotions are not in EmoDB. All of the speaker dan is the test part.
    """
    lines = ["emotion,speaker,file,split"]
    for speaker in ("ann", "bob", "cid", "dan"):
        for number, emotion in enumerate(("anger", "sadness", "surprise", "calm")):
            for take in "abc":
                name = f"sounds/{speaker} {emotion} {take}.wav"
                speak(folder / name, number)
                split = "test" if speaker == "dan" else "train"
                lines.append(f"{emotion},{speaker},{name},{split}")
    (folder / "own.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_own_frames(folder):
    """Write frames of three speakers in three emotions, and a manifest of their recordings.

    There are no recordings. A frame has five values, the first of which tells the emotion.
    """
    lines = ["file,emotion,speaker,split"]
    for number, emotion in enumerate(("anger", "sadness", "neutral")):
        for speaker in ("ann", "bob", "cid"):
            for take in range(3):
                name = f"{speaker}/{emotion} {take}"
                random = np.random.default_rng(list(name.encode()))
                frames = random.normal(size=(random.integers(20, 60), 5)).astype(np.float32)
                frames[:, 0] += 3 * number
                (folder / "frames" / speaker).mkdir(parents=True, exist_ok=True)
                np.save(folder / "frames" / f"{name}.npy", frames)
                split = "test" if speaker == "cid" else "train"
                lines.append(f"{name}.wav,{emotion},{speaker},{split}")
    (folder / "own.csv").write_text("\n".join(lines) + "\n")
    return folder


# Files


def read_json(path):
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_rows(path):
    """Return the rows of a CSV table as dictionaries of texts."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def zip_files(files, folder="emodb/wav/"):
    """Return a zip archive of files, given by their names, and another one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("erkennung.txt", "not audio")
        for name, content in files.items():
            archive.writestr(folder + name, content)
    return file.getvalue()


def tar_files(files, mode="w:gz"):
    """Return a tar archive of files, given by their names, and another one."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in {"README.md": b"not audio", **files}.items():
            entry = tarfile.TarInfo(f"corpus-1/samples/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


# Predictions


def make_predictions(count=300, speakers=5, seeds=2, seed=0):
    """Return probabilities that lean to the truth, for some speakers more than for others."""
    random = np.random.default_rng(seed)
    emotions = random.integers(0, 7, count)
    speaker = random.integers(0, speakers, count)
    parts = []
    for run in range(seeds):
        scores = random.normal(size=(count, 7))
        scores[np.arange(count), emotions] += 0.5 * (1 + speaker)
        shares = np.exp(scores)
        parts.append((np.full(count, str(run)), shares / shares.sum(axis=1, keepdims=True)))
    return Predictions(
        file=np.tile([f"{number}.wav" for number in range(count)], seeds),
        corpus=np.full(seeds * count, ""),
        speaker=np.tile([f"{number:02d}" for number in speaker], seeds),
        emotion=np.tile(np.array(EMOTION_LABELS)[emotions], seeds),
        fold=np.tile([f"speaker {number:02d}" for number in speaker], seeds),
        seed=np.concatenate([run for run, _ in parts]),
        probabilities=np.concatenate([shares for _, shares in parts]),
    )


def make_joined_predictions(**options):
    """Return predictions of a corpus with all emotions joined with those of one with three.

    Also return both by their names, as they were before.
    """
    one, two = make_predictions(200, seed=1, **options), make_predictions(90, seed=2, **options)
    two = two.take(np.flatnonzero(np.isin(two.emotion, EMOTION_LABELS[:3])))
    parts = {"one": one, "two": two}

    def join(column, form="{value}"):
        columns = {name: getattr(part, column) for name, part in parts.items()}
        return np.array([form.format(n=n, value=v) for n in columns for v in columns[n]])

    joined = Predictions(
        file=join("file", "{n}/{value}"),
        corpus=join("file", "{n}"),
        speaker=join("speaker", "{n}/{value}"),
        emotion=join("emotion"),
        fold=join("file", "corpus {n}"),
        seed=join("seed"),
        probabilities=np.concatenate([part.probabilities for part in parts.values()]),
    )
    return joined, parts


def list_rows(predictions):
    """Return predictions as the rows of a table."""
    return [
        {name: getattr(predictions, name)[i] for name in KEY_COLUMNS}
        | dict(zip(EMOTION_LABELS, predictions.probabilities[i], strict=True))
        for i in range(len(predictions.file))
    ]


# Networks


def random_weights(hyperparameters, seed=0, **options):
    """Return weights unlike freshly initialised ones: all non-zero and of the usual size."""
    from utility.network.model import build_model, model_arrays

    random = np.random.default_rng(seed)
    names = options.get("feature_names", feature_names(hyperparameters.features))
    features = len(names)
    model = build_model(hyperparameters, features, 7)
    shapes = {name: array.shape for name, array in model_arrays(model).items()}
    members = [
        {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
        for _ in range(hyperparameters.members)
    ]
    statistics = Statistics(random.normal(size=features), random.uniform(0.5, 2, features))
    return Weights(hyperparameters, members, statistics, temperature=0.8, **options)


def random_own_weights():
    """Return weights of random arrays for frames of five own values, one every 20 ms."""
    hyperparameters = replace(SMALL, features=("mine",))
    names = make_own_feature_set("mine", 5, 0.02).names
    return random_weights(hyperparameters, feature_names=names, hop_seconds=0.02)


def random_clips(lengths, seed=0):
    """Return clips of random frames with all features, one of each length."""
    random = np.random.default_rng(seed)
    return [random.normal(size=(n, len(ALL_NAMES))).astype(np.float32) for n in lengths]


def random_training_set(variants):
    """Return a training set of 50 utterances of two speakers."""
    random = np.random.default_rng(0)
    tables = [
        [random.normal(size=(20, len(ALL_NAMES))) for _ in range(50)] for _ in range(variants)
    ]
    return TrainingSet(tables, np.arange(50) % 7, np.array(["03", "08"] * 25), EMOTION_LABELS)
