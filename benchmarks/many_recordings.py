"""A folder of any number of recordings of 3 s: those of EmoDB, repeated at levels of their own."""

from pathlib import Path

import numpy as np
import soundfile

from utility.globalvars import EMOTIONS, FRAMES

SECONDS = 3
RATE = FRAMES.sample_rate_hz
# The levels of repetitions are so far apart that no two are equal in 16 bits.
LOWEST_LEVEL = 0.5


def write_recordings(folder, numbers, total, audio) -> None:
    """Write some recordings, by their numbers, of a total, with names that EmoDB would give.

    The name of each begins with that of a folder of a thousand, and has the emotion and the text
    of the clip that it is made of.
    """
    paths = sorted(Path(audio).glob("*.wav"))
    clips = [np.resize(soundfile.read(path)[0], SECONDS * RATE) for path in paths]
    for number in numbers:
        place = Path(folder, f"{number // 1000:03}")
        place.mkdir(parents=True, exist_ok=True)
        source = number % len(paths)
        level = 1 - (1 - LOWEST_LEVEL) * number / total
        soundfile.write(place / f"{number}_{paths[source].name}", level * clips[source], RATE)


def write_manifest(path, count, audio) -> None:
    """Write a manifest of the first recordings, with a speaker for each hundred."""
    names = [source.name for source in sorted(Path(audio).glob("*.wav"))]
    labels = {emotion.letter: emotion.label for emotion in EMOTIONS}
    lines = ["file,emotion,speaker"]
    for number in range(count):
        name = names[number % len(names)]
        lines.append(f"{number // 1000:03}/{number}_{name},{labels[name[5]]},{number // 100}")
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
