"""Search spaces: counted right, sampled from inside, and refused with a reason."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.errors import InputError, SpaceError
from nas.evaluation import training_config
from nas.genome import GENES, Genome
from nas.space.space import DOMAINS, SearchSpace, check_fits, count_in_words
from nas.space.values import Range
from nas.training import TrainingConfig

GENE_VALUES: dict[str, list[Any]] = {
    "activation": ["relu", "tanh", "elu"],
    "learning_rate": [0.001, 0.01, 0.1],
    "batch_size": [8, 16],
    "weight_decay": [0.0, 0.01],
    "dropout": [0.0, 0.1, 0.2],
    "optimizer": ["adam", "sgd"],
    "schedule": ["constant", "cosine"],
    "beta2": [0.95, 0.999],
    "label_smoothing": [0.0, 0.1],
    "front_scaling": [0.0, 6.0],
    "members": [1, 8],
    "regularization_schedule": ["constant", "flat_cosine"],
    "clip_norm": [0.0, 1.0],
    "bias_rate": [0.1, 1.0],
    "parametrization": ["standard", "ntk"],
    "initialization": ["random", "data"],
    "layer_norm": [0, 1],
}


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Any space of at most thousands of genomes: linear models, funnels, genes a layer, every gene."""
    low = draw(st.integers(0, 2))
    high = draw(st.integers(low, 3))
    widths = draw(st.lists(st.integers(1, 40), min_size=high > 0, max_size=3, unique=True))
    genes: dict[str, Any] = {
        name: draw(st.lists(st.sampled_from(values), max_size=2, unique=True))
        for name, values in GENE_VALUES.items()
    }
    return SearchSpace(
        depth=(low, high),
        widths=widths,
        non_increasing=draw(st.booleans()),
        equal_widths=draw(st.booleans()),
        activation_per_layer=bool(genes["activation"]) and draw(st.booleans()),
        dropout_per_layer=bool(genes["dropout"]) and draw(st.booleans()),
        **genes,
    )


def test_a_space_without_later_genes_is_recorded_as_by_earlier_versions() -> None:
    space = SearchSpace((1, 2), (4, 8), learning_rate=(0.01,))
    assert not {"beta2", "label_smoothing", "front_scaling", "members"} & set(space.to_dict())
    assert space.to_dict()["schedule"] == []
    assert replace(space, beta2=(0.95,)).to_dict()["beta2"] == [0.95]


# Worked by hand.


def test_a_small_space_is_listed_by_hand() -> None:
    space = SearchSpace(depth=(0, 2), widths=(4, 8), learning_rate=(0.1, 0.01), dropout=(0.0, 0.5))
    # Rates, times: one linear model, 2 widths with 2 dropouts, 4 pairs of widths with 2 dropouts.
    assert space.size() == 2 * (1 + 2 * 2 + 4 * 2)
    listed = list(space)
    assert listed[:2] == [Genome((), learning_rate=0.01), Genome((), learning_rate=0.1)]
    assert listed[-1] == Genome((8, 8), learning_rate=0.1, dropout=0.5)


def test_a_funnel_is_listed_by_hand() -> None:
    space = SearchSpace(depth=(2, 2), widths=(4, 8, 16), non_increasing=True)
    assert {genome.widths for genome in space} == {(16, 16), (16, 8), (16, 4), (8, 8), (8, 4), (4, 4)}
    assert space.size() == 6


def test_activations_of_layers_are_listed_by_hand() -> None:
    space = SearchSpace(depth=(2, 2), widths=(4,), activation=("relu", "tanh"), activation_per_layer=True)
    found = {genome.activation for genome in space}
    assert found == {"relu", "tanh", ("relu", "tanh"), ("tanh", "relu")}
    assert space.size() == 4


def test_dropouts_of_layers_are_listed_by_hand() -> None:
    space = SearchSpace(depth=(0, 2), widths=(4,), dropout=(0.0, 0.5), dropout_per_layer=True)
    assert [genome.dropout for genome in space] == [None, 0.0, 0.5, 0.0, (0.0, 0.5), (0.5, 0.0), 0.5]
    assert space.size() == 7


