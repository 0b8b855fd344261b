"""A network that is changed in one of its two definitions is reported."""

import dataclasses

import keras
import numpy as np
import pytest

from made import NETWORKS, SMALL, random_clips, random_weights
from utility.errors import WeightsError
from utility.evaluation import agreement
from utility.evaluation.agreement import check_definitions_agree
from utility.network import layout
from utility.network import model as definition
from utility.network.inference import predict_frames
from utility.network.model import load_members


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (48, r"inference\.py does not read dense_2/bias, dense_2/kernel; .*same as model\.py"),
        (5, r"size 5 is different from 48.*same as model\.py"),
    ],
)
def test_a_layer_in_keras_alone_is_reported(units, message, monkeypatch):
    def deeper(steps, mask, hyperparameters):
        pooled = definition.attention_network(steps, mask, hyperparameters)
        return keras.layers.Dense(units, "relu", name="dense_2")(pooled)

    monkeypatch.setitem(definition.NETWORKS, "attention", (definition.attention_steps, deeper))
    weights, clips = random_weights(SMALL), random_clips([30, 40])
    (model, _) = load_members(weights)
    with pytest.raises(WeightsError, match=message):
        check_definitions_agree(model, weights, clips)


def test_an_array_that_a_weights_file_has_no_place_for_is_reported(monkeypatch):
    weights, clips = random_weights(SMALL), random_clips([30, 40])
    (model, _) = load_members(weights)

    def list_others(*facts):
        arrays = layout.list_member(*facts)
        return arrays | {"dense_2/kernel": arrays["dense/kernel"]}

    monkeypatch.setattr(agreement, "list_member", list_others)
    with pytest.raises(WeightsError, match=r"layout\.py lists dense_2/kernel otherwise than"):
        check_definitions_agree(model, weights, clips)


def test_definitions_that_compute_something_else_are_refused(monkeypatch):
    weights, clips = random_weights(SMALL), random_clips([30, 40, 200])
    check_definitions_agree(load_members(weights)[0], weights, clips)

    def halved(steps, mask, hyperparameters):
        return 0.5 * definition.attention_network(steps, mask, hyperparameters)

    monkeypatch.setitem(definition.NETWORKS, "attention", (definition.attention_steps, halved))
    with pytest.raises(WeightsError, match=r"definitions of the network disagree by 0\.\d+ on"):
        check_definitions_agree(load_members(weights)[0], weights, clips)


@pytest.mark.parametrize("name", ["small", "small seed2018"])
def test_arrays_that_are_missing_or_not_read_are_named(name):
    weights, clips = random_weights(NETWORKS[name]), random_clips([20])
    *first, last = weights.members
    surplus = dataclasses.replace(weights, members=[*first, last | {"extra/kernel": np.ones(2)}])
    with pytest.raises(WeightsError, match=r"inference\.py does not read extra/kernel"):
        predict_frames(surplus, clips)
    with pytest.raises(WeightsError, match="no layer takes extra/kernel"):
        load_members(surplus)
    for path in last:
        lacking = {key: array for key, array in last.items() if key != path}
        lacking = dataclasses.replace(weights, members=[*first, lacking])
        with pytest.raises(WeightsError, match=f"do not fit their network: they lack {path};"):
            predict_frames(lacking, clips)
    with pytest.raises(WeightsError, match=f"do not fit their network: they lack {path};"):
        load_members(lacking)
