"""The tab "Speak": record or drop a recording, and see its emotion and why."""

import gc

import gradio as gr

from demo.answer import describe, draw, hear, label, to_sound
from demo.weights import read_sound_weights
from utility.errors import SpeechEmotionError

HINT = "Speak, or drop a recording. The answer appears here."


def build(weights) -> None:
    """Build the tab; `weights` is the state with the path of the weights."""
    heard, place = gr.State(), gr.State()
    with gr.Row():
        with gr.Column():
            microphone = gr.Audio(sources=["microphone"], type="filepath", label="Speak")
            file = gr.File(label="or drop a recording of any format", height=140)
            emotions = gr.Label(label="Emotion")
        with gr.Column():
            about = gr.Markdown(HINT)
            picture = gr.Image(show_label=False, format="png", interactive=False, buttons=[])
            player = gr.Audio(label="What they heard", interactive=False, visible=False, buttons=[])
    shown = [heard, emotions, about, picture, player, place]
    for source, changed in ((microphone, microphone), (file, file), (heard, weights)):
        changed.change(answer, [source, weights], shown, show_progress_on=[about])
    picture.select(play_from, place, player)


def answer(path, weights_path):
    """Yield what to show of a recording: first its emotions, then its picture.

    The outputs are those of `build`; of the picture, also where it starts and ends.
    """
    hidden = gr.Image(None), gr.Audio(None, visible=False), None
    if path is None:
        yield None, None, HINT, *hidden
        return
    try:
        weights = read_sound_weights(weights_path)
        signal, prediction, timeline = hear(path, weights)
    except SpeechEmotionError as error:
        yield path, None, f"**The recording {error}.**", *hidden
        return
    about = f"{describe(prediction)} Click on the picture to play from there."
    yield path, label(prediction), about, *hidden
    image, *columns = draw(signal, prediction, timeline, weights.emotions)
    sound = gr.Audio(to_sound(signal), visible=True)
    yield *[gr.skip()] * 3, image, sound, (*columns, prediction.seconds)
    gc.collect()  # a figure is a cycle of many megabytes


def play_from(place, event: gr.SelectData):
    """Play the recording from the place in the picture that was clicked."""
    first, last, seconds = place
    share = min(max((event.index[0] - first) / (last - first), 0), 1)
    return gr.Audio(playback_position=seconds * share, autoplay=True)