@pytest.mark.parametrize("non_increasing", [False, True])
def test_equal_widths_are_listed_by_hand(*, non_increasing: bool) -> None:
    space = SearchSpace((0, 3), (4, 8), equal_widths=True, non_increasing=non_increasing)
    assert [genome.widths for genome in space] == [(), (4,), (8,), (4, 4), (8, 8), (4,) * 3, (8,) * 3]
    assert space.size() == 7
    assert Genome((8, 4)) not in space


# Any space.


@settings(max_examples=150, deadline=None)
@given(spaces())
def test_the_size_is_the_number_of_different_genomes(space: SearchSpace) -> None:
    listed = list(space)
    assert len(listed) == space.size()
    assert len(set(listed)) == len(listed)
    assert all(genome in space for genome in listed)


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_every_sample_is_inside(space: SearchSpace, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        assert space.sample(rng) in space


@settings(max_examples=60, deadline=None)
@given(spaces(), spaces())
def test_a_genome_is_inside_exactly_where_it_is_listed(space: SearchSpace, other: SearchSpace) -> None:
    listed = set(space)
    for genome in other:
        assert (genome in space) == (genome in listed)


@settings(max_examples=60, deadline=None)
@given(spaces())
def test_a_space_survives_json(space: SearchSpace) -> None:
    read = SearchSpace.from_dict(json.loads(json.dumps(space.to_dict(), allow_nan=False)))
    assert read == space
    assert read.genes == space.genes


@settings(max_examples=60, deadline=None)
@given(spaces())
def test_the_summary_is_one_line_with_the_size(space: SearchSpace) -> None:
    assert "\n" not in space.summary()
    assert f"{space.size():,} genomes" in space.summary()


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_what_a_space_samples_can_be_trained(space: SearchSpace, seed: int) -> None:
    genome = space.sample(random.Random(seed))
    config = training_config(genome, TrainingConfig())
    assert config.dropouts(genome.depth) == tuple(share or 0.0 for share in genome.dropouts)
    assert config.schedule == (genome.schedule or "constant")
    assert config.regularization_schedule == (genome.regularization_schedule or "constant")
    assert (config.beta2, config.label_smoothing) == (genome.beta2 or 0.999, genome.label_smoothing or 0.0)
    assert config.front_scaling == (genome.front_scaling or 0.0) * (genome.n_members == 1)


def test_samples_reach_every_genome_of_a_small_space() -> None:
    space = SearchSpace(
        depth=(0, 2),
        widths=(4, 8),
        activation=("relu", "tanh"),
        activation_per_layer=True,
        dropout=(0.0, 0.1),
        dropout_per_layer=True,
    )
    rng = random.Random(0)
    counts = Counter(space.sample(rng) for _ in range(5000))
    assert set(counts) == set(space)


def test_depths_are_drawn_uniformly() -> None:
    space = SearchSpace(depth=(1, 4), widths=(4, 8, 16))
    rng = random.Random(0)
    counts = Counter(space.sample(rng).depth for _ in range(4000))
    # Four standard deviations of a share of 1/4 among 4000: 110.
    assert all(abs(counts[depth] - 1000) < 110 for depth in range(1, 5))


@pytest.mark.parametrize("seed", range(3))
def test_the_seed_decides_the_samples(seed: int) -> None:
    space = SearchSpace(
        depth=(0, 4), widths=Range(1, 100), activation=("relu", "tanh"), activation_per_layer=True
    )
    first, again = random.Random(seed), random.Random(seed)
    assert [space.sample(first) for _ in range(20)] == [space.sample(again) for _ in range(20)]


OUTSIDE = [
    Genome((4,) * 4, "relu", 0.1),
    Genome((), learning_rate=0.1),
    Genome((5,), "relu", 0.1),
    Genome((4, 8), "relu", 0.1),  # not a funnel
    Genome((4,), "tanh", 0.1),
    Genome((4,), None, 0.1),
    Genome((8, 4), ("relu", "elu"), 0.1),  # one activation for all layers
    Genome((4,), "relu"),
    Genome((4,), "relu", 0.2),
    Genome((4,), "relu", 0.1, 32),
    Genome((4,), "relu", 0.1, dropout=0.0),
    Genome((4,), "relu", 0.1, optimizer="adam"),
    Genome((4,), "relu", 0.1, schedule="constant"),
]


@pytest.mark.parametrize("genome", OUTSIDE, ids=str)
def test_genomes_with_other_values_are_outside(genome: Genome) -> None:
    space = SearchSpace(
        depth=(1, 3), widths=(4, 8), non_increasing=True, activation=("relu", "elu"), learning_rate=(0.1,)
    )
    assert Genome((8, 4), "relu", 0.1) in space
    assert genome not in space
    assert "8-4 relu" not in space


def test_dropouts_of_layers_are_outside_where_the_network_has_one() -> None:
    space = SearchSpace(depth=(2, 2), widths=(4,), dropout=(0.0, 0.5))
    assert Genome((4, 4), dropout=0.5) in space
    assert Genome((4, 4), dropout=(0.0, 0.5)) not in space
    assert Genome((4, 4), dropout=(0.0, 0.4)) not in replace(space, dropout_per_layer=True)


# Ranges.


@pytest.mark.parametrize(
    ("values", "whole", "expected"),
    [
        (Range(3, 6), True, (3, 4, 5, 6)),
        (Range(3, 3), True, (3,)),
        (Range(4, 10, step=3), True, (4, 7, 10)),
        (Range(4, 9, step=3), True, (4, 7)),
        (Range(1, 3, step=0.5), True, (1, 2, 3)),
        (Range(4, 32, "log"), True, (4, 8, 16, 32)),
        (Range(4, 31, "log"), True, (4, 8, 16)),
        (Range(16, 64, "log", math.sqrt(2)), True, (16, 23, 32, 45, 64)),
        (Range(1, 4, "log", 1.1), True, (1, 2, 3, 4)),
        (Range(0, 1), False, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
        (Range(0.3, 0.3), False, (0.3,)),
        (Range(0.1, 0.3, step=0.1), False, (0.1, 0.2, 0.3)),
        (Range(0.1, 0.35, step=0.1), False, (0.1, 0.2, 0.3)),
        (
            Range(0.001, 0.1, "log"),
            False,
            (0.001, 0.00178, 0.00316, 0.00562, 0.01, 0.0178, 0.0316, 0.0562, 0.1),
        ),
        (Range(0.00025, 0.004, "log", 2), False, (0.00025, 0.0005, 0.001, 0.002, 0.004)),
        (Range(0.1, 0.2, "log"), False, (0.1, 0.2)),
        # The ends are not rounded, and rounding keeps all values apart.
        (Range(0.1234, 0.12345, "log"), False, (0.1234, 0.12345)),
        (Range(0.1, 0.10004, step=0.00001), False, (0.1, 0.10001, 0.10002, 0.10003, 0.10004)),
        (Range(0.98765, 0.98999, step=0.001), False, (0.98765, 0.9887, 0.9897)),
    ],
)
def test_a_range_is_written_out(values: Range, whole: bool, expected: tuple[float, ...]) -> None:
    assert values.values(whole=whole) == expected


@given(
    st.floats(1e-6, 10),
    st.floats(1, 1e5),
    st.sampled_from(["linear", "log"]),
    st.none() | st.floats(1.01, 100),
)
def test_a_range_stays_between_its_ends(low: float, ratio: float, scale: str, steps: float | None) -> None:
    high = low * ratio
    step = steps if scale == "log" or steps is None else (high - low) / steps or 1.0
    values = Range(low, high, scale, step).values(whole=False)
    assert values[0] == low
    assert values[-1] <= high
    assert list(values) == sorted(set(values))
    if step is None:
        assert values[-1] == high
        assert len(values) == 1 if low == high else len(values) >= 2


@given(st.integers(1, 3000), st.integers(0, 3000), st.sampled_from(["linear", "log"]))
def test_a_range_of_whole_numbers_holds_whole_numbers(low: int, more: int, scale: str) -> None:
    values = Range(low, low + more, scale).values(whole=True)
    assert values[0] == low
    assert values[-1] <= low + more
    assert all(isinstance(value, int) for value in values)
    if scale == "linear":
        assert values == tuple(range(low, low + more + 1))
    else:
        assert all(above == 2 * below for below, above in itertools.pairwise(values))
        assert 2 * values[-1] > low + more


@given(st.integers(1, 500), st.integers(0, 500), st.integers(1, 40))
def test_a_range_with_a_step_is_numpys(low: int, more: int, step: int) -> None:
    assert Range(low, low + more, step=step).values(whole=True) == tuple(np.arange(low, low + more + 1, step))


def test_values_are_sorted_and_listed_once() -> None:
    space = SearchSpace(
        depth=(1, 1), widths=(8, 4, 8), learning_rate=(0.1, 0.01, 0.1), activation=("tanh", "relu", "tanh")
    )
    assert space.widths == (4, 8)
    assert space.learning_rate == (0.01, 0.1)
    assert space.activation == ("tanh", "relu")
    assert space.size() == 8


def test_a_single_value_is_a_list_of_one() -> None:
    space = SearchSpace(depth=(1, 1), widths=8, learning_rate=0.1, activation="relu")  # type: ignore[arg-type]
    assert list(space) == [Genome((8,), "relu", 0.1)]


def test_numbers_of_numpy_are_numbers() -> None:
    space = SearchSpace(
        depth=(np.int64(1), 2),  # type: ignore[arg-type]
        widths=np.arange(4, 10, 2),  # type: ignore[arg-type]
        batch_size=Range(np.int64(8), np.int64(32), "log"),  # type: ignore[arg-type]
        learning_rate=[np.float64(0.1)],
    )
    assert space == SearchSpace(depth=(1, 2), widths=(4, 6, 8), batch_size=(8, 16, 32), learning_rate=(0.1,))
    json.dumps(space.to_dict())


# Errors.

GOOD: dict[str, Any] = {"depth": (1, 2), "widths": (4, 8)}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"depth": 3}, "depth: expected a pair (min, max), got 3"),
    ({"depth": (1,)}, "depth: expected a pair (min, max), got (1,)"),
    ({"depth": (1, 2, 3)}, "depth: expected a pair (min, max), got (1, 2, 3)"),
    ({"depth": None}, "depth: expected a pair (min, max), got None"),
    ({"depth": (2, 1)}, "depth: expected min <= max, got min = 2 and max = 1"),
    ({"depth": (-1, 1)}, "depth.min: expected a whole number from 0 to 100, got -1"),
    ({"depth": (1, 101)}, "depth.max: expected a whole number from 0 to 100, got 101"),
    ({"depth": (1, 1.5)}, "depth.max: expected a whole number from 0 to 100, got 1.5"),
    ({"depth": (math.nan, 1)}, "depth.min: expected a whole number from 0 to 100, got nan"),
    ({"depth": (True, 1)}, "depth.min: expected a whole number from 0 to 100, got True"),
    ({"depth": ("1", "2")}, "depth.min: expected a whole number from 0 to 100, got '1'"),
    ({"widths": ()}, "widths: expected at least one width, got none"),
    ({"widths": (0,)}, "widths: expected whole numbers from 1 to 65536, got 0"),
    ({"widths": (8, -4)}, "widths: expected whole numbers from 1 to 65536, got -4"),
    ({"widths": (65537,)}, "widths: expected whole numbers from 1 to 65536, got 65537"),
    ({"widths": (1.5,)}, "widths: expected whole numbers from 1 to 65536, got 1.5"),
    ({"widths": ("8",)}, "widths: expected whole numbers from 1 to 65536, got '8'"),
    ({"widths": "small"}, "widths: expected whole numbers from 1 to 65536, got 'small'"),
    ({"widths": None}, "widths: expected whole numbers from 1 to 65536, got None"),
    ({"widths": (math.nan,)}, "widths: expected whole numbers from 1 to 65536, got nan"),
    ({"widths": (10**400,)}, "widths: expected whole numbers from 1 to 65536, got 1000"),
    ({"widths": Range(8, 4)}, "widths: expected min <= max, got min = 8 and max = 4"),
    ({"widths": Range(0, 4, "log")}, "widths: expected whole numbers from 1 to 65536, got 0"),
    ({"widths": Range(1, 4, "cubic")}, "widths: scale: expected 'linear' or 'log', got 'cubic'"),
    ({"widths": Range(1, 4, step=0)}, "widths: step: expected more than 0 on the linear scale, got 0"),
    ({"widths": Range(1, 4, "log", 1)}, "widths: step: expected more than 1 on the log scale, got 1"),
    ({"widths": Range(1, 4, step=math.nan)}, "widths.step: expected a number, got nan"),
    ({"widths": Range(1, 4, step="2")}, "widths.step: expected a number, got '2'"),  # type: ignore[arg-type]
    ({"widths": Range(1, 65536, step=1e-9)}, "widths: expected at most 65536 values, got"),
    ({"equal_widths": 1}, "equal_widths: expected true or false, got 1"),
    ({"non_increasing": "yes"}, "non_increasing: expected true or false, got 'yes'"),
    ({"activation": ("relu", "swish")}, "activation: expected names among identity, sigmoid, tanh"),
    ({"activation": (1,)}, "softplus, got 1"),
    ({"activation": None}, "softplus, got None"),
    ({"activation_per_layer": True}, "activation: expected names to choose from for each layer, got none"),
    ({"activation_per_layer": 1}, "activation_per_layer: expected true or false, got 1"),
    ({"dropout_per_layer": True}, "dropout: expected numbers to choose from for each layer, got none"),
    ({"dropout_per_layer": "yes", "dropout": 0.1}, "dropout_per_layer: expected true or false, got 'yes'"),
    ({"learning_rate": (0,)}, "learning_rate: expected numbers from 1e-12 to 10, got 0"),
    ({"learning_rate": (-0.1,)}, "learning_rate: expected numbers from 1e-12 to 10, got -0.1"),
    ({"learning_rate": (math.nan,)}, "learning_rate: expected numbers from 1e-12 to 10, got nan"),
    ({"learning_rate": (math.inf,)}, "learning_rate: expected numbers from 1e-12 to 10, got inf"),
    ({"learning_rate": ("0.1",)}, "learning_rate: expected numbers from 1e-12 to 10, got '0.1'"),
    ({"learning_rate": Range(0.1, 0.01)}, "learning_rate: expected min <= max, got min = 0.1 and max = 0.01"),
    ({"learning_rate": Range(0, 0.1)}, "learning_rate: expected numbers from 1e-12 to 10, got 0"),
    ({"batch_size": (0,)}, "batch_size: expected whole numbers from 1 to 1e+06, got 0"),
    ({"batch_size": (32.5,)}, "batch_size: expected whole numbers from 1 to 1e+06, got 32.5"),
    ({"beta2": (1.0,)}, "beta2: expected numbers from 0.5 to 0.9999, got 1.0"),
    ({"label_smoothing": (1.0,)}, "label_smoothing: expected numbers from 0 to 0.9, got 1.0"),
    ({"members": (0, 8)}, "members: expected whole numbers from 1 to 32, got 0"),
    ({"members": (33,)}, "members: expected whole numbers from 1 to 32, got 33"),
    ({"members": "8"}, "members: expected whole numbers from 1 to 32, got '8'"),
    ({"weight_decay": (-1,)}, "weight_decay: expected numbers from 0 to 10, got -1"),
    ({"weight_decay": Range(0, 1, "log")}, "weight_decay: min: expected more than 0 on the log scale, got 0"),
    ({"dropout": (1.0,)}, "dropout: expected numbers from 0 to 0.99, got 1.0"),
    ({"dropout": (0.995,)}, "dropout: expected numbers from 0 to 0.99, got 0.995"),
    ({"dropout": (True,)}, "dropout: expected numbers from 0 to 0.99, got True"),
    (
        {"optimizer": ("adamax",)},
        "optimizer: expected names among sgd, momentum, nesterov, rmsprop, adam, adamw, got 'adamax'",
    ),
    ({"clip_norm": (-1,)}, "clip_norm: expected numbers from 0 to 1000, got -1"),
    ({"front_scaling": (101,)}, "front_scaling: expected numbers from 0 to 100, got 101"),
    (
        {"schedule": "linear"},
        "schedule: expected names among constant, step, cosine, coslog4, flat_cosine, got 'linear'",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[f"{c}" for c, _ in REFUSED])
