"""The tab "Your voice": the same clip before and after adapting to the voice."""

from pathlib import Path

import gradio as gr

from demo.answer import hear, label
from demo.weights import read_sound_weights
from utility.errors import SpeechEmotionError
from utility.prediction.library import learn_voice
from utility.reports.report import escape

SENTENCES = (
    "The kettle is on the table by the window.",
    "They came back late last night, all seven of them.",
    "I will bring it over on Wednesday evening.",
)
FEWEST_CLIPS = 3


def build(weights) -> None:
    """Build the tab; `weights` is the state with the path of the weights."""
    gr.Markdown(
        "Every voice has its own usual pitch and colour. Let the networks learn yours: read three "
        "sentences in three moods, or give three to ten clips. Then say or drop a clip to judge."
    )
    readings = []
    with gr.Row():
        for number, sentence in enumerate(SENTENCES, 1):
            with gr.Column(min_width=280):
                gr.Markdown(f"“{sentence}”")
                part = gr.Audio(sources=["microphone"], type="filepath", label=f"Sentence {number}")
                readings.append(part)
    clips = gr.File(label="Clips of the voice", file_count="multiple")
    tested = gr.Audio(type="filepath", sources=["microphone", "upload"], label="The clip to judge")
    about = gr.Markdown()
    with gr.Row():
        before = gr.Label(label="Before adapting")
        after = gr.Label(label="Adapted to the voice")
    inputs, outputs = [tested, clips, *readings], [about, before, after]
    gr.on([each.change for each in [*inputs, weights]], compare, [weights, *inputs], outputs)


def compare(weights_path, tested, clips, *readings):
    """Return what to know, and the emotions of a clip before and after adapting."""
    known = [*dict.fromkeys([*(clips or ()), *filter(None, readings)])]
    if tested is None:
        return f"Clips of the voice: {len(known)}. Say or drop the clip to judge.", None, None
    before, notes = None, []

    def leave_out(path, error):
        notes.append(f"**{escape(Path(path).name)}: {error}; left out.**")

    try:
        weights = read_sound_weights(weights_path)
        before = label(hear(tested, weights)[1])
        voice = learn_voice(known, weights, leave_out) if len(known) >= FEWEST_CLIPS else None
        used = len(known) - len(notes)
        if used < FEWEST_CLIPS:
            about = f"Give {FEWEST_CLIPS - used} more of the voice."
            return " ".join([about, *notes]), before, None
        after = label(hear(tested, weights, voice)[1])
    except SpeechEmotionError as error:
        return f"**{error}.**", before, None
    return " ".join([f"Adapted with {used} clips.", *notes]), before, after
