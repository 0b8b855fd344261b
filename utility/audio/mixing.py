"""Mix several channels to one, without letting them cancel each other."""

from collections.abc import Iterator

import numpy as np

STEP_SECONDS = 0.1
# How much of the earlier power counts with each step.
DECAY = 0.5
# What the mean of the channels must keep of the power that it has if they differ only in level.
# Channels with noise of their own 10 dB below the voice keep 95 %; inverted ones, nothing.
LEAST_KEPT = 0.9
# How many times the power of the heard channel another must have to replace it.
LOUDER = 2


class Mixer:
    """Mix the channels of a recording as it is read.

    Where the channels agree but for their level, their mean is heard, and otherwise the loudest
    of them: the mean of a voice and its inversion is silence, and that of two microphones a few
    tenths of a millisecond apart is a comb filter. Power is that of the differences between
    successive samples, which raises the high frequencies, where delays tell first, and lowers
    rumble.
    """

    def __init__(self):
        self.heard = None
        self.recent, self.total = Power(), Power()

    def mix(self, blocks) -> Iterator[tuple[np.ndarray, int]]:
        """Mix blocks of samples, shape (samples, channels), each with its rate in Hz.

        Yields signals, shape (samples,), and their rates. Several channels are mixed in steps of
        0.1 s, however long the blocks are.
        """
        kept, kept_rate = None, None
        for block, rate in blocks:
            if block.shape[1] == 1:
                yield from self.mix_rest(kept, kept_rate)
                kept = None
                yield block[:, 0], rate
                continue
            if kept is not None and (kept.shape[1], kept_rate) != (block.shape[1], rate):
                yield from self.mix_rest(kept, kept_rate)
                kept = None
            kept, kept_rate = block if kept is None else np.concatenate([kept, block]), rate
            length = max(2, round(STEP_SECONDS * rate))
            whole = len(kept) - len(kept) % length
            parts = [kept[start : start + length] for start in range(0, whole, length)]
            if parts:
                yield np.concatenate([self.mix_step(part) for part in parts]), rate
            kept = kept[whole:]
        yield from self.mix_rest(kept, kept_rate)

    def mix_rest(self, channels, rate) -> Iterator[tuple[np.ndarray, int]]:
        """Mix what is left, if anything."""
        if channels is not None and len(channels):
            yield self.mix_step(channels), rate

    def mix_step(self, channels) -> np.ndarray:
        """Mix a step."""
        count = channels.shape[1]
        if (channels == channels[:, :1]).all():
            mean = channels[:, 0]
            step = measure_power(mean)
            step = Power(np.full(count, step), step)
        else:
            mean = channels @ np.full(count, 1 / count)
            step = Power(measure_power(channels), measure_power(mean))
        if count != len(self.recent.of_channels):
            self.heard = None
        self.recent, self.total = step.add(self.recent, DECAY), step.add(self.total)
        if self.recent.channels_agree:
            self.heard = None
            return mean
        powers = self.recent.of_channels
        if self.heard is None or powers.max() > LOUDER * powers[self.heard]:
            self.heard = int(powers.argmax())
        return channels[:, self.heard]

    @property
    def channels_differ(self) -> bool:
        """Whether the channels differ, other than in their level, over all that was mixed."""
        return not self.total.channels_agree


def measure_power(samples) -> np.ndarray:
    """Sum the squares of the differences between successive samples."""
    return np.square(np.diff(samples, axis=0)).sum(axis=0)


class Power:
    """The power of each channel, and that of their mean."""

    def __init__(self, of_channels=(), of_mean=0.0):
        self.of_channels, self.of_mean = np.asarray(of_channels), of_mean

    def add(self, other, weight=1.0) -> "Power":
        """Return the sum with another power, unless its number of channels is another."""
        if len(other.of_channels) != len(self.of_channels):
            return self
        of_channels = self.of_channels + weight * other.of_channels
        return Power(of_channels, self.of_mean + weight * other.of_mean)

    @property
    def channels_agree(self) -> bool:
        """Whether the mean keeps the power that it has if the channels differ only in level."""
        amplitudes = np.sqrt(self.of_channels)
        return not amplitudes.size or self.of_mean >= LEAST_KEPT * amplitudes.mean() ** 2
