"""train.py from the command line, on a small made-up corpus of real files."""

import csv
import json
import shutil
import signal
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import soundfile

from utility.corpora import emodb
from utility.corpora import protocols as splits
from utility.corpora.corpus import read_corpus
from utility.corpora.extraction import extract_emodb
from utility.errors import DataError, UsageError
from utility.evaluation.experiment import make_experiment
from utility.evaluation.fold import Plan, Task, evaluate_fold
from utility.evaluation.material import Material, load_material
from utility.evaluation.measures import read_predictions, summarise
from utility.globalvars import EMOTION_LABELS, EMOTIONS, ROOT
from utility.network.hyperparameters import PRESETS, override, show
from utility.network.training import draw_epoch
from utility.network.training_set import TrainingSet
from utility.network.voice import measure_baseline
from utility.network.weights import read_weights


def write_corpus(folder, speakers=("03", "08", "09", "10")):
    """Speak each emotion as a buzz of its own pitch, twice a speaker."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for speaker in speakers:
        for number, (letter, _) in enumerate(EMOTIONS):
            for version in "ab":
                seconds = np.arange(random.integers(4000, 8000)) / 16_000
                phase = 2 * np.pi * (100 + 60 * number + int(speaker)) * seconds
                signal_ = np.sin(phase) ** 5 + 0.1 * random.normal(size=len(seconds))
                soundfile.write(
                    folder / f"{speaker}a01{letter}{version}.wav", 0.3 * signal_, 16_000
                )
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the pickles of a corpus of 56 clips."""
    folder = tmp_path_factory.mktemp("corpus")
    extract_emodb(write_corpus(folder / "audio"), folder)
    return folder


@pytest.fixture(scope="module")
def tune(data, run_command):
    """Return a function that runs two trials of the search, a single epoch each."""

    def run(folder):
        return run_command(
            *("train.py", "--data", data, "--audio", data / "audio", "--max-evals", 2),
            *("--epochs", 1, "--seed", 5, "--set", "members=2"),
            *("--output", folder / "w.h5", "--run", folder / "run"),
        )

    return run


@pytest.fixture(scope="module")
def tuned(tune, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    done = tune(folder)
    assert done.returncode == 0, done.stderr
    return done, folder


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_prints_its_result_and_nothing_else_on_stdout(tuned):
    done, folder = tuned
    result, weights, place = done.stdout.splitlines()
    assert result.startswith("holdout: WA ")
    assert weights == f"weights: {folder / 'w.h5'}"
    assert place == f"report: {folder / 'run' / 'report.md'}"
    assert "Traceback" not in done.stderr
    assert "cuda" not in done.stderr


def test_a_run_leaves_its_folder(tuned):
    run = tuned[1] / "run"
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "history.csv", "trials.csv", "metrics.json", "predictions.csv"),
        *("confusion.png", "history.png", "report.md", "folds"),
    }
    config = json.loads((run / "config.json").read_text())
    assert (config["arguments"]["seed"], config["arguments"]["max_evals"]) == (5, 2)
    assert (config["protocol"], config["copies"]) == ("holdout", 20)
    trials = rows_of(run / "trials.csv")
    assert [row["trial"] for row in trials] == ["1", "2"]
    known = {name: show(value) for name, value in asdict(PRESETS["default"]).items()}
    known |= {"balanced": "True", "temperature_scaling": "True"}
    known |= {"epochs": "1", "members": "2", "patience": "", "padded_frames": ""}
    assert {name: trials[0][name] for name in known} == known
    assert trials[0]["learning_rate"] != trials[1]["learning_rate"]
    for name in ("history.png", "confusion.png"):
        assert (run / name).read_bytes().startswith(b"\x89PNG")
    assert not list(ROOT.glob("temp_model*"))


def test_the_best_trial_is_the_one_that_is_kept(tuned):
    trials = rows_of(tuned[1] / "run" / "trials.csv")
    best = min(trials, key=lambda row: float(row["validation_loss"]))
    kept = read_weights(tuned[1] / "w.h5").hyperparameters
    config = json.loads((tuned[1] / "run" / "config.json").read_text())
    assert config["saved_hyperparameters"] == json.loads(json.dumps(asdict(kept)))
    assert kept.learning_rate == pytest.approx(float(best["learning_rate"]))
    assert kept.dense_units == int(best["dense_units"])
    (history,) = rows_of(tuned[1] / "run" / "history.csv")
    assert history["validation_loss"] == best["validation_loss"]


