"""Pictures of a recording: the attention of the networks, and emotion over time."""

import contextlib
import math
import warnings

import numpy as np

from utility.audio.recording import load_audio
from utility.command_line import give_matplotlib_a_folder, in_folder_of_program, make_printable
from utility.errors import SignalError, UsageError
from utility.functions import replaced_when_done
from utility.globalvars import FRAMES
from utility.prediction.clip import Prediction
from utility.prediction.output import NO_VOICE

give_matplotlib_a_folder()
with in_folder_of_program():
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.ticker import MaxNLocator

# Nor are settings of the user obeyed.
matplotlib.rcdefaults()
# Names of files and emotions are not formulas, even with two dollar signs.
matplotlib.rcParams["text.parse_math"] = False
# From M. Okabe and K. Ito; colour-blind readers can tell them apart.
COLOURS = ("#d55e00", "#f0e442", "#009e73", "#56b4e9", "#e69f00", "#0072b2", "#999999")
# From P. Tol, for classes other than the seven.
COLOURS += ("#cc79a7", "#332288", "#117733", "#882255", "#44aa99", "#000000", "#aa4499")
ATTENTION_COLOUR = "#c04a00"
RATE_HZ = FRAMES.sample_rate_hz
SPECTRUM_LENGTH = 1024
LEAST_POWER_DB = -80
# In a longer recording, windows would look like a bar code; columns are means over several.
LONGEST_DETAILED_SECONDS = 300
MOST_COLUMNS = 120
# Of a picture of attention.
LONGEST_PLOT_SECONDS = 30


def check_lengths(names, sounds) -> None:
    """Raise `UsageError` if a recording is too long for a picture of attention."""
    longest = LONGEST_PLOT_SECONDS * RATE_HZ
    for name, sound in zip(names, sounds, strict=True):
        with contextlib.suppress(SignalError):  # reported by the prediction
            if len(load_audio(sound, end_seconds=LONGEST_PLOT_SECONDS + 1)) > longest:
                text = f"{name}: --plot: more than {LONGEST_PLOT_SECONDS} s are too long"
                raise UsageError(f"{text}; also give --timeline")


def draw(path, title, sound, result, emotions) -> None:
    """Draw a `Timeline`, or a `Prediction` with its details, to a file in one atomic step."""
    if isinstance(result, Prediction):
        figure = draw_attention(sound, result, emotions)
    else:
        figure = draw_timeline(result, emotions)
    figure.suptitle(make_printable(title))
    with replaced_when_done(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of characters that the font lacks
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=150)


def draw_attention(sound, result, emotions) -> Figure:
    """Draw waveform and spectrogram with the attention over both, and the probabilities.

    Without a voice there is only the sound, which is as for `open_recording` and has a few seconds.
    """
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1), height_ratios=(1, 1.4))
    wave = figure.add_subplot(grid[0, 0])
    spectrum = figure.add_subplot(grid[1, 0], sharex=wave)
    image = draw_sound(load_audio(sound), result, wave, spectrum)
    figure.colorbar(image, ax=spectrum, location="bottom", label="power (dB)", shrink=0.5)
    if result.has_voice:
        draw_probabilities(emotions, result.ranking, figure.add_subplot(grid[:, 1]))
    else:
        figure.text(0.88, 0.5, NO_VOICE, ha="center")
    return figure


def draw_sound(signal, result, wave, spectrum) -> AxesImage:
    """Draw waveform and spectrogram on two axes, with the attention over both if there is a voice.

    The result is a `Prediction` with its details. Returns the spectrogram.
    """
    draw_waveform(signal, wave)
    image = draw_spectrogram(signal, spectrum)
    handles = [*wave.lines]
    if result.has_voice:
        for axes in (wave, spectrum):
            overlay = lay_attention_over(axes, result.frame_seconds, 100 * result.attention)
        handles += overlay.lines
    wave.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    return image


def draw_waveform(signal, axes) -> None:
    """Draw the samples of a signal."""
    times = np.arange(len(signal)) / RATE_HZ
    axes.plot(times, signal, color="#666666", linewidth=0.4, label="waveform")
    limit = 1.05 * np.abs(signal).max() or 1
    axes.set(xlim=(0, len(signal) / RATE_HZ), ylim=(-limit, limit), ylabel="amplitude")
    axes.tick_params(labelbottom=False)


