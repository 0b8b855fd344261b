"""An answer about a recording: its emotions, what to know of it, and a picture."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from utility.audio.recording import load_audio
from utility.errors import SignalError
from utility.globalvars import FRAMES, WINDOW_SECONDS
from utility.prediction.batch import is_unfamiliar, list_notes
from utility.prediction.clip import Prediction, Timeline, predict_all, predict_timelines
from utility.prediction.output import NO_VOICE
from utility.prediction.picture import draw_sound, fill_timeline

LONGEST_SECONDS, PART_SECONDS = 600, 3.0
# Small, so that its text is legible on a telephone.
SIZE_INCHES, DOTS_PER_INCH = (5.4, 4.4), 180


def hear(sound, weights, voice=None) -> tuple[np.ndarray, Prediction, Timeline | None]:
    """Return the signal of a recording, its emotions, and if it is long, those over time.

    Raises a `SignalError` if it cannot be used, or is too long for a page.
    """
    signal = load_audio(sound, end_seconds=LONGEST_SECONDS + 1)
    if len(signal) > LONGEST_SECONDS * FRAMES.sample_rate_hz:
        minutes = LONGEST_SECONDS // 60
        raise SignalError(f"lasts more than {minutes} minutes; use predict.py --timeline")
    if len(signal) > WINDOW_SECONDS * FRAMES.sample_rate_hz:
        (result,) = predict_timelines([sound], weights, PART_SECONDS, PART_SECONDS, voice)
    else:
        (result,) = predict_all([sound], weights, voice, details=True)
    if isinstance(result, SignalError):
        raise result
    return (
        (signal, result.whole, result) if isinstance(result, Timeline) else (signal, result, None)
    )


def label(prediction) -> dict[str, float] | str:
    """Return the value of a `gr.Label`."""
    return prediction.probabilities or NO_VOICE


def to_sound(signal) -> tuple[int, np.ndarray]:
    """Return a signal as `gr.Audio` plays it without making it louder: its rate, and 16 bits."""
    return FRAMES.sample_rate_hz, np.int16(32767 * np.clip(signal, -1, 1))


def describe(prediction, timeline) -> str:
    """Say in Markdown what to know of an answer."""
    if not prediction.has_voice:
        return "**No voice** was found. Silence, noise, tones, clicks and music have no emotion."
    if timeline:
        text = "The emotions are the mean over the recording; the picture shows its parts."
    else:
        most = prediction.frame_seconds[np.argmax(prediction.attention)]
        text = f"The networks listened most at {most:.1f} s."
    if is_unfamiliar(prediction):
        text += " It sounds **unlike the training recordings**; expect more mistakes."
    elif prediction.familiarity is not None:
        text += " It sounds like the training recordings."
    return " ".join([text, *(f"The recording {note}." for note in list_notes(prediction))])


def draw(signal, prediction, timeline, emotions) -> tuple[np.ndarray, float, float]:
    """Draw a sound with the attention of the networks, or if it is long, its timeline.

    Returns the picture, shape (height, width, 3), and the columns where the sound starts and ends.
    """
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH)
    if timeline:
        axes = figure.add_subplot()
        figure.subplots_adjust(0.12, 0.3, 0.97, 0.97)
        if fill_timeline(timeline, emotions, axes):
            figure.legend(loc="lower center", ncols=3, frameon=False)
    else:
        axes, spectrum = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.2))
        figure.subplots_adjust(0.15, 0.11, 0.84, 0.93, hspace=0.1)
        draw_sound(signal, prediction, axes, spectrum)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = axes.get_window_extent()
    return np.asarray(canvas.buffer_rgba())[..., :3], box.x0, box.x1
