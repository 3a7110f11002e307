"""Saved networks at work: encoding, predicting, and reading files that anyone may have written."""

from __future__ import annotations

import ast
import contextlib
import copy
import json
import math
import random
import shutil
import subprocess
import sys
from collections import UserDict, namedtuple
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from safetensors.numpy import load_file, save, save_file
from scipy import sparse
from sklearn.neural_network import MLPClassifier, MLPRegressor

from nas import runtime
from nas.errors import InputError
from nas.export.native import save_network
from nas.network import ACTIVATIONS, MLP
from nas.predictions import predictions, write_predictions
from nas.runtime import (
    Column,
    Ensemble,
    ModelError,
    Network,
    Predictor,
    Preprocessor,
    TableError,
    Target,
    Units,
    Waves,
    category_key,
    layer_norm,
    load_network,
    model_record,
)

COLUMNS = (
    Column("size", "numeric", fill=1.5, mean=2.0, scale=0.5, indicator=True),
    Column("color", "category", categories=("1", "blue", "red"), missing=True, other=True),
    Column("constant", "dropped"),
    Column("count", "numeric", mean=-1.0, scale=4.0),
)
LATER_COLUMNS = (
    Column(
        "size", "numeric", fill=1.5, scale=0.5, indicator=True, knots=((0.0, -1.0), (1.0, 0.5), (9.0, 2.0))
    ),
    Column(
        "color",
        "category",
        categories=("blue", "red"),
        other=True,
        means=((1.0, -1.0), (0.0, 3.0), (0.5, 0.5)),
    ),
    Column("constant", "dropped"),
    Column("count", "numeric", mean=-1.0, scale=4.0, knots=((-5.0, -2.0), (5.0, 2.0))),
    Column("city", "category", categories=("x",), missing=True, means=((1.0, 0.0, 2.0), (-1.0, 0.0, 0.0))),
)
"""Those that format version 3 has more than version 2."""
BINNED_COLUMNS = (
    Column("size", "numeric", fill=1.5, scale=0.5, indicator=True, clip=3.0, edges=(0.0, 1.0, 9.0)),
    Column("count", "numeric", mean=-1.0, scale=4.0, edges=(-5.0, 5.0)),
    Column("color", "category", categories=("blue",), other=True),
)
"""Those that format version 6 has more than version 3."""

N_INPUTS = 8

TARGETS = {
    "classification": Target(("kind",), classes=("big", "medium", "small")),
    "two classes": Target(("kind",), classes=(0, 1)),
    "multilabel": Target(("old", "rare")),
    "regression": Target(("price", "weight"), mean=(100.0, -3.0), scale=(10.0, 0.5)),
    "one value": Target(("price",), mean=(100.0,), scale=(10.0,)),
}
"""What a network may be for; two classes share one output, other targets have one each."""

TASKS = {"two classes": "classification", "one value": "regression"}
LOSSES = {
    "classification": "cross_entropy",
    "two classes": "binary_cross_entropy",
    "multilabel": "binary_cross_entropy",
    "regression": "squared_error",
    "one value": "squared_error",
}
N_OUTPUTS = {"classification": 3, "two classes": 1, "multilabel": 2, "regression": 2, "one value": 1}


def make_pair(
    kind: str = "classification",
    activations: tuple[str, ...] = ("relu", "tanh"),
    seed: int = 0,
    columns: tuple[Column, ...] = COLUMNS,
) -> tuple[Network, MLP]:
    """A network as it is used, and the one that training knows, with the same weights."""
    rng = np.random.default_rng(seed)
    sizes = (N_INPUTS, *(7 + i for i in range(len(activations))), N_OUTPUTS[kind])
    mlp = MLP(sizes, activations, LOSSES[kind])
    mlp.parameters[...] = rng.normal(0, 0.6, mlp.parameters.shape)
    network = Network(
        task=TASKS.get(kind, kind),
        columns=columns,
        target=TARGETS[kind],
        activations=activations,
        weights=mlp.weights,
        biases=mlp.biases,
        provenance={"seed": seed, "genome": {"widths": list(sizes[1:-1])}},
    )
    return network, mlp


def make_network(kind: str = "classification") -> Network:
    return make_pair(kind)[0]


def make_frame(rows: int = 50, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": rng.normal(2, 1, rows),
            "color": rng.choice(np.array(["blue", "red", "pink", None], object), rows),
            "constant": 3,
            "count": rng.integers(-9, 9, rows),
        }
    )
    frame.loc[::7, "size"] = np.nan
    return frame


def one_layer(columns: tuple[Column, ...], weight: Any, bias: Any, task: str, target: Target) -> Network:
    return Network(task=task, columns=columns, target=target, activations=(), weights=[weight], biases=[bias])


# Worked by hand.


def test_numbers_lie_on_lines_between_knots_and_categories_have_what_their_place_says() -> None:
    encoded = Preprocessor(LATER_COLUMNS).encode(
        {
            "size": [0.5, 5.0, None, 1e9, -3.0],
            "color": ["blue", "red", "green", None, "blue"],
            "count": [0, 2.5, -99, 5, -5],
            "city": ["x", None, "y", "x", "x"],
        }
    )
    assert encoded.tolist() == [
        [-0.5, 0, 1, -1, 0.25, 1, 0, 2],  # -0.25 / 0.5, (0 + 1) / 4
        [2.5, 0, 0, 3, 0.5, -1, 0, 0],
        [1.1875, 1, 0.5, 0.5, -0.25, 0, 0, 0],  # a gap counts as 1.5; a city without place is 0
        [4, 0, 0, 0, 0.75, 1, 0, 2],
        [-2, 0, 1, -1, -0.25, 1, 0, 2],
    ]


def test_bins_have_the_share_below_a_number_and_far_numbers_are_bent() -> None:
    columns = (
        Column("a", "numeric", fill=1.0, scale=2.0, indicator=True, edges=(0.0, 1.0, 5.0, 6.0)),
        Column("b", "numeric", mean=1.0, scale=0.5, clip=3.0),
    )
    found = Preprocessor(columns).encode({"a": [-2, 3, None, 8, 5.5], "b": [1, -1, 1e300, -1e300, 3]})
    assert found.tolist() == [
        # a / 2, three bins, a gap; 2 (b - 1) / sqrt(1 + (2 (b - 1) / 3)^2)
        [-1, -2, 0, 0, 0, 0],
        [1.5, 1, 0.5, 0, 0, pytest.approx(-4 / math.sqrt(1 + 16 / 9))],
        [0.5, 1, 0, 0, 1, pytest.approx(3)],
        [4, 1, 1, 3, 0, pytest.approx(-3)],
        [2.75, 1, 1, 0.5, 0, pytest.approx(4 / math.sqrt(1 + 16 / 9))],
    ]


def with_waves(places: tuple[int, ...] = (0, 7), n_waves: int = 3) -> Network:
    """The network of `make_pair` with waves of some inputs."""
    rng = np.random.default_rng(0)
    plain = make_network()
    waves = Waves(places, *rng.normal(size=(2, len(places), n_waves)).astype(np.float32))
    first = rng.normal(0, 0.6, (waves.phases.size, plain.sizes[1])).astype(np.float32)
    return Network(
        task=plain.task,
        columns=plain.columns,
        target=plain.target,
        activations=plain.activations,
        weights=[np.vstack([plain.weights[0], first]), *plain.weights[1:]],
        biases=plain.biases,
        waves=waves,
    )


def test_waves_are_cosines_of_numbers_beside_the_inputs() -> None:
    waves = Waves((1,), np.array([[2.0, 0.5]], np.float32), np.array([[0.0, -1.0]], np.float32))
    beside = waves.with_waves(np.array([[3.0, 0.25]], np.float32))
    np.testing.assert_allclose(beside, [[3, 0.25, math.cos(0.5), math.cos(0.125 - 1)]], rtol=1e-6)
    columns = (Column("a", "numeric"), Column("b", "numeric"))
    weight, bias = np.ones((4, 1)), np.zeros(1)
    network = Network(
        task="regression",
        columns=columns,
        target=Target(("y",), mean=(0.0,), scale=(1.0,)),
        activations=(),
        weights=[weight],
        biases=[bias],
        waves=waves,
    )
    assert network.predict({"a": [3.0], "b": [0.25]})[0] == pytest.approx(float(beside.sum()), rel=1e-6)


def test_waves_are_of_version_8(tmp_path: Path) -> None:
    network = with_waves()
    assert (model_record(network)["version"], model_record(network)["layers"]["waves"]) == (8, [0, 7])
    read = load_network(save_network(network, tmp_path / "model"))
    assert isinstance(read, Network)
    assert read.waves is not None
    assert read.waves.places == (0, 7)
    table = table_for(network)
    np.testing.assert_array_equal(read.predict_proba(table), network.predict_proba(table))


