"""The pages of Ogg files: where joined files begin, and whether the last one is whole.

Each page has a header of 27 bytes, a table of the sizes of its segments, and the segments
(RFC 3533).
"""

from collections.abc import Iterator

MAGIC = b"OggS"
HEADER_BYTES = 27
CONTINUED, FIRST, LAST = 1, 2, 4
# More than a page can have.
SEARCHED_BYTES = 2**17


def list_pages(file) -> Iterator[tuple[int, int]]:
    """Yield the place of each page and its flags, up to the first bytes that are no page."""
    place = 0
    while True:
        file.seek(place)
        header = file.read(HEADER_BYTES + 255)
        if len(header) < HEADER_BYTES or header[:4] != MAGIC:
            return
        yield place, header[5]
        place += measure_page(header)


def measure_page(page) -> int:
    """Return the number of bytes that a page has, by its header."""
    count = page[26]
    return HEADER_BYTES + count + sum(page[HEADER_BYTES : HEADER_BYTES + count])


def find_links(file) -> list[int]:
    """Return where the files that were joined to an Ogg file begin."""
    links, was_first = [], False
    for place, flags in list_pages(file):
        # A file with several streams begins with a first page of each.
        if flags & FIRST and not was_first:
            links.append(place)
        was_first = bool(flags & FIRST)
    return links


def is_complete(file) -> bool:
    """Tell whether the last page of an Ogg file is whole and marked as the last one."""
    file.seek(max(file.seek(0, 2) - SEARCHED_BYTES, 0))
    content = file.read()
    page = content[max(content.rfind(MAGIC), 0) :]
    if len(page) < HEADER_BYTES or len(page) < measure_page(page):
        return False
    return bool(page[5] & LAST)