def test_a_space_that_makes_no_sense_is_refused_in_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace(**{**GOOD, **change, "name": "mine"})
    text = str(caught.value)
    assert text.startswith("search space mine: ")
    assert message in text
    assert "\n" not in text
    assert isinstance(caught.value, InputError)


def test_a_space_has_values_for_each_gene_of_a_genome() -> None:
    assert tuple(DOMAINS) == ("widths", *GENES)


@pytest.mark.parametrize(
    "extreme",
    [
        {"learning_rate": (1e-12, 10)},
        {"batch_size": (1, 1_000_000)},
        {"weight_decay": (0, 10)},
        {"beta2": (0.5, 0.9999), "label_smoothing": (0, 0.9)},
        {"dropout": (0, 0.99)},
        {"clip_norm": (0, 1000), "bias_rate": (0, 100)},
    ],
    ids=str,
)
def test_training_accepts_the_extremes_of_every_gene(extreme: dict[str, Any]) -> None:
    for genome in SearchSpace(**GOOD, **extreme):
        training_config(genome, TrainingConfig())


# Spaces that do not fit the table or the machine.


def test_a_space_that_fits_says_nothing() -> None:
    check_fits(
        SearchSpace(depth=(0, 3), widths=(256,), batch_size=(32, 100)), n_rows=100, n_inputs=50, n_outputs=3
    )
    check_fits(SearchSpace(depth=(0, 0), widths=()), n_rows=1, n_inputs=50, n_outputs=3)


