"""The benchmarks: each function measures one task and returns rows of the table."""

import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from benchmarks.many_recordings import write_manifest, write_recordings
from benchmarks.measuring import Cost, interleave, measure_cost, measure_kinds, time_call
from utility.globalvars import BERLIN, DATA_DIRECTORY, FRAMES, ROOT, VARIANTS_NAME
from utility.network.hyperparameters import PRESETS

DEMO = DATA_DIRECTORY / "demo.wav"
RATE = FRAMES.sample_rate_hz
# The least that predict.py can take: its imports, with one thread as there.
FLOOR = (
    "-c",
    "import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'; import numpy, soundfile, h5py",
)
LENGTHS_SECONDS = (1, 10, 60, 600, 3600, 10_800)
CLIP_COUNTS = (1, 10, 100, 1000, 10_000)
# The training part of a holdout.
HOLDOUT_SHARE = 0.7
TRAINED_COUNTS = (535, 2000, 10_000)
RECORDING_COUNTS = (1000, 10_000, 100_000)
TRIALS, FOLDS = 8, 10


class Row(NamedTuple):
    """A line of the table.

    Attributes
    ----------
    case : str
        The task.
    quantity : str
        The measured quantity, with its unit.
    ours, other : float
    peer : str
        The program that `other` was measured with, or "" if there is none.
    """

    case: str
    quantity: str
    ours: float
    peer: str = ""
    other: float | None = None


def list_recordings(audio) -> tuple[list, float]:
    """List the recordings of a folder, and return their total duration in seconds."""
    paths = sorted(Path(audio).glob("*.wav"))
    return paths, sum(soundfile.info(path).duration for path in paths)


def measure_features(audio) -> list[Row]:
    """Compare our 36 features with pyAudioAnalysis's 34, all 66 with openSMILE's descriptors."""
    import opensmile
    from pyAudioAnalysis import ShortTermFeatures
    from threadpoolctl import threadpool_limits

    from utility.audioFeatureExtraction import extract_features
    from utility.furtherFeatures import extract_all_features

    def smile(name):
        level = opensmile.FeatureLevel.LowLevelDescriptors
        extractor = opensmile.Smile(getattr(opensmile.FeatureSet, name), level)
        return lambda signal: extractor.process_signal(signal, RATE)

    extractors = {
        "36": lambda signal: extract_features(signal, RATE),
        "66": lambda signal: extract_all_features(signal, RATE),
        "pyAudioAnalysis, 34 features": lambda signal: ShortTermFeatures.feature_extraction(
            signal, RATE, FRAMES.frame_length, FRAMES.hop_length, deltas=False
        ),
        "openSMILE eGeMAPSv02 LLD": smile("eGeMAPSv02"),
        "openSMILE ComParE_2016 LLD": smile("ComParE_2016"),
    }
    paths, _ = list_recordings(audio)
    clips = [soundfile.read(path)[0] for path in paths[::9]]
    recording = np.resize(np.concatenate(clips), 600 * RATE)
    rows = []
    for case, signals, repetitions in (
        (f"features of {len(clips)} clips, one thread", clips, 5),
        ("features of 10 minutes, one thread", [recording], 3),
    ):
        with threadpool_limits(1):
            seconds = interleave(
                {
                    name: partial(time_call, lambda f=f, s=signals: [f(one) for one in s])
                    for name, f in extractors.items()
                },
                repetitions,
            )
        total = sum(map(len, signals)) / RATE
        speeds = {name: total / value for name, value in seconds.items()}
        ours = {count: speeds.pop(count) for count in ("36", "66")}
        for name, speed in speeds.items():
            count = "66" if name.startswith("openSMILE") else "36"
            rows.append(Row(f"{count} {case}", "× real time", ours[count], name, speed))
    return rows


def measure_clip(audio) -> list[Row]:
    """Predict one clip from a cold start, as a user does."""
    costs = interleave(
        {
            "ours": partial(measure_cost, "predict.py", DEMO),
            "keras + librosa": partial(measure_cost, "-m", "benchmarks.plain_way", DEMO),
            "import numpy, soundfile, h5py": partial(measure_cost, *FLOOR),
        },
        7,
    )
    ours = costs.pop("ours")
    quantities = ("s, wall", "s, CPU", "MB at peak")
    return [
        Row("predict.py CLIP, cold", quantity, ours[i], peer, cost[i])
        for peer, cost in costs.items()
        for i, quantity in enumerate(quantities)
    ]


