"""Decode every other format with FFmpeg's libraries, through PyAV.

FFmpeg is given an open file and never a name, opens no other file or address, and tries only
the containers named here.
"""

import struct
from collections.abc import Iterator

import numpy as np

from utility.audio.blocks import BLOCK_SECONDS, BLOCK_VALUES, check_channel_count, count_samples
from utility.audio.ogg import find_links, is_complete
from utility.errors import SignalError
from utility.signals import check_sample_rate

# Names of FFmpeg's demuxers: containers of sound, and of video with sound. Not adx, of games: of a
# sample rate that is too high for its decoder, FFmpeg divides by zero.
CONTAINERS = (
    "aac,ac3,aiff,alp,amr,ape,apm,argo_asf,asf,ast,au,avi,avr,caf,codec2,dsf,dss,dts,dtshd,eac3,"
    "flac,flv,gsm,gxf,hca,hcom,ircam,kvag,loas,matroska,mlp,mmf,mov,mp3,mpc,mpc8,mpeg,mpegts,mxf,"
    "nistsphere,nut,ogg,oma,osq,paf,pvf,qcp,qoa,rm,roq,shn,smjpeg,sox,spdif,swf,tak,truehd,tta,voc,"
    "vqf,w64,wav,wsaud,wsd,wtv,wv,xwma"
)
OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": ""}
# Of all channels, in what a decoder returns at once. Usual ones return up to a second.
MOST_FRAME_VALUES = 4 * BLOCK_VALUES
# What FFmpeg may take in one piece. An index with the places of a day of sound has 100 MB.
LARGEST_ALLOCATION_BYTES = 2**27
# Whose headers tell how long the sound is; for others FFmpeg guesses from the bit rate.
TELLING_CONTAINERS = ("wav", "w64", "aiff", "au", "caf", "flac", "tta", "wv", "ape", "tak")
TELLING_CONTAINERS += ("mov", "matroska", "avi", "nut", "ogg")
# Matroska counts the padding of the encoder; a shorter cut is no loss.
LARGEST_DIFFERENCE_SECONDS = 0.2
# Of the packets, those that cannot be decoded; where files were joined, one or two fail.
DAMAGED_SHARE = 0.02
# Where so many fail, and more than do not, there is no sound.
MOST_FAILED = 1000
# A file may store its packets compressed, but not much.
MOST_BYTES_PER_BYTE = 2
REPEATS = "cannot be read as audio: its index names the same sound again and again; convert it"
INDEX_COMES_LAST = "is an MP4 file whose index comes last; save it as a file and omit --stream"
INDEX_IS_MISSING = "is cut off: its index, which is written last, is not whole; record it again"
UNREADABLE = "cannot be read as audio: no sound in it is of a known format; convert it to WAV"


class FilePart:
    """What FFmpeg needs of a file, or of a part of one, from `start` to `end`.

    The name is withheld, since a wrong one would mislead it.
    """

    def __init__(self, file, start=0, end=None):
        self.file, self.start = file, start
        self.size = (file.seek(0, 2) if end is None else end) - start
        self.file.seek(start)

    def tell(self) -> int:
        """Return the place in the part."""
        return self.file.tell() - self.start

    def seek(self, offset, whence=0) -> int:
        """Go to a place, counted from the start (0), from here (1) or from the end (2)."""
        base = {0: 0, 1: self.tell(), 2: self.size}[whence]
        place = min(max(base + offset, 0), self.size)
        return self.file.seek(self.start + place) - self.start

    def read(self, size=-1) -> bytes:
        """Read up to the end of the part."""
        left = max(self.size - self.tell(), 0)
        return self.file.read(left if size < 0 else min(size, left))


