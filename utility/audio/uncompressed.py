"""Uncompressed files (WAV, AIFF, AU, ...), which libsndfile reads at once."""

import re
from collections.abc import Iterator

import numpy as np

from utility.audio.blocks import count_samples
from utility.errors import SignalError

# How the files begin: those that are uncompressed as a rule, and those that only libsndfile reads.
# Of a file that begins in another way it would look for a second one, called "._"; and of ALAC in a
# CAF file, some damage would be told on standard output.
BEGINNINGS = re.compile(
    rb"(RIFF|RIFX|RF64)....WAVE|FORM....(AIF[FC]|8SVX|16SV)|[.]snd|dns[.]|riff"
    rb"|caff....desc.{16}(lpcm|[au]law)",
    re.DOTALL,
)
RARE_BEGINNINGS = re.compile(rb" paf|fap |2BIT|NIST|PVF1|ALawSoundFil|Extended Ins|MATLAB 5")
BEGINNING_BYTES = 32
PLAIN = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
# Of the encodings that are not plain; GSM 6.10 has five in a byte.
MOST_SAMPLES_PER_BYTE = 16
# Programs that write to a pipe put a size near 2 or 4 GB, or none.
UNKNOWN_SIZE = 2**31 - 2**16
LARGEST_DIFFERENCE_SECONDS = 0.05


class QuietFile:
    """A file whose errors are kept; soundfile would print them and go on."""

    def __init__(self, file):
        self.file, self.error = file, None
        self.tell = file.tell

    def seek(self, offset, whence=0) -> int:
        """Seek, or stay if there is no such place."""
        try:
            return self.file.seek(offset, whence)
        except (OSError, ValueError):
            return self.file.tell()

    def read(self, size) -> bytes:
        """Read, or return nothing after an error."""
        try:
            return self.file.read(size)
        except OSError as error:
            self.error = error
            return b""


class UncompressedSource:
    """The blocks of a file that libsndfile reads, at its own rate and with all its channels."""

    def __init__(self, file):
        import soundfile

        self.file = QuietFile(file)
        most_samples = MOST_SAMPLES_PER_BYTE * file.seek(0, 2)
        file.seek(0)
        self.recording = soundfile.SoundFile(self.file)
        self.channel_count = self.recording.channels
        self.ends_early = self.lacks_samples()
        if self.recording.subtype not in PLAIN and self.recording.frames > most_samples:
            raise ValueError("it promises more than it can hold")  # and would be decoded for ever

    @property
    def is_plain(self) -> bool:
        """Whether the file is uncompressed, and libsndfile knows how much it holds."""
        is_uncompressed = self.recording.subtype in PLAIN and 0 < self.recording.frames < 2**40
        return is_uncompressed and not self.hears_what_follows

    @property
    def hears_what_follows(self) -> bool:
        """Whether libsndfile takes for samples what follows them, which it does in W64."""
        held = self.recording.frames * self.frame_bytes
        return self.recording.format == "W64" and held > self.promised_bytes > 0

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        subtype = self.recording.subtype
        bits = re.search(r"\d+$", subtype)
        width = int(bits[0]) // 8 if bits else {"FLOAT": 4, "DOUBLE": 8}.get(subtype, 1)
        return width * self.channel_count

    @property
    def promised_bytes(self) -> int:
        """How many bytes of samples the header promises, by libsndfile's log; 0 if it does not."""
        log = self.recording.extra_info
        sizes = re.findall(r"(?im)^\W*(?:data|ssnd|data size)\s*:\s*(\d+)\b", log)
        return max(map(int, sizes), default=0)

    def lacks_samples(self) -> bool:
        """Tell whether the header promises more than the file holds."""
        if "should be" not in self.recording.extra_info:  # said of a size that does not fit
            return False
        if self.promised_bytes >= UNKNOWN_SIZE:
            return False
        lost = self.promised_bytes / self.frame_bytes - self.recording.frames
        return lost > LARGEST_DIFFERENCE_SECONDS * self.recording.samplerate

    def read_blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield samples, shape (samples, channels), full scale from -1 to 1, and their rate."""
        rate = self.recording.samplerate
        length = count_samples(rate, self.channel_count)
        while len(block := self.recording.read(length, always_2d=True)):
            yield block, rate
        if self.file.error:
            raise self.file.error

    def close(self) -> None:
        """Free libsndfile's memory; the file stays open."""
        self.recording.close()


def open_uncompressed(file) -> UncompressedSource:
    """Open a file with libsndfile; raise a `SignalError` if it cannot."""
    import soundfile

    try:
        return UncompressedSource(file)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.strip().rstrip(".")
        if "SF_INFO" in reason:
            reason = "its header names no usable sample rate or number of channels"
        raise SignalError(f"cannot be read as audio ({reason}); repair or convert it") from error
    except (RuntimeError, TypeError, ValueError) as error:
        raise SignalError(f"cannot be read as audio ({error}); repair or convert it") from error
