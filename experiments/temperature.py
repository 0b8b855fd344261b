"""Compare the temperatures that networks with one augmented copy and with four give.

python -m experiments.temperature [--audio DIR]

The networks that a temperature is fitted to get one copy of each recording an epoch, and the
members of the ensemble four; see `utility.evaluation.experiment.predict_speakers`.
"""

import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np

from experiments.parser import make_emodb_parser
from utility.command_line import Parser, run
from utility.evaluation.experiment import TEMPERATURE_COPIES, make_experiment, predict_left_out
from utility.evaluation.fold import fit_temperature, import_tensorflow
from utility.evaluation.material import load_material, read_sources
from utility.functions import write_json
from utility.globalvars import BERLIN, ROOT
from utility.network.hyperparameters import PRESETS
from utility.network.inference import apply_temperature
from utility.parallel import in_processes

RESULTS_PATH = ROOT / "results" / "temperature.json"
HYPERPARAMETERS = PRESETS["default"]
COPIES = TEMPERATURE_COPIES, HYPERPARAMETERS.augmented_copies
SEEDS = range(4)


def measure(task, material) -> dict:
    """Fit a temperature to all speakers, given the seed and the number of copies."""
    import_tensorflow()
    from utility.network.training import cross_entropy

    seed, copies = task
    everything = np.arange(len(material.corpus))
    hyperparameters = replace(HYPERPARAMETERS, augmented_copies=copies)
    experiment = make_experiment(material, everything, hyperparameters, seed, quiet=True)
    started = time.monotonic()
    groups = experiment.group_speakers()
    parts = [predict_left_out(experiment, hyperparameters.epochs, rows) for rows in groups]
    seconds = time.monotonic() - started
    labels, probabilities = (np.concatenate(each) for each in zip(*parts, strict=True))
    temperature = fit_temperature(labels, probabilities)
    return {
        "seed": seed,
        "copies": copies,
        "temperature": round(temperature, 3),
        "log_loss": round(cross_entropy(labels, apply_temperature(probabilities, temperature)), 4),
        "seconds": round(seconds, 1),
    }


def build_parser() -> Parser:
    """Describe the command line."""
    return make_emodb_parser(
        "experiments.temperature",
        "Compare the temperatures that networks with one augmented copy and with four give.",
        RESULTS_PATH,
    )


def main(arguments) -> None:
    """Measure each seed and number of copies, and write a row for each."""
    options = {"kinds": HYPERPARAMETERS.augmentations, "audio": arguments.audio}
    sources = read_sources([BERLIN.name], [], note=print)
    material = load_material(sources, quiet=False, note=print, **options)
    tasks = [(seed, copies) for seed in SEEDS for copies in COPIES]
    rows = []
    with in_processes(partial(measure, material=material), tasks) as measured:
        for row in measured:
            print(row)
            rows.append(row)
    write_json(arguments.output, rows)


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
