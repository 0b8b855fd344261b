"""Write openSMILE's low-level descriptors of EmoDB as frames for dataset.py extract.

python -m experiments.opensmile_frames [--audio DIR] [--output DIR]

Each recording gets a file of its name, such as 03a01Fa.npy: the 65 low-level descriptors of the
ComParE 2016 set, every 10 ms.
"""

import sys
from functools import partial

import numpy as np

from experiments.parser import make_emodb_parser
from utility.command_line import Parser, run
from utility.corpora.published import read_manifest, require_recordings_folder
from utility.globalvars import ROOT
from utility.parallel import in_processes

OUTPUT = ROOT / "runs" / "opensmile"


def write_descriptors(path, folder) -> tuple[int, int]:
    """Write the descriptors of a recording, and return their shape, (frames, 65)."""
    import opensmile

    level = opensmile.FeatureLevel.LowLevelDescriptors
    smile = opensmile.Smile(opensmile.FeatureSet.ComParE_2016, level)
    frames = smile.process_file(str(path)).to_numpy(np.float32)
    np.save(folder / f"{path.stem}.npy", frames)
    return frames.shape


def build_parser() -> Parser:
    """Describe the command line."""
    return make_emodb_parser(
        "experiments.opensmile_frames",
        "Write openSMILE's low-level descriptors of EmoDB, a .npy file for each recording.",
        OUTPUT,
    )


def main(arguments) -> None:
    """Write the descriptors of all recordings."""
    audio = arguments.audio or require_recordings_folder()
    arguments.output.mkdir(parents=True, exist_ok=True)
    work = partial(write_descriptors, folder=arguments.output)
    with in_processes(work, [audio / file for file in read_manifest()]) as shapes:
        shapes = list(shapes)
    print(
        f"{len(shapes)} files with {sum(count for count, _ in shapes)} frames: {arguments.output}"
    )


if __name__ == "__main__":
    sys.exit(run(build_parser(), main))
