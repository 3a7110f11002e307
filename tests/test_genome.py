"""Genomes: a canonical form of equal networks, and a round trip through JSON."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.genome import GENES, LAYER_GENES, Genome, Layer
from nas.network import ACTIVATIONS, MLP, OPTIMIZERS, SCHEDULES, Extras
from nas.network.architecture import PARAMETRIZATIONS
from nas.network.initializers import INITIALIZATIONS

NAMES = st.sampled_from(sorted(ACTIVATIONS))
NUMBERS = st.floats(0, 10, allow_nan=False)
RATES = st.floats(0, 0.99)


@st.composite
def genomes(draw: st.DrawFn) -> Genome:
    """Any genome, with or without each of its genes."""
    widths = draw(st.lists(st.integers(1, 70_000), max_size=6))

    def per_layer(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
        return st.lists(values, min_size=len(widths), max_size=len(widths)).map(tuple)

    return Genome(
        tuple(widths),
        activation=draw(st.none() | NAMES | per_layer(NAMES)),
        learning_rate=draw(st.none() | NUMBERS),
        batch_size=draw(st.none() | st.integers(1, 10_000)),
        weight_decay=draw(st.none() | NUMBERS),
        dropout=draw(st.none() | RATES | per_layer(RATES)),
        optimizer=draw(st.none() | st.sampled_from(sorted(OPTIMIZERS))),
        schedule=draw(st.none() | st.sampled_from(sorted(SCHEDULES))),
        beta2=draw(st.none() | RATES),
        label_smoothing=draw(st.none() | RATES),
        front_scaling=draw(st.none() | NUMBERS),
        members=draw(st.none() | st.integers(1, 32)),
        parametric_activation=draw(st.none() | NUMBERS),
        skips=draw(st.none() | st.integers(0, 1)),
        regularization_schedule=draw(st.none() | st.sampled_from(sorted(SCHEDULES))),
        clip_norm=draw(st.none() | NUMBERS),
        bias_rate=draw(st.none() | NUMBERS),
        parametrization=draw(st.none() | st.sampled_from(PARAMETRIZATIONS)),
        initialization=draw(st.none() | st.sampled_from(INITIALIZATIONS)),
        layer_norm=draw(st.none() | st.integers(0, 1)),
    )


@given(genome=genomes())
def test_a_copy_is_as_good(genome: Genome) -> None:
    copied = pickle.loads(pickle.dumps(genome))
    assert copied == genome
    assert copied.layers == genome.layers
    assert {genome: 1}[copied] == 1


def test_another_process_finds_a_genome_again(tmp_path: Path) -> None:
    # Each process hashes text to other numbers: a pickled hash would not match there.
    genome = Genome((8, 4), "relu", optimizer="adam")
    (tmp_path / "genome").write_bytes(pickle.dumps(genome))
    code = (
        "import pickle, sys; from nas.genome import Genome; "
        "read = pickle.load(open(sys.argv[1], 'rb')); "
        "assert read in {Genome((8, 4), 'relu', optimizer='adam')}"
    )
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code, str(tmp_path / "genome")]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})


# The canonical form.


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Genome((8, 4), ("relu", "relu")), Genome((8, 4), "relu")),
        (Genome((8,), ("tanh",)), Genome((8,), "tanh")),
        (Genome((), "relu"), Genome(())),
        (Genome((), ()), Genome(())),
        (Genome((), dropout=0.5), Genome(())),
        (Genome((), dropout=()), Genome(())),
        (Genome((8, 4), dropout=(0.5, 0.5)), Genome((8, 4), dropout=0.5)),
        (Genome((8, 4), dropout=(0, 0.0)), Genome((8, 4), dropout=0.0)),
        (Genome((8,), dropout=(0.5,)), Genome((8,), dropout=0.5)),
        (Genome((8, 4), ["relu", "tanh"]), Genome((8, 4), ("relu", "tanh"))),  # type: ignore[arg-type]
        (Genome([8, 4]), Genome((8, 4))),  # type: ignore[arg-type]
        (Genome((8.0,)), Genome((8,))),  # type: ignore[arg-type]
    ],
)
def test_equal_networks_are_equal_genomes(first: Genome, second: Genome) -> None:
    assert first == second
    assert hash(first) == hash(second)
    assert first.to_dict() == second.to_dict()
    assert str(first) == str(second)


DIFFERENT = [
    Genome(()),
    Genome((), learning_rate=0.1),
    Genome((8,)),
    Genome((8, 4)),
    Genome((4, 8)),
    Genome((8, 4), "relu"),
    Genome((8, 4), ("relu", "tanh")),
    Genome((8, 4), ("tanh", "relu")),
    Genome((8, 4), learning_rate=0.1),
    Genome((8, 4), weight_decay=0.1),
    Genome((8, 4), dropout=0.1),
    Genome((8, 4), dropout=0.0),
    Genome((8, 4), dropout=(0.0, 0.1)),
    Genome((8, 4), dropout=(0.1, 0.0)),
    Genome((8, 4), schedule="step"),
    Genome((8, 4), beta2=0.95),
    Genome((8, 4), label_smoothing=0.0),
    Genome((8, 4), label_smoothing=0.1),
    Genome((8, 4), front_scaling=6.0),
    Genome((8, 4), members=4),
    Genome((8, 4), members=8),
    Genome((8, 4), parametric_activation=0.1),
    Genome((8, 4), skips=0),
    Genome((8, 4), skips=1),
    Genome((8, 4), regularization_schedule="flat_cosine"),
    Genome((8, 4), clip_norm=1.0),
    Genome((8, 4), bias_rate=0.1),
    Genome((8, 4), parametrization="ntk"),
    Genome((8, 4), initialization="data"),
    Genome((8, 4), layer_norm=1),
    Genome((8, 4), batch_size=32),
    Genome((8, 4), optimizer="adam"),
]


def test_different_networks_are_different_genomes() -> None:
    assert len(set(DIFFERENT)) == len(DIFFERENT)
    assert len({str(genome) for genome in DIFFERENT}) == len(DIFFERENT)


@given(genomes())
def test_making_a_genome_of_a_genome_changes_nothing(genome: Genome) -> None:
    assert dataclasses.replace(genome) == genome
    if isinstance(genome.activation, str):
        spelled_out = dataclasses.replace(genome, activation=(genome.activation,) * genome.depth)
        assert spelled_out == genome
    if isinstance(genome.dropout, float):
        assert dataclasses.replace(genome, dropout=(genome.dropout,) * genome.depth) == genome


@given(genomes())
def test_activations_and_dropouts_are_one_for_each_layer(genome: Genome) -> None:
    assert genome.depth == len(genome.widths) == len(genome.activations) == len(genome.dropouts)
    for carried, of_layers in ((genome.activation, genome.activations), (genome.dropout, genome.dropouts)):
        if isinstance(carried, tuple):
            assert of_layers == carried
            assert len(set(carried)) > 1
        else:
            assert set(of_layers) <= {carried}
    if genome.depth == 0:
        assert (genome.activation, genome.dropout) == (None, None)


def test_a_genome_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Genome((8,)).widths = (9,)  # type: ignore[misc]


# Layers.


def test_layers_are_listed_by_hand() -> None:
    genome = Genome((8, 4), ("relu", "tanh"), dropout=0.1)
    assert genome.layers == (Layer(8, "relu", 0.1), Layer(4, "tanh", 0.1))
    assert Genome((8,)).layers == (Layer(8, None, None),)
    assert Genome(()).layers == ()


def test_a_genome_is_made_of_layers_by_hand() -> None:
    layers = [Layer(8, "relu", 0.1), Layer(4, "relu", 0.0)]
    made = Genome.of(layers, learning_rate=0.1, schedule="cosine")
    assert made == Genome((8, 4), "relu", 0.1, dropout=(0.1, 0.0), schedule="cosine")
    assert Genome.of([], optimizer="sgd") == Genome((), optimizer="sgd")


@given(genomes())
def test_the_layers_and_the_other_genes_are_the_whole_genome(genome: Genome) -> None:
    others = {key: getattr(genome, key) for key in GENES if key not in LAYER_GENES}
    assert Genome.of(genome.layers, **others) == genome


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [Layer(8, "relu", None), Layer(8, None, None)],
            r"layers: expected the activation of all of them, or of none, got \('relu', None\)",
        ),
        (
            [Layer(8, None, None), Layer(8, None, 0.0)],
            r"layers: expected the dropout of all of them, or of none, got \(None, 0\.0\)",
        ),
    ],
)
def test_layers_that_carry_different_genes_are_refused(layers: list[Layer], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Genome.of(layers)


# JSON.


def test_only_genes_that_are_carried_are_written() -> None:
    assert Genome((8, 4)).to_dict() == {"widths": [8, 4]}
    full = Genome(
        (8, 4),
        ("relu", "tanh"),
        0.01,
        32,
        0.0,
        (0.1, 0.2),
        "adam",
        "step",
        "quantile",
        "none",
        0.95,
        0.1,
        6.0,
        4,
        0.1,
        1,
        "flat_cosine",
        1.0,
        0.1,
        "ntk",
        "data",
        1,
    )
    assert full.to_dict() == {
        "widths": [8, 4],
        "activation": ["relu", "tanh"],
        "learning_rate": 0.01,
        "batch_size": 32,
        "weight_decay": 0.0,
        "dropout": [0.1, 0.2],
        "optimizer": "adam",
        "schedule": "step",
        "scaling": "quantile",
        "numeric_encoding": "none",
        "beta2": 0.95,
        "label_smoothing": 0.1,
        "front_scaling": 6.0,
        "members": 4,
        "parametric_activation": 0.1,
        "skips": 1,
        "regularization_schedule": "flat_cosine",
        "clip_norm": 1.0,
        "bias_rate": 0.1,
        "parametrization": "ntk",
        "initialization": "data",
        "layer_norm": 1,
    }
    assert list(full.to_dict()) == ["widths", *GENES]


@given(genomes())
def test_a_genome_survives_json(genome: Genome) -> None:
    text = json.dumps(genome.to_dict(), allow_nan=False)
    read = Genome.from_dict(json.loads(text))
    assert read == genome
    assert hash(read) == hash(genome)
    assert json.dumps(read.to_dict()) == text


def test_reading_leaves_the_record_as_it_is() -> None:
    record: dict[str, Any] = {"widths": [8, 4], "activation": ["relu", "relu"]}
    assert Genome.from_dict(record).activation == "relu"
    assert record == {"widths": [8, 4], "activation": ["relu", "relu"]}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, r"expected the keys of a genome with 'widths', got \[\]"),
        ({"learning_rate": 0.1}, r"with 'widths', got \['learning_rate'\]"),
        ({"widths": [8], "depth": 1}, r"expected the keys of a genome .*, got \['depth', 'widths'\]"),
        ({"widths": [0]}, r"widths: expected whole numbers of at least 1, got \(0,\)"),
        (
            {"widths": [8, 4], "activation": ["relu"]},
            "activation: expected one name, or one for each of 2 hidden",
        ),
        (
            {"widths": [8, 4], "dropout": [0.1]},
            "dropout: expected one rate, or one for each of 2 hidden layers, got 1",
        ),
    ],
)
def test_a_record_that_is_no_genome_is_refused(record: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Genome.from_dict(record)


@pytest.mark.parametrize("width", [0, -1, 1.5, 0.5, math.nan, math.inf, -math.inf])
def test_a_width_is_a_whole_number_of_at_least_one(width: float) -> None:
    with pytest.raises(ValueError, match="widths: expected whole numbers of at least 1, got"):
        Genome((8, width))  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [(), ("relu",), ("relu",) * 3])
def test_a_layer_without_its_activation_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"activation: .* each of 2 hidden layers, got {len(names)}"):
        Genome((8, 4), names)


@pytest.mark.parametrize("rates", [(), (0.1,), (0.1,) * 3])
def test_a_layer_without_its_dropout_is_refused(rates: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=f"dropout: .* each of 2 hidden layers, got {len(rates)}"):
        Genome((8, 4), dropout=rates)


# Text.


@pytest.mark.parametrize(
    ("genome", "text"),
    [
        (Genome(()), "linear"),
        (Genome((), learning_rate=0.1), "linear lr=0.1"),
        (Genome((64, 128, 32), "relu", 0.001), "64-128-32 relu lr=0.001"),
        (Genome((8, 4), ("relu", "tanh")), "8-4 relu,tanh"),
        (
            Genome((8,), "elu", 0.00025, 32, 1e-4, 0.05, "adamw", "cosine"),
            "8 elu lr=0.00025 batch=32 decay=0.0001 dropout=0.05 adamw schedule=cosine",
        ),
        (Genome((8, 4), dropout=(0.0, 0.3)), "8-4 dropout=0,0.3"),
        (Genome((8,), beta2=0.95, label_smoothing=0.1), "8 beta2=0.95 smoothing=0.1"),
        (Genome((8,), front_scaling=6.0), "8 front=6"),
        (Genome((64, 64), "relu", members=8), "64-64 relu members=8"),
        (Genome((8, 4), "mish", parametric_activation=0.1, skips=1), "8-4 mish parametric=0.1 skips=1"),
        (Genome((8,), regularization_schedule="step", clip_norm=1.0), "8 regularization=step clip=1"),
        (Genome((8,), bias_rate=0.1, parametrization="ntk"), "8 bias=0.1 parametrization=ntk"),
        (Genome((8,), initialization="data", layer_norm=1), "8 initial=data norm=1"),
        (Genome((8,), batch_size=1_000_000), "8 batch=1000000"),
        (Genome((8,), weight_decay=0.0, dropout=0.0), "8 decay=0 dropout=0"),
    ],
)
def test_a_genome_reads_as_a_line(genome: Genome, text: str) -> None:
    assert str(genome) == text


@given(genomes())
def test_the_line_begins_with_the_widths(genome: Genome) -> None:
    first = str(genome).split()[0]
    assert first == "linear" if genome.depth == 0 else tuple(map(int, first.split("-"))) == genome.widths


# Sizes.


def test_parameters_are_counted_as_by_hand() -> None:
    assert Genome(()).n_parameters(4, 3) == 4 * 3 + 3
    assert Genome((5, 2)).n_parameters(4, 3) == (4 * 5 + 5) + (5 * 2 + 2) + (2 * 3 + 3)
    # Outputs and factors of the inputs are each member's own.
    with_members = Genome((5, 2), members=8).n_parameters(4, 3)
    assert with_members == (4 * 5 + 5) + (5 * 2 + 2) + 8 * (2 * 3 + 3) + 8 * 4
    assert Genome((5, 2), members=1).n_parameters(4, 3) == Genome((5, 2)).n_parameters(4, 3)
    assert Genome((), members=8).n_parameters(4, 3) == Genome(()).n_parameters(4, 3)
    # A blend of each hidden unit, and a gain of each unit that both layers have.
    plain = Genome((5, 2)).n_parameters(4, 3)
    assert Genome((5, 2), parametric_activation=0.1, skips=1).n_parameters(4, 3) == plain + 7 + 2
    for without in (Genome((5, 2), parametric_activation=0.0, skips=0), Genome((5, 2))):
        assert not without.is_parametric
        assert not without.has_skips
    assert Genome((5, 2), parametric_activation=0.1, skips=1, members=8).n_parameters(4, 3) == with_members
    assert not Genome((5,), skips=1).has_skips
    assert not Genome((), parametric_activation=0.1).is_parametric


@given(st.lists(st.integers(1, 9), max_size=4), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_parameters_are_those_of_the_network(
    widths: list[int], n_inputs: int, n_outputs: int, members: int
) -> None:
    genome = Genome(tuple(widths), members=members, parametric_activation=0.1 * (n_inputs % 2), skips=1)
    extras = Extras(is_parametric=genome.is_parametric, has_skips=genome.has_skips)
    options: Any = {"members": genome.n_members, "extras": extras}
    network = MLP((n_inputs, *widths, n_outputs), ["relu"] * len(widths), "squared_error", **options)
    assert genome.n_parameters(n_inputs, n_outputs) == network.parameters.size


def test_operations_are_counted_as_by_hand() -> None:
    assert Genome(()).n_flops(4, 3) == 2 * 4 * 3 + 3
    of_one = (2 * 4 * 5 + 5) + (2 * 5 * 2 + 2) + (2 * 2 * 3 + 3)
    assert Genome((5, 2), "tanh").n_flops(4, 3) == of_one
    assert Genome((5, 2), "tanh", members=8).n_flops(4, 3) == 8 * (of_one + 4)
    both = Genome((5, 2), "tanh", parametric_activation=0.1, skips=1)
    assert both.n_flops(4, 3) == of_one + 3 * (5 + 2) + 2 * 2
    assert Genome((5, 2), "tanh", layer_norm=1).n_flops(4, 3) == of_one + 5 * (5 + 2)


@given(genomes(), st.integers(1, 9), st.integers(1, 9))
def test_operations_are_those_of_weights_and_biases(genome: Genome, n_inputs: int, n_outputs: int) -> None:
    n_biases = sum(genome.widths) + n_outputs
    plain = dataclasses.replace(genome, members=None, parametric_activation=None, skips=None)
    n_weights = plain.n_parameters(n_inputs, n_outputs) - n_biases
    factors = n_inputs if genome.n_members > 1 else 0
    expected = genome.n_members * (2 * n_weights + n_biases + factors)
    expected += 3 * sum(genome.widths) * genome.is_parametric
    expected += 2 * sum(map(min, itertools.pairwise(genome.widths))) * genome.has_skips
    expected += 5 * sum(genome.widths) * genome.is_normalized
    assert genome.n_flops(n_inputs, n_outputs) == expected
