"""The tab "Live": a rolling answer while one speaks."""

import gradio as gr
import numpy as np

from demo.answer import label
from demo.weights import read_sound_weights
from utility.errors import SpeechEmotionError
from utility.prediction.library import predict

WINDOW_SECONDS, HOP_SECONDS = 3.0, 0.5
LONGEST_SECONDS = 3600


def build(weights) -> None:
    """Build the tab; `weights` is the state with the path of the weights."""
    with gr.Row():
        with gr.Column():
            gr.Markdown(
                "Speak; twice a second, the answer tells the emotion of the last seconds, up to 3."
            )
            microphone = gr.Audio(sources=["microphone"], streaming=True, label="Speak")
        emotions = gr.Label(label="Emotion")
    window = gr.State()
    microphone.stream(
        follow, [microphone, window, weights], [window, emotions],
        stream_every=HOP_SECONDS, time_limit=LONGEST_SECONDS, show_progress="hidden",
        concurrency_limit=None,  # a stream lasts as long as somebody speaks
    )  # fmt: skip


def follow(chunk, window, weights_path):
    """Return the last seconds of a stream that goes on with a chunk, and their emotions."""
    rate, samples = chunk
    if window and window[1] == rate:
        samples = np.concatenate([window[0], samples])
    window = samples[-round(WINDOW_SECONDS * rate) :], rate
    try:
        return window, label(predict(window, read_sound_weights(weights_path)))
    except SpeechEmotionError:  # too short yet
        return window, None
