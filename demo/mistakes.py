"""The tab "Where it is wrong": the confusion matrix of a run, whose cells list their clips."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import pandas as pd

from demo.answer import to_sound
from utility.audio.recording import load_audio
from utility.corpora.naming import find_segment
from utility.corpora.published import NO_RECORDINGS, PUBLISHED, find_recordings_folder
from utility.errors import SpeechEmotionError
from utility.globalvars import BERLIN
from utility.reports.measures import CLEAN, read_tests
from utility.reports.report import describe_test

FIRST_RUN = "loso"
HINT = "Percent of the clips of each emotion, mean of {} seeds. Choose a cell to list its clips."
LISTENERS = {"recognition_percent": "recognised (%)", "naturalness_percent": "natural (%)"}
EMPTY = pd.DataFrame(columns=["file", "speaker", "seeds", *LISTENERS.values()])
read_run = lru_cache(maxsize=4)(read_tests)


def build(folder, audio) -> None:
    """Build the tab for the runs in a folder, and the folder of their recordings, if given."""
    tables = sorted(folder.glob("**/predictions.csv"))
    runs = Runs({path.parent.relative_to(folder).as_posix(): path.parent for path in tables}, audio)
    if not runs.folders:
        gr.Markdown(f"{folder}: has no runs; name a folder of runs with --runs")
        return
    with gr.Row():
        first = FIRST_RUN if FIRST_RUN in runs.folders else next(iter(runs.folders))
        run = gr.Dropdown([*runs.folders], value=first, label="Run")
        test = gr.Dropdown([(describe_test(CLEAN), CLEAN)], value=CLEAN, label="Recordings")
    about = gr.Markdown()
    matrix = gr.Dataframe(interactive=False, label="Meant as (rows), heard as (columns)")
    with gr.Row():
        clips = gr.Dataframe(interactive=False, label="Clips of a cell", max_height=400)
        with gr.Column():
            clip = gr.Markdown("Choose a clip to hear it.")
            player = gr.Audio(label="Clip", interactive=False, buttons=[])
            emotions = gr.Label(label="Probabilities, mean of the seeds")
    shown = [test, about, matrix, clips]
    gr.on(
        [gr.context.Context.root_block.load, run.input, test.input], runs.show, [run, test], shown
    )
    matrix.select(runs.list_clips, [run, test], clips)
    clips.select(runs.show_clip, [run, test], [clip, player, emotions])


class Runs(NamedTuple):
    """Folders of runs by their names, and the folder of the recordings; None for that of EmoDB."""

    folders: dict[str, Path]
    audio: Path | None

    def read(self, run, test) -> tuple[pd.DataFrame, list[str]]:
        """Return the predictions of a test, with the most likely emotion as label; the emotions."""
        predictions = read_run(self.folders[run])[test]
        table = pd.DataFrame(predictions.probabilities, columns=predictions.emotions)
        keys = {name: getattr(predictions, name) for name in ("file", "speaker", "emotion", "seed")}
        return table.assign(label=table.idxmax(axis=1), **keys), [*predictions.emotions]

    def show(self, run, test):
        """Return the tests of a run, what to do, the matrix of one, and no clips yet."""
        try:
            tests = read_run(self.folders[run])
        except SpeechEmotionError as error:
            return gr.Dropdown(), f"**{error}**", None, EMPTY
        table, emotions = self.read(run, test := test if test in tests else CLEAN)
        matrix = 100 * pd.crosstab(table.emotion, table.label, normalize="index")
        matrix = matrix.reindex(emotions, fill_value=0).reindex(columns=emotions, fill_value=0)
        matrix.insert(0, "meant ↓ heard →", emotions)
        cells = matrix.style.format("{:.0f}", subset=emotions)
        cells = cells.background_gradient("Blues", subset=emotions, vmin=0, vmax=100)
        choices = [(describe_test(each), each) for each in tests]
        return gr.Dropdown(choices, value=test), HINT.format(table.seed.nunique()), cells, EMPTY

    def list_clips(self, run, test, event: gr.SelectData) -> pd.DataFrame:
        """Return the clips of a cell, or of a row: first those that most seeds put there."""
        (table, emotions), (row, column) = self.read(run, test), event.index
        chosen = table[table.emotion == emotions[row]]
        if column:
            chosen = chosen[chosen.label == emotions[column - 1]]
        clips = chosen.groupby(["file", "speaker"]).size().sort_values(ascending=False)
        clips = clips.reset_index(name="seeds")
        return clips.join(read_judgements(), on="file")

    def show_clip(self, run, test, event: gr.SelectData):
        """Return what was meant in a clip, its sound, and the probabilities."""
        (table, emotions), file = self.read(run, test), event.row_value[0]
        rows = table[table.file == file]
        if rows.empty:  # a browser may ask for any file, but gets only those of the run
            return None, None, None
        about, probabilities = (
            f"**{file}**: {rows.emotion.iloc[0]}.",
            rows[emotions].mean().to_dict(),
        )
        recording, *span = find_segment(file)
        if not (folder := self.audio or find_recordings_folder()):
            return f"{about} {NO_RECORDINGS}", None, probabilities
        try:
            return about, to_sound(load_audio(folder / recording, *span)), probabilities
        except SpeechEmotionError as error:
            return f"{about} **{folder / recording}: {error}**", None, probabilities


def read_judgements() -> pd.DataFrame:
    """Return what listeners said of the clips of EmoDB, in percent, by their files."""
    table = pd.read_csv(PUBLISHED[BERLIN.name].manifest_path, index_col="file")
    return table[[*LISTENERS]].rename(columns=LISTENERS)
