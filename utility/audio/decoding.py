"""Decode every other format with FFmpeg's libraries, through PyAV.

FFmpeg is given an open file and never a name, opens no other file or address, and tries only
the containers named here.
"""

from collections.abc import Iterator

import numpy as np

from utility.errors import SignalError

# Names of FFmpeg's demuxers: containers of sound, and of video with sound.
CONTAINERS = (
    "aac,ac3,adx,aiff,amr,ape,asf,au,avi,avr,caf,dsf,dss,dts,dtshd,eac3,flac,flv,gxf,hca,ircam,"
    "loas,matroska,mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nut,ogg,oma,osq,paf,pvf,qcp,qoa,"
    "rm,shn,sox,swf,tak,truehd,tta,voc,vqf,w64,wav,wsd,wtv,wv,xwma"
)
OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": ""}
# Whose headers tell how long the sound is; for others FFmpeg guesses from the bit rate.
TELLING_CONTAINERS = ("wav", "w64", "aiff", "au", "caf", "flac", "tta", "wv", "ape", "tak")
TELLING_CONTAINERS += ("mov", "matroska", "asf", "avi")
BLOCK_SECONDS = 1.0
# Matroska counts the padding of the encoder; a shorter cut is no loss.
LARGEST_DIFFERENCE_SECONDS = 0.2
MOST_CHANNELS = 64
# Where the last page of an Ogg file, or the first frame of an MP3 file, is looked for.
SEARCHED_BYTES = 2**17
INDEX_COMES_LAST = "is an MP4 file whose index comes last; save it as a file and omit --stream"
UNREADABLE = "cannot be read as audio: no sound in it is of a known format; convert it to WAV"


class FileOfBytes:
    """What FFmpeg needs of a file; the name is withheld, since a wrong one would mislead it."""

    def __init__(self, file):
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class DecodedSource:
    """The blocks of a file that FFmpeg decodes, at its own rate and with all its channels.

    Parameters
    ----------
    file : object with `read`
        If it also has `seek` and `tell`, whether it ends early can be told.
    options : dict
        Further options of FFmpeg.
    block_seconds : float
        Frames are gathered to blocks of at least this length.
    """

    def __init__(self, file, options=(), block_seconds=BLOCK_SECONDS):
        import av

        self.errors, self.file, self.block_seconds = av.error.FFmpegError, file, block_seconds
        try:
            settings = {**OPTIONS, **dict(options)}
            self.container = av.open(file, "r", options=settings, metadata_errors="ignore")
        except self.errors as error:
            raise SignalError(self.explain_failure()) from error
        self.stream = next(iter(self.container.streams.audio), None)
        context = self.stream and self.stream.codec_context
        if context is None:
            self.container.close()
            what = "no sound" if self.stream is None else "sound in a format that is not known"
            raise SignalError(f"holds {what}; give a recording")
        self.channel_count = context.channels
        self.ends_early = False

    def explain_failure(self) -> str:
        """Return what is wrong with a file that FFmpeg does not open."""
        if hasattr(self.file, "seek"):
            self.file.seek(0)
            if b"ftyp" in self.file.read(12):
                return "is cut off: its index, which is written last, is missing; record it again"
        return UNREADABLE

    def read_blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield samples, shape (samples, channels), full scale from -1 to 1, and their rate."""
        import av

        fifo, form, seconds = None, None, 0.0
        for frame in self.decode_frames():
            if form != (form := (frame.sample_rate, frame.layout.name, frame.format.name)):
                if fifo and fifo.samples:
                    yield take_samples(fifo)
                fifo = av.AudioFifo()
            frame.pts = None  # frames that overlap or have gaps are joined all the same
            fifo.write(frame)
            seconds += frame.samples / frame.sample_rate
            if fifo.samples >= self.block_seconds * frame.sample_rate:
                yield take_samples(fifo)
        if fifo and fifo.samples:
            yield take_samples(fifo)
        self.ends_early = self.ends_early or self.lacks_sound(seconds)
        if not seconds and not hasattr(self.file, "seek"):
            raise SignalError(INDEX_COMES_LAST if self.is_mp4 else UNREADABLE)
        if not seconds and self.ends_early:
            raise SignalError(UNREADABLE)

    def decode_frames(self) -> Iterator:
        """Yield FFmpeg's frames; packets that cannot be decoded are left out."""
        self.packet_count, failed = 0, 0
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except self.errors:  # the file ends in the middle of something
                packet, self.ends_early = None, True
            if packet is None:
                break
            try:
                frames = packet.decode()
            except self.errors:
                self.ends_early, failed = True, failed + 1
                continue
            self.packet_count += 1
            if frames:
                self.ends_early = False
                yield from frames
        if failed > self.packet_count:  # taken for sound by mistake
            raise SignalError(UNREADABLE)

    def lacks_sound(self, seconds) -> bool:
        """Tell whether the file promises more than was decoded, as far as it can be known."""
        if not hasattr(self.file, "seek"):
            return False
        name, promised = self.container.format.name, 0.0
        if name == "mp3":
            promised_frames = find_promised_frames(self.file)
            return self.packet_count < promised_frames
        if name == "ogg":
            return not is_ogg_complete(self.file)
        if name.split(",")[0] in TELLING_CONTAINERS:
            if self.stream.duration:
                promised = float(self.stream.duration * self.stream.time_base)
            elif self.container.duration:
                promised = self.container.duration / 1e6
        return promised - seconds > LARGEST_DIFFERENCE_SECONDS

    @property
    def is_mp4(self) -> bool:
        """Whether the container is MP4 or one of its relatives."""
        return self.container.format.name.startswith("mov")

    def close(self) -> None:
        """Free FFmpeg's memory; the file stays open."""
        self.container.close()


def take_samples(fifo) -> tuple[np.ndarray, int]:
    """Take all samples from a queue of frames, shape (samples, channels), and their rate."""
    frame = fifo.read()
    samples = frame.to_ndarray().astype(np.float64)
    name, channels = frame.format.name.removesuffix("p"), frame.layout.nb_channels
    if channels > MOST_CHANNELS:
        raise SignalError(f"has {channels} channels; give at most {MOST_CHANNELS}")
    if name == "u8":
        samples = (samples - 128) / 128
    elif name[0] == "s":
        samples /= 2.0 ** (int(name[1:]) - 1)
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, channels)
    return samples, frame.sample_rate


def find_promised_frames(file) -> int:
    """Return how many frames an MP3 file holds by its Xing header; 0 if it has none."""
    file.seek(0)
    start = file.read(10)
    if start[:3] == b"ID3":  # a tag of this size comes first
        file.seek(
            10 + sum(byte << shift for byte, shift in zip(start[6:], (21, 14, 7, 0), strict=True))
        )
    else:
        file.seek(0)
    start = file.read(200)
    place = max(start.find(b"Xing"), start.find(b"Info"))
    if place < 0 or not start[place + 7] & 1:
        return 0
    return int.from_bytes(start[place + 8 : place + 12], "big")


def is_ogg_complete(file) -> bool:
    """Tell whether the last page of an Ogg file is whole and marked as the last one."""
    file.seek(max(file.seek(0, 2) - SEARCHED_BYTES, 0))
    page = file.read()
    page = page[max(page.rfind(b"OggS"), 0) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    is_last, sizes = page[5] & 4, page[27 : 27 + page[26]]
    return bool(is_last) and len(page) >= 27 + page[26] + sum(sizes)