def test_numbers_of_waves_beyond_all_floats_are_refused_in_words() -> None:
    network = with_waves()
    assert network.waves is not None
    network.waves.frequencies[...] = 3e38
    with pytest.raises(ModelError, match="finite"):
        network.predict(table_for(network))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(version=7), "waves of version 8 in version 7"),
        (lambda m: m["layers"].update(waves=[7, 0]), "waves: expected rising positions among 8 inputs"),
        (lambda m: m["layers"].update(waves=[0, 8]), "waves: expected rising positions among 8 inputs"),
        (lambda m: m["layers"].update(waves=[0]), r"waves of shapes \(2, 3\) and \(2, 3\) for 1 inputs"),
        (lambda m: m["layers"].update(waves=["0", 7]), "a size of '0'"),
        (lambda m: m["layers"].update(waves=3), "waves: expected a list"),
        (lambda m: m["layers"].pop("waves"), "arrays .* for 3 layers"),
        (lambda m: m["columns"].pop(), "expected rising positions|columns that give"),
    ],
)
def test_waves_that_contradict_a_record_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    folder = save_network(with_waves(), tmp_path / "model")
    rewrite(folder, change)
    with pytest.raises(ModelError, match=message):
        load_network(folder)


@pytest.mark.parametrize("kind", ["missing", "of another shape", "not finite"])
def test_arrays_of_waves_that_do_not_fit_are_refused(tmp_path: Path, kind: str) -> None:
    network = with_waves()
    assert network.waves is not None
    arrays = runtime.arrays_of(network)
    if kind == "missing":
        del arrays["phases"]
    elif kind == "of another shape":
        arrays["phases"] = arrays["phases"][:, :2].copy()
    else:
        arrays["phases"][0, 0] = np.nan
    folder = save_network(make_network(), tmp_path / "model")
    weights = save(arrays)
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "model.json").write_text(json.dumps(runtime.sealed(model_record(network), weights)))
    with pytest.raises(ModelError, match="waves"):
        load_network(folder)


def with_units(kinds: Sequence[str] = ("blends", "gains"), **changes: Any) -> Network:
    """The network of `make_pair` with numbers of its hidden units."""
    plain, _ = make_pair()
    rng = np.random.default_rng(1)
    first, second = plain.sizes[1:-1]
    counts: dict[str, Any] = {"blends": (first, second), "gains": (min(first, second),)}
    own = {kind: tuple(rng.normal(size=n).astype(np.float32) for n in counts[kind]) for kind in kinds}
    return Network(
        task=plain.task,
        columns=plain.columns,
        target=plain.target,
        activations=changes.get("activations", plain.activations),
        weights=plain.weights,
        biases=plain.biases,
        units=Units(**(own | changes.get("units", {}))),
        normalized=changes.get("normalized", False),
    )


def test_hidden_units_worked_out_by_hand() -> None:
    one, two = np.ones(1, np.float32), np.array([2], np.float32)
    units = Units((np.array([0.5, 0, 1], np.float32), one), (two,))
    z, a = np.array([[-4.0, -4.0, -4.0]]), np.zeros((1, 3))
    assert units.outputs(0, z, a.copy(), np.array([[9.0]])).tolist() == [[-2, -4, 0]]
    assert units.outputs(1, z[:, :1], a[:, :1].copy(), np.array([[3.0, 5.0]])).tolist() == [[6]]


@pytest.mark.parametrize("kinds", [("blends",), ("gains",), ("blends", "gains")])
def test_units_are_of_version_9(tmp_path: Path, kinds: Sequence[str]) -> None:
    network = with_units(kinds)
    assert (model_record(network)["version"], model_record(network)["layers"]["units"]) == (9, list(kinds))
    read = load_network(save_network(network, tmp_path / "model"))
    table = table_for(network)
    np.testing.assert_array_equal(read.predict_proba(table), network.predict_proba(table))
    assert not np.array_equal(read.predict_proba(table), make_pair()[0].predict_proba(table))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(version=8), "units or activations of version 9 in version 8"),
        (lambda m: m["layers"].update(units=["gains", "blends"]), "units: expected some of blends, gains"),
        (lambda m: m["layers"].update(units=["gain"]), "units: expected some of blends, gains, got"),
        (lambda m: m["layers"].update(units=[[]]), "units: expected some of blends, gains, got"),
        (lambda m: m["layers"].update(units=3), "units: expected a list"),
        (lambda m: m["layers"].update(units=["blends"]), "arrays .* for 3 layers"),
        (lambda m: m["layers"].pop("units"), "arrays .* for 3 layers"),
        (lambda m: m["layers"].update(sizes=[9] * 9), "units without an array blends_2"),
    ],
)
def test_units_that_contradict_a_record_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    folder = save_network(with_units(), tmp_path / "model")
    rewrite(folder, change)
    with pytest.raises(ModelError, match=message):
        load_network(folder)


def test_units_that_do_not_fit_are_refused() -> None:
    units, ones = with_units().units, np.ones(99, np.float32)
    assert units is not None
    for kind, numbers, message in (
        ("gains", (ones,), "gains of shapes"),
        ("blends", (ones[:5],), "blends of shapes"),
        ("blends", tuple(array * np.nan for array in units.blends), "not finite"),
    ):
        with pytest.raises(ModelError, match=message):
            with_units(units={kind: numbers})
    with pytest.raises(ModelError, match="units without blends and gains"):
        with_units(())


def test_layer_norm_is_that_of_its_formula() -> None:
    z = np.random.default_rng(0).normal(3, 2, (5, 7))
    deviations = np.sqrt(z.var(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer_norm(z), (z - z.mean(axis=1, keepdims=True)) / deviations, rtol=1e-12)
    assert layer_norm(z.astype(np.float32)).dtype == np.float32


def test_layer_norm_is_of_version_10(tmp_path: Path) -> None:
    network = with_units(normalized=True)
    assert model_record(network)["version"] == 10
    read = load_network(save_network(network, tmp_path / "model"))
    assert read.members[0].normalized
    table = table_for(network)
    np.testing.assert_array_equal(read.predict_proba(table), network.predict_proba(table))
    assert not np.array_equal(read.predict_proba(table), with_units().predict_proba(table))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(version=9), "layer norm of version 10 in version 9"),
        (lambda m: m["layers"].update(normalized=1), "normalized: expected true, got 1"),
        (lambda m: m["layers"].update(normalized=False), "normalized: expected true, got False"),
    ],
)
def test_layer_norm_that_contradicts_a_record_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    folder = save_network(with_units(normalized=True), tmp_path / "model")
    rewrite(folder, change)
    with pytest.raises(ModelError, match=message):
        load_network(folder)


def test_activations_of_version_9_are_said_to_be(tmp_path: Path) -> None:
    network = with_units(("gains",), activations=("selu", "mish"))
    network.units = None
    folder = save_network(network, tmp_path / "model")
    assert model_record(load_network(folder))["version"] == 9
    rewrite(folder, lambda m: m.update(version=8))
    with pytest.raises(ModelError, match="units or activations of version 9 in version 8"):
        load_network(folder)


def test_bins_and_bends_are_of_version_6(tmp_path: Path) -> None:
    for columns, version in ((COLUMNS, 4), (BINNED_COLUMNS, 6)):
        network, _ = make_pair(columns=columns)
        assert model_record(network)["version"] == version
        read = load_network(save_network(network, tmp_path / str(version)))
        assert read.columns == network.columns
        assert read.predict(table_for(network)).tolist() == network.predict(table_for(network)).tolist()


def test_members_are_of_version_7_and_their_factors_fit(tmp_path: Path) -> None:
    network, _ = make_pair()
    rng, k = np.random.default_rng(0), 3
    n_inputs, width, n_outputs = network.sizes[0], network.sizes[-2], network.sizes[-1]
    parts: dict[str, Any] = {
        "weights": [*network.weights[:-1], rng.normal(size=(width, k * n_outputs))],
        "biases": [*network.biases[:-1], rng.normal(size=k * n_outputs)],
        "factors": rng.choice([-1.0, 1.0], (k, n_inputs)),
    }

    def build(**changes: Any) -> Network:
        facts: Any = {"task": network.task, "columns": network.columns, "target": network.target}
        return Network(**facts, activations=network.activations, **(parts | changes))

    one = build()
    assert (one.n_members, one.sizes, one.members) == (k, network.sizes, (one,))
    record = model_record(one)
    assert (record["version"], record["layers"]["members"]) == (7, k)
    table = table_for(network)
    read = load_network(save_network(one, tmp_path / "model"))
    np.testing.assert_array_equal(read.predict_proba(table), one.predict_proba(table))
    mean = np.mean([plain.predict_proba(table) for plain in one.plain_networks()], axis=0)
    np.testing.assert_allclose(one.predict_proba(table), mean, atol=1e-6)
    assert [weight for _, weight in Ensemble([one, network], [3, 1]).plain_members()] == [0.25] * 4
    assert one.transform(table).shape == (len(mean), k * width)
    for changes, message in (
        ({"factors": parts["factors"][:1]}, "factors of shape"),
        ({"factors": parts["factors"][:, 1:]}, "factors of shape"),
        ({"factors": np.full((k, n_inputs), np.nan)}, "factors that are not finite"),
        ({"factors": np.ones((4, n_inputs))}, "4 members for 2 hidden layers and 9 outputs"),
    ):
        with pytest.raises(ModelError, match=message):
            build(**changes)


