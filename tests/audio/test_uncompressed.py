"""Uncompressed files: all sample formats, sizes that are unknown or wrong, headers that lie."""

import io
import json
import struct

import numpy as np
import pytest
import soundfile

from made import DEMO, RATE, make_voice
from opened import watched
from utility.audio.recording import load_audio, open_recording
from utility.errors import SignalError

CONTAINERS = {
    "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "WAVEX": ("PCM_16", "PCM_24", "FLOAT"),
    "RF64": ("PCM_16", "FLOAT"),
    "W64": ("PCM_16", "PCM_24"),
    "AIFF": ("PCM_S8", "PCM_16", "PCM_24", "FLOAT"),
    "AU": ("PCM_16", "FLOAT", "ULAW"),
    "CAF": ("PCM_16", "PCM_24", "FLOAT"),
    **dict.fromkeys(("VOC", "NIST", "PAF", "PVF", "AVR"), ("PCM_16",)),
}


def write_header_size(path, size):
    """Write a size into the header of the samples of a WAV file."""
    content = bytearray(path.read_bytes())
    place = content.find(b"data") + 4
    content[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(content)


def read(path):
    """Return the signal of a recording and whether it ends early."""
    with open_recording(path) as recording:
        signal = np.concatenate(list(recording.read_signal()))
    return signal, recording.ends_early


@pytest.mark.parametrize(
    ("container", "subtype"), [(name, kind) for name in CONTAINERS for kind in CONTAINERS[name]]
)
def test_every_container_and_sample_format_is_heard_whole(container, subtype, tmp_path):
    path = tmp_path / "clip"
    soundfile.write(path, make_voice(), RATE, subtype, format=container)
    signal, ends_early = read(path)
    tolerance = 0.05 if "8" in subtype or "LAW" in subtype else 1e-3
    np.testing.assert_allclose(signal[:RATE], make_voice(), atol=tolerance)
    assert len(signal) - RATE in (0, 37)  # VOC counts its header
    assert not ends_early


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF"])
def test_what_follows_the_samples_is_not_heard(container, tmp_path):
    path = tmp_path / "clip"
    soundfile.write(path, make_voice(), RATE, "PCM_16", format=container)
    path.write_bytes(path.read_bytes() + make_following_chunk(container))
    signal, ends_early = read(path)
    np.testing.assert_allclose(signal, make_voice(), atol=1e-3)
    assert not ends_early


def make_following_chunk(container):
    """Return a chunk that a program may write behind the samples, of bytes as loud as can be."""
    content = bytes([0x7F]) * 4000
    if container == "W64":
        name = bytes.fromhex("6c65766cf3acd3118cd100c04f8edb8a")
        return name + struct.pack("<Q", 24 + len(content)) + content
    if container == "CAF":
        return b"free" + struct.pack(">Q", len(content)) + content
    form = ">4sI" if container in ("AIFF", "AU") else "<4sI"
    return struct.pack(form, b"ANNO", len(content)) + content


def test_the_headers_between_the_blocks_of_a_voc_file_are_no_sound(tmp_path):
    path, (first, *others) = tmp_path / "clip.voc", np.array_split(make_voice(), 9)
    soundfile.write(path, first, RATE, "PCM_16")
    content = path.read_bytes()[:-1]  # without the mark of the end
    for samples in others:
        block = np.round(samples * 2**15).astype("<i2").tobytes()
        content += b"\2" + len(block).to_bytes(3, "little") + block
    path.write_bytes(content + b"\0")
    signal, ends_early = read(path)
    np.testing.assert_allclose(signal, make_voice(), atol=1e-3)
    assert not ends_early


@pytest.mark.parametrize("size", [0, 2**31 - 1, 2**31, 2**32 - 1, 2**31 - 37])
def test_a_wav_of_unknown_size_is_heard_whole(size, tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(DEMO.read_bytes())
    write_header_size(path, size)
    signal, ends_early = read(path)
    assert len(signal) == len(load_audio(DEMO))
    assert not ends_early


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU"])
def test_a_cut_file_is_heard_up_to_there(container, tmp_path):
    path = tmp_path / "clip"
    soundfile.write(path, make_voice(2), RATE, "PCM_16", format=container)
    path.write_bytes(path.read_bytes()[: 3 * RATE])
    signal, ends_early = read(path)
    assert len(signal) == pytest.approx(1.5 * RATE, abs=100)
    assert ends_early


@pytest.mark.parametrize(("place", "width"), [(24, 4), (22, 2)], ids=["rate", "channels"])
def test_a_header_of_nothing_is_named(place, width, tmp_path):
    content = bytearray(make_wav(tmp_path))
    content[place : place + width] = bytes(width)
    (tmp_path / "clip.wav").write_bytes(content)
    with pytest.raises(SignalError, match=r"names no usable sample rate|cannot be read as audio"):
        read(tmp_path / "clip.wav")


def make_wav(folder):
    """Return the bytes of a plain WAV file."""
    soundfile.write(folder / "made.wav", make_voice(), RATE)
    return (folder / "made.wav").read_bytes()


def test_a_damaged_file_prints_nothing(tmp_path, capfd):
    random = np.random.default_rng(0)
    for container in ("AIFF", "W64", "CAF", "AU"):
        path = tmp_path / "clip"
        soundfile.write(path, make_voice(), RATE, "PCM_16", format=container)
        whole = path.read_bytes()
        for _ in range(20):
            content = bytearray(whole)
            for place in random.integers(8, 100, 4):
                content[place] = random.integers(256)
            path.write_bytes(content)
            try:
                read(path)
            except SignalError:
                continue
    assert capfd.readouterr() == ("", "")


STRANGE_BEGINNINGS = [b"RIFF\x10\0\0\0AVI LIST", b"RF64\xff\xff\xff\xffXXXX", b"caff\0\1\0\0xxxx"]
STRANGE_BEGINNINGS += [b"CreaXXXX", b"ALawXXXX", b"ExteXXXX", b"MATLXXXX", b"\xff\xfb\x90\x64"]
STRANGE_BEGINNINGS += [b"ID3\3\0\0\0\0\0\0", b"\xf0\x7e\0\1", b"junkjunkjunk"]


@pytest.mark.parametrize("beginning", STRANGE_BEGINNINGS)
def test_no_resource_fork_beside_a_file_is_opened(beginning, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.wav").write_bytes(beginning + bytes(2000))
    for name in ("._", "._clip.wav"):
        with watched(tmp_path / name) as opened, pytest.raises(SignalError):
            load_audio("clip.wav")
        assert not opened


def test_libsndfile_alone_would_open_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with watched(tmp_path / "._") as opened, pytest.raises(soundfile.LibsndfileError):
        soundfile.SoundFile(io.BytesIO(STRANGE_BEGINNINGS[0] + bytes(2000)))
    assert opened


def test_damaged_alac_prints_nothing_on_standard_output(tmp_path, run_command):
    path = tmp_path / "damaged.caf"
    soundfile.write(path, make_voice(1, RATE), RATE, subtype="ALAC_16", format="CAF")
    content = bytearray(path.read_bytes())
    sizes = content.index(b"pakt") + 36  # of the packets
    content[sizes : sizes + 4] = b"\xff" * 4
    path.write_bytes(content)
    done = run_command("predict.py", "--json", path)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert json.loads(done.stdout)["path"] == str(path)


def test_a_size_that_no_file_holds_is_not_decoded_for_ever(tmp_path):
    path = tmp_path / "endless.w64"
    soundfile.write(path, make_voice(1, RATE), RATE, subtype="GSM610", format="W64")
    content = bytearray(path.read_bytes())
    size = content.index(b"data") + 16
    content[size : size + 8] = b"\x20\x02\x00\x00\x00\x01\x42\xf7"
    path.write_bytes(content)
    with pytest.raises(SignalError, match="promises more than it can hold"):
        load_audio(path)