def measure_folder(audio) -> list[Row]:
    """Predict a folder from start to end, on one core and on all."""
    paths, total = list_recordings(audio)
    command = ("predict.py", "--json", audio)

    def plain():
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.plain_way", *map(str, paths)],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return total / float(done.stderr.split()[-1])

    speeds = interleave(
        {
            "one": lambda: total / measure_cost(*command, "--processes", 1).wall_seconds,
            "all": lambda: total / measure_cost(*command).wall_seconds,
            "plain": plain,
        },
        3,
    )
    peer = "keras + librosa, warm, one process"
    return [
        Row(f"predict.py DIR, {len(paths)} clips, {cores}", "× real time", speeds[key], peer,
            speeds["plain"])
        for key, cores in (("one", "one process"), ("all", "all cores"))
    ]  # fmt: skip


def measure_training(audio) -> list[Row]:
    """Train the default network and that of 2018 for an epoch, and the default for a run."""
    from utility.evaluation.fold import import_tensorflow

    import_tensorflow()
    from utility.corpora.augmentation import AUGMENTATIONS, name_copies
    from utility.corpora.corpus import read_corpus
    from utility.corpora.protocols import holdout
    from utility.corpora.variants import load_variants
    from utility.evaluation.experiment import make_experiment
    from utility.evaluation.material import Material
    from utility.network.training import fit

    corpus = read_corpus()
    # Made here if they are missing, so that the trainings below do not include it.
    names, folder = name_copies(AUGMENTATIONS), ROOT / VARIANTS_NAME / BERLIN.name
    copies = load_variants(corpus, names, folder, audio)
    rows = holdout(corpus)[0].train
    material = Material(corpus, copies, {})

    def epoch_seconds(preset, epochs):
        """Return the seconds of an epoch without those of building and tracing the network."""
        hyperparameters = PRESETS[preset]
        experiment = make_experiment(material, rows, hyperparameters, seed=0)

        def run(count):
            steps = experiment.make_steps(experiment.training_set)
            return time_call(lambda: fit(steps, seed=0, epochs=count, progress=None))

        return (run(1 + epochs) - run(1)) / epochs

    seconds = interleave(
        {
            "default": partial(epoch_seconds, "default", 10),
            "seed2018": partial(epoch_seconds, "seed2018", 1),
        },
        3,
    )
    with tempfile.TemporaryDirectory() as scratch:
        output = ("--output", f"{scratch}/weights.h5", "--run", f"{scratch}/run", "--quiet")
        whole = measure_cost("train.py", "--max-evals", 0, *output).wall_seconds
    preset, augmented = PRESETS["seed2018"], PRESETS["default"].augmented_copies
    # A holdout run trains three times: on less than this part, on it, and on more than it.
    whole_2018 = 3 * preset.epochs * seconds["seed2018"]
    peer = f"2018 network at {preset.padded_frames} frames"
    return [
        Row(f"training epoch, {len(rows)} clips, ours with {augmented} copies of each", "s",
            seconds["default"], peer, seconds["seed2018"]),
        Row("train.py --max-evals 0", "s", whole, f"{peer}, from its epoch", whole_2018),
    ]  # fmt: skip


def measure_growth(audio) -> list[Row]:
    """Predict increasingly long recordings and increasing numbers of clips."""
    from benchmarks.drawing import draw_growth

    demo, _ = soundfile.read(DEMO, dtype="int16")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "long.wav"
        for seconds in LENGTHS_SECONDS:
            with soundfile.SoundFile(path, "w", RATE, 1) as file:
                for start in range(0, seconds, 60):
                    file.write(np.resize(demo, min(60, seconds - start) * RATE))
            cost = median_cost("predict.py", path, often=seconds <= 600)
            case = f"predict.py, one recording of {seconds} s"
            rows += [Row(case, "s, wall", cost[0]), Row(case, "MB at peak", cost[2])]
        path.unlink()
        made = 0
        for count in CLIP_COUNTS:
            for number in range(made, count):
                # A copy, since links to one recording would be predicted once.
                shutil.copyfile(DEMO, Path(scratch) / f"{number}.wav")
            made = count
            cost = median_cost("predict.py", "--json", scratch, often=count <= 1000)
            case = f"predict.py, {count} clip{'s' * (count > 1)}"
            rows += [Row(case, "s, wall", cost[0]), Row(case, "MB at peak", cost[2])]
    draw_growth(Path(__file__).parent / "growth.png", rows)
    return rows


def median_cost(*arguments, often) -> Cost:
    """Return the median cost of five runs if they are short and so vary much, or of one run."""
    return interleave({"ours": partial(measure_cost, *arguments)}, 5 if often else 1)["ours"]


def measure_extraction(audio) -> list[Row]:
    """Extract the features of the whole data set, on one core and on all."""
    paths, _ = list_recordings(audio)
    with tempfile.TemporaryDirectory() as scratch:
        command = ("dataset.py", "extract", "--audio", audio, "--output", scratch)
        costs = interleave(
            {
                "one process": partial(measure_cost, *command, "--processes", 1),
                "all cores": partial(measure_cost, *command),
            },
            5,
        )
    return [
        Row(f"dataset.py extract, {len(paths)} clips, {cores}", "s, wall", cost.wall_seconds)
        for cores, cost in costs.items()
    ]