def test_columns_of_bins_that_were_changed_are_refused_or_predict(tmp_path: Path) -> None:
    rng = random.Random(20240607)
    network, _ = make_pair(columns=BINNED_COLUMNS)
    folder = save_network(network, tmp_path / "model")
    original = (folder / "model.json").read_text()
    refused = predicted = 0
    for _ in range(300):
        (folder / "model.json").write_text(original)
        with contextlib.suppress(ValueError):  # of numbers that JSON has not, there is no checksum
            rewrite(folder, lambda record: record.update(columns=mutate_json(record["columns"], rng)))
        try:
            read = load_network(folder)
        except ModelError:
            refused += 1
            continue
        assert np.isfinite(read.predict_proba(table_for(read))).all()
        predicted += 1
    assert refused > 100
    assert predicted > 20


def test_a_table_is_encoded_as_its_columns_say() -> None:
    table = {"size": [3.0, None, 2.0], "color": ["red", None, "green"], "count": [3, -1, 7]}
    expected = [
        # size, missing; 1, blue, red, missing, other; count
        [2.0, 0, 0, 0, 1, 0, 0, 1.0],
        [-1.0, 1, 0, 0, 0, 1, 0, 0.0],
        [0.0, 0, 0, 0, 0, 0, 1, 2.0],
    ]
    encoded = Preprocessor(COLUMNS).encode(table)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == expected


def test_a_network_computes_what_a_hand_computes() -> None:
    columns = (
        Column("a", "numeric", fill=1.0, mean=1.0, scale=2.0, indicator=True),
        Column("c", "category", categories=("x", "y"), missing=True, other=True),
    )
    hidden = np.array([[1.0], [10.0], [2.0], [3.0], [4.0], [2.0]])
    network = Network(
        task="regression",
        columns=columns,
        target=Target(("t",), mean=(100.0,), scale=(10.0,)),
        activations=("relu",),
        weights=[hidden, np.array([[3.0]])],
        biases=[np.array([-4.0]), np.array([1.0])],
    )
    # relu: 2 + 3 - 4, then 10 + 4 - 4, then 2 - 4; times 3, plus 1; times 10, plus 100.
    table = {"a": [5.0, None, 1.0], "c": ["y", None, "z"]}
    assert network.transform(table).tolist() == [[1.0], [10.0], [0.0]]
    assert network.predict(table).tolist() == [140.0, 410.0, 110.0]


def test_probabilities_are_those_of_the_odds() -> None:
    columns = (Column("a", "numeric"),)
    log3 = math.log(3)
    softmax = one_layer(
        columns, [[0.0, log3, 0.0]], [0.0, 0.0, -40.0], "classification", TARGETS["classification"]
    )
    assert_allclose(softmax.predict_proba([[1.0]]), np.array([[0.25, 0.75, 0.0]]), rtol=0, atol=1e-6)
    assert softmax.predict([[1.0], [-1.0]]).tolist() == ["medium", "big"]
    sigmoid = one_layer(columns, [[log3]], [0.0], "classification", TARGETS["two classes"])
    assert_allclose(
        sigmoid.predict_proba([[1.0], [-1.0]]), np.array([[0.25, 0.75], [0.75, 0.25]]), rtol=0, atol=1e-6
    )
    assert sigmoid.predict([[1.0], [-1.0]]).tolist() == [1, 0]
    labels = one_layer(columns, [[log3, -log3]], [0.0, 0.0], "multilabel", TARGETS["multilabel"])
    assert_allclose(labels.predict_proba([[1.0]]), np.array([[0.75, 0.25]]), rtol=0, atol=1e-6)
    assert labels.predict([[1.0]]).tolist() == [[1, 0]]


# The network that a person gets is the network that was trained.


