"""The page: what it is and is not for, the weights, and a tab for each thing to do."""

import gradio as gr

from demo import live, mistakes, speak, voice
from demo.weights import build_choice

# From the model card.
INTRODUCTION = """
# What emotion does a voice carry?

A small neural network hears anger, boredom, disgust, anxiety/fear, happiness, sadness or neutral.
It runs on the computer that serves this page, which sends your recordings nowhere and deletes them
after a quarter of an hour.

**Not for decisions about people:** hiring, policing, education, insurance, medicine, or any
monitoring of people who have not agreed to it. The model judges how a voice sounds, not what a
person feels. It learned from actors; expect far lower accuracy on everyday speech.
"""
# On a telephone, tables scroll inside the page.
STYLE = """
.gradio-container {max-width: min(1100px, 100vw) !important; margin: auto}
.contain > .column, .contain > .column > * {max-width: 100%; min-width: 0}
"""
LOOK = {
    "theme": gr.themes.Soft(
        primary_hue="blue", neutral_hue="slate", font=("system-ui", "sans-serif")
    ),
    "css": STYLE,
}
TABS = {
    "Speak": speak.build,
    "Live": live.build,
    "Your voice": voice.build,
}


def build_page(runs, audio) -> gr.Blocks:
    """Build the page; `runs` is a folder of runs, and `audio` that of their recordings or None."""
    with gr.Blocks(title="Speech emotion", analytics_enabled=False) as page:
        gr.Markdown(INTRODUCTION)
        weights = build_choice()
        for name, build in TABS.items():
            with gr.Tab(name):
                build(weights)
        with gr.Tab("Where it is wrong"):
            mistakes.build(runs, audio)
    return page
