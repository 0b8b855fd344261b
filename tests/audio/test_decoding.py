"""Compressed files: heard whole whatever they are called, up to where they end, or refused."""

import contextlib
import io
import struct
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from hostile_recordings import make_mp4
from made import DEMO, RATE, make_voice
from opened import watched
from utility.audio.live import open_stream
from utility.audio.recording import Recording, load_audio, open_recording
from utility.errors import SignalError

# Container and codec of FFmpeg.
FORMATS = [
    *[("mp3", "libmp3lame"), ("ogg", "libvorbis"), ("ogg", "libopus")],
    *[("flac", "flac"), ("ipod", "aac"), ("mp4", "aac"), ("mov", "aac"), ("mov", "pcm_s16le")],
    *[("mov", "alac"), ("3gp", "aac"), ("webm", "libopus")],
    *[("matroska", "aac"), ("matroska", "libopus"), ("matroska", "mp3")],
    *[("adts", "aac"), ("ac3", "ac3"), ("eac3", "eac3"), ("asf", "wmav2"), ("avi", "mp3")],
    *[("avi", "pcm_s16le"), ("mpegts", "aac"), ("mpegts", "mp2"), ("mpeg", "mp2"), ("mp2", "mp2")],
    *[("wv", "wavpack"), ("tta", "tta"), ("flv", "aac")],
    *[("wav", "adpcm_ima_wav"), ("wav", "adpcm_ms"), ("wav", "mp3")],
    *[("aiff", "pcm_s24be"), ("w64", "pcm_s32le"), ("au", "pcm_mulaw")],
    *[("matroska", "pcm_f32le"), ("wav", "pcm_f64le"), ("ircam", "pcm_s16le")],
    *[("sox", "pcm_s32le"), ("voc", "pcm_u8")],
]