@pytest.mark.slow
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_forward_pass_is_the_one_of_training(activation: str, kind: str) -> None:
    network, mlp = make_pair(kind, (activation, activation))
    frame = make_frame(2100)  # more than two pieces
    X = network.preprocessor.encode(frame)
    expected = mlp.predict(X)
    target = network.target
    if network.task == "regression":
        values = expected * np.array(target.scale) + np.array(target.mean)
        # Of the largest: what is near 0 is what larger numbers have left.
        tolerance = 1e-6 * np.abs(values).max()
        assert_allclose(network.predict(frame).reshape(values.shape), values, rtol=0, atol=tolerance)
    else:
        found = network.predict_proba(frame)
        assert_allclose(found[:, -expected.shape[1] :], expected, rtol=0, atol=1e-6)
    assert_allclose(network.transform(frame), mlp.hidden(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["classification", "two classes", "multilabel"])
def test_predictions_are_the_likelier_labels(kind: str) -> None:
    network = make_network(kind)
    chances, predicted = network.predict_proba(make_frame()), network.predict(make_frame())
    if kind == "multilabel":
        assert (predicted == (chances > 0.5)).all()
        return
    assert_allclose(chances.sum(axis=1), np.ones(50), rtol=0, atol=1e-6)
    assert predicted.tolist() == [network.target.classes[i] for i in chances.argmax(axis=1)]


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize(
    ("name", "activation"),
    [("identity", "identity"), ("logistic", "sigmoid"), ("tanh", "tanh"), ("relu", "relu")],
)
def test_networks_of_scikit_learn_predict_the_same_here(name: str, activation: str) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 3))
    classes = np.array(["a", "b", "c"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
    columns = tuple(Column(f"x{i}", "numeric") for i in range(3))

    def ours(model: Any, task: str, target: Target) -> Network:
        return Network(
            task=task,
            columns=columns,
            target=target,
            activations=(activation,) * 2,
            weights=model.coefs_,
            biases=model.intercepts_,
        )

    options: dict[str, Any] = {
        "activation": name,
        "hidden_layer_sizes": (8, 5),
        "solver": "lbfgs",
        "max_iter": 15,
    }
    classifier = MLPClassifier(**options, random_state=0).fit(X, classes)
    regressor = MLPRegressor(**options, random_state=0).fit(X, X[:, 0] * X[:, 1])
    network = ours(classifier, "classification", Target(("kind",), classes=("a", "b", "c")))
    # float32 here against float64 there.
    assert_allclose(network.predict_proba(X), classifier.predict_proba(X), rtol=0, atol=1e-5)
    values = ours(regressor, "regression", Target(("z",), mean=(0.0,), scale=(1.0,))).predict(X)
    assert_allclose(values, regressor.predict(X), rtol=0, atol=1e-5)


# Tables.


def test_a_table_may_come_in_many_forms() -> None:
    network, frame = make_network(), make_frame()
    expected = network.predict_proba(frame)
    rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    forms: dict[str, Any] = {
        "columns in another order": frame[frame.columns[::-1]],
        "a further column": frame.assign(note="x"),
        "without the column that is not used": frame.drop(columns="constant"),
        "another index": frame.set_index(np.arange(50)[::-1]),
        "a mapping of lists": frame.to_dict("list"),
        "a mapping of arrays": {name: frame[name].to_numpy() for name in frame},
        "a mapping of series": {name: frame[name] for name in frame},
        "rows": rows,
        "tuples": tuple(map(tuple, rows)),
        "an array of objects": np.array(rows, object),
        "nullable types": frame.convert_dtypes(),
        "Arrow's types": frame.convert_dtypes(dtype_backend="pyarrow"),
        "a categorical column": frame.astype({"color": "category"}),
        "numbers as text": frame.assign(count=frame["count"].astype(str)),
    }
    for form, table in forms.items():
        assert np.array_equal(network.predict_proba(table), expected), form


def test_an_array_of_numbers_is_read_by_position() -> None:
    columns = (Column("0", "numeric", mean=1.0), Column("1", "category", categories=("1", "2")))
    network = one_layer(
        columns,
        np.eye(3),
        np.zeros(3),
        "regression",
        Target(("a", "b", "c"), mean=(0.0,) * 3, scale=(1.0,) * 3),
    )
    expected = [[2.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    X = np.array([[3.0, 1.0], [2.0, 2.0]])
    assert network.predict(X).tolist() == expected
    assert network.predict(X.tolist()).tolist() == expected
    assert network.predict(X.astype(np.int64)).tolist() == expected
    # pandas numbers the columns of an array; the network knows them as text.
    assert network.predict(pd.DataFrame(X)[[1, 0]]).tolist() == expected


@pytest.mark.parametrize("kind", TARGETS)
def test_no_rows_give_no_predictions(kind: str) -> None:
    network = make_network(kind)
    tables: list[Any] = [make_frame().iloc[:0], {name: [] for name in make_frame()}]
    for table in tables:
        assert len(network.predict(table)) == 0
        assert network.transform(table).shape == (0, 8)
        if network.task != "regression":
            assert network.predict_proba(table).shape[0] == 0


def test_a_row_is_predicted_the_same_alone_as_among_others() -> None:
    network, frame = make_network(), make_frame(1030)  # the second piece has 6 rows
    together = network.predict_proba(frame)
    alone = np.concatenate([network.predict_proba(frame.iloc[[i]]) for i in (0, 1023, 1024, 1029)])
    # The order of BLAS's sums depends on the shape.
    assert_allclose(alone, together[[0, 1023, 1024, 1029]], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ((1, 1.0, "1", np.int8(1), np.float32(1), np.float64(1), np.str_("1")), "1"),
        ((-0.0, 0, np.float16(0), "0"), "0"),
        ((0.5, "0.5", np.float64(0.5)), "0.5"),
        ((True, np.True_, "True"), "True"),
        ((None, math.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")), None),
        (("nan",), "nan"),
        (("",), ""),
        ((np.array([1, 2]),), "[1 2]"),
    ],
)
def test_what_looks_alike_is_one_category(values: tuple[Any, ...], key: str | None) -> None:
    assert [category_key(value) for value in values] == [key] * len(values)


@given(st.integers(-(2**53), 2**53))
def test_whole_numbers_are_one_category_in_every_type(number: int) -> None:
    assert category_key(number) == category_key(float(number)) == category_key(str(number)) == str(number)


@pytest.mark.parametrize("far", [1e30, 1e39, 1e300, -1.7e308])
def test_a_number_far_from_all_others_is_held_at_a_million_deviations(far: float) -> None:
    network = make_network()
    encoded = network.preprocessor.encode(make_frame(2).assign(count=far))
    assert encoded[:, -1].tolist() == [math.copysign(1e6, far)] * 2
    assert np.isfinite(network.predict_proba(make_frame(2).assign(count=far))).all()


REFUSED_TABLES: dict[str, tuple[Any, str]] = {
    "a missing column": (
        make_frame().drop(columns="size"),
        "expected a column 'size', got 'color', 'constant', 'count'",
    ),
    "an empty mapping": ({}, "expected a column 'size', got none"),
    "text in a numeric column": (
        make_frame().assign(size="large"),
        "column 'size': expected numbers, got 'large'",
    ),
    "text among numbers": (
        make_frame(2).assign(size=[1.0, "2 kg"]),
        "column 'size': expected numbers, got '2 kg'",
    ),
    "infinity": (
        make_frame(2).assign(count=[1, np.inf]),
        "column 'count': expected finite numbers, got inf in row 2",
    ),
    "negative infinity as text": (
        make_frame(2).assign(count=["-inf", "1"]),
        "column 'count': expected finite numbers, got -inf in row 1",
    ),
    "a whole number beyond all floats": (
        make_frame(1).assign(count=[10**400]),
        "column 'count': expected numbers, got 1000",
    ),
    "dates": (
        make_frame(2).assign(size=pd.date_range("2020", periods=2)),
        "column 'size': expected numbers, got the type datetime64",
    ),
    "dates with a time zone": (
        make_frame(2).assign(size=pd.date_range("2020", periods=2, tz="UTC")),
        "column 'size': expected numbers, got the type datetime64",
    ),
    "time spans": (
        make_frame(2).assign(size=pd.to_timedelta([1, 2], unit="s")),
        "column 'size': expected numbers, got the type timedelta64",
    ),
    "complex numbers": (
        make_frame(2).assign(size=np.array([1j, 2])),
        "column 'size': expected numbers, got the type complex128",
    ),
    "lists as cells": (
        make_frame(1).assign(size=pd.Series([[1.0, 2.0]])),
        "column 'size': expected numbers, got [1.0, 2.0]",
    ),
    "a matrix as a column": (
        {**make_frame(2).to_dict("list"), "size": np.ones((2, 2))},
        "column 'size': expected one value a row",
    ),
    "a name twice": (
        pd.concat([make_frame(), make_frame()[["size"]]], axis=1),
        "column 'size': expected column names that differ, got this one twice",
    ),
    "columns of different length": (
        {"size": [1.0, 2.0], "color": ["red"], "count": [1, 2]},
        "column 'color': expected 2 values, one a row, got 1",
    ),
    "a single value for a column": (
        {"size": [1.0], "color": ["red"], "count": 1},
        "column 'count': expected 1 values, one a row, got the single value 1",
    ),
    "too few columns in rows": (
        [[1.0, "red", 3]],
        "expected rows of 4 columns, got an array of shape (1, 3)",
    ),
    "too many columns in an array": (
        np.zeros((2, 5)),
        "expected rows of 4 columns, got an array of shape (2, 5)",
    ),
    "one row that is not in a list": (
        [1.0, "red", 3, 1],
        "expected rows of 4 columns, got an array of shape (4,); for one row give [row]",
    ),
    "rows of different length": (
        [[1, 2, 3, 4], [1]],
        "expected rows of 4 values each, or columns by name, got a list",
    ),
    "no rows and no names": ([], "expected rows of 4 columns, got an array of shape (0,)"),
    "nothing": (None, "expected rows of 4 values each, or columns by name, got a NoneType"),
    "text": ("size", "expected rows of 4 columns, got an array of shape ()"),
}


@pytest.mark.parametrize("name", REFUSED_TABLES)
def test_a_table_that_does_not_fit_is_named(name: str) -> None:
    table, message = REFUSED_TABLES[name]
    for method in (make_network().predict, make_network().predict_proba, make_network().transform):
        with pytest.raises(TableError) as caught:
            method(table)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


# Tables of other libraries, and single rows.


def forms_of(frame: pd.DataFrame) -> dict[str, Any]:
    records: Any = frame.to_dict("records")
    lists: Any = frame.to_dict("list")
    arrow, polars = pa.Table.from_pandas(frame), pl.from_pandas(frame)
    record: Any = namedtuple("record", "size color constant count")  # untyped, as callers have them
    return {
        "polars": polars,
        "polars, lazy": polars.lazy(),
        "Arrow": arrow,
        "Arrow in pieces": pa.concat_tables([arrow.slice(0, 3), arrow.slice(3)]),
        "Arrow's batch": arrow.to_batches()[0],
        "dictionaries of Arrow": arrow.set_column(
            arrow.column_names.index("color"), "color", arrow["color"].dictionary_encode()
        ),
        "a structured array": frame.to_records(index=False),
        "a structured array with bytes": np.array(
            list(map(tuple, frame.to_numpy())), [(name, "S5" if name == "color" else "f8") for name in frame]
        ),
        "rows of a structured array": list(frame.to_records(index=False)),
        "dicts": records,
        "dicts in another order": [dict(reversed(list(row.items()))) for row in records],
        "named tuples": [record(**row) for row in records],
        "pandas' own named tuples": list(frame.itertuples()),
        "series": [row for _, row in frame.iterrows()],
        "a mapping of series of polars": {name: polars[name] for name in polars.columns},
        "a mapping of arrays of Arrow": {name: arrow[name].combine_chunks() for name in frame},
        "a mapping of tuples": {name: tuple(values) for name, values in lists.items()},
        "a mapping of masked arrays": {name: np.ma.MaskedArray(frame[name]) for name in frame},
        "a mapping of dict views": {name: dict(enumerate(v)).values() for name, v in lists.items()},
        "another mapping": UserDict(lists),
        "the other byte order": frame.astype({"size": ">f8"}),
    }


@pytest.mark.parametrize("form", forms_of(make_frame(4)))
def test_a_table_of_any_library_is_predicted_as_a_frame_of_pandas_is(form: str) -> None:
    network, frame = make_network(), make_frame().dropna().reset_index(drop=True)
    assert np.array_equal(network.predict_proba(forms_of(frame)[form]), network.predict_proba(frame))
    assert np.array_equal(network.transform(forms_of(frame)[form]), network.transform(frame))


@pytest.mark.parametrize("library", ["polars", "Arrow", "masked", "dicts", "Arrow's types"])
def test_gaps_of_any_library_are_predicted_as_those_of_pandas(library: str) -> None:
    network, frame = make_network(), make_frame()
    assert frame["size"].isna().any()
    assert frame["color"].isna().any()
    arrow = pa.Table.from_pandas(frame)
    tables: dict[str, Callable[[], Any]] = {
        "polars": lambda: pl.from_pandas(frame),
        "Arrow": lambda: arrow,
        "masked": lambda: {
            name: np.ma.MaskedArray(frame[name].fillna(7 if name == "size" else "red"), frame[name].isna())
            for name in ("size", "color", "count")
        },
        "dicts": lambda: [
            {name: value for name, value in row.items() if not pd.isna(value)}
            for row in frame.to_dict("records")
        ],
        "Arrow's types": lambda: arrow.to_pandas(types_mapper=pd.ArrowDtype),
    }
    assert np.array_equal(network.predict_proba(tables[library]()), network.predict_proba(frame))


def test_masked_cells_of_an_array_are_gaps() -> None:
    network = one_layer(
        (Column("0", "numeric", fill=5.0), Column("1", "numeric")),
        np.eye(2),
        np.zeros(2),
        "regression",
        Target(("a", "b"), mean=(0.0,) * 2, scale=(1.0,) * 2),
    )
    for kind in (float, int):
        X = np.ma.MaskedArray(np.array([[1, 2], [3, 4]], kind), mask=[[True, False], [False, False]])
        assert network.predict(X).tolist() == [[5.0, 2.0], [3.0, 4.0]]


ROW: dict[str, Any] = {"size": 2.5, "color": "red", "count": 3, "constant": 1}
Named: Any = namedtuple("Named", "size color count constant")  # untyped, as callers have them

SINGLE_ROWS: dict[str, Any] = {
    "a dict": ROW,
    "a dict of text": {name: str(value) for name, value in ROW.items()},
    "a dict with more": {**ROW, "note": "x", "tags": [1, 2]},
    "NumPy's numbers": {**ROW, "size": np.float32(2.5), "count": np.int8(3)},
    "arrays without axes": {name: np.array(value) for name, value in ROW.items()},
    "Arrow's scalars": {name: pa.scalar(value) for name, value in ROW.items()},
    "decimals": {**ROW, "size": Decimal("2.5")},
    "a series": pd.Series(ROW),
    "a row of a frame": pd.DataFrame([ROW]).iloc[0],
    "a series of nullable types": pd.Series({"size": 2.5, "count": 3, "color": "red"}, dtype="object"),
    "a named tuple": Named(**ROW),
    "a record": pd.DataFrame([ROW]).to_records(index=False)[0],
    "an array of no axes with names": pd.DataFrame([ROW]).to_records(index=False).reshape(()),
    "another mapping": UserDict(ROW),
    "a list of a dict": [ROW],
    "a list of a series": [pd.Series(ROW)],
    "a list of lists": [[ROW[name] for name in [column.name for column in make_network().columns]]],
}


@pytest.mark.parametrize("form", SINGLE_ROWS)
@pytest.mark.parametrize("kind", TARGETS)
def test_a_row_is_one_prediction(form: str, kind: str) -> None:
    network, table = make_network(kind), pd.DataFrame([ROW])
    assert network.predict(SINGLE_ROWS[form]).tolist() == network.predict(table).tolist()
    assert network.transform(SINGLE_ROWS[form]).tolist() == network.transform(table).tolist()
    assert len(network.predict(SINGLE_ROWS[form])) == 1


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT, ""])
def test_a_row_may_have_gaps(gap: Any) -> None:
    network, expected = make_network(), pd.DataFrame([{**ROW, "size": None}])
    assert network.predict_proba({**ROW, "size": gap}).tolist() == network.predict_proba(expected).tolist()


def test_text_is_never_a_sequence_of_letters() -> None:
    columns = (
        Column("u", "category", categories=("ab", "cd")),
        Column("v", "category", categories=("a", "b")),
    )
    target = Target(("t",) * 4, mean=(0.0,) * 4, scale=(1.0,) * 4)
    network = one_layer(columns, np.eye(4), np.zeros(4), "regression", target)
    assert network.predict({"u": "ab", "v": "b"}).tolist() == [[1, 0, 0, 1]]
    assert network.predict([{"u": "cd", "v": "ab"}]).tolist() == [[0, 1, 0, 0]]
    for rows in (["ab", "ab"], ("ab", "b"), np.array(["ab", "b"])):
        with pytest.raises(TableError, match=r"expected rows of 2 columns, .*; for one row give \[row\]"):
            network.predict(rows)
    for text in ("ab", b"ab"):
        with pytest.raises(TableError, match=r"expected rows of 2"):
            network.predict(text)


def a_generator() -> Any:
    yield from [[1.0, "red", 3, 1]]


REFUSED_FORMS: dict[str, tuple[Any, str]] = {
    "a sparse matrix": (
        sparse.csr_matrix(np.ones((2, 4))),
        "expected dense rows, got a sparse csr_matrix; X.toarray() makes them dense",
    ),
    "a generator": (a_generator(), "expected a table, got a generator; list(...) makes rows of it"),
    "a generator as a column": (
        {**ROW, "size": a_generator()},
        "column 'size': expected a list or an array of values, got a generator",
    ),
    "a set as a column": ({**ROW, "size": {1, 2}}, "column 'size': expected a list or an array of values"),
    "a dict as a column": ({"size": {"a": 1}}, "column 'size': expected a list or an array of values"),
    "values and columns": (
        {"size": [1.0, 2.0], "color": "red", "count": [1, 2]},
        "column 'color': expected 2 values, one a row, got the single value 'red'; one row has",
    ),
    "a series of values": (
        pd.Series([1.0, 2.0], name="size"),
        "got a Series without these names; to_frame() makes a table of one column",
    ),
    "polars' series": (pl.Series("size", [1.0, 2.0]), "got a Series without these names; to_frame() makes"),
    "Arrow's array": (pa.array([1.0, 2.0]), "expected rows of 4 columns, got an array of shape (2,)"),
    "one row as an array": (
        np.array([1.0, 2.0, 3.0, 4.0]),
        "expected rows of 4 columns, got an array of shape (4,); for one row give [row]",
    ),
    "a series without a column": (pd.Series({"size": 1.0}), "expected a column 'color', got 'size'"),
    "dicts and lists": ([ROW, [1, 2, 3, 4]], "expected rows that all have names, got a list in row 2"),
    "a list in a row": (
        [ROW, {**ROW, "color": ["red"]}],
        "column 'color': expected a single value in each row, got a list",
    ),
    "1 and '1'": (
        pd.DataFrame([[1, 2, 3, 4, 5]], columns=["size", "color", "count", "constant", "size"]),
        "column 'size': expected column names that differ",
    ),
}


@pytest.mark.parametrize("name", REFUSED_FORMS)
def test_what_is_no_table_is_refused_with_the_way_out(name: str) -> None:
    table, message = REFUSED_FORMS[name]
    with pytest.raises(TableError) as caught:
        make_network().predict(table)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_named_by_tuples_are_found() -> None:
    columns = (Column("('x', 1)", "numeric"), Column("2", "numeric"))
    target = Target(("a", "b"), mean=(0.0,) * 2, scale=(1.0,) * 2)
    network = one_layer(columns, np.eye(2), np.zeros(2), "regression", target)
    frame = pd.DataFrame([[1.0, 2.0]], columns=pd.Index([("x", np.int64(1)), 2], tupleize_cols=False))
    assert network.predict(frame).tolist() == [[1.0, 2.0]]
    assert network.predict({("x", 1): 1.0, 2: 2.0}).tolist() == [[1.0, 2.0]]


def test_a_network_for_values_has_no_probabilities() -> None:
    with pytest.raises(TypeError, match="expected a classifier, got a network for regression"):
        make_network("regression").predict_proba(make_frame())


@pytest.mark.parametrize(
    ("classes", "kind"),
    [((0, 1), "i"), ((False, True), "b"), (("a", "bcd"), "U"), ((0.5, 2), "f"), ((1, "a"), "O")],
)
def test_labels_keep_their_type(classes: tuple[Any, ...], kind: str) -> None:
    network = one_layer(
        (Column("a", "numeric"),), [[1.0]], [0.0], "classification", Target(("t",), classes=classes)
    )
    predicted = network.predict([[-1.0], [1.0]])
    assert predicted.dtype.kind == kind
    assert predicted.tolist() == list(classes)


# Files.


@pytest.mark.parametrize("kind", TARGETS)
def test_what_is_saved_is_read_back_bit_for_bit(tmp_path: Path, kind: str) -> None:
    network = make_network(kind)
    read = load_network(save_network(network, tmp_path / "model"))
    assert model_record(read) == model_record(network)
    assert read.columns == COLUMNS
    assert read.target == network.target
    assert read.members[0].sizes == (N_INPUTS, 7, 8, N_OUTPUTS[kind])
    frame = make_frame()
    assert read.predict(frame).tobytes() == network.predict(frame).tobytes()
    assert read.transform(frame).tobytes() == network.transform(frame).tobytes()


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.lists(st.integers(1, 4), min_size=2, max_size=4))
def test_any_finite_weights_survive_saving(tmp_path: Path, data: st.DataObject, sizes: list[int]) -> None:
    numbers = [data.draw(arrays(np.float32, shape, elements=FLOATS)) for shape in pairwise(sizes)]
    biases = [data.draw(arrays(np.float32, (size,), elements=FLOATS)) for size in sizes[1:]]
    target = Target(
        tuple(f"t{i}" for i in range(sizes[-1])), mean=(0.0,) * sizes[-1], scale=(1.0,) * sizes[-1]
    )
    columns = [Column(f"x{i}", "numeric") for i in range(sizes[0])]
    network = Network(
        task="regression",
        columns=columns,
        target=target,
        activations=["elu"] * (len(sizes) - 2),
        weights=numbers,
        biases=biases,
    )
    folder = save_network(network, tmp_path / "model")
    read, library = load_network(folder), load_file(folder / "weights.safetensors")
    for i, (weight, bias) in enumerate(zip(numbers, biases, strict=True)):
        assert read.members[0].weights[i].tobytes() == weight.tobytes() == library[f"weight_{i}"].tobytes()
        assert read.members[0].biases[i].tobytes() == bias.tobytes() == library[f"bias_{i}"].tobytes()


def test_the_safetensors_library_reads_the_same_arrays(tmp_path: Path) -> None:
    network = make_network()
    read = load_file(save_network(network, tmp_path / "model") / "weights.safetensors")
    assert sorted(read) == ["bias_0", "bias_1", "bias_2", "weight_0", "weight_1", "weight_2"]
    for i in range(3):
        assert np.array_equal(read[f"weight_{i}"], network.weights[i])
        assert np.array_equal(read[f"bias_{i}"], network.biases[i])


def test_metadata_in_the_weights_does_no_harm(tmp_path: Path) -> None:
    folder = save_network(make_network(), tmp_path / "model")
    weights = load_file(folder / "weights.safetensors")
    save_file(weights, folder / "weights.safetensors", metadata={"made by": "another program"})
    rewrite(folder, lambda record: None)
    assert np.array_equal(load_network(folder).members[0].weights[0], weights["weight_0"])


def test_a_saved_network_replaces_the_one_before(tmp_path: Path) -> None:
    save_network(make_network("classification"), tmp_path / "model")
    save_network(make_network("regression"), tmp_path / "model")
    assert load_network(tmp_path / "model").task == "regression"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_run_folder_stands_for_its_best_network(tmp_path: Path) -> None:
    save_network(make_network(), tmp_path / "run" / "best")
    one, other = load_network(tmp_path / "run"), load_network(str(tmp_path / "run" / "best"))
    assert one.members[0].sizes == other.members[0].sizes


# The file stands alone.


def test_the_runtime_imports_numpy_and_the_standard_library_alone() -> None:
    tree = ast.parse(Path(runtime.__file__).read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).split(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"numpy"}
    # Nothing that runs code which it reads.
    assert not imported & {"pickle", "marshal", "shelve", "importlib", "runpy", "subprocess", "ctypes"}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & {"eval", "exec", "compile", "__import__"}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not attributes & {"load", "loadtxt", "fromfile", "memmap"}  # NumPy's readers


STANDALONE = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import runtime
network = runtime.load_network(sys.argv[3])
table = {"size": [3.0, None], "color": ["red", None], "count": [3, -1]}
foreign = {name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(json.dumps([network.predict_proba(table).tolist(), network.predict(table).tolist(), sorted(foreign)]))
"""


def test_a_copy_of_the_runtime_works_where_there_is_nothing_but_numpy(tmp_path: Path) -> None:
    site, alone = tmp_path / "site", tmp_path / "alone"
    site.mkdir()
    alone.mkdir()
    for path in Path(np.__file__).parent.parent.glob("numpy*"):  # numpy, its libraries, its metadata
        (site / path.name).symlink_to(path)
    shutil.copy(runtime.__file__, alone / "runtime.py")
    network = make_network()
    folder = save_network(network, tmp_path / "model")
    # -I and -S: no variables, no working directory, no site-packages.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STANDALONE, str(alone), str(site), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    probabilities, predicted, foreign = json.loads(done.stdout)
    table = {"size": [3.0, None], "color": ["red", None], "count": [3, -1]}
    assert_allclose(np.array(probabilities), network.predict_proba(table), rtol=0, atol=1e-6)
    assert predicted == network.predict(table).tolist()
    assert {"numpy", "runtime"} <= set(foreign)
    assert not {"nas", "pandas", "sklearn", "safetensors"} & set(foreign)


# Files that are damaged, or made to do harm.


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(make_network(), tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """A saved network that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def rewrite(model: Path, change: Callable[[Any], object]) -> None:
    """Change the record in model.json in place, with the checksums that the files then have."""
    record = json.loads((model / "model.json").read_text())
    change(record)
    weights = (model / "weights.safetensors").read_bytes()
    (model / "model.json").write_text(json.dumps(runtime.sealed(record, weights)))


def rewrite_header(model: Path, change: Callable[[Any], object]) -> None:
    """Change the header of the weights in place; the numbers stay where they are."""
    header, numbers = split_weights((model / "weights.safetensors").read_bytes())
    change(header)
    (model / "weights.safetensors").write_bytes(join_weights(header, numbers))
    rewrite(model, lambda record: None)


def split_weights(content: bytes) -> tuple[Any, bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join_weights(header: Any, numbers: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def binned(record: Any, column: int = 0, **changes: Any) -> None:
    """Change a column as of a version that has edges and clips."""
    record["columns"][column].update(changes)
    record["version"] = 6


REFUSED_RECORDS: dict[str, tuple[Callable[[Any], object], str]] = {
    "another format": (lambda m: m.update(format="pickle"), "format 'nas-network'"),
    "a later version": (lambda m: m.update(version=99), "format version 99"),
    "no version": (lambda m: m.pop("version"), "format version None"),
    "no columns": (lambda m: m.pop("columns"), "no 'columns'"),
    "no layers": (lambda m: m.pop("layers"), "no 'layers'"),
    "an unknown task": (lambda m: m.update(task="clustering"), "task 'clustering'"),
    "a task that is a number": (lambda m: m.update(task=7), "task: expected text, got 7"),
    "columns that are a number": (lambda m: m.update(columns=7), "columns: expected a list, got 7"),
    "a column that is a number": (lambda m: m.update(columns=[7]), "column: expected an object, got 7"),
    "a column without a name": (lambda m: m["columns"][0].pop("name"), "column: no 'name'"),
    "a task that the outputs are not for": (lambda m: m.update(task="regression"), "1 targets for 3 outputs"),
    "an unknown activation": (
        lambda m: m["layers"].update(activations=["relu", "swish"]),
        "activation 'swish'",
    ),
    "too few activations": (lambda m: m["layers"].update(activations=["relu"]), "1 activations for 3 layers"),
    "other sizes": (lambda m: m["layers"].update(sizes=[8, 7, 9, 3]), "weights of shapes"),
    "fewer layers": (lambda m: m["layers"].update(sizes=[8, 7, 3]), "for 2 layers"),
    "a size that is a fraction": (lambda m: m["layers"].update(sizes=[8, 7.0, 8, 3]), "a size of 7.0"),
    "a negative size": (lambda m: m["layers"].update(sizes=[8, -7, 8, 3]), "a size of -7"),
    "a column too many": (lambda m: m["columns"].append({"name": "z", "kind": "numeric"}), "9 inputs for 8"),
    "a column twice": (lambda m: m["columns"][2].update(name="size"), "two columns of the same name"),
    "an unknown kind of column": (lambda m: m["columns"][2].update(kind="image"), "kind 'image'"),
    "a scale of zero": (lambda m: m["columns"][0].update(scale=0), "scale 0"),
    "a mean that is text": (
        lambda m: m["columns"][0].update(mean="1"),
        "mean: expected a finite number, got '1'",
    ),
    "a mean beyond all floats": (
        lambda m: m["columns"][0].update(mean=10**400),
        "a number of 401 digits, more than 300",
    ),
    "a truth value as mean": (
        lambda m: m["columns"][0].update(mean=True),
        "mean: expected a finite number, got True",
    ),
    "a category that is a number": (
        lambda m: m["columns"][1].update(categories=[1, "a", "b"]),
        "categories: expected a list of texts, got [1, 'a', 'b']",
    ),
    "knots of an earlier version": (
        lambda m: (m["columns"][0].update(knots=[[0, 0], [1, 1]]), m.update(version=1)),
        "columns of version 3 in version 1",
    ),
    "knots that do not rise": (
        lambda m: m["columns"][0].update(knots=[[0, 0], [1, 1], [1, 2]]),
        "knots that do not rise",
    ),
    "numbers of knots that do not rise": (
        lambda m: m["columns"][0].update(knots=[[0, 0], [1, 0]]),
        "knots that do not rise",
    ),
    "a single knot": (lambda m: m["columns"][0].update(knots=[[0, 0]]), "knots that do not rise"),
    "a knot of three numbers": (lambda m: m["columns"][0].update(knots=[[0, 0, 0], [1, 1, 1]]), "knots"),
    "a knot that is text": (lambda m: m["columns"][0].update(knots=[["0", 0], [1, 1]]), "knots: expected"),
    "knots of categories": (lambda m: m["columns"][1].update(knots=[[0, 0], [1, 1]]), "knots"),
    "knots that are a number": (lambda m: m["columns"][0].update(knots=7), "knots: expected a list of lists"),
    "members of an earlier version": (
        lambda m: m["layers"].update(members=3),
        "layers: 3 members in version 4",
    ),
    "a single member": (
        lambda m: (m["layers"].update(members=1), m.update(version=7)),
        "layers: 1 members in version 7",
    ),
    "members that are text": (
        lambda m: (m["layers"].update(members="3"), m.update(version=7)),
        "a size of '3'",
    ),
    "members without factors": (
        lambda m: (m["layers"].update(members=3), m.update(version=7)),
        "arrays ['bias_0', 'bias_1', 'bias_2',",
    ),
    "edges of an earlier version": (
        lambda m: m["columns"][0].update(edges=[0, 1]),
        "columns of version 6 in version 4",
    ),
    "a clip of an earlier version": (
        lambda m: m["columns"][0].update(clip=3),
        "columns of version 6 in version 4",
    ),
    "edges that do not rise": (lambda m: binned(m, edges=[0, 1, 1]), "edges that do not rise"),
    "edges that fall": (lambda m: binned(m, edges=[1, 0]), "edges that do not rise"),
    "a single edge": (lambda m: binned(m, edges=[1]), "edges that do not rise"),
    "an edge beyond all floats": (lambda m: binned(m, edges=[0, 10**400]), "a number of 401 digits"),
    "an edge that is nothing": (lambda m: binned(m, edges=[0, None]), "edges: expected a list of finite"),
    "an edge that is text": (lambda m: binned(m, edges=[0, "1"]), "edges: expected a list of finite numbers"),
    "edges too far apart": (lambda m: binned(m, edges=[-1e308, 1e308]), "edges that do not rise, or too far"),
    "edges of categories": (lambda m: binned(m, 1, edges=[0, 1]), "expected clip and edges of numbers"),
    "more edges than inputs": (lambda m: binned(m, edges=[0, 1, 2]), "columns that give 10 inputs for 8"),
    "a clip below 0": (lambda m: binned(m, clip=-3), "clip: expected 0, or from 1e-6 to 1e6, got -3"),
    "a clip next to 0": (lambda m: binned(m, clip=1e-300), "clip: expected 0, or from 1e-6 to 1e6"),
    "a clip of categories": (lambda m: binned(m, 1, clip=3), "expected clip and edges of numbers"),
    "means for fewer places": (
        lambda m: m["columns"][1].update(means=[[1.0], [2.0]]),
        "2 rows of means for 5",
    ),
    "means of different length": (
        lambda m: m["columns"][1].update(means=[[1.0], [2.0], [3.0], [4.0], []]),
        "5 rows of means for 5",
    ),
    "means of nothing": (lambda m: m["columns"][1].update(means=[[], [], [], [], []]), "rows of means"),
    "means of numbers": (lambda m: m["columns"][0].update(means=[[1.0]]), "1 rows of means for 0"),
    "a truth value among means": (lambda m: m["columns"][1].update(means=[[True]] * 5), "means: expected"),
    "an unknown key of a column": (lambda m: m["columns"][0].update(code="x"), "got 'code'"),
    "a class too many": (lambda m: m["target"]["classes"].append("huge"), "4 classes for 3 outputs"),
    "a class twice": (lambda m: m["target"].update(classes=["a", "a", "b"]), "3 classes for 3 outputs"),
    "a list as class": (
        lambda m: m["target"].update(classes=[["a"], ["b"], ["c"]]),
        "classes: expected a list of texts and numbers",
    ),
    "no target": (lambda m: m["target"].update(names=[]), "0 targets"),
    "a provenance that is text": (lambda m: m.update(provenance="here"), "provenance: expected an object"),
}


@pytest.mark.parametrize("name", REFUSED_RECORDS)
def test_a_record_that_contradicts_itself_is_refused(model: Path, name: str) -> None:
    change, message = REFUSED_RECORDS[name]
    rewrite(model, change)
    assert_refused(model, message)


def swap_shape(header: Any) -> None:
    header["weight_0"]["shape"].reverse()


def overlap(header: Any) -> None:
    header["weight_1"]["data_offsets"] = header["weight_2"]["data_offsets"]


def shift(header: Any) -> None:
    offsets = header["weight_0"]["data_offsets"]
    header["weight_0"]["data_offsets"] = [offset + 4 for offset in offsets]


REFUSED_HEADERS: dict[str, tuple[Callable[[Any], object], str]] = {
    "a shape turned around": (swap_shape, "weights of shapes [(7, 8)"),
    "half precision": (lambda h: h["weight_0"].update(dtype="F16"), "weight_0 of type F16"),
    "no type": (lambda h: h["weight_0"].pop("dtype"), "no 'dtype'"),
    "no shape": (lambda h: h["weight_0"].pop("shape"), "no 'shape'"),
    "a negative size": (lambda h: h["weight_0"].update(shape=[-8, -7]), "a size of -8"),
    "a size that is text": (lambda h: h["weight_0"].update(shape=["8", 7]), "a size of '8'"),
    "a size beyond all memory": (lambda h: h["weight_0"].update(shape=[2**39, 2**39]), "for shape"),
    "three dimensions": (lambda h: h["weight_0"].update(shape=[8, 7, 1]), "shape [8, 7, 1]"),
    "overlapping arrays": (overlap, "at bytes"),
    "a gap between arrays": (shift, "at bytes"),
    "offsets the wrong way round": (
        lambda h: h["weight_0"].update(data_offsets=h["weight_0"]["data_offsets"][::-1]),
        "at bytes",
    ),
    "offsets beyond the end": (lambda h: h["weight_0"].update(data_offsets=[0, 2**62]), "at bytes"),
    "an array too few": (lambda h: h.pop("weight_0"), "at bytes"),
    "an array of another name": (lambda h: h.update(weight_9=h.pop("weight_0")), "arrays ["),
}


@pytest.mark.parametrize("name", REFUSED_HEADERS)
def test_weights_that_are_not_where_they_should_be_are_refused(model: Path, name: str) -> None:
    change, message = REFUSED_HEADERS[name]
    rewrite_header(model, change)
    assert_refused(model, message)


@pytest.mark.parametrize("file", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"\xff" * 100,
        b"[" * 100_000,
        b"null",
        b'{"format": NaN}',
        b'{"format": "nas-network", "version": 1, "task": 1e999}',
        b"\x80\x04\x95cos\nsystem\n",  # how a pickle begins that runs a command
    ],
)
def test_files_that_hold_something_else_are_refused(model: Path, file: str, content: bytes) -> None:
    (model / file).write_bytes(content)
    assert_refused(model)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(model: Path, bad: float) -> None:
    weights = load_file(model / "weights.safetensors")
    weights["bias_1"][3] = bad
    save_file(weights, model / "weights.safetensors")
    rewrite(model, lambda record: None)
    assert_refused(model, "layer 1 with numbers that are not finite")


@pytest.mark.parametrize("file", ["model.json", "weights.safetensors"])
def test_a_missing_file_is_named(model: Path, file: str) -> None:
    (model / file).unlink()
    assert_refused(model, f"got no {file}")


@pytest.mark.parametrize("path", ["nowhere", "", "x" * 5000, "a\0b"])
def test_a_folder_that_is_not_there_is_named(path: str) -> None:
    with pytest.raises(ModelError, match=r"expected a folder with model\.json"):
        load_network(path)


@pytest.mark.parametrize("kind", TARGETS)
def test_weights_too_large_to_compute_with_are_an_error_and_not_a_prediction(kind: str) -> None:
    n = N_OUTPUTS[kind]
    network = Network(
        task=TASKS.get(kind, kind),
        columns=(Column("a", "numeric"),),
        target=TARGETS[kind],
        activations=("identity", "identity"),
        weights=[np.full((1, 2), 3e38), 3e38 * np.eye(2), np.ones((2, n)) * [[1], [-1]]],
        biases=[np.zeros(2), np.zeros(2), np.zeros(n)],
    )
    assert len(network.predict([[0.0]])) == 1
    for method in (network.predict, network.transform):
        with pytest.raises(
            ModelError, match="expected weights that give finite outputs, got others for row 2"
        ):
            method([[0.0], [1.0]])


def test_bytes_after_the_weights_are_refused(model: Path) -> None:
    with (model / "weights.safetensors").open("ab") as file:
        file.write(b"more")
    assert_refused(model, "4 bytes that belong to no array")


def test_a_flipped_value_is_refused(model: Path) -> None:
    whole = (model / "weights.safetensors").read_bytes()
    for at in range(len(whole) - 200, len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        (model / "weights.safetensors").write_bytes(changed)
        assert_refused(model)
    assert_refused(model, "weights.safetensors with another checksum")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"mean": 2.0', '"mean": 2.5'),
        ('"red"', '"rad"'),
        ('"big"', '"bag"'),
        ('"version": 4', '"version": 3'),
    ],
)
def test_a_changed_record_is_refused(model: Path, old: str, new: str) -> None:
    text = (model / "model.json").read_text()
    assert old in text
    (model / "model.json").write_text(text.replace(old, new, 1))
    assert_refused(model, "model.json with another checksum than it was saved with")


def test_a_checksum_cannot_be_left_out(model: Path) -> None:
    record = json.loads((model / "model.json").read_text())
    assert record["version"] == 4
    for holder, key in ((record["checksum"], "weights"), (record, "checksum")):
        del holder[key]
        (model / "model.json").write_text(json.dumps(record))
        assert_refused(model, "checksum")


def test_a_record_is_the_same_in_another_layout(model: Path) -> None:
    record = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(dict(reversed(record.items())), separators=(",", ":")))
    assert load_network(model).columns == COLUMNS


@pytest.mark.parametrize(
    "value",
    ["[" * 70 + "]" * 70, "[" * 200_000, "9" * 10_000, "-1e99999", "Infinity", "NaN"],
    ids=lambda v: v[:8],
)
def test_json_that_cannot_be_worked_with_is_refused(model: Path, value: str) -> None:
    text = (model / "model.json").read_text()
    (model / "model.json").write_text(text.replace('"provenance": {', f'"provenance": {{"more": {value},'))
    assert_refused(model, "model.json: ")


def test_a_weights_file_longer_than_its_header_says_is_not_read(model: Path) -> None:
    with (model / "weights.safetensors").open("r+b") as file:
        file.truncate(2**41)  # sparse: nothing is written
    assert_refused(model, "bytes that belong to no array")


def assert_refused(model: Path, message: str = "") -> None:
    with pytest.raises(ModelError) as caught:
        load_network(model)
    assert str(caught.value).startswith(f"{model}: expected ")
    assert message in str(caught.value)


HOSTILE: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    99,
    0.0,
    0.5,
    -2.5,
    1e-320,
    1e300,
    2**31,
    2**63,
    10**300,
    10**400,
    math.nan,
    math.inf,
    "",
    "relu",
    "numeric",
    "category",
    "NaN",
    "\ud800",
    "x" * 10_000,
    [],
    [[]],
    [0, 4],
    [-1, 1],
    [2**40, 0],
    {},
    {"name": 1},
]


def hostile(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(HOSTILE))


def deeply_nested(rng: random.Random) -> Any:
    value: Any = 0
    for _ in range(rng.choice([3, 100])):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def places(value: Any) -> list[tuple[Any, Any]]:
    """All places in a JSON value: containers with keys or positions."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    return [place for key in keys for place in [(value, key), *places(value[key])]]


def mutate_json(value: Any, rng: random.Random) -> Any:
    """The value with one to three things in it replaced, removed, repeated, swapped or added."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        every = places(value)
        if not every:
            return hostile(rng)
        container, key = rng.choice(every)
        action = rng.choice(["replace", "replace", "nest", "remove", "swap", "shift", "add"])
        if action == "replace":
            container[key] = hostile(rng)
        elif action == "nest":
            container[key] = deeply_nested(rng)
        elif action == "remove":
            del container[key]
        elif action == "swap":
            other, other_key = rng.choice(every)
            container[key] = json.loads(json.dumps(other[other_key]))
        elif action == "shift" and isinstance(container[key], (int, float)):
            container[key] = container[key] + rng.choice([-4, -1, 1, 4])
        elif action == "add" and isinstance(container, list):
            container.append(rng.choice([copy.deepcopy(container[key]), hostile(rng)]))
        elif action == "add":
            container[rng.choice(["extra", "name", "shape", "categories"])] = hostile(rng)
    return value


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """The bytes cut off, with some of them changed, or with others put in."""
    action = rng.choice(["cut", "flip", "flip", "fill", "insert"])
    spoiled = bytearray(content)
    at = rng.randrange(len(spoiled))
    if action == "cut":
        return content[:at]
    if action == "flip":
        for _ in range(rng.choice([1, 1, 4, 30])):
            spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
    elif action == "fill":
        spoiled[at : at + 8] = bytes([rng.choice([0, 0x7F, 0xFF])]) * len(spoiled[at : at + 8])
    else:
        spoiled[at:at] = rng.randbytes(rng.choice([1, 4, 100]))
    return bytes(spoiled)


def mutate(record: bytes, weights: bytes, rng: random.Random) -> tuple[bytes, bytes]:
    """The contents of both files with one of them spoiled."""
    kind = rng.choice(["record", "record", "header", "header", "record bytes", "weight bytes", "length"])
    if kind == "record":
        return json.dumps(mutate_json(json.loads(record), rng)).encode(), weights
    if kind == "header":
        header, numbers = split_weights(weights)
        return record, join_weights(mutate_json(header, rng), numbers)
    if kind == "record bytes":
        return mutate_bytes(record, rng), weights
    if kind == "weight bytes":
        return record, mutate_bytes(weights, rng)
    length = rng.choice([0, 1, 7, len(weights), 2**31, 2**63, 2**64 - 1])
    return record, length.to_bytes(8, "little") + weights[8:]


def table_for(network: Predictor) -> dict[str, list[Any]]:
    """Three rows for whatever columns a network has come to have."""
    numbers, words = [1.0, None, -3.5], ["red", None, "1"]
    return {column.name: words if column.kind == "category" else numbers for column in network.columns}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(shares=[1.0]), "1 shares for 2 members"),
        (lambda m: m.update(shares=[1.5, -0.5]), "shares (1.5, -0.5)"),
        (lambda m: m.update(shares=["1", "2"]), "shares"),
        (lambda m: m.pop("shares"), "no 'shares'"),
        (lambda m: m.update(members=[]), "arrays"),
        (lambda m: m["members"].pop(), "arrays"),
        (lambda m: m["members"].append(m["members"][0]), "arrays"),
        (lambda m: m.update(version=1), "no 'layers'"),
        (lambda m: m["members"][0].pop("sizes"), "layers: no 'sizes'"),
        (lambda m: m.update(version=True), "version True"),
        (lambda m: m.update(version=2.0), "version 2.0"),
        (lambda m: m["members"][1].update(sizes=[8, 7, 7, 3]), "weights of shapes"),
    ],
)
def test_an_ensemble_that_contradicts_itself_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    members = [make_pair(seed=seed)[0] for seed in (0, 1)]
    folder = save_network(Ensemble(members, [2, 1]), tmp_path / "model")
    rewrite(folder, change)
    assert_refused(folder, message)