def measure_training_growth(audio) -> list[Row]:
    """Train on increasing numbers of clips with 20 copies each: EmoDB, repeated and jittered."""
    from benchmarks.many_clips import write_many

    rows = []
    for count in TRAINED_COUNTS:
        with tempfile.TemporaryDirectory() as scratch:
            write_many(Path(scratch) / "many", count, audio)

            def train(epochs, scratch=scratch):
                output = ("--output", f"{scratch}/{epochs}.h5", "--run", f"{scratch}/run{epochs}")
                short = ("--set", "members=1", "temperature_scaling=false", f"epochs={epochs}")
                data = ("--data", f"{scratch}/many", "--max-evals", 0)
                return measure_cost("train.py", *data, *short, *output, "--processes", 1)

            once, again = train(1), train(2)
        # A network is trained on the training part of a holdout, another one on everything.
        seconds = (again.wall_seconds - once.wall_seconds) / (1 + HOLDOUT_SHARE)
        case = f"train.py, one process, {count} clips with 20 copies each"
        rows += [
            Row(case, "s, an epoch", seconds),
            Row(case, "s, everything but epochs", 2 * once.wall_seconds - again.wall_seconds),
            Row(case, "MB at peak", max(once.peak_megabytes, again.peak_megabytes)),
        ]
    return rows


def measure_spark(audio) -> list[Row]:
    """Predict and extract increasing numbers of recordings of 3 s, on Spark and in processes."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch, made = Path(scratch), 0
        folder, manifest = scratch / "recordings", scratch / "many.csv"
        for count in RECORDING_COUNTS:
            write_recordings(folder, range(made, count), max(RECORDING_COUNTS), audio)
            write_manifest(manifest, count, audio)
            made = count
            for where in ({"processes": 1}, {"processes": 2}, {"spark": 1}, {"spark": 2}):
                rows += measure_recordings(scratch, folder, manifest, count, **where)
    return rows


def measure_recordings(scratch, folder, manifest, count, processes=None, spark=None) -> list[Row]:
    """Predict and extract recordings in processes, or on cores of this machine by Spark."""
    where, output = ("--processes", processes), ("--json", "--output", scratch / "out.jsonl")
    name = f"--processes {processes}"
    if spark:
        where, output = ("--spark", f"local[{spark}]"), ("--output", scratch / "out")
        name = f"--spark local[{spark}]"
    commands = {
        "predict.py": (*output, folder),
        "dataset.py": ("extract", "--manifest", manifest, "--audio", folder, "--output", scratch),
    }
    rows = []
    for command, options in commands.items():
        seconds, peaks = measure_kinds(command, *options, *where)
        case = f"{command} {name}, {count} recordings of 3 s"
        rows.append(Row(case, "× real time", 3 * count / seconds))
        rows += [Row(case, f"MB at peak, {kind}", peak) for kind, peak in peaks.items() if peak]
    shutil.rmtree(scratch / "out", ignore_errors=True)
    return rows


def measure_spark_training(audio) -> list[Row]:
    """Search and cross-validate on workers of Spark, and in processes."""
    rows = []
    # First the evaluations, which make the copies of the recordings, for the searches too.
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("--processes 2", "--spark local[2]", "--spark local[1]"):
            evaluation = ("train.py", "--evaluate", "loso", "--run", f"{scratch}/{name}")
            short = ("--epochs", 10, "--set", "members=1", "temperature_scaling=false")
            seconds = measure_cost(*evaluation, *short, *name.split()).wall_seconds
            case = f"train.py {name}, ten folds of one network and 10 epochs"
            rows.append(Row(case, "folds an hour", 3600 * FOLDS / seconds))
    for name, master in (
        ("in one process", ()),
        ("--spark local[1]", ("local[1]",)),
        ("--spark local[2]", ("local[2]",)),
    ):
        seconds, training_seconds = measure_search(TRIALS, *master)
        case = f"search {name}, {TRIALS} trials"
        rows.append(Row(case, "trials an hour", 3600 * TRIALS / seconds))
        if "2" not in name:  # there, trainings overlap
            rows.append(Row(case, "s a trial", seconds / TRIALS))
            rows.append(
                Row(case, "s a trial beside its training", (seconds - training_seconds) / TRIALS)
            )
    return rows


def measure_search(trial_count, *master) -> tuple[float, float]:
    """Return the seconds of a search and of its trainings; see `benchmarks.search`."""
    words = [sys.executable, "-m", "benchmarks.search", str(trial_count), *master]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


CASES = {
    "features": measure_features,
    "clip": measure_clip,
    "folder": measure_folder,
    "training": measure_training,
    "growth": measure_growth,
    "extraction": measure_extraction,
    "training growth": measure_training_growth,
    "spark": measure_spark,
    "spark training": measure_spark_training,
}
