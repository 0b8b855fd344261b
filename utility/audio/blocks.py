"""Blocks of samples, as decoders give them: how large they may be, and what they may hold.

What a header says of the rate and the number of channels never decides how much memory is taken.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from utility.errors import SignalError
from utility.signals import check_finite, check_sample_rate, largest_magnitude

# What the largest mixing desks and arrays of microphones record.
MOST_CHANNELS = 64
BLOCK_SECONDS = 1.0
# In double precision, 8 MB.
BLOCK_VALUES = 2**20
# Far beyond any full scale, and its square is still a number in single precision.
LARGEST_SAMPLE = 1e9


def check_channel_count(channel_count) -> None:
    """Raise `SignalError` if a recording has too many channels."""
    if channel_count > MOST_CHANNELS:
        raise SignalError(f"has {channel_count} channels; give at most {MOST_CHANNELS}")


def count_samples(rate, channel_count, seconds=BLOCK_SECONDS) -> int:
    """Return how many samples of each channel a block has, which lasts some seconds at most."""
    return max(1, min(round(rate * seconds), BLOCK_VALUES // channel_count))


def check_blocks(
    blocks: Iterable[tuple[np.ndarray, float]], channel: int | None = None
) -> Iterator[tuple[np.ndarray, float]]:
    """Yield blocks of samples, shape (samples, channels), each with its rate in Hz.

    Parameters
    ----------
    blocks : iterable
    channel : int, optional
        The only channel to yield, from 1.

    Raises
    ------
    SignalError
        If a block lacks the channel, has too many, too low or high a rate, or samples that are
        not finite or beyond any full scale.
    """
    for block, rate in blocks:
        check_sample_rate(rate)
        check_channel_count(block.shape[1])
        if channel is not None:
            check_channel(channel, block.shape[1])
            block = block[:, channel - 1 : channel]
        if block.size:
            check_finite(block)
            check_magnitude(block)
        yield block, rate


def check_channel(channel, channel_count) -> None:
    """Raise `SignalError` unless there is a channel of this number, from 1."""
    if not 1 <= channel <= channel_count:
        have = f"{channel_count} channel" + "s" * (channel_count > 1)
        raise SignalError(f"has {have}, so no channel {channel}; give another")


def check_magnitude(block) -> None:
    """Raise `SignalError` if samples are beyond any full scale."""
    if (peak := largest_magnitude(block)) > LARGEST_SAMPLE:
        what = f"holds samples of {peak:.0e}, where full scale is 1"
        raise SignalError(f"{what}; repair the recording")
