from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.evolution.operators import (
    MUTATIONS,
    Layer,
    add_layer,
    align,
    crossover,
    genome_distance,
    layer_distance,
    layers_of,
    narrow,
    remove_layer,
    resample_gene,
    widen,
)
from nas.genome import GENES, Genome
from nas.space import SearchSpace

WIDTHS = (2, 4, 8, 16, 32)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Spaces of every kind: funnels, activations for the net or the layer, any genes, linear models."""
    low = draw(st.integers(0, 3))
    activation = draw(st.sampled_from([(), ("relu",), ("relu", "tanh"), ("relu", "tanh", "elu")]))
    return SearchSpace(
        depth=(low, low + draw(st.integers(0, 4))),
        widths=draw(st.lists(st.sampled_from(WIDTHS), min_size=1, unique=True)),
        non_increasing=draw(st.booleans()),
        activation=activation,
        activation_per_layer=bool(activation) and draw(st.booleans()),
        learning_rate=draw(st.sampled_from([(), (0.01,), (0.001, 0.01, 0.1)])),
        batch_size=draw(st.sampled_from([(), (8, 16)])),
        dropout=draw(st.sampled_from([(), (0.0, 0.2)])),
        optimizer=draw(st.sampled_from([(), ("adam", "sgd")])),
    )


randoms = st.integers(0, 2**32).map(random.Random)


@given(spaces(), randoms, st.sampled_from(sorted(MUTATIONS)))
def test_mutants_stay_inside_the_space(space: SearchSpace, rng: random.Random, name: str) -> None:
    genome = space.sample(rng)
    for _ in range(5):
        child = MUTATIONS[name](genome, space, rng)
        if child is None:
            break
        assert child in space
        genome = child


@given(spaces(), randoms)
def test_children_stay_inside_the_space(space: SearchSpace, rng: random.Random) -> None:
    mother, father = space.sample(rng), space.sample(rng)
    assert crossover(mother, father, space, rng) in space


@given(spaces(), randoms)
def test_a_childs_depth_lies_between_its_parents(space: SearchSpace, rng: random.Random) -> None:
    mother, father = space.sample(rng), space.sample(rng)
    child = crossover(mother, father, space, rng)
    assert min(mother.depth, father.depth) <= child.depth <= max(mother.depth, father.depth)


@given(spaces(), randoms)
def test_every_gene_of_a_child_is_a_parents(space: SearchSpace, rng: random.Random) -> None:
    mother, father = space.sample(rng), space.sample(rng)
    child = crossover(mother, father, space, rng)
    assert set(child.widths) <= set(mother.widths) | set(father.widths)
    for key in GENES:
        if key == "activation":
            assert set(child.activations) <= set(mother.activations) | set(father.activations)
        elif child.depth or key != "dropout":
            assert getattr(child, key) in (getattr(mother, key), getattr(father, key))


def test_layers_are_inherited_by_position_at_every_depth(space: SearchSpace) -> None:
    # What slot-wise genetic algorithms lose: of a child's layers beyond the first, all come from a
    # parent's layer, in the parent's order.
    rng = random.Random(0)
    for _ in range(300):
        mother, father = space.sample(rng), space.sample(rng)
        child = crossover(mother, father, space, rng)
        for width in child.widths:
            assert width in mother.widths + father.widths
    twins = Genome((8, 4, 16), "relu")
    plain = SearchSpace(depth=(1, 4), widths=WIDTHS, activation=("relu",))
    assert all(crossover(twins, twins, plain, rng) == twins for _ in range(20))


def test_a_parent_with_more_layers_hands_them_on_in_order() -> None:
    plain = SearchSpace(depth=(1, 5), widths=WIDTHS)
    rng = random.Random(1)
    long, short = Genome((2, 4, 8, 16, 32)), Genome((8,))
    for _ in range(100):
        child = crossover(long, short, plain, rng)
        assert list(child.widths) == sorted(child.widths)
        assert 8 in child.widths  # the aligned pair is the same in both


def test_alignment_of_a_worked_example() -> None:
    long: list[Layer] = [(64, "relu"), (16, "relu"), (4, "relu")]
    short: list[Layer] = [(32, "relu"), (4, "relu")]
    # 64-32 costs 1 and 4-4 nothing; 16-32 would cost as much, and the later position wins the tie.
    assert align(long, short) in ({0: 0, 2: 1}, {1: 0, 2: 1})
    assert sum(layer_distance(long[i], short[j]) for i, j in align(long, short).items()) == 1


layers = st.tuples(st.sampled_from(WIDTHS), st.sampled_from(["relu", "tanh"]))


@given(st.lists(layers, max_size=5), st.lists(layers, max_size=5))
def test_alignment_is_the_best_of_all_that_keep_the_order(one: list[Layer], other: list[Layer]) -> None:
    long, short = sorted((one, other), key=len, reverse=True)
    found = align(long, short)
    assert sorted(found.values()) == list(range(len(short)))
    assert [found[i] for i in sorted(found)] == sorted(found.values())
    best = min(
        sum(layer_distance(long[i], layer) for i, layer in zip(places, short, strict=True))
        for places in itertools.combinations(range(len(long)), len(short))
    )
    assert math.isclose(sum(layer_distance(long[i], short[j]) for i, j in found.items()), best)


@given(spaces(), randoms)
def test_distance_is_a_distance(space: SearchSpace, rng: random.Random) -> None:
    one, other = space.sample(rng), space.sample(rng)
    assert genome_distance(one, one) == 0
    assert genome_distance(one, other) == genome_distance(other, one) >= 0


@pytest.mark.parametrize(("mutation", "change"), [(add_layer, 1), (remove_layer, -1)])
def test_depth_changes_by_one_up_to_the_bounds(mutation: object, change: int) -> None:
    plain = SearchSpace(depth=(1, 3), widths=WIDTHS)
    rng = random.Random(0)
    for depth in (1, 2, 3):
        child = mutation(Genome((8,) * depth), plain, rng)  # type: ignore[operator]
        if depth + change in plain.depths:
            assert child.depth == depth + change
        else:
            assert child is None


def test_removing_a_layer_leaves_the_others_as_they_were() -> None:
    plain = SearchSpace(depth=(1, 3), widths=WIDTHS)
    child = remove_layer(Genome((2, 8, 32)), plain, random.Random(0))
    assert child is not None
    assert child.widths in {(8, 32), (2, 32), (2, 8)}


def test_adding_a_layer_leaves_the_others_as_they_were() -> None:
    plain = SearchSpace(depth=(1, 4), widths=WIDTHS)
    rng = random.Random(0)
    for _ in range(50):
        child = add_layer(Genome((2, 8, 32)), plain, rng)
        assert child is not None
        rest = [child.widths[:i] + child.widths[i + 1 :] for i in range(4)]
        assert (2, 8, 32) in rest


def test_widths_step_to_neighbours_not_to_anywhere() -> None:
    plain = SearchSpace(depth=(1, 3), widths=(1, 2, 4, 8, 16, 32, 64))
    rng = random.Random(0)
    wider = {child.widths for _ in range(50) if (child := widen(Genome((8,)), plain, rng))}
    narrower = {child.widths for _ in range(50) if (child := narrow(Genome((8,)), plain, rng))}
    assert wider == {(16,), (32,)}
    assert narrower == {(4,), (2,)}
    assert widen(Genome((64,)), plain, rng) is None
    assert narrow(Genome((1,)), plain, rng) is None


def test_a_funnel_that_is_widened_stays_a_funnel() -> None:
    funnel = SearchSpace(depth=(1, 4), widths=WIDTHS, non_increasing=True)
    rng = random.Random(0)
    children = {child.widths for _ in range(100) if (child := widen(Genome((8, 8, 4)), funnel, rng))}
    assert all(list(widths) == sorted(widths, reverse=True) for widths in children)
    assert (16, 16, 4) in children  # the second layer took the first along


def test_ordinal_genes_step_to_neighbours() -> None:
    rates = SearchSpace(depth=(1, 1), widths=(8,), learning_rate=(0.001, 0.01, 0.1, 1.0))
    rng = random.Random(0)
    genome = Genome((8,), learning_rate=0.01)
    found = {child.learning_rate for _ in range(40) if (child := resample_gene(genome, rates, rng))}
    assert found == {0.001, 0.1}


def test_one_layers_activation_changes_where_each_has_its_own() -> None:
    each = SearchSpace(
        depth=(3, 3), widths=(8,), activation=("relu", "tanh", "elu"), activation_per_layer=True
    )
    genome = Genome((8, 8, 8), ("relu", "tanh", "elu"))
    rng = random.Random(0)
    for _ in range(30):
        child = resample_gene(genome, each, rng)
        assert child is not None
        pairs = zip(layers_of(genome), layers_of(child), strict=True)
        assert sum(one != other for one, other in pairs) == 1


def test_nothing_to_change_gives_no_child() -> None:
    single = SearchSpace(depth=(2, 2), widths=(8,), activation=("relu",))
    genome = Genome((8, 8), "relu")
    assert all(mutation(genome, single, random.Random(0)) is None for mutation in MUTATIONS.values())


def test_a_funnel_inherits_width_and_activation_as_one() -> None:
    funnel = SearchSpace(
        depth=(1, 4),
        widths=WIDTHS,
        non_increasing=True,
        activation=("relu", "tanh", "elu"),
        activation_per_layer=True,
    )
    rng = random.Random(0)
    for _ in range(500):
        mother, father = funnel.sample(rng), funnel.sample(rng)
        child = crossover(mother, father, funnel, rng)
        assert set(layers_of(child)) <= set(layers_of(mother)) | set(layers_of(father))
