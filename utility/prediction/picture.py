"""Pictures of a recording: where the networks listened, and emotion over time."""

import math

import librosa
import librosa.display
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utility.audio import find_sound, is_silent, read_windows
from utility.globalvars import FRAMES, WINDOW_SECONDS
from utility.network.inference import predict_frames
from utility.prediction.clip import frames_of, rank

# After M. Okabe and K. Ito, told apart by the colour-blind, too.
COLOURS = ("#d55e00", "#f0e442", "#009e73", "#56b4e9", "#e69f00", "#0072b2", "#999999")
# For classes beside the seven, after P. Tol.
COLOURS += ("#cc79a7", "#332288", "#117733", "#882255", "#44aa99", "#000000", "#aa4499")
RATE = FRAMES.sample_rate_hz
SPECTRUM_LENGTH = 1024
# What is longer gets columns that are means, or it would look like a bar code.
LONGEST_DETAILED_SECONDS = 300
MOST_COLUMNS = 120


def write(figure, title, path) -> None:
    """Write a picture, in the format that the ending of its path names."""
    figure.suptitle(title)
    figure.savefig(path, dpi=150)


def draw_attention(sound, weights, voice) -> Figure:
    """Draw waveform and spectrogram with the attention over both, and the probabilities beside.

    Parameters
    ----------
    sound
        As for `utility.functions.read_windows`; a few seconds, not all silent.
    weights : Weights
    voice : Statistics or None
    """
    signals = list(read_windows(sound, WINDOW_SECONDS))
    signal = np.concatenate(signals)
    seconds = len(signal) / RATE
    times, attention, probabilities = listen(signals, weights, voice)
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1), height_ratios=(1, 1.4))
    wave = figure.add_subplot(grid[0, 0])
    wave.plot(np.arange(len(signal)) / RATE, signal, color="#444444", linewidth=0.4)
    wave.set_ylabel("amplitude")
    limit = 1.05 * np.abs(signal).max()
    wave.set(xlim=(0, seconds), ylim=(-limit, limit))
    wave.tick_params(labelbottom=False)
    over_wave = wave.twinx()
    over_wave.fill_between(times, attention, color="#d55e00", alpha=0.35, linewidth=0)
    # The last step of a window can hold a frame or two, which then stand out.
    highest = 1.3 * np.percentile(attention, 98)
    over_wave.set_ylim(0, highest)
    over_wave.set_ylabel("attention (% a frame)", color="#a04000")

    spectrum = figure.add_subplot(grid[1, 0], sharex=wave)
    power = np.abs(librosa.stft(signal, n_fft=SPECTRUM_LENGTH, hop_length=FRAMES.hop_length)) ** 2
    image = librosa.display.specshow(
        librosa.power_to_db(power, ref=np.max),
        sr=RATE,
        hop_length=FRAMES.hop_length,
        n_fft=SPECTRUM_LENGTH,
        x_axis="time",
        y_axis="linear",
        cmap="gray_r",
        ax=spectrum,
    )
    spectrum.set(xlim=(0, seconds), xlabel="time (s)", ylabel="frequency (Hz)")
    over_spectrum = spectrum.twinx()
    over_spectrum.plot(times, attention, color="#d55e00", linewidth=1.4)
    over_spectrum.set_ylim(0, highest)
    over_spectrum.set_yticks([])
    figure.colorbar(image, ax=spectrum, location="bottom", label="power (dB)", shrink=0.5)

    bars = figure.add_subplot(grid[:, 1])
    ranking = rank(weights.emotions, 100 * probabilities)[::-1]
    labels, shares = zip(*ranking, strict=True)
    colours = dict(zip(weights.emotions, COLOURS * len(weights.emotions), strict=False))
    drawn = bars.barh(labels, shares, color=[colours[label] for label in labels])
    bars.bar_label(drawn, [f"{share:.0f}" for share in shares], padding=3)
    bars.set(xlim=(0, 115), xlabel="probability (%)")
    bars.spines[["top", "right"]].set_visible(False)
    return figure


def listen(signals, weights, voice):
    """Find where in a recording the networks listened.

    Returns
    -------
    times : np.ndarray, shape (frames,)
        Middle of each frame, in seconds.
    attention : np.ndarray, shape (frames,)
        In percent; 0 in silence that is not heard.
    probabilities : np.ndarray, shape (emotions,)
    """
    times, attention, rows, place = [], [], [], 0.0
    for signal in signals:
        if not is_silent(signal):
            (row,), (shares,) = predict_frames(weights, [frames_of(signal, weights, voice)])
            start = find_sound(signal)[0] / RATE
            middles = np.arange(len(shares)) * FRAMES.hop_seconds + FRAMES.frame_seconds / 2
            times.append(place + start + middles)
            attention.append(100 * shares)
            rows.append(row)
        place += len(signal) / RATE
    attention = np.concatenate(attention) / len(rows)
    return np.concatenate(times), attention, np.mean(rows, axis=0)


def draw_timeline(result, emotions) -> Figure:
    """Draw the probabilities over time as a stacked area, with gaps where there are pauses.

    Parameters
    ----------
    result : Timeline
    emotions : sequence of str
    """
    length = result.whole.seconds
    seconds = 0 if length <= LONGEST_DETAILED_SECONDS else math.ceil(length / MOST_COLUMNS)
    starts, ends, shares = columns(result.segments, emotions, seconds)
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.add_subplot()
    below = np.zeros(len(starts))
    for emotion, colour, heights in zip(emotions, COLOURS * len(emotions), shares.T, strict=False):
        options = {"align": "edge", "linewidth": 0, "color": colour, "label": emotion}
        axes.bar(starts, 100 * heights, ends - starts, below, **options)
        below += 100 * heights
    means = f", means of {seconds} s" if seconds else ""
    axes.set(xlim=(0, length), ylim=(0, 100), xlabel="time (min:s)")
    axes.set_ylabel(f"probability (%){means}")
    axes.xaxis.set_major_locator(MaxNLocator(9, steps=(1, 1.5, 3, 6, 10), integer=True))
    axes.xaxis.set_major_formatter(lambda time, _: f"{time // 60:.0f}:{time % 60:02.0f}")
    figure.legend(loc="outside right center", frameon=False, reverse=True)
    return figure


def columns(segments, emotions, seconds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lay out what a picture of a timeline shows.

    Parameters
    ----------
    segments : sequence of Segment
    emotions : sequence of str
    seconds : int
        Length of a column, which is the mean of what was said in it; 0 for a column a window.

    Returns
    -------
    starts, ends : np.ndarray, shape (columns,)
        In seconds.
    shares : np.ndarray, shape (columns, emotions)
        Probabilities.
    """
    windows = [segment for segment in segments if segment.ranking is not None]
    starts = np.array([segment.start for segment in windows])
    # Of windows that overlap, up to the next.
    ends = np.minimum([segment.end for segment in windows], [*starts[1:], np.inf])
    heard = [dict(segment.ranking) for segment in windows]
    shares = np.array([[share[emotion] for emotion in emotions] for share in heard])
    if not seconds:
        return starts, ends, shares
    numbers, of_window = np.unique((starts + ends) / 2 // seconds, return_inverse=True)
    totals, times = np.zeros((len(numbers), len(emotions))), np.zeros((len(numbers), 1))
    np.add.at(totals, of_window, shares * (ends - starts)[:, np.newaxis])
    np.add.at(times, of_window, (ends - starts)[:, np.newaxis])
    return numbers * seconds, (numbers + 1) * seconds, totals / times
