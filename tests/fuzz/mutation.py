"""Mutations: files that are damaged in the ways that lead readers astray, from a random generator.

Most changes are near the start, where headers are. The numbers that they write are those that
programs handle wrongly.
"""

import struct
import zlib

import numpy as np

MOST_BYTES = 100_000
# How often several changes are made: each time, one more with this probability.
ONE_MORE = 0.4
POWERS = [2**bits + change for bits in range(65) for change in (-1, 0, 1)]
NUMBERS = (*POWERS, 100, 1000, 3999, 4000, 8000, 44_100, 48_000, 192_000, 655_350, 33_600_000)
BYTES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


def mutate(content, other, random, changes=()) -> bytes:
    """Return a file with one or a few changes.

    Parameters
    ----------
    content, other : bytes
        The file, and another one that parts are taken from.
    random : random.Random
    changes : sequence of callables, optional
        Further changes, as in `CHANGES`, that know the format; half of the changes are of these.
    """
    content = bytearray(content)
    while True:
        known = changes and random.random() < 0.5
        random.choice(changes if known else CHANGES)(content, other, random)
        del content[MOST_BYTES:]
        if random.random() >= ONE_MORE:
            return bytes(content)


def choose_place(content, random) -> int:
    """Choose a place in a file, every other time near its start."""
    size = max(len(content), 1)
    return random.randrange(min(size, random.choice((16, 64, 256, size, size, size))))


def choose_block(content, random) -> slice:
    """Choose some bytes of a file, fewer more often than many."""
    start = choose_place(content, random)
    return slice(start, start + choose_length(random))


def choose_length(random) -> int:
    """Choose a number of bytes from 1 to 4096, fewer more often."""
    return round(2 ** random.uniform(0, 12))


def flip_bit(content, other, random) -> None:
    """Flip a bit."""
    if content:
        content[choose_place(content, random)] ^= 1 << random.randrange(8)


def set_bytes(content, other, random) -> None:
    """Overwrite one or a few bytes."""
    start = choose_place(content, random)
    count = random.choice((1, 1, 1, 2, 4, 8))
    values = bytes(
        random.choice((random.choice(BYTES), random.randrange(256))) for _ in range(count)
    )
    content[start : start + count] = values


def set_number(content, other, random) -> None:
    """Overwrite a whole number of 1 to 8 bytes."""
    start, width = choose_place(content, random), random.choice((1, 2, 2, 3, 4, 4, 4, 8))
    content[start : start + width] = encode_number(choose_number(random), width, random)


def choose_number(random) -> int:
    """Choose a number that programs handle wrongly."""
    return random.choice(NUMBERS) * random.choice((1, 1, 1, -1))


def encode_number(number, width, random) -> bytes:
    """Encode a number in so many bytes, in either order."""
    return (number % 256**width).to_bytes(width, random.choice(("little", "big")))


def add_to_number(content, other, random) -> None:
    """Add a little to a number of 1 to 4 bytes."""
    start, width, order = (
        choose_place(content, random),
        random.choice((1, 2, 4)),
        random.choice(("little", "big")),
    )
    number = int.from_bytes(content[start : start + width], order) + random.randint(-32, 32)
    content[start : start + width] = (number % 256**width).to_bytes(width, order)


def cut_off(content, other, random) -> None:
    """Cut the file off."""
    del content[choose_place(content, random) :]


def remove_block(content, other, random) -> None:
    """Remove a block."""
    del content[choose_block(content, random)]


def repeat_block(content, other, random) -> None:
    """Insert a copy of a block, once or many times, elsewhere."""
    block = content[choose_block(content, random)] * random.choice((1, 1, 1, 2, 20))
    place = choose_place(content, random)
    content[place:place] = block


def fill_block(content, other, random) -> None:
    """Fill a block with one byte."""
    block = choose_block(content, random)
    content[block] = bytes([random.choice(BYTES)]) * len(content[block])


def randomise_block(content, other, random) -> None:
    """Fill a block with random bytes."""
    block = choose_block(content, random)
    content[block] = random.randbytes(len(content[block]))


def insert_random(content, other, random) -> None:
    """Insert random bytes."""
    place = choose_place(content, random)
    content[place:place] = random.randbytes(choose_length(random))


def insert_other(content, other, random) -> None:
    """Insert a block of the other file."""
    place = choose_place(content, random)
    content[place:place] = other[choose_block(other, random)]


def overwrite_with_other(content, other, random) -> None:
    """Overwrite a block with one of the other file."""
    block, place = other[choose_block(other, random)], choose_place(content, random)
    content[place : place + len(block)] = block


