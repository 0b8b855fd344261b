"""The constants that everything agrees on."""

from utility.globalvars import EMOTION_LABELS, EMOTIONS, FRAMES


def test_a_frame_has_400_samples_and_begins_160_after_the_one_before():
    assert (FRAMES.sample_rate_hz, FRAMES.frame_length, FRAMES.hop_length) == (16_000, 400, 160)


def test_every_emotion_has_its_own_letter_and_label():
    assert len(EMOTIONS) == len(set(EMOTION_LABELS)) == len({each.letter for each in EMOTIONS}) == 7
