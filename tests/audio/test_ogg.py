"""Ogg files: pages, joined files, and the end."""

import io

import pytest

from audio.test_decoding import encode
from utility.audio.ogg import FIRST, LAST, find_links, is_complete, list_pages


@pytest.fixture(scope="module")
def content():
    return encode("ogg", "libvorbis")


def test_the_first_and_last_pages_are_marked(content):
    (place, first), *_, (_, last) = list_pages(io.BytesIO(content))
    assert place == 0
    assert first & FIRST
    assert last & LAST


def test_joined_files_are_found(content):
    assert find_links(io.BytesIO(content)) == [0]
    other = encode("ogg", "libopus")
    joined = io.BytesIO(content + other + content)
    assert find_links(joined) == [0, len(content), len(content) + len(other)]
    assert find_links(io.BytesIO(b"RIFF" + content)) == []


def test_a_file_is_complete_up_to_its_last_byte(content):
    assert is_complete(io.BytesIO(content))
    assert is_complete(io.BytesIO(content + content))
    for cut in (content[:-1], content[: len(content) // 2], content[:10], b""):
        assert not is_complete(io.BytesIO(cut))