def test_a_batch_larger_than_the_table_is_refused() -> None:
    space = SearchSpace(**GOOD, batch_size=(32, 101), name="mine")
    with pytest.raises(
        SpaceError, match="mine: batch_size: expected at most 100, the rows to train on, got 101"
    ):
        check_fits(space, n_rows=100, n_inputs=50, n_outputs=3)


def test_networks_larger_than_the_machine_are_refused() -> None:
    space = SearchSpace(depth=(1, 100), widths=(1, 65536), name="mine")
    with pytest.raises(
        SpaceError, match=r"mine: widths: expected networks .* half of this machine's .* GiB, got up to"
    ):
        check_fits(space, n_rows=100, n_inputs=50, n_outputs=3)


# Counts.


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0"),
        (1234, "1,234"),
        (999_999_999, "999,999,999"),
        (10**9, "about 1.0e9"),
        (1_290_000_000_000, "about 1.2e12"),
        (7 * 10**400, "about 7.0e400"),
    ],
)
def test_a_count_is_short_enough_to_read(count: int, words: str) -> None:
    assert count_in_words(count) == words


def test_numbers_of_more_digits_than_python_writes_are_counted() -> None:
    assert count_in_words(10**5000) == "about 1.0e5000"
    assert count_in_words(10**5000 - 1) == "about 9.9e4999"
    assert count_in_words(123 * 10**20000) == "about 1.2e20002"


def test_the_size_of_an_endless_space_is_exact() -> None:
    space = SearchSpace(depth=(100, 100), widths=Range(1, 10))
    assert space.size() == 10**100
    assert "about 1.0e100 genomes" in space.summary()
    assert next(iter(space)) == Genome((1,) * 100)


def test_a_summary_reads_like_this() -> None:
    space = SearchSpace(
        depth=(1, 3),
        widths=Range(1, 30),
        non_increasing=True,
        activation=("relu", "elu"),
        activation_per_layer=True,
    )
    # 30 + C(31, 2) + C(32, 3) funnels with 2, 4 and 8 choices of activations.
    assert space.size() == 30 * 2 + 465 * 4 + 4960 * 8
    assert space.summary() == (
        "1-3 hidden layers; widths funnel of 1, 2, 3, …, 30; activation per layer relu, elu; 41,600 genomes"
    )
    space = SearchSpace((1, 2), (4, 8), equal_widths=True, dropout=(0.0, 0.5), dropout_per_layer=True)
    assert space.summary() == ("1-2 hidden layers; equal widths 4, 8; dropout per layer 0, 0.5; 12 genomes")