@pytest.mark.exhaustive
@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("kind", TARGETS)
def test_no_file_does_more_than_be_refused_or_predict(tmp_path: Path, kind: str, version: int) -> None:
    rng = random.Random(20240607)
    columns = COLUMNS if version < 3 else LATER_COLUMNS
    first, second = (make_pair(kind, seed=seed, columns=columns)[0] for seed in (0, 1))
    whole: Predictor = Ensemble([first, second], [2, 1]) if version == 2 else first
    folder = save_network(whole, tmp_path / "model")
    unsealed = {key: value for key, value in model_record(whole).items() if key != "checksum"}
    record = json.dumps(unsealed | {"version": version}, indent=1).encode()
    weights = (folder / "weights.safetensors").read_bytes()
    refused = overflowed = predicted = 0
    for _ in range(1000):  # for each of fifteen networks and ensembles
        for name, content in zip(
            ("model.json", "weights.safetensors"), mutate(record, weights, rng), strict=True
        ):
            (folder / name).unlink()  # on some file systems overwriting waits for the disk
            (folder / name).write_bytes(content)
        try:
            network = load_network(folder)
        except ModelError:
            refused += 1
            continue
        try:
            outputs = network.predict(table_for(network))
        except ModelError:  # a flipped bit makes a weight of 1e38, with which numbers overflow
            overflowed += 1
            continue
        predicted += 1
        width = len(network.target.names)
        one_column = network.task == "classification" or (network.task == "regression" and width == 1)
        assert outputs.shape == ((3,) if one_column else (3, width))
        assert all(not isinstance(value, float) or math.isfinite(value) for value in outputs.ravel().tolist())
    # Most changes contradict something; some, such as another weight or name, are as good as the original.
    assert refused > 500
    assert predicted > 60
    assert overflowed < 20