class DecodedSource:
    """The blocks of a file that FFmpeg decodes, at its own rate and with all its channels.

    Parameters
    ----------
    file : object with `read`
        If it also has `seek` and `tell`, whether it ends early can be told.
    options : dict
        Further options of FFmpeg.
    block_seconds : float
        Frames are gathered to blocks of about this length, or shorter ones of many channels.
    """

    def __init__(self, file, options=(), block_seconds=BLOCK_SECONDS):
        import av

        limit_allocations(av)
        self.errors, self.file, self.block_seconds = av.error.FFmpegError, file, block_seconds
        if hasattr(file, "seek"):
            file.seek(0)
        try:
            settings = {**OPTIONS, **dict(options)}
            self.container = av.open(file, "r", options=settings, metadata_errors="ignore")
        except self.errors as error:
            raise SignalError(self.explain_failure()) from error
        self.stream = next(iter(self.container.streams.audio), None)
        context = self.stream and self.stream.codec_context
        if context is None:
            is_cut = self.is_mp4 and self.stream is not None
            name = self.container.format.long_name
            self.container.close()
            if is_cut:
                raise SignalError(INDEX_IS_MISSING)
            if self.stream is None:
                raise SignalError("holds no sound; give a recording")
            raise SignalError(f"holds sound that cannot be decoded ({name}); convert it to WAV")
        self.channel_count = context.channels
        context.options = {"max_samples": str(MOST_FRAME_VALUES)}
        self.ends_early = self.is_damaged = False

    def explain_failure(self) -> str:
        """Return what is wrong with a file that FFmpeg does not open."""
        if hasattr(self.file, "seek"):
            self.file.seek(0)
            if b"ftyp" in self.file.read(12):
                return INDEX_IS_MISSING
        return UNREADABLE

    def read_blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield samples, shape (samples, channels), full scale from -1 to 1, and their rate."""
        import av

        fifo, packer, form, seconds = None, None, None, 0.0
        for frame in self.decode_frames():
            if form != (form := (frame.sample_rate, frame.layout, frame.format.name)):
                rate, channel_count = frame.sample_rate, frame.layout.nb_channels
                check_sample_rate(rate)
                check_channel_count(channel_count)
                length = count_samples(rate, channel_count, self.block_seconds)
                if fifo and fifo.samples:
                    yield take_samples(fifo, packer)
                fifo = av.AudioFifo()
                # PyAV makes no array of samples of 64 bits. Of planes, one for each channel, it
                # reads beyond the last one if there are eight or more.
                is_wide = form[2].startswith("s64")
                packer = av.AudioResampler("dbl" if is_wide else frame.format.packed.name)
            frame.pts = None  # frames that overlap or have gaps are joined all the same
            fifo.write(frame)
            seconds += frame.samples / frame.sample_rate
            if fifo.samples >= length:
                yield take_samples(fifo, packer)
        if fifo and fifo.samples:
            yield take_samples(fifo, packer)
        lacks_sound = self.lacks_sound(seconds)
        self.ends_early = self.ends_early if lacks_sound is None else lacks_sound
        if not seconds and not hasattr(self.file, "seek"):
            raise SignalError(INDEX_COMES_LAST if self.is_mp4 else UNREADABLE)
        if not seconds and self.ends_early:
            raise SignalError(UNREADABLE)

    def decode_frames(self) -> Iterator:
        """Yield FFmpeg's frames; packets that cannot be decoded are left out."""
        self.packet_count, failed, left = 0, 0, self.count_bytes()
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except self.errors:  # the file ends in the middle of something
                packet, self.ends_early = None, True
            if packet is None:
                break
            if (left := left - packet.size) < 0:
                raise SignalError(REPEATS)
            try:
                frames = packet.decode()
            except self.errors:
                self.ends_early, failed = True, failed + 1
                if failed > max(MOST_FAILED, self.packet_count):
                    raise SignalError(UNREADABLE) from None
                continue
            self.packet_count += 1
            if frames:
                # What the decoder still held at the end tells nothing.
                self.ends_early = self.ends_early and not packet.size
                yield from frames
        if failed > self.packet_count:  # taken for sound by mistake
            raise SignalError(UNREADABLE)
        self.is_damaged = failed > max(2, DAMAGED_SHARE * self.packet_count)

    def count_bytes(self) -> float:
        """Return how many bytes the packets of the file may have; infinite if it is a stream."""
        return MOST_BYTES_PER_BYTE * self.file.size if hasattr(self.file, "size") else np.inf

    def lacks_sound(self, seconds) -> bool | None:
        """Tell whether the file promises more than was decoded; None if it promises nothing."""
        if not hasattr(self.file, "seek"):
            return None
        name = self.container.format.name
        if name == "mp3":
            promised_frames = find_promised_frames(self.file)
            return self.packet_count < promised_frames if promised_frames else None
        if name == "ogg" and not is_complete(self.file):
            return True
        if name.split(",")[0] not in TELLING_CONTAINERS:
            return None
        if self.stream.duration:
            promised = float(self.stream.duration * self.stream.time_base)
        elif self.container.duration and not self.container.streams.video:  # may last longer
            promised = self.container.duration / 1e6
        else:
            return None
        return promised - seconds > LARGEST_DIFFERENCE_SECONDS

    @property
    def is_mp4(self) -> bool:
        """Whether the container is MP4 or one of its relatives."""
        return self.container.format.name.startswith("mov")

    def close(self) -> None:
        """Free FFmpeg's memory; the file stays open."""
        self.container.close()


