"""The page in a real browser: each tab, bad files, two people at once, and nothing from outside."""

import re
import shutil

import numpy as np
import pytest
import soundfile

from made import RATE, make_voice, noise
from serving import end_page, start_page
from utility.prediction.library import load, predict

pytest.importorskip("gradio", reason="needs requirements-demo.txt")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

PATIENCE = 30_000  # in milliseconds, on a busy machine
WIDTHS = (1280, 380)
TABS = ("Speak", "Live", "Your voice", "Where it is wrong")
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Make a folder with recordings to speak, drop and adapt with."""
    folder = tmp_path_factory.mktemp("clips")
    soundfile.write(folder / "voice.wav", make_voice(2, RATE), RATE)
    soundfile.write(folder / "other.caf", make_voice(2, RATE, 220), RATE)
    soundfile.write(folder / "long.flac", np.tile(make_voice(2, RATE), 8), RATE)
    soundfile.write(folder / "noise.wav", 0.3 * noise(0, 3 * RATE), RATE)
    (folder / "bad.wav").write_bytes(b"This is no recording. " * 100)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory, clips):
    """Make a folder of runs with one, in which two clips were tested with two seeds."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "mine").mkdir()
    rows = ["file,speaker,emotion,fold,seed,anger,sadness"]
    for seed in (0, 1):
        rows.append(f"voice.wav,a,anger,a,{seed},0.9,0.1")
        rows.append(f"missing.wav,b,anger,b,{seed},{0.6 * seed},{1 - 0.6 * seed}")
    (folder / "mine/predictions.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def address(runs, clips):
    process, address = start_page("--runs", runs, "--audio", clips)
    yield address
    end_page(process)


@pytest.fixture(scope="module")
def browser(clips):
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={clips / 'voice.wav'}"]
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """Open the page as a new person, and check at the end that nothing came from elsewhere."""
    page = open_page(browser, address)
    yield page
    assert not page.strangers
    page.context.close()


def open_page(browser, address, width=WIDTHS[0], **options):
    """Open the page in a session of its own; note the requests to other machines."""
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, permissions=["microphone"], **options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.strangers = []

    def refuse_strangers(route):
        url = route.request.url
        if url.startswith((address, "blob:", "data:")):
            route.continue_()
        else:
            page.strangers.append(url)
            route.abort()

    page.route("**/*", refuse_strangers)
    page.goto(address)
    page.get_by_role("tab", name="Speak").wait_for()
    return page


def open_tab(page, name):
    """Open a tab, and return its panel."""
    tab = page.get_by_role("tab", name=name)
    if tab.is_visible():
        tab.click()
    else:  # in a narrow window, some are in a menu
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown").get_by_text(name).click()
    return page.locator("[role=tabpanel]:visible").first


def drop(panel, *paths, number=0):
    """Give files to one of the boxes for files of a tab."""
    panel.locator("input[type=file]").nth(number).set_input_files([str(path) for path in paths])


def read_label(label):
    """Return the percentages of emotions that are shown."""
    label.get_by_test_id("label-output-value").first.wait_for()
    percentages = re.findall(r"([a-z][a-z/]+)\n+(\d+)%", label.inner_text())
    return {emotion: int(percentage) for emotion, percentage in percentages}


def expect_text(panel, text):
    """Wait until a text is shown."""
    panel.get_by_text(text).first.wait_for()


def to_percentages(path, weights, **options):
    """Return what predict.py says of a recording, in percent."""
    result = predict(path, load(weights), **options)
    return {emotion: round(100 * share) for emotion, share in result.probabilities.items()}


def test_a_recording_that_is_dropped_is_answered_as_by_predict_and_can_be_played(page, clips):
    panel = open_tab(page, "Speak")
    drop(panel, clips / "other.caf")  # a browser cannot play it
    assert read_label(panel) == to_percentages(clips / "other.caf", "emodb")
    expect_text(panel, "The networks listened most at")
    panel.locator("img").first.wait_for()
    expect_text(panel, "0:02")  # of the player


def test_what_is_spoken_is_answered(page):
    panel = open_tab(page, "Speak")
    panel.get_by_role("button", name="Record").click()
    page.wait_for_timeout(2500)
    panel.get_by_role("button", name="Stop").click()
    assert read_label(panel)
    panel.locator("img").first.wait_for()


def test_a_long_recording_shows_its_timeline_which_plays_from_a_click(page, clips):
    panel = open_tab(page, "Speak")
    drop(panel, clips / "long.flac")
    picture = panel.locator("img").first
    picture.wait_for()
    box = picture.bounding_box()
    picture.click(position={"x": 0.75 * box["width"], "y": 0.3 * box["height"]})
    expect_text(panel, "From 0:1")
    panel.get_by_role("button", name="Pause").wait_for()  # so it plays


def test_the_last_source_is_answered_and_empties_the_other(page, clips):
    panel = open_tab(page, "Speak")
    drop(panel, clips / "other.caf")
    assert read_label(panel)
    panel.get_by_role("button", name="Record").click()
    page.wait_for_timeout(1500)
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_text("other.caf").first.wait_for(state="detached")
    assert read_label(panel)


def test_noise_is_no_voice(page, clips):
    panel = open_tab(page, "Speak")
    drop(panel, clips / "noise.wav")
    expect_text(panel, "no voice")
    expect_text(panel, "have no emotion")


def test_a_bad_file_gives_the_sentence_of_predict_and_the_next_is_heard(page, clips):
    panel = open_tab(page, "Speak")
    drop(panel, clips / "bad.wav")
    expect_text(panel, "bad.wav: cannot be read as audio")
    assert not page.locator(".toast-item").count()
    panel.get_by_role("button", name="Clear").last.click()
    expect_text(panel, "The answer appears here")
    drop(panel, clips / "voice.wav")
    assert read_label(panel)


def test_answers_follow_while_two_people_speak(browser, address):
    pages = [open_page(browser, address) for _ in range(2)]
    panels = [open_tab(page, "Live") for page in pages]
    pages[0].wait_for_timeout(2000)  # until Gradio can stream
    for panel in panels:
        panel.get_by_role("button", name="Record").click()
    for page, panel in zip(pages, panels, strict=True):
        assert read_label(panel)
        page.context.close()


def test_a_clip_is_shown_before_and_after_adapting(page, clips):
    panel = open_tab(page, "Your voice")
    known = [clips / name for name in ("voice.wav", "other.caf", "long.flac", "bad.wav")]
    drop(panel, *known)
    expect_text(panel, "Clips of the voice: 4")
    panel.get_by_role("button", name="Upload file").click()
    drop(panel, clips / "voice.wav", number=-1)
    expect_text(panel, "Adapted with 3 clips.")
    expect_text(panel, "bad.wav: cannot be read as audio")
    before, after = panel.get_by_test_id("label-output-value").all()
    assert read_label(before.locator("..")) == to_percentages(clips / "voice.wav", "emodb")
    assert read_label(after.locator("..")) != read_label(before.locator(".."))


def test_a_cell_of_the_confusion_matrix_lists_its_clips_which_can_be_heard(page):
    panel = open_tab(page, "Where it is wrong")
    matrix, clips = panel.get_by_role("grid").all()
    matrix.get_by_test_id("cell-0-1").click()  # meant and heard as anger
    expect_text(clips, "voice.wav")
    clips.get_by_test_id("cell-0-0").click()
    assert read_label(panel) == {"anger": 90, "sadness": 10}
    expect_text(panel, "0:02")
    clips.get_by_test_id("cell-1-0").click()
    expect_text(panel, "missing.wav is missing")
    matrix.get_by_test_id("cell-0-2").click()  # meant as anger, heard as sadness
    clips.get_by_test_id("cell-0-0").filter(has_text="missing.wav").wait_for()
    assert not clips.get_by_test_id("cell-1-0").count()
    expect_text(panel, "Choose a clip to hear it.")
    assert not panel.get_by_test_id("label-output-value").count()


def test_the_clips_of_a_run_of_emodb_show_what_listeners_said(browser):
    process, address = start_page()
    try:
        page = open_page(browser, address)
        panel = open_tab(page, "Where it is wrong")
        matrix, clips = panel.get_by_role("grid").all()
        matrix.get_by_test_id("cell-4-1").click()  # meant as happiness, heard as anger
        clips.get_by_test_id("cell-0-0").filter(has_text=".wav").wait_for()
        assert "recognised (%)" in clips.inner_text()
        page.get_by_label("Run").click()
        page.get_by_role("option", name="corpora").click()
        expect_text(panel, "–")  # of an emotion that no clip has
        matrix.get_by_test_id("cell-0-1").click()
        clips.get_by_test_id("cell-0-0").filter(has_text="/").wait_for()
        clips.get_by_test_id("cell-0-0").click()
        assert read_label(panel)
        page.context.close()
    finally:
        end_page(process)


def test_other_weights_answer_and_show_their_terms(page, clips):
    panel = open_tab(page, "Speak")
    drop(panel, clips / "voice.wav")
    emodb = read_label(panel)
    expect_text(page, "84.9 ± 0.6 %")
    page.get_by_label("any voice").check()
    expect_text(page, "no commercial use")
    expected = to_percentages(clips / "voice.wav", "any-voice")
    panel.get_by_text(f"{max(expected.values())}%", exact=True).first.wait_for()
    assert read_label(panel) == expected != emodb
    page.get_by_label("a file of mine").check()
    expect_text(page, "EmoDB answers until you give a file.")
    drop(page, clips / "bad.wav")
    expect_text(page, "bad.wav: not a weights file")
    assert not page.locator(".toast-item").count()


def test_two_people_do_not_get_each_others_answers(browser, address, clips):
    first, second = open_page(browser, address), open_page(browser, address)
    first.get_by_label("any voice").check()
    expect_text(first, "no commercial use")
    for page, name in ((first, "voice.wav"), (second, "other.caf")):
        drop(open_tab(page, "Speak"), clips / name)
    for page, name, weights in ((first, "voice.wav", "any-voice"), (second, "other.caf", "emodb")):
        assert read_label(open_tab(page, "Speak")) == to_percentages(clips / name, weights)
        page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_tab_fits_in_the_window(browser, address, width, scheme):
    page = open_page(browser, address, width, color_scheme=scheme)
    for tab in TABS:
        open_tab(page, tab)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
    page.context.close()
