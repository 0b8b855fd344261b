"""The tab "Where it is wrong": the confusion matrix of a run, whose cells list their clips."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import pandas as pd

from demo.answer import to_sound
from utility.audio.recording import load_audio
from utility.corpora.naming import find_segment
from utility.corpora.published import PUBLISHED, find_recordings_folder
from utility.errors import DataError, SpeechEmotionError
from utility.globalvars import BERLIN
from utility.reports.measures import CLEAN, read_tests
from utility.reports.report import count_noun, describe_test, escape, rank_test

FIRST_RUN = "loso"
HINT = "Percent of the clips of each emotion, mean of {}. Choose a cell to list its clips."
NO_CLIP = "Choose a clip to hear it.", None, None
LISTENERS = {"recognition_percent": "recognised (%)", "naturalness_percent": "natural (%)"}
EMPTY = pd.DataFrame(columns=["file", "speaker", "trainings", *LISTENERS.values()])
read_run = lru_cache(maxsize=4)(read_tests)


def build(folder, audio) -> None:
    """Build the tab for the runs in a folder, and the folder of their recordings, if given."""
    tables = sorted(folder.glob("**/predictions.csv"))
    runs = Runs({path.parent.relative_to(folder).as_posix(): path.parent for path in tables}, audio)
    with gr.Row():
        first = FIRST_RUN if FIRST_RUN in runs.folders else next(iter(runs.folders))
        run = gr.Dropdown([*runs.folders], value=first, label="Run, as in docs/results.md")
        test = gr.Dropdown([(describe_test(CLEAN), CLEAN)], value=CLEAN, label="Test")
    about = gr.Markdown()
    matrix = gr.Dataframe(interactive=False, label="Meant as (rows), heard as (columns)")
    with gr.Row():
        clips = gr.Dataframe(interactive=False, label="Clips of a cell", max_height=400)
        with gr.Column():
            clip = gr.Markdown(NO_CLIP[0])
            player = gr.Audio(label="Clip", interactive=False, autoplay=True, buttons=[])
            emotions = gr.Label(label="Probabilities, mean of the trainings")
    shown = [clip, player, emotions]
    # When the page is opened, and when one of both is changed.
    gr.on(fn=runs.show, inputs=[run, test], outputs=[test, about, matrix, clips, *shown])
    matrix.select(runs.list_clips, [run, test], [clips, *shown])
    clips.select(runs.show_clip, [run, test], shown)


class Runs(NamedTuple):
    """Folders of runs by their names, and the folder of the recordings; None for those here."""

    folders: dict[str, Path]
    audio: Path | None

    def read(self, run, test) -> tuple[pd.DataFrame, list[str]]:
        """Return the predictions of a test, with the most likely emotion as label; the emotions."""
        predictions = read_run(self.folders[run])[test]
        table = pd.DataFrame(predictions.probabilities, columns=predictions.emotions)
        names = ("file", "corpus", "speaker", "emotion", "seed")
        keys = {name: getattr(predictions, name) for name in names}
        return table.assign(label=table.idxmax(axis=1), **keys), [*predictions.emotions]

    def show(self, run, test):
        """Return the tests of a run, what to do, the matrix of one, and no clips yet."""
        try:
            tests = read_run(self.folders[run])
        except SpeechEmotionError as error:
            return gr.Dropdown(), f"**{error}**", None, EMPTY, *NO_CLIP
        table, emotions = self.read(run, test := test if test in tests else CLEAN)
        matrix = 100 * pd.crosstab(table.emotion, table.label, normalize="index")
        # An emotion that no clip has is a row without numbers.
        matrix = matrix.reindex(columns=emotions, fill_value=0).reindex(emotions)
        matrix.insert(0, "meant ↓ heard →", emotions)
        cells = matrix.style.format("{:.0f}", subset=emotions, na_rep="–")
        cells = cells.background_gradient("Blues", subset=emotions, vmin=0, vmax=100)
        choices = [(describe_test(each), each) for each in sorted(tests, key=rank_test)]
        about = HINT.format(count_noun(table.seed.nunique(), "training"))
        return gr.Dropdown(choices, value=test), about, cells, EMPTY, *NO_CLIP

    def list_clips(self, run, test, event: gr.SelectData):
        """Return the clips of a cell, or of a row: first those of most trainings; none is shown."""
        (table, emotions), (row, column) = self.read(run, test), event.index
        chosen = table[table.emotion == emotions[row]]
        if column:
            chosen = chosen[chosen.label == emotions[column - 1]]
        clips = chosen.groupby(["file", "speaker"]).size().sort_values(ascending=False)
        clips = clips.reset_index(name=f"trainings of {table.seed.nunique()}")
        judged = read_judgements().reindex(clips.file.str.removeprefix(f"{BERLIN.name}/"))
        judged = judged.reset_index(drop=True).dropna(axis=1, how="all")
        return pd.concat([clips, judged], axis=1), *NO_CLIP

    def show_clip(self, run, test, event: gr.SelectData):
        """Return what was meant and heard in a clip, its sound, and the probabilities."""
        (table, emotions), file = self.read(run, test), event.row_value[0]
        rows = table[table.file == file]
        if rows.empty:  # a browser may ask for any file, but gets only those of the run
            return NO_CLIP
        first, probabilities = rows.iloc[0], rows[emotions].mean().to_dict()
        heard = max(probabilities, key=probabilities.get)
        about = f"**{escape(file)}**: meant as {first.emotion}, heard as {heard}."
        try:
            signal = load_audio(*self.find_recording(first.corpus or BERLIN.name, file))
        except SpeechEmotionError as error:
            return f"{about} **{error}**", None, probabilities
        return about, to_sound(signal), probabilities

    def find_recording(self, corpus, file) -> tuple[Path, float, float]:
        """Return the recording of a clip, and where the clip starts and ends, in seconds.

        Raises a `DataError` if it is not here.
        """
        recording, *span = find_segment(file)
        folder, remedy = self.audio, f"name the folder that holds {recording} with --audio DIR"
        if folder is None:
            recording = recording.removeprefix(f"{corpus}/")
            folder = find_recordings_folder() if corpus == BERLIN.name else None
            if folder is None and corpus in PUBLISHED:
                folder = PUBLISHED[corpus].folder
                remedy = f"get it with: python dataset.py download {corpus}"
        path = Path(folder or corpus, recording)
        if not path.is_file():
            raise DataError(f"{path} is missing; {remedy}")
        return path, *span


def read_judgements() -> pd.DataFrame:
    """Return what listeners said of the clips of EmoDB, in percent, by their files."""
    table = pd.read_csv(PUBLISHED[BERLIN.name].manifest_path, index_col="file")
    return table[[*LISTENERS]].rename(columns=LISTENERS).round()