def continue_with_other(content, other, random) -> None:
    """Let the other file go on from some place, such as after the header."""
    content[choose_place(content, random) :] = other[choose_place(other, random) :]


def append_other(content, other, random) -> None:
    """Append the other file."""
    content += other


CHANGES = (
    *(flip_bit, flip_bit, set_bytes, set_bytes, set_number, set_number, set_number, add_to_number),
    *(cut_off, remove_block, repeat_block, fill_block, randomise_block, insert_random),
    *(insert_other, overwrite_with_other, continue_with_other, append_other),
)


# Formats of sound

CHANNEL_COUNTS = (0, 1, 2, 3, 6, 8, 9, 16, 32, 63, 64, 65, 255, 256, 257, 1000, 1024, 65535)
RATES = (0, 1, 100, 3999, 4000, 8000, 11_025, 44_100, 192_000, 384_000, 655_350, 768_000, 768_001)
RATES += (1_000_000, 16_800_000, 33_600_000, 2_100_000_000, 2**31 - 1, 2**31, 2**32 - 1)
LENGTHS = (0, 1, 2, 3, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**36 - 1, 2**63 - 1, 2**64 - 1)
# Of each kind of header, by bytes that it contains: where they are followed by the sample rate, the
# number of channels, and lengths, each as the place after these bytes and a `struct` format.
HEADERS = {
    b"fmt ": ((8, "<I"), (6, "<H"), ((0, "<I"), (4, "<H"), (12, "<I"), (16, "<H"), (18, "<H"))),
    b"fmt \xf3\xac\xd3\x11\x8c\xd1\0\xc0O\x8e\xdb\x8a": ((28, "<I"), (26, "<H"), ((16, "<Q"),)),
    b"data": ((0, "<I"), (0, "<H"), ((0, "<I"), (0, ">Q"))),
    b"ds64": ((4, "<Q"), (4, "<Q"), ((0, "<I"), (4, "<Q"), (12, "<Q"), (20, "<Q"))),
    b"fact": ((4, "<I"), (4, "<I"), ((0, "<I"), (4, "<I"))),
    b".snd": ((12, ">I"), (16, ">I"), ((0, ">I"), (4, ">I"), (8, ">I"))),
    b"COMM": ((14, ">I"), (4, ">H"), ((0, ">I"), (6, ">I"), (10, ">H"))),
    b"SSND": ((4, ">I"), (8, ">I"), ((0, ">I"), (4, ">I"), (8, ">I"))),
    b"desc": ((8, ">d"), (32, ">I"), ((0, ">Q"), (24, ">I"), (28, ">I"), (36, ">I"))),
    b"pakt": ((8, ">Q"), (16, ">Q"), ((0, ">Q"), (8, ">Q"), (16, ">Q"), (24, ">I"))),
    b"moov": ((100, ">I"), (100, ">I"), ((-4, ">I"), (20, ">I"), (24, ">I"))),
    b"mp4a": ((24, ">I"), (16, ">H"), ((-4, ">I"), (18, ">H"), (20, ">I"))),
    b"stsz": ((4, ">I"), (8, ">I"), ((4, ">I"), (8, ">I"), (12, ">I"))),
    b"stts": ((8, ">I"), (8, ">I"), ((4, ">I"), (8, ">I"), (12, ">I"))),
    b"stco": ((4, ">I"), (8, ">I"), ((4, ">I"), (8, ">I"))),
    b"OpusHead": ((4, "<I"), (1, "<B"), ((0, "<B"), (2, "<H"), (8, "<H"), (10, "<B"))),
    b"\x01vorbis": ((5, "<I"), (4, "<B"), ((0, "<I"), (9, "<I"), (21, "<B"))),
    b"auds": ((36, "<I"), (40, "<I"), ((16, "<I"), (20, "<I"), (28, "<I"), (40, "<I"))),
    b"wvpk": ((4, "<H"), (2, "<H"), ((0, "<I"), (8, "<I"), (16, "<I"), (20, "<I"))),
    b"TTA1": ((8, "<I"), (2, "<H"), ((0, "<H"), (4, "<H"), (12, "<I"))),
    b"Creative Voice File": ((8, "<H"), (4, "<H"), ((1, "<H"), (3, "<H"), (7, "<H"))),
    b"NIST_1A": ((8, "<I"), (8, "<I"), ((1, "<I"),)),
    b"\x64\xa3": ((2, "<f"), (6, "<I"), ((10, "<I"),)),
    b" paf": ((12, "<I"), (20, "<I"), ((4, "<I"), (8, "<I"), (16, "<I"))),
    b"2BIT": ((16, ">I"), (8, ">H"), ((10, ">H"), (20, ">I"), (24, ">I"))),
    b"VHDR": ((16, ">H"), (18, ">H"), ((0, ">I"), (4, ">I"), (8, ">I"), (18, ">H"))),
    b"\xf0\x7e": ((4, "<I"), (2, "<H"), ((4, "<I"), (7, "<I"), (10, "<I"), (13, "<I"))),
}


