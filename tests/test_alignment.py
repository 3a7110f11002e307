"""Alignment: the cheapest that keeps the order; and distances that rest on it."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import alignment
from nas.alignment import align, genome_distance, layer_distance, mean_distance, origins
from nas.genome import Genome, Layer

WIDTHS = st.sampled_from((2, 3, 4, 8, 16, 32))
layers = st.lists(
    st.builds(Layer, WIDTHS, st.sampled_from(("relu", "tanh")), st.sampled_from((0.0, 0.2))), max_size=5
)
genomes = st.builds(
    lambda layers, rate, optimizer: Genome.of(layers, learning_rate=rate, optimizer=optimizer),
    layers,
    st.sampled_from((None, 0.1, 0.2)),
    st.sampled_from(("adam", "sgd")),
)


def test_alignment_of_a_worked_example() -> None:
    long = Genome((64, 16, 4), "relu").layers
    short = Genome((32, 4), "relu").layers
    # 64-32 costs 1 and 4-4 nothing; 16-32 would cost as much.
    assert align(long, short) in ({0: 0, 2: 1}, {1: 0, 2: 1})


def test_alignment_passes_over_what_resembles_less() -> None:
    long, short = Genome((64, 2, 8, 64), "relu").layers, Genome((2, 8), "relu").layers
    assert align(long, short) == {1: 0, 2: 1}


@given(layers, layers)
def test_alignment_is_the_cheapest_that_keeps_the_order(a: list[Layer], b: list[Layer]) -> None:
    long, short = sorted((a, b), key=len, reverse=True)
    partners = align(long, short)
    assert sorted(partners.values()) == list(range(len(short)))
    assert [partners[i] for i in sorted(partners)] == sorted(partners.values())
    best = min(
        sum(layer_distance(long[i], layer) for i, layer in zip(places, short, strict=True))
        for places in itertools.combinations(range(len(long)), len(short))
    )
    assert math.isclose(
        sum(layer_distance(long[i], short[j]) for i, j in partners.items()), best, abs_tol=1e-9
    )


@given(genomes, genomes)
def test_as_many_layers_have_an_origin_as_the_shallower_genome_has(child: Genome, parent: Genome) -> None:
    positions = origins(child, parent)
    partners = [position for position in positions if position is not None]
    assert len(positions) == child.depth
    assert len(partners) == min(child.depth, parent.depth)
    assert partners == sorted(set(partners))
    assert set(partners) <= set(range(parent.depth))


@given(genomes, genomes)
def test_origins_are_the_same_pairs_from_either_side(a: Genome, b: Genome) -> None:
    pairs = {(i, j) for i, j in enumerate(origins(a, b)) if j is not None}
    if a.depth != b.depth:
        assert pairs == {(i, j) for j, i in enumerate(origins(b, a)) if i is not None}
    else:
        assert pairs == {(i, i) for i in range(a.depth)}


@given(genomes)
def test_every_layer_originates_from_itself(genome: Genome) -> None:
    assert origins(genome, genome) == tuple(range(genome.depth))


@pytest.mark.parametrize(
    ("other", "distance"),
    [
        (Genome((16, 8), "relu", dropout=0.0), 1),
        (Genome((2, 8), "relu", dropout=0.0), 2),
        (Genome((8, 8), "tanh", dropout=0.0), 2),
        (Genome((8, 8), ("relu", "tanh"), dropout=0.0), 1),
        (Genome((8, 8), "relu", dropout=(0.0, 0.5)), 1),
        (Genome((8,), "relu", dropout=0.0), 2),
        (Genome((), None), 4),
        (Genome((8, 8), "relu", 0.1, dropout=0.0), 1),
        (Genome((8, 8), "relu", 0.1, 32, dropout=0.0, optimizer="sgd"), 3),
    ],
    ids=str,
)
def test_a_distance_counts_doublings_layers_and_genes(other: Genome, distance: float) -> None:
    assert genome_distance(Genome((8, 8), "relu", dropout=0.0), other) == distance


@given(genomes, genomes)
def test_a_distance_is_symmetric_and_zero_only_for_equals(a: Genome, b: Genome) -> None:
    assert genome_distance(a, b) == genome_distance(b, a)
    assert (genome_distance(a, b) == 0) == (a == b)
    assert genome_distance(a, a) == 0


def test_a_mean_distance_of_a_worked_example() -> None:
    assert mean_distance([]) == mean_distance([Genome((8,))]) == 0
    # 8-16 and 8-32 are 1 and 2 apart, 16-32 is 1.
    assert mean_distance([Genome((8,)), Genome((16,)), Genome((32,))]) == pytest.approx(4 / 3)


@given(st.lists(genomes, min_size=2, max_size=8), st.sampled_from((3, 4096)))
def test_a_mean_distance_is_that_of_all_pairs(genomes: list[Genome], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "_PAIRS", at_once)
        mean = mean_distance(genomes)
    one_by_one = [genome_distance(a, b) for a, b in itertools.combinations(genomes, 2)]
    assert mean == pytest.approx(math.fsum(one_by_one) / len(one_by_one), abs=1e-12)