def encode(container, codec, samples=None, rate=RATE, options=()):
    """Return the bytes of a recording that FFmpeg encodes."""
    samples = load_audio(DEMO) if samples is None else samples
    if codec == "libvorbis":  # which PyAV cannot encode
        content = io.BytesIO()
        soundfile.write(content, samples, rate, "VORBIS", format="OGG")
        return content.getvalue()
    if codec in ("ac3", "eac3", "wmav2"):
        samples, rate = np.repeat(samples, 48_000 // rate), 48_000
    # A file, since an index that comes first is written when the file is read again.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip")
        with av.open(str(path), "w", format=container, options=dict(options)) as file:
            stream = file.add_stream(codec, rate=rate, layout="mono")
            stream.bit_rate = 64_000
            frame = av.AudioFrame.from_ndarray(samples[np.newaxis].astype("f4"), "flt", "mono")
            frame.sample_rate = rate
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                file.mux(packet)
        return path.read_bytes()


def listen(content):
    """Return the seconds of a recording, and whether it ends early."""
    with open_recording(io.BytesIO(content)) as recording:
        length = sum(map(len, recording.read_signal()))
    return length / RATE, recording.ends_early


@pytest.mark.parametrize(("container", "codec"), FORMATS, ids=map(" ".join, FORMATS))
def test_a_format_is_heard_whole(container, codec):
    seconds, ends_early = listen(encode(container, codec))
    # An encoder adds some of its blocks.
    assert 1.975 - 0.03 < seconds < 1.975 + 0.15
    assert not ends_early


def test_a_name_does_not_matter(tmp_path):
    (tmp_path / "clip.wav").write_bytes(encode("webm", "libopus"))
    (tmp_path / "clip.txt").write_bytes(encode("mp3", "libmp3lame"))
    for name in ("clip.wav", "clip.txt"):
        assert abs(len(load_audio(tmp_path / name)) / RATE - 1.975) < 0.06


def test_an_mp3_of_variable_rate_without_a_header_is_heard_whole():
    long = np.tile(load_audio(DEMO), 4)
    content = encode("mp3", "libmp3lame", long, options={"write_xing": "0", "q:a": "9"})
    assert b"Xing" not in content
    seconds, ends_early = listen(content)
    assert seconds == pytest.approx(len(long) / RATE, abs=0.15)
    assert not ends_early


@pytest.mark.parametrize(
    ("container", "codec"), [("mp3", "libmp3lame"), ("ogg", "libvorbis"), ("ogg", "libopus")]
)
def test_files_that_were_joined_are_heard_one_after_the_other(container, codec):
    seconds, ends_early = listen(2 * encode(container, codec))
    assert seconds == pytest.approx(2 * 1.975, abs=0.15)
    assert not ends_early


def test_streams_of_different_rates_are_joined():
    first, second = encode("ogg", "libvorbis"), encode("ogg", "libvorbis", rate=8000)
    seconds, _ = listen(first + second)
    assert seconds == pytest.approx(3 * 1.975, abs=0.15)


@pytest.mark.parametrize("front", [bytes(2000), b"\xff" * 700])
def test_junk_before_an_mp3_is_passed_over(front):
    content = encode("mp3", "libmp3lame", np.tile(load_audio(DEMO), 3))
    seconds, _ = listen(front + content)
    assert seconds == pytest.approx(3 * 1.975, abs=0.2)


@pytest.mark.parametrize("codec", ["flac", "libmp3lame", "libvorbis", "aac"])
def test_a_damaged_file_is_not_heard_in_part_without_a_word(codec):
    containers = {"flac": "flac", "libmp3lame": "mp3", "libvorbis": "ogg", "aac": "mp4"}
    content = bytearray(encode(containers[codec], codec, np.tile(load_audio(DEMO), 5)))
    for place in range(len(content) // 4, len(content) * 3 // 4, len(content) // 40):
        content[place : place + 300] = bytes(300)
    with open_recording(io.BytesIO(bytes(content))) as recording:
        seconds = sum(map(len, recording.read_signal())) / RATE
    assert seconds > 3
    assert recording.is_damaged or recording.ends_early or seconds > 5 * 1.975 - 0.1


CUT = [("flac", "flac"), ("mp3", "libmp3lame"), ("ogg", "libopus"), ("ogg", "libvorbis")]
CUT += [("matroska", "aac"), ("webm", "libopus"), ("asf", "wmav2"), ("tta", "tta")]


@pytest.mark.parametrize(("container", "codec"), CUT, ids=map(" ".join, CUT))
def test_a_cut_file_is_heard_up_to_there(container, codec):
    content = encode(container, codec, np.tile(load_audio(DEMO), 5))
    seconds, ends_early = listen(content[: len(content) * 7 // 10])
    assert 4 < seconds < 9
    assert ends_early


@pytest.mark.parametrize("container", ["matroska", "avi", "nut", "mov"])
def test_a_video_whose_sound_is_shorter_does_not_end_early(container):
    content = io.BytesIO()
    with av.open(content, "w", format=container) as file:
        pictures = file.add_stream("mpeg4", rate=25, width=64, height=64, pix_fmt="yuv420p")
        sound = file.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(make_voice(2)[np.newaxis].astype("f4"), "flt", "mono")
        frame.sample_rate = RATE
        packets = [*sound.encode(frame), *sound.encode(None)]
        for _ in range(100):
            packets += pictures.encode(av.VideoFrame(64, 64, "yuv420p"))
        for packet in [*packets, *pictures.encode(None)]:
            file.mux(packet)
    assert listen(content.getvalue()) == (pytest.approx(2, abs=0.1), False)


def test_an_mp4_cut_before_its_index_says_so():
    content = encode("ipod", "aac")
    with pytest.raises(
        SignalError, match=r"is cut off: its index, .* is not whole; record it again"
    ):
        listen(content[: len(content) // 2])


def test_a_cut_mp4_whose_index_comes_first_is_heard_up_to_there():
    long = np.tile(load_audio(DEMO), 5)
    content = encode("mp4", "aac", long, options={"movflags": "faststart"})
    assert content.find(b"moov") < content.find(b"mdat")
    seconds, ends_early = listen(content[: len(content) // 2])
    assert 2 < seconds < 9
    assert ends_early


NOT_SOUND = {
    "text": b"This is a text. " * 200,
    "page": b"<!DOCTYPE html><html><body>404 not found</body></html>" * 20,
    "playlist": b"#EXTM3U\n#EXTINF:2,\ndemo.wav\n",
    "segments": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/hosts\n#EXT-X-ENDLIST\n",
    "list of files": b"ffconcat version 1.0\nfile demo.wav\n",
    "session": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 96\n",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(2000),
    "archive": b"PK\x03\x04" + bytes(range(256)) * 20,
    "document": b"%PDF-1.7\n" + bytes(range(256)) * 20,
    "noise": np.random.default_rng(0).bytes(50_000),
    "zeros": bytes(5000),
}


@pytest.mark.parametrize("kind", NOT_SOUND)
def test_what_is_no_sound_is_refused(kind):
    with pytest.raises(SignalError, match=r"cannot be read as audio|is empty|is silent"):
        load_audio(io.BytesIO(NOT_SOUND[kind]))


def test_a_sample_rate_of_adx_that_ffmpeg_divides_by_is_refused(tmp_path, run_command):
    header = struct.pack(">HHBBBBI", 0x8000, 0x20, 3, 18, 4, 1, 678_129_230).ljust(0x1E, b"\0")
    path = tmp_path / "game.adx"
    path.write_bytes(header + b"(c)CRI" + bytes(range(256)) * 20)
    done = run_command("predict.py", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "convert it to WAV" in done.stderr


def test_a_video_without_sound_says_so():
    content = io.BytesIO()
    with av.open(content, "w", format="avi") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    with pytest.raises(SignalError, match="holds no sound; give a recording"):
        listen(content.getvalue())


# Files that name other files


def make_alias(path):
    """Return the box of an MP4 file whose samples are in another file, as QuickTime names it."""
    target = str(path).encode()
    target += bytes(len(target) % 2)
    length = struct.pack(">H", len(str(path)))
    names = b"\4Disk".ljust(28, b"\0") + bytes(12) + bytes([len(path.name)])
    names += path.name.encode().ljust(63, b"\0")
    tags = b"\0\2" + length + target + b"\0\x12" + length + target + b"\xff\xff\0\0"
    content = bytes(4) + bytes(10) + names + bytes(36) + tags
    return struct.pack(">I", 8 + len(content)) + b"alis" + content


# Contents that name a file, and the ending by which FFmpeg knows them, if it follows them.
NAMING = {
    "playlist": (
        lambda path: f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{path}\n#EXT-X-ENDLIST\n",
        ".m3u8",
    ),
    "playlist of addresses": (
        lambda path: (
            f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{path.as_uri()}\n#EXT-X-ENDLIST\n"
        ),
        ".m3u8",
    ),
    "list of files": (lambda path: f"ffconcat version 1.0\nfile '{path}'\n", ".txt"),
    "QuickTime film of another file": (
        lambda path: make_mp4(b"sowt", 100, reference=make_alias(path)),
        ".mov",
    ),
    "DASH manifest": (
        lambda path: (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
            '<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1">'
            f"<BaseURL>{path}</BaseURL></Representation></AdaptationSet></Period></MPD>"
        ),
        None,
    ),
    "stream session": (
        lambda path: f"v=0\no=- 0 0 IN IP4 127.0.0.1\na=control:{path}\nm=audio 5004 RTP/AVP 0\n",
        None,
    ),
    "address of data": (lambda path: "data:audio/wav;base64,UklGRg==", None),
    "name of a pattern": (lambda path: f"{path.parent}/%03d.wav\n", None),
    "Matroska file that goes on in another": (
        lambda path: (
            b"\x1aE\xdf\xa3\x84B\x82\x81w"  # a header, a segment, and in it the next one's name
            + b"\x18S\x80g\xff\x15I\xa9f\xb8>\x83\xbb\xb4"
            + str(path)[-52:].rjust(52).encode()
        ),
        None,
    ),
}
# What FFmpeg needs to be told before it follows all of them.
CARELESS = {"safe": "0", "allowed_extensions": "ALL", "extension_picky": "0", "enable_drefs": "1"}
CARELESS |= {"use_absolute_path": "1"}


@pytest.mark.parametrize("name", ["list.wav", "list.m3u8", "list.mov", "list.mpd"])
@pytest.mark.parametrize("kind", NAMING)
def test_a_file_that_a_recording_names_is_not_opened(kind, name, tmp_path):
    write, _ = NAMING[kind]
    content = write(tmp_path / "other.wav")
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / name).write_bytes(content)
    with watched(tmp_path / "other.wav") as opened, contextlib.suppress(SignalError):
        assert not load_audio(tmp_path / name).any()
    assert not opened
    with (
        watched(tmp_path / "other.wav") as opened,
        contextlib.suppress(SignalError),
        (tmp_path / name).open("rb") as file,
    ):
        list(Recording(open_stream(file)).read_signal())
    assert not opened


@pytest.mark.parametrize("kind", [kind for kind, (_, ending) in NAMING.items() if ending])
def test_ffmpeg_alone_would_open_it(kind, tmp_path):
    write, ending = NAMING[kind]
    content = write(tmp_path / "other.wav")
    path = tmp_path / f"list{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with (
        watched(tmp_path / "other.wav") as opened,
        contextlib.suppress(av.error.FFmpegError),
        av.open(str(path), options=CARELESS, timeout=10) as file,
    ):
        next(file.demux(), None)
    assert opened


@pytest.mark.parametrize(
    "name", ["concat:{0}|{0}", "subfile,,start,0,end,0,,:{0}", "file:{0}", "pipe:0", "async:{0}"]
)
def test_a_name_is_never_an_address(name, tmp_path):
    other, message = tmp_path / "other.wav", r"no such file|is an address"
    with watched(other) as opened, pytest.raises(SignalError, match=message):
        load_audio(name.format(tmp_path / "other.wav"))
    assert not opened
