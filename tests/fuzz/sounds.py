"""Short recordings in every container and encoding that libsndfile and FFmpeg can write."""

import io

import av
import numpy as np
import soundfile

from fuzz.mutation import mend_checksums
from made import make_voice

RATE = 16_000
SECONDS = (0.3, 0.12, 0.2, 0.15, 1.1)
# RAW has no header; SD2 needs a second file.
LEFT_OUT = ("RAW", "SD2")
# FFmpeg's containers of sound, and of video with sound, each with an encoding of its own choice.
CONTAINERS = (
    *("3g2", "ac3", "adts", "adx", "aiff", "alp", "amr", "apm", "argo_asf", "ast", "au", "avi"),
    *("caf", "eac3", "f4v", "flac", "flv", "ipod", "ircam", "ismv", "kvag", "latm", "matroska"),
    *("mmf", "mov", "mp2", "mp3", "mp4", "mpeg", "mpegts", "nut", "oga", "ogg", "opus", "rm"),
    *("rso", "smjpeg", "sox", "spdif", "swf", "tta", "vob", "voc", "w64", "wav", "webm", "wsaud"),
    *("wtv", "wv"),
)
# Containers of many encodings; each encoding is put in the first two of them that take it.
GENERAL = ("matroska", "nut", "mov", "avi", "asf", "wav", "caf", "flv")
# Sample rates in Hz and channels, of which a recording gets the first that its encoding allows.
FORMS = ((RATE, "mono"), (8000, "mono"), (44_100, "stereo"), (48_000, "stereo"))
SURROUND = (("ipod", "aac", "7.1"), ("matroska", "flac", "7.1"), ("mp4", "ac3", "5.1"))
NOT_ENCODED = ("anull", "comfortnoise")
# Of containers that are read and not written.
BEGINNINGS = [
    start.ljust(64, b"\1") + bytes(range(256)) * 8
    for start in (
        *(b"MAC \x96\x0f", b"tBaK", b"MP+\7", b"MPCKSH", b"ajkg\2", b"qoaf\0\0\1\0\1\0\x3e\x80"),
        *(b"DSD \x1c\0\0\0\0\0\0\0", b"1bit", b"\2dss", b"OSQ \x30\0\0\0\1\0\x80\x3e\0\0\1\0"),
        *(b"HCA\0\2\0\0\x60fmt\0\1\0\x3e\x80", b".RMF\0\0\0\x12\0", b".ra\xfd\0\3"),
        *(b"RIFF\0\1\0\0QLCMfmt ", b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02"),
    )
]
OPTIONS = {"fflags": "+bitexact"}
ENCODER_OPTIONS = {"flags": "+bitexact", "strict": "experimental"}


def make_recordings() -> list[bytes]:
    """Return recordings, always the same with the same libraries."""
    return [*write_with_libsndfile(), *write_with_ffmpeg(), *BEGINNINGS]


def make_signal(number, channels=1, rate=RATE) -> np.ndarray:
    """Return a voice of shape (samples, channels), of a length that depends on the number."""
    voice = make_voice(SECONDS[number % len(SECONDS)], rate)
    return np.stack([voice * 0.8**channel for channel in range(channels)], axis=1)


def write_with_libsndfile():
    """Yield a recording of each format and encoding, some in stereo."""
    for form in sorted(set(soundfile.available_formats()) - {*LEFT_OUT}):
        for number, encoding in enumerate(sorted(soundfile.available_subtypes(form))):
            for channels in (1, 2, 7) if number == 0 else (1,):
                file, signal = io.BytesIO(), make_signal(number, channels)
                try:
                    soundfile.write(file, signal, RATE, encoding, format=form)
                except (soundfile.LibsndfileError, ValueError):
                    continue
                yield remove_time(file.getvalue())


def remove_time(content) -> bytes:
    """Return a recording without the time of writing that libsndfile puts in it."""
    content = bytearray(content)
    if (place := content.find(b"PEAK")) >= 0:
        content[place + 12 : place + 16] = bytes(4)
    if content.startswith(b"MATLAB 5.0"):
        content[64:80] = b" " * 16
    place = content.find(b"OggS")
    while place >= 0:  # a number made of the time is in each page
        content[place + 14 : place + 18] = bytes(4)
        place = content.find(b"OggS", place + 4)
    return mend_checksums(content)


def write_with_ffmpeg():
    """Yield a recording of each container, and of each encoding in several containers."""
    encodings = [name for name in sorted(av.codecs_available) if is_audio_encoder(name)]
    number = 0
    for container in CONTAINERS:
        if container in av.formats_available and (content := encode(container, None, number)):
            number += 1
            yield content
    for container, encoding, layout in SURROUND:
        yield encode(container, encoding, 0, [(48_000, layout)])
    for encoding in encodings:
        written = 0
        for container in GENERAL:
            if written < 2 and (content := encode(container, encoding, number)):
                written, number = written + 1, number + 1
                yield content


def is_audio_encoder(name) -> bool:
    """Tell whether FFmpeg encodes sound by an encoder of that name."""
    try:
        return av.codec.Codec(name, "w").type == "audio" and name not in NOT_ENCODED
    except av.codec.codec.UnknownCodecError:
        return False


def encode(container, encoding, number, forms=FORMS) -> bytes | None:
    """Return a recording that FFmpeg writes, in the first form that it can have, or None."""
    for rate, layout in forms:
        file = io.BytesIO()
        try:
            with av.open(file, "w", format=container, options=OPTIONS) as output:
                name = encoding or output.default_audio_codec
                stream = output.add_stream(name, rate, options=ENCODER_OPTIONS)
                stream.layout = layout
                if stream.codec.audio_formats:
                    stream.format = stream.codec.audio_formats[0]
                write_frames(output, stream, make_signal(number, stream.channels, rate), rate)
        except (av.error.FFmpegError, ValueError, OverflowError):
            continue
        if file.tell():
            return file.getvalue()
    return None


def write_frames(output, stream, signal, rate) -> None:
    """Encode a signal, and write what the encoder gives."""
    samples = np.ascontiguousarray((signal * 2**15).astype(np.int16).reshape(1, -1))
    frame = av.AudioFrame.from_ndarray(samples, "s16", stream.layout.name)
    frame.sample_rate, frame.pts = rate, 0
    for resampled in av.AudioResampler(
        stream.format, stream.layout, rate, stream.frame_size or None
    ).resample(frame):
        for packet in stream.encode(resampled):
            output.mux(packet)
    for packet in stream.encode(None):
        output.mux(packet)
