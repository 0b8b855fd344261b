"""The tab "Speak": record or drop a recording, and see its emotion and why."""

import gc
from pathlib import Path

import gradio as gr

from demo.answer import describe, draw, hear, label, to_sound
from demo.weights import read_sound_weights
from utility.audio.recording import load_audio
from utility.errors import SpeechEmotionError
from utility.prediction.output import format_clock
from utility.reports.report import escape

HINT = "Speak, or drop a recording. The answer appears here."


def build(weights) -> None:
    """Build the tab; `weights` is the state with the path of the weights."""
    heard, place = gr.State(), gr.State()
    with gr.Row():
        with gr.Column():
            microphone = gr.Audio(sources=["microphone"], type="filepath", label="Speak")
            file = gr.File(label="or drop a recording", height=160)
            emotions = gr.Label(label="Emotion")
        with gr.Column():
            about = gr.Markdown(HINT)
            picture = gr.Image(show_label=False, format="png", interactive=False, buttons=[])
            player = gr.Audio(label="What they heard", interactive=False, visible=False, buttons=[])
            part = gr.Audio(interactive=False, visible=False, autoplay=True, buttons=[])
    shown = [heard, emotions, about, picture, player, place, part]
    sources = (microphone, file, microphone.stop_recording), (file, microphone, file.upload)
    for source, other, given in sources:
        given(lambda: None, outputs=other)
        given(answer, [source, weights], shown, show_progress_on=[about])
        source.clear(answer, [gr.State(), weights], shown)
    weights.change(answer, [heard, weights], shown, show_progress_on=[about])
    picture.select(play_from, [heard, place], part)


def answer(path, weights_path):
    """Yield what to show of a recording: first its emotions, then its picture.

    The outputs are those of `build`; of the picture, also where it starts and ends.
    """
    hidden = None, gr.Audio(None, visible=False), None, gr.Audio(None, visible=False)
    if path is None:
        yield None, None, HINT, *hidden
        return
    try:
        weights = read_sound_weights(weights_path)
        signal, prediction, timeline = hear(path, weights)
    except SpeechEmotionError as error:
        yield path, None, f"**{escape(Path(path).name)}: {error}.**", *hidden
        return
    about = f"{describe(prediction, timeline)} Click on the picture to play from there."
    yield path, label(prediction), about, *hidden
    image, *columns = draw(signal, prediction, timeline, weights.emotions)
    player = gr.Audio(to_sound(signal), visible=True)
    yield *[gr.skip()] * 3, image, player, (*columns, prediction.seconds), gr.skip()
    gc.collect()  # a figure is a cycle of many megabytes


def play_from(path, place, event: gr.SelectData):
    """Play the recording from the place in its picture that was clicked."""
    first, last, seconds = place
    start = seconds * min(max((event.index[0] - first) / (last - first), 0), 1)
    try:
        sound, about = to_sound(load_audio(path, start)), f"From {format_clock(start)}"
    except SpeechEmotionError:
        sound, about = None, "The recording was deleted; give it again"
    return gr.Audio(sound, visible=True, label=about)