class JoinedSource:
    """The blocks of Ogg files that were joined.

    FFmpeg alone hears only the first if their rates differ.
    """

    def __init__(self, parts):
        self.parts = parts
        self.source = DecodedSource(parts[0])
        self.channel_count = self.source.channel_count
        self.ends_early = self.is_damaged = False

    def read_blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield samples, shape (samples, channels), full scale from -1 to 1, and their rate."""
        for part in self.parts:
            self.close()
            self.source = DecodedSource(part)
            yield from self.source.read_blocks()
            self.ends_early = self.source.ends_early
            self.is_damaged = self.is_damaged or self.source.is_damaged

    def close(self) -> None:
        """Free FFmpeg's memory; the file stays open."""
        self.source.close()


def limit_allocations(av) -> None:
    """Let FFmpeg allocate no more at once in this process than a recording needs."""
    import ctypes

    # PyAV has no name for it, but is linked with it.
    ctypes.CDLL(av._core.__file__).av_max_alloc(ctypes.c_size_t(LARGEST_ALLOCATION_BYTES))


def open_compressed(file) -> DecodedSource | JoinedSource:
    """Open a file that can be sought with FFmpeg; raise a `SignalError` if it cannot."""
    starts = find_links(file)
    if len(starts) < 2:
        return DecodedSource(FilePart(file))
    ends = [*starts[1:], None]
    return JoinedSource([FilePart(file, *bounds) for bounds in zip(starts, ends, strict=True)])


def take_samples(fifo, packer) -> tuple[np.ndarray, int]:
    """Take all samples from a queue of frames, shape (samples, channels), and their rate.

    The packer puts the samples of all channels side by side.
    """
    (frame,) = packer.resample(fifo.read())
    name = frame.format.name
    with np.errstate(invalid="ignore"):  # of NaNs
        samples = frame.to_ndarray().astype(np.float64)
    if name == "u8":
        samples = (samples - 128) / 128
    elif name[0] == "s":
        samples /= 2.0 ** (int(name[1:]) - 1)
    return samples.reshape(-1, frame.layout.nb_channels), frame.sample_rate


def find_promised_frames(file) -> int:
    """Return how many frames an MP3 file holds by its Xing header; 0 if it has none."""
    file.seek(0)
    start, tag_bytes = file.read(10), 0
    if start[:3] == b"ID3":  # a tag comes first, whose size has seven bits in each byte
        for byte in start[6:]:
            tag_bytes = 128 * tag_bytes + byte
        tag_bytes += 10
    file.seek(tag_bytes)
    start = file.read(64)
    place = max(start.find(b"Xing"), start.find(b"Info"))
    if place < 0:
        return 0
    flags, frame_count = struct.unpack(">II", start[place + 4 : place + 12].ljust(8, b"\0"))
    return frame_count if flags & 1 else 0