def set_field(content, other, random) -> None:
    """Set the sample rate, the number of channels or a length in a header of sound."""
    found = [(name, place) for name in HEADERS if (place := content.find(name)) >= 0]
    if not found:
        return set_number(content, other, random)
    name, place = random.choice(found)
    rate, channel_count, lengths = HEADERS[name]
    (offset, kind), numbers = random.choice(
        ((rate, RATES), (channel_count, CHANNEL_COUNTS), (random.choice(lengths), LENGTHS))
    )
    width, place = struct.calcsize(kind), place + len(name) + offset
    number = random.choice(numbers)
    if kind[1] not in "df":
        number %= 256**width
    content[place : place + width] = struct.pack(kind, number)
    return None


def set_stream_information(content, other, random) -> None:
    """Set the rate, the number of channels, the bits or the length that a FLAC file begins with."""
    place = content.find(b"fLaC")
    if place < 0 or len(content) < place + 26:
        return set_field(content, other, random)
    start = place + 18
    bits = int.from_bytes(content[start : start + 8], "big")
    shift, width, numbers = random.choice(
        ((44, 20, RATES), (41, 3, range(8)), (36, 5, range(32)), (0, 36, LENGTHS))
    )
    mask = (1 << width) - 1
    bits = bits & ~(mask << shift) | (random.choice(numbers) & mask) << shift
    content[start : start + 8] = bits.to_bytes(8, "big")
    return None


def set_extended_rate(content, other, random) -> None:
    """Set the sample rate of an AIFF file, which is a number of 80 bits."""
    place = content.find(b"COMM")
    if place < 0:
        return set_field(content, other, random)
    rate = random.choice((*RATES, 2**63 - 1))
    exponent = max(rate.bit_length() - 1, 0)
    number = struct.pack(">HQ", 16383 + exponent, rate << 63 - exponent)
    if random.random() < 0.2:
        number = random.randbytes(10)
    content[place + 16 : place + 26] = number
    return None


def set_samples(content, other, random) -> None:
    """Set some samples that are floats to one that is not finite, very large or very small."""
    kind = random.choice(("<f", ">f", "<d", ">d"))
    largest = 1.7e308 if kind[1] == "d" else 3.4e38
    sample = random.choice((np.nan, np.inf, -largest, largest, largest**0.5, 1e9, 1.1e9, 5e-324))
    width = struct.calcsize(kind)
    start = choose_place(content, random) // width * width + random.choice((0, 0, 2, 4))
    samples = struct.pack(kind, sample) * random.choice((1, 1, 2, 100))
    content[start : start + len(samples)] = samples


def set_text_number(content, other, random) -> None:
    """Set a number that is written in digits, as in the headers of NIST and PVF files."""
    digits = [place for place in range(min(len(content), 1024)) if 48 <= content[place] < 58]
    if not digits:
        return set_field(content, other, random)
    start = end = random.choice(digits)
    while 48 <= content[end : end + 1].ljust(1)[0] < 58:
        end += 1
    number = random.choice((choose_number(random), random.choice(RATES), random.choice(LENGTHS)))
    content[start:end] = str(number).encode()
    return None


def mend_checksums(content) -> bytes:
    """Return a file whose pages of Ogg have the right checksums; others would be passed over."""
    content = bytearray(content)
    place = content.find(b"OggS")
    while 0 <= place < len(content) - 27:
        count = content[place + 26]
        end = place + 27 + count + sum(content[place + 27 : place + 27 + count])
        content[place + 22 : place + 26] = bytes(4)
        content[place + 22 : place + 26] = checksum(content[place:end]).to_bytes(4, "little")
        place = content.find(b"OggS", place + 4)
    return bytes(content)


def checksum(page) -> int:
    """Return the checksum of a page of Ogg: that of zlib with the bits in the other order."""
    remainder = zlib.crc32(bytes(page).translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{remainder:032b}"[::-1], 2)


REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
SOUND_CHANGES = (
    *(set_field, set_field, set_field, set_stream_information, set_extended_rate),
    *(set_text_number, set_samples),
)