def draw_spectrogram(signal, axes) -> AxesImage:
    """Draw the power of a signal over time and frequency, in decibels below the largest."""
    padded = np.pad(signal, SPECTRUM_LENGTH // 2)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, SPECTRUM_LENGTH)
    pieces = pieces[:: FRAMES.hop_length] * np.hanning(SPECTRUM_LENGTH)
    magnitudes = np.abs(np.fft.rfft(pieces)).T
    shares = magnitudes / (magnitudes.max() or 1)
    power_db = 20 * np.log10(np.maximum(shares, 10 ** (LEAST_POWER_DB / 20)))
    extent = 0, len(signal) / RATE_HZ, 0, RATE_HZ / 2
    look = {"cmap": "gray_r", "vmin": LEAST_POWER_DB, "vmax": 0, "aspect": "auto"}
    axes.set(xlabel="time (s)", ylabel="frequency (Hz)")
    return axes.imshow(power_db, origin="lower", extent=extent, **look)


def lay_attention_over(axes, times, attention) -> Axes:
    """Draw the attention over other axes, on axes with a scale of their own on the right."""
    overlay = axes.twinx()
    style = {"color": ATTENTION_COLOUR, "linewidth": 1.4, "label": "attention of the networks"}
    overlay.plot(times, attention, **style)
    # The last step of a window may hold one or two frames, whose attention stands out.
    overlay.set_ylim(0, 1.3 * (np.percentile(attention, 98) or attention.max()))
    overlay.set_ylabel("attention (% of total,\nper frame)", color=ATTENTION_COLOUR)
    overlay.tick_params(axis="y", colors=ATTENTION_COLOUR)
    overlay.locator_params(axis="y", nbins=4)
    return overlay


def draw_probabilities(emotions, ranking, axes) -> None:
    """Draw one bar per emotion, the most likely on top."""
    colours = dict(zip(emotions, COLOURS * len(emotions), strict=False))
    labels, shares = zip(*ranking[::-1], strict=True)
    shares = [100 * share for share in shares]
    bars = axes.barh(labels, shares, color=[colours[label] for label in labels])
    axes.bar_label(bars, [f"{share:.0f}" for share in shares], padding=3)
    axes.set(xlim=(0, 115), xlabel="probability (%)")
    axes.spines[["top", "right"]].set_visible(False)


def draw_timeline(result, emotions) -> Figure:
    """Draw the probabilities of a `Timeline`, with a legend beside them."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    if fill_timeline(result, emotions, figure.add_subplot()):
        figure.legend(loc="outside right center", frameon=False, reverse=True)
    return figure


def fill_timeline(result, emotions, axes) -> bool:
    """Draw probabilities as stacked bars, with gaps where there is no voice.

    Returns whether there is one at all.
    """
    length = result.whole.seconds
    seconds = 0 if length <= LONGEST_DETAILED_SECONDS else math.ceil(length / MOST_COLUMNS)
    starts, ends, shares = make_columns(result.segments, emotions, seconds)
    below = np.zeros(len(starts))
    for emotion, colour, heights in zip(emotions, COLOURS * len(emotions), shares.T, strict=False):
        options = {"align": "edge", "linewidth": 0, "color": colour, "label": emotion}
        axes.bar(starts, 100 * heights, ends - starts, below, **options)
        below += 100 * heights
    label = "probability (%)" + (f", means of {seconds} s" if seconds else "")
    axes.set(xlim=(0, length), ylim=(0, 100), xlabel="time (min:s)", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(9, steps=(1, 1.5, 3, 6, 10), integer=True))
    axes.xaxis.set_major_formatter(lambda time, _: f"{time // 60:.0f}:{time % 60:02.0f}")
    if not len(starts):
        axes.text(length / 2, 50, NO_VOICE, ha="center")
    return len(starts) > 0


def make_columns(segments, emotions, seconds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrange the windows of a timeline as columns: start, end and probabilities of each.

    With `seconds`, a column is the mean over the windows in that time. The times have the
    shape (columns,), the probabilities (columns, emotions).
    """
    windows = [segment for segment in segments if segment.ranking is not None]
    starts = np.array([segment.start for segment in windows])
    # Overlapping windows count up to the start of the next.
    ends = np.minimum([segment.end for segment in windows], [*starts[1:], np.inf])
    rankings = [dict(segment.ranking) for segment in windows]
    shares = np.array([[ranking[emotion] for emotion in emotions] for ranking in rankings])
    shares = shares.reshape(-1, len(emotions))  # also without a window
    if not seconds:
        return starts, ends, shares
    numbers, of_window = np.unique((starts + ends) / 2 // seconds, return_inverse=True)
    totals, times = np.zeros((len(numbers), len(emotions))), np.zeros((len(numbers), 1))
    np.add.at(totals, of_window, shares * (ends - starts)[:, np.newaxis])
    np.add.at(times, of_window, (ends - starts)[:, np.newaxis])
    return numbers * seconds, (numbers + 1) * seconds, totals / times
