"""Pictures of a recording: where the networks listened, and emotion over time."""

import librosa
import librosa.display
import numpy as np
from matplotlib.figure import Figure

from utility.errors import UsageError
from utility.functions import is_silent, read_windows, without_silence
from utility.globalvars import FRAMES, WINDOW_SECONDS
from utility.inference import predict
from utility.prediction import frames_of, rank
from utility.timeline import timelines

# After M. Okabe and K. Ito, told apart by the colour-blind, too.
COLOURS = ("#d55e00", "#f0e442", "#009e73", "#56b4e9", "#e69f00", "#0072b2", "#999999")
RATE = FRAMES.sample_rate_hz
LONGEST_SECONDS = 30
SPECTRUM_LENGTH = 1024


def draw(path, name, sound, weights, voice, options) -> None:
    """Draw a recording that has been predicted before, so that it can be read.

    Parameters
    ----------
    path : path-like
        Ends in .png, .svg or .pdf.
    name : path-like
        For the title.
    sound
        As for `utility.functions.read_windows`.
    weights : Weights
    voice : Statistics or None
    options
        timeline : bool; window, hop : float, in seconds.

    Raises
    ------
    UsageError
        If it is too long to be seen without a timeline.
    """
    if options.timeline:
        (result,) = timelines([sound], weights, options.window, options.hop, voice)
        figure = draw_timeline(result, weights.emotions)
    else:
        figure = draw_attention(list(read_windows(sound, WINDOW_SECONDS)), weights, voice)
    figure.suptitle(str(name).rpartition("/")[2])
    figure.savefig(path, dpi=150)


def draw_attention(signals, weights, voice) -> Figure:
    """Draw waveform and spectrogram with the attention over both, and the probabilities beside.

    Parameters
    ----------
    signals : list of np.ndarray, shape (samples,)
        The windows of a recording at 16 kHz.
    weights : Weights
    voice : Statistics or None
    """
    signal = np.concatenate(signals)
    seconds = len(signal) / RATE
    if seconds > LONGEST_SECONDS:
        raise UsageError(f"--plot: {seconds:.0f} s are too long for that; give --timeline, too")
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
    over_wave.set_ylim(0, 1.15 * attention.max())
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
    over_spectrum.set_ylim(0, 1.15 * attention.max())
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
            (row,), (shares,) = predict(weights, [frames_of(signal, weights, voice)])
            start = without_silence(signal)[0] / RATE
            middles = np.arange(len(shares)) * FRAMES.hop_seconds + FRAMES.frame_seconds / 2
            times.append(place + start + middles)
            attention.append(100 * shares)
            rows.append(row)
        place += len(signal) / RATE
    attention = np.concatenate(attention) / len(rows)
    return np.concatenate(times), attention, np.mean(rows, axis=0)


def draw_timeline(result, emotions) -> Figure:
    """Draw the probabilities over time as a stacked area, with gaps where there are pauses."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.add_subplot()
    colours = COLOURS * len(emotions)
    for number, segment in enumerate(result.segments):
        if segment.ranking is None:
            continue
        following = result.segments[number + 1 : number + 2]
        end = min([segment.end, *(other.start for other in following)])
        shares = 100 * np.array([dict(segment.ranking)[emotion] for emotion in emotions])
        axes.stackplot(
            [segment.start, end], np.stack([shares, shares], axis=1), colors=colours, linewidth=0
        )
    for emotion, colour in zip(emotions, colours, strict=False):
        axes.fill_between([], [], color=colour, label=emotion)
    length = result.whole.seconds
    axes.set(xlim=(0, length), ylim=(0, 100), xlabel="time (s)", ylabel="probability (%)")
    figure.legend(loc="outside right center", frameon=False, reverse=True)
    return figure
