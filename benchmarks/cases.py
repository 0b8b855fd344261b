"""The benchmarks: each function measures one thing and returns rows of the table."""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from benchmarks.measuring import cost_of, interleave, seconds_of
from utility.globalvars import BERLIN, COPIES, DATA_DIRECTORY, FRAMES, ROOT, VARIANTS_NAME
from utility.network.hyperparameters import PRESETS

DEMO = DATA_DIRECTORY / "demo.wav"
RATE = FRAMES.sample_rate_hz
# With one thread, as predict.py has it: starting more takes time of all cores.
FLOOR = (
    "-c",
    "import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'; import numpy, soundfile, h5py",
)
LENGTHS_SECONDS = (1, 10, 60, 600, 3600, 10_800)
CLIP_COUNTS = (1, 10, 100, 1000, 10_000)


class Row(NamedTuple):
    """A line of the table.

    Attributes
    ----------
    case : str
        What was done.
    quantity : str
        What was measured, with its unit.
    ours, other : float
    peer : str
        What `other` belongs to, or "" where there is nothing to compare with.
    """

    case: str
    quantity: str
    ours: float
    peer: str = ""
    other: float | None = None


def recordings(audio):
    """List the recordings of a folder and the seconds that they take together."""
    paths = sorted(Path(audio).glob("*.wav"))
    return paths, sum(soundfile.info(path).duration for path in paths)


def features(audio) -> list[Row]:
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
    paths, _ = recordings(audio)
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
                    name: partial(seconds_of, lambda f=f, s=signals: [f(one) for one in s])
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


def clip(audio) -> list[Row]:
    """Predict one clip from a cold start, as a user does."""
    costs = interleave(
        {
            "ours": partial(cost_of, "predict.py", DEMO),
            "keras + librosa": partial(cost_of, "-m", "benchmarks.plain_way", DEMO),
            "import numpy, soundfile, h5py": partial(cost_of, *FLOOR),
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


def folder(audio) -> list[Row]:
    """Predict a folder, start to end, on one core and on all."""
    paths, total = recordings(audio)
    command = ("predict.py", "--json", audio)

    def plain():
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.plain_way", *map(str, paths)],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return total / float(done.stderr.split()[-1])

    speeds = interleave(
        {
            "one": lambda: total / cost_of(*command, "--processes", 1).wall_seconds,
            "all": lambda: total / cost_of(*command).wall_seconds,
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


def training(audio) -> list[Row]:
    """Train for an epoch, the default network and that of 2018, and for a whole run."""
    from utility.evaluation.fold import import_tensorflow

    import_tensorflow()
    from utility.corpora.corpus import read_corpus
    from utility.corpora.protocols import holdout
    from utility.corpora.variants import load_variants
    from utility.evaluation.experiment import make_experiment
    from utility.evaluation.material import Material
    from utility.network.training import fit

    corpus = read_corpus()
    # Made here if they are not there yet, so that no training below has to.
    copies = load_variants(corpus, COPIES, ROOT / VARIANTS_NAME / BERLIN.name, lambda: audio)
    rows = holdout(corpus)[0].train
    material = Material(corpus, copies, {})

    def epoch_seconds(preset, epochs):
        """Take away what comes before the second epoch: building and tracing."""
        hyperparameters = PRESETS[preset]
        everything = make_experiment(material, rows, hyperparameters, seed=0).everything

        def run(count):
            return seconds_of(
                lambda: fit(everything, hyperparameters, seed=0, epochs=count, progress=None)
            )

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
        whole = cost_of("train.py", "--max-evals", 0, *output).wall_seconds
    preset, heard = PRESETS["seed2018"], PRESETS["default"].copies
    # A holdout run trains on less, on this and on more than this part, in turn.
    whole_2018 = 3 * preset.epochs * seconds["seed2018"]
    peer = f"2018 network at {preset.padded_frames} frames"
    return [
        Row(f"training epoch, {len(rows)} clips, ours with {heard} copies of each", "s",
            seconds["default"], peer, seconds["seed2018"]),
        Row("train.py --max-evals 0", "s", whole, f"{peer}, from its epoch", whole_2018),
    ]  # fmt: skip


def growth(audio) -> list[Row]:
    """Predict ever longer recordings and ever more clips."""
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
                (Path(scratch) / f"{number}.wav").symlink_to(DEMO)
            made = count
            cost = median_cost("predict.py", "--json", scratch, often=count <= 1000)
            case = f"predict.py, {count} clip{'s' * (count > 1)}"
            rows += [Row(case, "s, wall", cost[0]), Row(case, "MB at peak", cost[2])]
    draw_growth(Path(__file__).parent / "growth.png", rows)
    return rows


def median_cost(*arguments, often):
    """Return the median of five runs where they are short enough to vary much, or of one."""
    return interleave({"ours": partial(cost_of, *arguments)}, 5 if often else 1)["ours"]


def extraction(audio) -> list[Row]:
    """Extract the features of the whole data set, on one core and on all."""
    paths, _ = recordings(audio)
    with tempfile.TemporaryDirectory() as scratch:
        command = ("dataset.py", "extract", "--audio", audio, "--output", scratch)
        costs = interleave(
            {
                "one process": partial(cost_of, *command, "--processes", 1),
                "all cores": partial(cost_of, *command),
            },
            5,
        )
    return [
        Row(f"dataset.py extract, {len(paths)} clips, {cores}", "s, wall", cost.wall_seconds)
        for cores, cost in costs.items()
    ]


CASES = {
    function.__name__: function
    for function in (features, clip, folder, training, growth, extraction)
}
