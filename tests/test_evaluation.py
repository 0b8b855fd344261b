"""Measures against closed forms and scikit-learn, tables that round-trip, the report."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn import metrics as scores

from utility.errors import DataError, UsageError
from utility.evaluation.figures import draw_confusion
from utility.evaluation.fold import check_adaptation, draw_clips, make_tests
from utility.evaluation.material import Material
from utility.evaluation.measures import (
    CLEAN,
    KEY_COLUMNS,
    MEASURES,
    Predictions,
    adapted_test_clips,
    adapted_test_name,
    compare,
    measure,
    predictions_name,
    read_predictions,
    read_tests,
    summarise,
    summarise_run,
    tally,
)
from utility.evaluation.report import (
    describe_comparison,
    describe_run,
    describe_tests,
    format_interval,
    read_chosen,
)
from utility.functions import write_csv
from utility.furtherFeatures import ALL_NAMES, columns_of, feature_names
from utility.globalvars import EMOTION_LABELS
from utility.network.voice import Statistics, adapt, measure_baseline


def measures_of(labels, probabilities):
    tallies = tally(np.asarray(labels), np.asarray(probabilities))
    return measure({name: values.sum(axis=0) for name, values in tallies.items()})


def one_hot(classes):
    return np.eye(7)[classes]


def made_up(count=300, speakers=5, seeds=2, seed=0):
    """Probabilities that lean to the truth, of some speakers more than of others."""
    random = np.random.default_rng(seed)
    emotions = random.integers(0, 7, count)
    speaker = random.integers(0, speakers, count)
    parts = []
    for run in range(seeds):
        scores = random.normal(size=(count, 7))
        scores[np.arange(count), emotions] += 0.5 * (1 + speaker)
        shares = np.exp(scores)
        parts.append((np.full(count, str(run)), shares / shares.sum(axis=1, keepdims=True)))
    return Predictions(
        file=np.tile([f"{number}.wav" for number in range(count)], seeds),
        speaker=np.tile([f"{number:02d}" for number in speaker], seeds),
        emotion=np.tile(np.array(EMOTION_LABELS)[emotions], seeds),
        fold=np.tile([f"speaker {number:02d}" for number in speaker], seeds),
        seed=np.concatenate([run for run, _ in parts]),
        probabilities=np.concatenate([shares for _, shares in parts]),
    )


def test_right_answers_measure_one():
    labels = np.arange(7).repeat(3)
    measures = measures_of(labels, one_hot(labels))
    assert measures.pop("expected_calibration_error") == 0
    assert set(map(float, measures.values())) == {1.0}


def test_always_the_commonest_emotion_is_accurate_but_recalls_a_seventh():
    measures = measures_of([0] * 94 + [1, 2, 3, 4, 5, 6], one_hot(np.zeros(100, int)))
    assert measures["weighted_accuracy"] == pytest.approx(0.94)
    assert measures["unweighted_average_recall"] == pytest.approx(1 / 7)
    assert measures["expected_calibration_error"] == pytest.approx(0.06)


def test_top_2_counts_the_second_best():
    measures = measures_of([0, 1, 2], [[0.5, 0.4, 0.1, 0, 0, 0, 0]] * 3)
    assert measures["top_2_accuracy"] == pytest.approx(2 / 3)
    assert measures["weighted_accuracy"] == pytest.approx(1 / 3)
    assert measures["expected_calibration_error"] == pytest.approx(0.5 - 1 / 3)


def test_an_emotion_without_utterances_counts_in_no_mean():
    measures = measures_of([0, 0, 1, 1], one_hot([0, 0, 1, 0]))
    assert measures["unweighted_average_recall"] == pytest.approx(0.75)


def test_measures_are_those_of_scikit_learn():
    predictions = made_up()
    labels, probabilities = predictions.labels, predictions.probabilities
    answers = probabilities.argmax(axis=1)
    measures = measures_of(labels, probabilities)
    for name, expected in (
        ("weighted_accuracy", scores.accuracy_score(labels, answers)),
        ("unweighted_average_recall", scores.balanced_accuracy_score(labels, answers)),
        ("macro_f1", scores.f1_score(labels, answers, average="macro")),
        ("top_2_accuracy", scores.top_k_accuracy_score(labels, probabilities, k=2)),
    ):
        assert measures[name] == pytest.approx(expected)


def test_probabilities_that_mean_what_they_say_have_no_calibration_error():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(7), 50_000)
    labels = (random.random((50_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert measures_of(labels, probabilities)["expected_calibration_error"] < 0.01


def test_deviations_are_over_seeds_and_intervals_over_speakers():
    predictions = made_up()
    summary = summarise(predictions)
    assert summary["seeds"] == [0, 1]
    assert summary["utterances"] == 300
    for name in MEASURES:
        each = [
            measures_of(
                predictions.labels[predictions.seed == seed],
                predictions.probabilities[predictions.seed == seed],
            )[name]
            for seed in "01"
        ]
        row = summary["measures"][name]
        assert row["mean"] == pytest.approx(np.mean(each))
        assert row["deviation"] == pytest.approx(np.std(each, ddof=1))
        low, high = row["interval"]
        assert low < high
    low, high = summary["measures"]["weighted_accuracy"]["interval"]
    accuracies = [speaker["weighted_accuracy"] for speaker in summary["speakers"].values()]
    assert min(accuracies) < low < np.mean(accuracies) < high < max(accuracies)


def test_recalls_of_classes_have_a_deviation_and_an_interval():
    predictions = made_up()
    right = predictions.probabilities.argmax(axis=1) == predictions.labels
    recalls = summarise(predictions)["class_recalls"]
    for k, emotion in enumerate(predictions.emotions):
        own = predictions.labels == k
        each = [right[own & (predictions.seed == seed)].mean() for seed in "01"]
        assert recalls[emotion]["mean"] == pytest.approx(np.mean(each))
        assert recalls[emotion]["deviation"] == pytest.approx(np.std(each, ddof=1))
        low, high = recalls[emotion]["interval"]
        assert low < np.mean(each) < high
    absent = predictions.take(predictions.labels != 2)
    assert summarise(absent)["class_recalls"][predictions.emotions[2]] is None


def test_one_speaker_says_nothing_of_others():
    predictions = made_up()
    predictions = replace(predictions, speaker=np.full(len(predictions.speaker), "03"))
    measured = summarise(predictions)["measures"]["macro_f1"]
    assert measured["interval"] is None
    assert format_interval(measured) == "one speaker only"
    comparison = compare(predictions, predictions)
    assert comparison["measures"]["macro_f1"]["interval"] is None
    assert "| +0.0 | one speaker only |" in describe_comparison(comparison, ("a", "b"))


def test_one_seed_has_no_deviation():
    assert summarise(made_up(seeds=1))["measures"]["macro_f1"]["deviation"] is None


def rows_of(predictions):
    return [
        {name: getattr(predictions, name)[i] for name in KEY_COLUMNS}
        | dict(zip(EMOTION_LABELS, predictions.probabilities[i], strict=True))
        for i in range(len(predictions.file))
    ]


def assert_equal(predictions, expected):
    for name, values in vars(expected).items():
        np.testing.assert_array_equal(getattr(predictions, name), values)


def test_predictions_round_trip(tmp_path):
    predictions = made_up(count=20)
    write_csv(tmp_path / "predictions.csv", rows_of(predictions))
    assert_equal(read_predictions(tmp_path / "predictions.csv"), predictions)


def test_tests_are_found_by_their_names_the_clean_one_first(tmp_path):
    names = ["calibrated_10", "calibrated_speaker", "clean", "noise"]
    tests = {name: made_up(count=9, seed=number) for number, name in enumerate(names)}
    for name, predictions in tests.items():
        write_csv(tmp_path / predictions_name(name), rows_of(predictions))
    assert (tmp_path / "predictions.csv").exists()
    found = read_tests(tmp_path)
    assert [*found] == ["clean", "calibrated_10", "calibrated_speaker", "noise"]
    for name, predictions in tests.items():
        assert_equal(found[name], predictions)


def test_the_report_lists_conditions_first_and_calibrations_by_their_number():
    def measures(mean):
        return {name: {"mean": mean, "deviation": None} for name in MEASURES}

    names = ("calibrated_speaker", "noise", "calibrated_10", "room", "calibrated_9", "calibrated_1")
    tests = {name: measures(number / 10) for number, name in enumerate(names)}
    text = describe_tests({"measures": measures(0.9), "tests": tests})
    rows = [line.split(" | ") for line in text.splitlines() if line.endswith(" |")][2:]
    assert [row[0].removeprefix("| ") for row in rows] == [
        "as recorded",
        "with white noise at 20 dB",
        "in a room, 0.5 s of reverberation",
        "adapted to the speaker with 1 clip",
        "adapted to the speaker with 9 clips",
        "adapted to the speaker with 10 clips",
        "adapted to the speaker with all clips",
    ]
    assert [row[1] for row in rows] == ["90.0", "10.0", "30.0", "50.0", "40.0", "20.0", "0.0"]
    assert describe_tests({"measures": measures(0.9), "tests": {}}) == ""


def test_names_of_adapted_tests_can_be_read_back():
    for clips in ("1", "10", "speaker"):
        assert adapted_test_clips(adapted_test_name(clips)) == clips
    assert adapted_test_clips("noise") is None


# The report

FACTS = {"protocol": "holdout", "data": ["own"], "test_data": [], "preset": "default"}
FACTS |= {"changed": {}, "copies": 20, "max_evals": 0}


def made_up_run(folder, judged):
    """Write the predictions of half a corpus, and return the corpus with some judgements."""
    whole = made_up(count=60, seeds=1)
    tested = made_up(count=60).take(np.flatnonzero(np.tile(np.arange(60) < 30, 2)))
    write_csv(folder / predictions_name(CLEAN), rows_of(tested))
    recognition = np.where(np.isin(np.arange(60), judged), np.arange(60) / 100, np.nan)
    return SimpleNamespace(file=whole.file, emotion=whole.emotion, recognition=recognition)


def rows_below(title, report):
    """Return the cells of the table below a title, without its header."""
    lines = report.partition(f"## {title}\n\n")[2].partition("\n\n")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def test_the_report_counts_the_tested_utterances(tmp_path):
    corpus = made_up_run(tmp_path, judged=[])
    metrics = summarise_run(tmp_path, corpus)
    assert metrics["utterances"] == 30
    assert sum(speaker["utterances"] for speaker in metrics["speakers"].values()) == 30
    report = describe_run(FACTS | metrics)
    for title in ("Emotions", "Speakers"):
        assert sum(int(row[1]) for row in rows_below(title, report)) == 30
    counts = {row[0]: int(row[1]) for row in rows_below("Emotions", report)}
    assert counts == {name: np.sum(corpus.emotion[:30] == name) for name in EMOTION_LABELS}


def test_the_report_shows_listeners_only_of_tested_utterances(tmp_path):
    for judged in ([], range(30, 60)):
        metrics = summarise_run(tmp_path, made_up_run(tmp_path, judged))
        assert metrics["listeners"] == {}
        assert "isteners" not in describe_run(FACTS | metrics)
    corpus = made_up_run(tmp_path, judged=range(20, 60))
    metrics = summarise_run(tmp_path, corpus)
    report = describe_run(FACTS | metrics)
    assert "perception test" in report
    for emotion, *_, listeners in rows_below("Emotions", report):
        own = [number for number in range(20, 30) if corpus.emotion[number] == emotion]
        assert listeners.strip() == (f"{np.mean(own):.1f}" if own else "")


def test_the_report_names_the_trials_that_a_search_chose(tmp_path):
    assert read_chosen(tmp_path) == []
    losses = {"a": (0.5, 0.3, 0.3), "b": (0.2, 0.4, 0.6)}
    trials = [
        {"fold": fold, "seed": 0, "trial": number, "seconds": 1.5, "features": 66}
        | {"dropout": 0.123456 * number, "epoch": 20, "validation_loss": loss}
        for fold in losses
        for number, loss in enumerate(losses[fold], 1)
    ]
    write_csv(tmp_path / "trials.csv", trials)
    metrics = FACTS | summarise_run(tmp_path, made_up_run(tmp_path, judged=[]))
    report = describe_run(metrics, read_chosen(tmp_path))
    assert "| fold | seed | trial | validation_loss | dropout |" in report
    expected = [["a", "0", "2", "0.3", "0.247"], ["b", "0", "1", "0.2", "0.123"]]
    assert rows_below("Chosen hyperparameters", report) == expected
    write_csv(tmp_path / "trials.csv", [trials[0], trials[3]])
    assert read_chosen(tmp_path) == []
    assert "Chosen hyperparameters" not in describe_run(metrics)


@pytest.mark.parametrize(("seeds", "text"), [(1, "1 seed"), (4, "mean of 4 seeds")])
def test_the_confusion_picture_shows_percent_and_the_utterances_of_a_seed(seeds, text, monkeypatch):
    shown = {}
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: shown.update(axes=figure.axes))
    draw_confusion("confusion.png", FACTS | summarise(made_up(seeds=seeds)))
    (axes,) = shown["axes"]
    assert axes.get_title().endswith(f"rows in percent, {text}")
    cells = np.array([float(cell.get_text()) for cell in axes.texts]).reshape(7, 7)
    np.testing.assert_allclose(cells.sum(axis=1), 100, atol=0.4)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert sum(int(label.partition("(")[2].rstrip(")")) for label in labels) == 300


# What is tested on


@pytest.fixture
def corpus():
    """Forty clips of four voices."""
    random = np.random.default_rng(0)
    return SimpleNamespace(
        speaker=np.tile(["03", "08", "09", "10"], 10),
        frames=[random.normal(size=(random.integers(5, 50), len(ALL_NAMES))) for _ in range(40)],
    )


def test_clips_to_calibrate_with_are_others_of_the_same_voice(corpus):
    drawn = [draw_clips(corpus, number, "4", seed=0) for number in range(40)]
    for number, clips in enumerate(drawn):
        assert len(set(clips)) == 4
        assert number not in clips
        assert set(corpus.speaker[clips]) == {corpus.speaker[number]}
        np.testing.assert_array_equal(draw_clips(corpus, number, "4", seed=0), clips)
        every = draw_clips(corpus, number, "speaker", seed=0)
        assert sorted(every) == [k for k in range(40) if k % 4 == number % 4]
    assert len({frozenset(clips) for clips in drawn}) > 20
    assert any(
        set(draw_clips(corpus, number, "4", seed=1)) != set(clips)
        for number, clips in enumerate(drawn)
    )


@pytest.mark.parametrize("clips", ["0", "-1", "10", "1.5", "all", "", "²"])
def test_a_calibration_that_cannot_be_is_refused(clips, corpus):
    with pytest.raises(UsageError, match="give speaker, or a number of clips from 1 to 9"):
        check_adaptation(corpus, clips)
    for possible in ("1", "9", "speaker"):
        check_adaptation(corpus, possible)


@pytest.mark.parametrize("sets", [("original",), ("further",), ("original", "further")])
def test_every_test_has_the_frames_of_its_name(corpus, sets):
    names = feature_names(sets)
    columns = columns_of(names)
    training = Statistics(np.full(len(names), 0.3), np.full(len(names), 1.7))
    weights = SimpleNamespace(statistics=training, feature_names=names)
    noisy = [table + 1 for table in corpus.frames]
    rows = np.array([7, 2, 39])
    material = Material(corpus, [], {"noise": noisy})
    tests = make_tests(material, rows, ["2", "speaker"], weights, seed=3)
    assert [*tests] == ["clean", "noise", "calibrated_2", "calibrated_speaker"]
    for place, row in enumerate(rows):
        clean = corpus.frames[row][:, columns]
        np.testing.assert_array_equal(tests["clean"][place], clean)
        np.testing.assert_array_equal(tests["noise"][place], noisy[row][:, columns])
        for clips in ("2", "speaker"):
            others = draw_clips(corpus, row, clips, seed=3)
            voice = measure_baseline([corpus.frames[k].take(columns, 1) for k in others], training)
            expected = adapt(clean, voice, training)
            np.testing.assert_array_equal(tests[f"calibrated_{clips}"][place], expected)


@pytest.mark.parametrize("content", ["", "file,speaker\n", "file,anger\na.wav,x\n", "\0"])
def test_tables_of_another_kind_are_refused(content, tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(content)
    with pytest.raises(DataError, match="not a table of predictions"):
        read_predictions(path)


# Two runs


def answers(classes, predictions):
    return replace(predictions, probabilities=0.4 * one_hot(classes) + 0.6 / 7)


def test_a_run_does_not_differ_from_itself():
    comparison = compare(made_up(), made_up())
    assert comparison["utterances"] == 300
    assert (comparison["only_first"], comparison["only_second"]) == (0, 0)
    assert comparison["p_value"] == 1
    for measured in comparison["measures"].values():
        assert measured["difference"] == 0
        assert measured["interval"] == [0, 0]


def test_mcnemar_counts_what_one_run_alone_got_right():
    truth = made_up(100, seeds=1)
    wrong = truth.labels.copy()
    wrong[:10] = (wrong[:10] + 1) % 7
    comparison = compare(answers(wrong, truth), answers(truth.labels, truth))
    assert (comparison["only_first"], comparison["only_second"]) == (0, 10)
    assert comparison["p_value"] == pytest.approx(2 * 0.5**10)
    accuracy = comparison["measures"]["weighted_accuracy"]
    assert accuracy["difference"] == pytest.approx(0.1)
    low, high = accuracy["interval"]
    assert 0 <= low < 0.1 < high < 0.3


def test_runs_are_compared_on_what_both_have_tested_in_any_order():
    whole = made_up()
    order = np.random.default_rng(0).permutation(len(whole.file))
    part = whole.take(order[np.isin(whole.file[order], [f"{n}.wav" for n in range(50, 120)])])
    comparison = compare(whole, part)
    assert comparison["utterances"] == 70
    assert comparison["p_value"] == 1
    for measured in comparison["measures"].values():
        assert measured["difference"] == pytest.approx(0)


def test_runs_that_cannot_be_compared_say_so():
    one = made_up(10)
    with pytest.raises(DataError, match="no recording in common"):
        compare(one, replace(one, file=np.char.add("other/", one.file)))
    with pytest.raises(DataError, match="different classes"):
        compare(one, replace(one, emotions=one.emotions[::-1]))


def test_two_runs_on_the_command_line(tmp_path, run_command):
    done = run_command("train.py", "--compare", "results/seed2018", "results/holdout")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# results/seed2018 and results/holdout, on 161 utterances")
    accuracy = done.stdout.splitlines()[4].split(" | ")
    assert accuracy[3].startswith("+")
    missing = run_command("train.py", "--compare", "results/holdout", tmp_path)
    assert missing.returncode == 1
    assert "name the folder of a run" in missing.stderr