# What `nas predict` writes.


@pytest.mark.parametrize(
    ("kind", "probabilities", "columns"),
    [
        ("classification", False, ["predicted_kind"]),
        (
            "classification",
            True,
            ["predicted_kind", "probability_big", "probability_medium", "probability_small"],
        ),
        ("two classes", True, ["predicted_kind", "probability_0", "probability_1"]),
        ("multilabel", True, ["predicted_old", "predicted_rare", "probability_old", "probability_rare"]),
        ("regression", False, ["predicted_price", "predicted_weight"]),
        ("one value", False, ["predicted_price"]),
    ],
)
def test_predictions_are_a_table(tmp_path: Path, kind: str, probabilities: bool, columns: list[str]) -> None:
    network, frame = make_network(kind), make_frame()
    frame.to_csv(tmp_path / "new.csv", index=False)
    folder = save_network(network, tmp_path / "model")
    output = str(tmp_path / "out.csv")
    write_predictions(str(folder), str(tmp_path / "new.csv"), output, probabilities=probabilities)
    written = pd.read_csv(output)
    assert list(written) == columns
    expected = predictions(network, frame, probabilities=probabilities)
    for name in columns:
        if written[name].dtype.kind == "f":
            assert_allclose(written[name], expected[name], rtol=1e-6)
        else:
            assert written[name].tolist() == expected[name].tolist()


def test_what_prevents_predictions_is_an_input_error(tmp_path: Path) -> None:
    folder = str(save_network(make_network("regression"), tmp_path / "model"))
    make_frame().drop(columns="size").to_csv(tmp_path / "less.csv", index=False)
    with pytest.raises(InputError, match="expected a column 'size'"):
        write_predictions(folder, str(tmp_path / "less.csv"))
    with pytest.raises(InputError, match=r"nowhere: expected a folder with model\.json"):
        write_predictions("nowhere", str(tmp_path / "less.csv"))
    make_frame().to_csv(tmp_path / "all.csv", index=False)
    with pytest.raises(InputError, match="--proba: expected a network for classes"):
        write_predictions(folder, str(tmp_path / "all.csv"), probabilities=True)
    with pytest.raises(InputError, match=r"--output .*: expected a file to write to"):
        write_predictions(folder, str(tmp_path / "all.csv"), str(tmp_path / "no" / "folder.csv"))
