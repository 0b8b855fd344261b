"""The tab "Your voice": the same clip before and after adapting to the voice."""

import gradio as gr

from demo.answer import hear, label
from demo.weights import read_sound_weights
from utility.errors import SpeechEmotionError
from utility.prediction.library import learn_voice

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
    with gr.Row():
        readings = [
            gr.Audio(sources=["microphone"], type="filepath", label=f"“{sentence}”")
            for sentence in SENTENCES
        ]
    clips = gr.File(label="Clips of the voice, of any format", file_count="multiple", height=130)
    tested = gr.Audio(type="filepath", sources=["microphone", "upload"], label="The clip to judge")
    about = gr.Markdown()
    with gr.Row():
        before = gr.Label(label="Before adapting")
        after = gr.Label(label="Adapted to the voice")
    inputs, outputs = [tested, clips, *readings], [about, before, after]
    gr.on([each.change for each in [*inputs, weights]], compare, [weights, *inputs], outputs)


def compare(weights_path, tested, clips, *readings):
    """Return what to know, and the emotions of a clip before and after adapting."""
    known = [*(clips or ()), *filter(None, readings)]
    if tested is None:
        return f"Clips of the voice: {len(known)}. Say or drop the clip to judge.", None, None
    before, notes = None, []
    try:
        weights = read_sound_weights(weights_path)
        before = label(hear(tested, weights)[1])
        if len(known) < FEWEST_CLIPS:
            return f"Give {FEWEST_CLIPS - len(known)} more of the voice.", before, None
        voice = learn_voice(known, weights, lambda _, error: notes.append(f"**It {error}.**"))
        after = label(hear(tested, weights, voice)[1])
    except SpeechEmotionError as error:
        return f"**The recording {error}.**", before, None
    about = f"Adapted with {len(known) - len(notes)} clips of {len(known)}."
    return " ".join([about, *notes]), before, after