def test_metrics_can_be_recomputed_from_the_predictions(tuned, data, run_command):
    run = tuned[1] / "run"
    rows = rows_of(run / "predictions.csv")
    corpus = read_corpus(data)
    (fold,) = splits.holdout(corpus)
    assert [row["file"] for row in rows] == sorted(corpus.file[fold.test])
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics.items() >= summarise(read_predictions(run / "predictions.csv")).items()
    (score,) = read_weights(tuned[1] / "w.h5").scores
    assert metrics.items() >= score.items()
    assert (score["protocol"], score["changed"]) == ("holdout", {"members": 2, "epochs": 1})
    assert score.keys() >= {"preset", "copies", "seeds", "measures", "tests"}
    before = (run / "report.md").read_text()
    assert "listeners recognised" in before
    (run / "report.md").unlink()
    done = run_command("train.py", "--report", run)
    assert done.stdout == tuned[0].stdout.splitlines(keepends=True)[0]
    assert (run / "report.md").read_text() == before
    assert json.loads((run / "metrics.json").read_text()) == metrics


def test_weights_predict_from_the_command_line(tuned, data, run_command):
    weights = read_weights(tuned[1] / "w.h5")
    assert len(weights.members) == 2
    assert 0.25 < weights.temperature < 4
    assert weights.temperature != 1
    kernels = [arrays["emotion/kernel"] for arrays in weights.members]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01
    features = weights.hyperparameters.features
    frames = np.concatenate(read_corpus(data).frames).astype(np.float64)[:, :features]
    np.testing.assert_allclose(weights.statistics.mean, frames.mean(axis=0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        weights.statistics.deviation, frames.std(axis=0), rtol=1e-6, atol=1e-6
    )
    clip = data / "audio" / "03a01Wa.wav"
    done = run_command("predict.py", "--weights", tuned[1] / "w.h5", clip)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2


def test_the_same_seed_gives_the_same_metrics(tuned, tune, tmp_path):
    tune(tmp_path)
    for name in ("metrics.json", "history.csv", "predictions.csv"):
        assert (tmp_path / "run" / name).read_text() == (tuned[1] / "run" / name).read_text()


def test_loso_has_a_fold_a_speaker_and_seed_and_goes_on_where_it_was(tmp_path, run_command):
    extract_emodb(write_corpus(tmp_path / "audio", speakers=("03", "08", "09")), tmp_path)
    run = tmp_path / "run"
    done = run_command(
        *("train.py", "--data", tmp_path, "--audio", tmp_path / "audio"),
        *("--evaluate", "loso", "--seeds", 2, "--epochs", 1, "--set", "members=1", "copies=2"),
        *("--calibrate", "speaker", 1, "--conditions", "noise"),
        *("--output", tmp_path / "w.h5", "--run", run, "--quiet"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "w.h5").exists()
    places = [(seed, f"speaker {name}") for seed in "01" for name in ("03", "08", "09")]
    assert [(row["seed"], row["fold"]) for row in rows_of(run / "history.csv")] == places
    predictions = rows_of(run / "predictions.csv")
    assert len(predictions) == 84
    assert all(row["fold"] == f"speaker {row['speaker']}" for row in predictions)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["seeds"] == [0, 1]

    tests = {"noise", "calibrated_speaker", "calibrated_1"}
    assert metrics["tests"].keys() == tests
    seen = [read_predictions(run / "predictions.csv").probabilities]
    for name in tests:
        table = read_predictions(run / f"predictions_{name}.csv")
        assert table.file.tolist() == [row["file"] for row in predictions]
        assert metrics["tests"][name] == summarise(table)["measures"]
        assert all(np.abs(table.probabilities - other).max() > 1e-4 for other in seen)
        seen.append(table.probabilities)
    report = (run / "report.md").read_text()
    for text in ("white noise at 20 dB", "speaker with 1 clip |", "speaker with all clips |"):
        assert text in report

    # As if it had been stopped before the last fold but one had been trained.
    for path in run.iterdir():
        if path.name not in ("folds", "config.json"):
            path.unlink()
    lost, kept = (
        run / "folds" / "seed 1, speaker 08.json",
        run / "folds" / "seed 0, speaker 03.json",
    )
    lost.unlink()
    before = kept.stat().st_mtime_ns
    again = run_command("train.py", "--resume", run)
    assert again.stdout == done.stdout
    assert again.stderr.startswith("train.py: training 1 of 6 folds: ")
    assert len(again.stderr.splitlines()) == 1
    assert rows_of(run / "predictions.csv") == predictions
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize("option", ["--resume", "--report"])
def test_a_folder_that_is_no_run_is_named(option, tmp_path, run_command):
    done = run_command("train.py", option, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "name the folder of a run" in done.stderr
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "metrics.json").write_text("[]")
    done = run_command("train.py", option, tmp_path)
    assert done.returncode == 1
    assert "config.json: not written by this train.py" in done.stderr


def test_an_interrupted_run_keeps_the_old_weights(data, tmp_path, start_command):
    output = tmp_path / "w.h5"
    output.write_bytes(b"old weights")
    command = start_command(
        *("train.py", "--data", data, "--audio", data / "audio", "--max-evals", 0),
        *("--output", output, "--run", tmp_path / "run"),
    )
    while "training" not in command.stderr.readline():
        assert command.poll() is None
    time.sleep(3)
    command.send_signal(signal.SIGINT)
    printed, errors = command.communicate(timeout=120)
    assert (command.returncode, printed) == (130, "")
    assert errors.splitlines()[-1].startswith("train.py: interrupted")
    assert output.read_bytes() == b"old weights"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_deciding_speakers_come_from_the_training_part_alone():
    corpus = read_corpus()
    for fold in [*splits.holdout(corpus), *splits.loso(corpus), *splits.loto(corpus)]:
        material = Material(corpus, [corpus.frames[::-1]], {})
        experiment = make_experiment(material, fold.train, PRESETS["default"], seed=0)
        learning, deciding = experiment.divide(experiment.validation_rows)
        assert not set(learning.speakers) & set(deciding.speakers)
        assert len(set(deciding.speakers)) == 3
        rows = np.arange(len(fold.train))
        others = np.setdiff1d(rows, experiment.validation_rows)
        assert len(learning) + len(deciding) == len(rows)
        everything = experiment.training_set
        np.testing.assert_array_equal(everything.labels, corpus.labels[fold.train])
        np.testing.assert_array_equal(everything.speakers, corpus.speaker[fold.train])
        for frames, copy, row in zip(*everything.variants, fold.train, strict=True):
            assert frames is corpus.frames[row]
            assert copy is corpus.frames[::-1][row]
        # What decides are recordings, not copies of them.
        assert (len(learning.variants), len(deciding.variants)) == (2, 1)
        for part, numbers in ((learning, others), (deciding, experiment.validation_rows)):
            for frames, number in zip(part.variants[0], numbers, strict=True):
                np.testing.assert_array_equal(frames, everything.variants[0][number])


def test_a_temperature_hears_every_training_speaker_left_out_once():
    corpus = read_corpus()
    for fold in [*splits.holdout(corpus), *splits.loso(corpus)]:
        material = Material(corpus, [], {})
        experiment = make_experiment(material, fold.train, PRESETS["default"], seed=0)
        groups = experiment.group_speakers()
        assert sorted(np.concatenate(groups)) == [*range(len(fold.train))]
        speakers = [set(experiment.training_set.speakers[rows]) for rows in groups]
        assert sum(map(len, speakers)) == len(set.union(*speakers))
        assert {len(group) for group in speakers} <= {3, 4}


def training_set(versions):
    random = np.random.default_rng(0)
    tables = [[random.normal(size=(20, 66)) for _ in range(50)] for _ in range(versions)]
    return TrainingSet(tables, np.arange(50) % 7, np.array(["03", "08"] * 25), EMOTION_LABELS)


def test_an_epoch_hears_each_recording_and_some_of_its_copies():
    hyperparameters = replace(PRESETS["default"], augmented_copies=4, adapted_share=0.5)
    random = np.random.default_rng(0)
    items = draw_epoch(training_set(versions=9), hyperparameters, random)
    for utterance in range(50):
        drawn = [version for number, version, _ in items if number == utterance]
        assert drawn.count(0) == 1
        assert len(set(drawn)) == len(drawn) == 5
    assert {version for _, version, _ in items} == set(range(9))
    assert 0.4 < np.mean([calibrated for _, _, calibrated in items]) < 0.6
    assert draw_epoch(training_set(versions=9), hyperparameters, random) != items
    # Without copies the recordings take their place, so that an epoch is as long.
    alone = draw_epoch(training_set(versions=1), hyperparameters, random)
    assert [(number, version) for number, version, _ in alone] == [
        (number, 0) for number in range(50) for _ in range(5)
    ]
    never = replace(hyperparameters, augmented_copies=0, adapted_share=0.0)
    assert draw_epoch(training_set(versions=9), never, random) == [(n, 0, False) for n in range(50)]


def test_a_voice_is_measured_in_each_version_by_itself():
    everything = training_set(versions=3)
    reference = everything.measure_statistics()
    frames = np.concatenate(everything.variants[0])
    np.testing.assert_allclose(reference.mean, frames.mean(axis=0))
    measured = everything.measure_baselines(reference)
    for tables, voices in zip(everything.variants, measured, strict=True):
        for first, speaker in enumerate(("03", "08")):
            expected = measure_baseline(tables[first::2], reference)
            np.testing.assert_array_equal(voices[speaker], expected)


def test_nothing_of_the_tested_part_decides_anything(data, tmp_path):
    corpus = read_corpus(data)
    fold = splits.loso(corpus)[0]
    tested = fold.test
    emotion = corpus.emotion.copy()
    emotion[tested] = emotion[tested][::-1]
    frames, copy = list(corpus.frames), [table + 0.1 for table in corpus.frames]
    other_copy = list(copy)
    for row in tested[1:]:
        frames[row] = -frames[row]
        other_copy[row] = -copy[row]
    hyperparameters = replace(
        PRESETS["default"], epochs=2, dense_units=8, lstm_units=4, members=1, augmented_copies=1
    )
    results = [
        evaluate_fold(Task(0, fold), Plan(material, hyperparameters, 0, ["1"], tmp_path))
        for material in (
            Material(corpus, [copy], {}),
            Material(replace(corpus, emotion=emotion, frames=frames), [other_copy], {}),
        )
    ]
    for name in ("history", "temperature", "epochs"):
        assert results[0][name] == results[1][name]
    expected, probabilities = (
        np.array(
            [
                [float(row[name]) for name in EMOTION_LABELS]
                for row in result["predictions"]["clean"]
            ]
        )
        for result in results
    )
    np.testing.assert_array_equal(probabilities[0], expected[0])
    assert np.abs(probabilities[1:] - expected[1:]).max() > 1e-3
    assert [*results[0]["predictions"]] == ["clean", "calibrated_1"]
    # The mean over all batches of an epoch is a whole number of clips.
    for row in results[0]["history"]:
        clips = row["accuracy"] * 2 * len(fold.train)
        assert clips == pytest.approx(round(clips), abs=1e-4)


def material_of(folder, kinds=("speed",), **options):
    return load_material([str(folder)], kinds=kinds, quiet=True, note=print, **options)


def test_copies_are_of_the_named_kinds_only(tmp_path):
    audio = write_corpus(tmp_path / "audio", speakers=("03",))
    extract_emodb(audio, tmp_path)
    copies = material_of(tmp_path, audio=audio).copies
    assert len(copies) == 4
    kept = {path.name.split("_")[0] for path in (tmp_path / "variants" / "berlin").iterdir()}
    assert kept == {f"speed {factor}" for factor in (0.86, 0.93, 1.07, 1.15)}


def test_without_recordings_a_note_says_that_there_are_no_copies(tmp_path, monkeypatch, capsys):
    audio = write_corpus(tmp_path / "audio", speakers=("03",))
    extract_emodb(audio, tmp_path)
    monkeypatch.setenv("SPEECH_EMOTION_AUDIO", "")
    monkeypatch.setattr(emodb, "AUDIO_DIRECTORY", tmp_path / "nowhere")
    material = material_of(tmp_path)
    assert (material.copies, material.conditions) == ([], {})
    assert "no data augmentation" in capsys.readouterr().out
    # A condition that was asked for is not left out in silence.
    with pytest.raises(DataError, match="no recordings"):
        material_of(tmp_path, conditions=["noise"])
    (audio / "03a01Wa.wav").unlink()
    with pytest.raises(DataError, match=r"03a01Wa\.wav: no such file"):
        material_of(tmp_path, audio=audio, conditions=["noise"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nothing=1", "give one of network"),
        ("members", "members cannot be ;"),
        ("members=2.5", r"members cannot be 2\.5"),
        ("members=0", "members cannot be 0"),
        ("members=101", "members cannot be 101"),
        ("members=many", "members cannot be many"),
        ("features=40", "features cannot be 40"),
        ("copies=-1", "augmented_copies cannot be -1"),
        ("copy_kinds=21", "augmentations cannot be 21"),
        ("scaled=1", "temperature_scaling cannot be 1"),
        ("epochs=0", "epochs cannot be 0"),
        ("epochs=null", "epochs cannot be null"),
        ("dropout=high", "dropout cannot be high"),
        ("dropout=1", "dropout cannot be 1"),
        ("dropout=NaN", "dropout cannot be NaN"),
        ("learning_rate=Infinity", "learning_rate cannot be Infinity"),
        ("calibrated_share=1.1", r"adapted_share cannot be 1\.1"),
        ("patience=0", "patience cannot be 0"),
        ("gradient_norm=0", "gradient_norm cannot be 0"),
        ("network=other", "network cannot be other"),
        ("network=seed2018", "padded_frames cannot be null"),
        ("padded_frames=100", "padded_frames goes with frames_per_step"),
    ],
)
def test_hyperparameters_that_cannot_be_set_are_named(setting, message):
    with pytest.raises(UsageError, match=message):
        override(PRESETS["default"], [setting])


def test_hyperparameters_can_be_set():
    settings = ["members=1", "dropout=0", "scaled=false", "schedule=constant", "patience=3"]
    expected = replace(
        PRESETS["default"],
        members=1,
        dropout=0,
        temperature_scaling=False,
        schedule="constant",
        patience=3,
    )
    assert override(PRESETS["default"], settings) == expected


def test_one_speaker_cannot_decide_and_train(tmp_path):
    extract_emodb(write_corpus(tmp_path / "audio", speakers=("03",)), tmp_path)
    corpus = read_corpus(tmp_path)
    with pytest.raises(DataError, match="one speaker only"):
        make_experiment(
            Material(corpus, [], {}), np.arange(len(corpus)), PRESETS["default"], seed=0
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-evals", "-1"], "give 0 or more"),
        (["--epochs", "0"], "give 1 or more"),
        (["--seed", "-1"], "--seed -1"),
        (["--preset", "seed2018", "--max-evals", "3"], "is fixed"),
        (["--preset", "unknown"], "invalid choice"),
        (["--evaluate", "unknown"], "invalid choice"),
        (["--seeds", "0"], "give 1 or more"),
        (["--evaluate", "loso", "--set", "copies=0", "--adapt", "0"], "--adapt 0: give"),
        (["--evaluate", "loso", "--set", "adapted_share=0", "--adapt", "2"], "omit it"),
        (["--evaluate", "loso", "--preset", "seed2018", "--calibrate", "2"], "omit it"),
        (["--evaluate", "loso", "--conditions", "hail"], "invalid choice"),
        (["--conditions", "noise"], "give --evaluate"),
        (["--audio", "/no/such/folder"], "folder that exists"),
        (["--set", "nothing=1"], "give one of"),
        (["--output", "/no/such/folder/w.h5"], "folder to write to"),
        (["--data", "/no/such/folder/berlin"], "folder that exists"),
        (["--data", "berlin", "berlin"], "of different names"),
        (["--data", "berlin", "my", "--audio", "tests"], "goes with a single corpus"),
        (["--test-data", "my", "--evaluate", "loso"], "omit --evaluate loso"),
        (["--run", "tests"], "exists"),
        (["--no-such-option"], "unrecognized"),
    ],
)
def test_wrong_usage_ends_at_once_with_2(options, message, run_command):
    done = run_command("train.py", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_pickles_of_another_kind_end_with_1(tmp_path, run_command):
    for name in ("berlin_db.p", "berlin_features.p", "berlin_further_features.p"):
        shutil.copy(ROOT / "LICENSE", tmp_path / name)
    done = run_command("train.py", "--data", tmp_path, "--output", tmp_path / "w.h5")
    assert done.returncode == 1
    assert "python dataset.py extract" in done.stderr
