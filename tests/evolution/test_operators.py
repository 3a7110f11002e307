"""Operators: children inside the space, and changes that are exactly what their names say."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import fmean

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landscape import randoms, spaces

from nas.evolution.operators import (
    CROSSOVERS,
    MUTATIONS,
    Mutation,
    cut_and_splice,
    duplicate_layer,
    inherited,
    insert_layer,
    mix_layers,
    mutate,
    narrow,
    remove_layer,
    shrink,
    step_gene,
    swap_activation,
    widen,
)
from nas.genome import GENES, LAYER_GENES, Genome
from nas.space import SearchSpace

WIDTHS = (2, 4, 8, 16, 32)
PLAIN = SearchSpace(depth=(1, 4), widths=WIDTHS)
OWN = SearchSpace(
    depth=(0, 4),
    widths=WIDTHS,
    activation=("relu", "tanh", "elu"),
    activation_per_layer=True,
    dropout=(0.0, 0.1, 0.2, 0.3),
    dropout_per_layer=True,
    learning_rate=(0.001, 0.01, 0.1, 1.0),
)
GENOME = Genome((2, 8, 32), ("relu", "tanh", "elu"), 0.01, dropout=(0.1, 0.1, 0.2))

mutations = st.sampled_from(sorted(MUTATIONS))
crossovers = st.sampled_from(sorted(CROSSOVERS))
quick = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


def reachable(mutation: Mutation, genome: Genome, space: SearchSpace, n: int = 150) -> set[Genome]:
    rng = random.Random(0)
    return {child for _ in range(n) if (child := mutation(genome, space, rng)) is not None}


def test_children_have_the_numbers_of_their_own_space() -> None:
    # Genomes are kept for all spaces: of equal numbers, a whole one must not become a fraction.
    for batch_size in (32, 32.0):
        genome = Genome((4, 8), batch_size=batch_size)  # type: ignore[arg-type]  # a fraction by mistake
        space = SearchSpace(depth=(2, 2), widths=WIDTHS, batch_size=(32,))
        child = mix_layers(genome, genome, space, random.Random(0))
        assert child == genome
        assert type(child.batch_size) is type(batch_size)


# Any space.


@quick
@given(spaces(), randoms, mutations)
def test_mutants_stay_inside_the_space(space: SearchSpace, rng: random.Random, name: str) -> None:
    genome = space.sample(rng)
    for _ in range(5):
        child = MUTATIONS[name](genome, space, rng)
        if child is None:
            break
        assert child in space
        assert child != genome
        genome = child


@quick
@given(spaces(), randoms)
def test_a_mutation_is_found_wherever_there_is_another_genome(space: SearchSpace, rng: random.Random) -> None:
    genome = space.sample(rng)
    mutated = mutate(genome, space, rng)
    assert (mutated is None) == (space.size() == 1)
    if mutated is not None:
        child, name = mutated
        assert child in space
        assert child != genome
        assert name in MUTATIONS


@quick
@given(spaces(), randoms, crossovers)
def test_children_stay_inside_the_space(space: SearchSpace, rng: random.Random, name: str) -> None:
    assert CROSSOVERS[name](space.sample(rng), space.sample(rng), space, rng) in space


@quick
@given(spaces(), randoms, crossovers)
def test_every_gene_of_a_child_is_a_parents(space: SearchSpace, rng: random.Random, name: str) -> None:
    first, second = space.sample(rng), space.sample(rng)
    child = CROSSOVERS[name](first, second, space, rng)
    assert set(child.widths) <= set(first.widths) | set(second.widths)
    assert set(child.activations) <= set(first.activations) | set(second.activations)
    assert set(child.dropouts) <= set(first.dropouts) | set(second.dropouts)
    for key in set(GENES) - set(LAYER_GENES):
        assert getattr(child, key) in (getattr(first, key), getattr(second, key))


@quick
@given(spaces(), randoms, crossovers)
def test_a_layer_is_inherited_as_a_whole(space: SearchSpace, rng: random.Random, name: str) -> None:
    first, second = space.sample(rng), space.sample(rng)
    child = CROSSOVERS[name](first, second, space, rng)
    own = [0] * (not space.equal_widths) + [1 + LAYER_GENES.index(key) for key in space.per_layer]
    parent_values = {tuple(layer[k] for k in own) for layer in first.layers + second.layers}
    assert {tuple(layer[k] for k in own) for layer in child.layers} <= parent_values


@quick
@given(spaces(), randoms)
def test_a_mixed_childs_depth_lies_between_its_parents(space: SearchSpace, rng: random.Random) -> None:
    first, second = space.sample(rng), space.sample(rng)
    depth = mix_layers(first, second, space, rng).depth
    assert min(first.depth, second.depth) <= depth <= max(first.depth, second.depth)


@quick
@given(spaces(), randoms)
def test_shrinking_leads_to_the_smallest_genome_step_by_step(space: SearchSpace, rng: random.Random) -> None:
    genome: Genome | None = space.sample(rng)
    while genome is not None:
        last, genome = genome, shrink(genome, space, rng)
        assert last in space
        if genome is not None:
            less, more = (sum(member.widths) + member.depth for member in (genome, last))
            assert less < more
    assert last.widths == space.widths_tuple[:1] * space.depth[0]


# Crossovers.


def test_twins_have_twins_by_mixing() -> None:
    twin, rng = Genome((8, 4, 16)), random.Random(0)
    assert {mix_layers(twin, twin, PLAIN, rng) for _ in range(20)} == {twin}


def test_mixing_hands_layers_on_in_order() -> None:
    plain = SearchSpace(depth=(1, 5), widths=WIDTHS)
    rng = random.Random(1)
    children = {mix_layers(Genome((2, 4, 8, 16, 32)), Genome((8,)), plain, rng).widths for _ in range(300)}
    # The aligned 8 is the same in both; each of the four other layers is kept or left out.
    assert len(children) == 16
    assert all(list(widths) == sorted(widths) and 8 in widths for widths in children)


def test_mixing_takes_of_an_aligned_pair_either() -> None:
    rng = random.Random(0)
    children = {mix_layers(Genome((2, 32)), Genome((4, 16)), PLAIN, rng).widths for _ in range(60)}
    assert children == {(2, 32), (2, 16), (4, 32), (4, 16)}


def test_spliced_children_begin_like_one_parent_and_end_like_the_other() -> None:
    first, second = Genome((2, 4, 8)), Genome((16, 32))
    rng = random.Random(0)
    children = {cut_and_splice(first, second, PLAIN, rng).widths for _ in range(300)}
    heads, tails = [(2,), (2, 4), (2, 4, 8)], [(32,), (16, 32)]
    assert children == {head + tail for head in heads for tail in tails if len(head + tail) <= 4}


def test_splicing_copies_layers_only_where_nothing_else_is_possible() -> None:
    space = SearchSpace(depth=(0, 1), widths=WIDTHS)
    rng = random.Random(0)
    children = {cut_and_splice(Genome((2,)), Genome((4,)), space, rng) for _ in range(60)}
    assert children == {Genome((2,)), Genome((4,)), Genome(())}


@pytest.mark.parametrize("crossover", CROSSOVERS.values(), ids=list(CROSSOVERS))
def test_what_layers_share_comes_from_a_parent_that_has_layers(crossover: Callable[..., Genome]) -> None:
    space = SearchSpace(depth=(0, 4), widths=WIDTHS, activation=("relu", "tanh"), dropout=(0.0, 0.1))
    rng = random.Random(0)
    linear, deep = Genome(()), Genome((4, 8), "tanh", dropout=0.1)
    children = {crossover(*rng.sample((linear, deep), 2), space, rng) for _ in range(60)}
    assert {child.activation for child in children if child.depth} == {"tanh"}
    assert {child.dropout for child in children if child.depth} == {0.1}
    assert Genome((4, 8), "tanh", dropout=0.1) in children


def test_shared_genes_come_from_either_parent_and_stay_shared() -> None:
    space = SearchSpace(depth=(1, 4), widths=WIDTHS, equal_widths=True, activation=("relu", "tanh"))
    first, second, rng = Genome((4, 4, 4), "relu"), Genome((8,), "tanh"), random.Random(0)
    children = {mix_layers(first, second, space, rng) for _ in range(200)}
    assert {(child.widths[0], child.activation) for child in children} == {
        (width, name) for width in (4, 8) for name in ("relu", "tanh")
    }
    assert all(len(set(child.widths)) == 1 for child in children)


# Mutations.


def test_nothing_to_change_gives_no_child() -> None:
    single = SearchSpace(depth=(2, 2), widths=(8,), activation=("relu",))
    genome = Genome((8, 8), "relu")
    assert all(mutation(genome, single, random.Random(0)) is None for mutation in MUTATIONS.values())
    assert mutate(genome, single, random.Random(0)) is None


@pytest.mark.parametrize(
    ("mutation", "change"), [(insert_layer, 1), (duplicate_layer, 1), (remove_layer, -1)]
)
def test_depth_changes_by_one_up_to_the_bounds(mutation: Mutation, change: int) -> None:
    plain = SearchSpace(depth=(1, 3), widths=WIDTHS)
    for depth in (1, 2, 3):
        expected = {depth + change} & set(plain.depths)
        assert {child.depth for child in reachable(mutation, Genome((8,) * depth), plain)} == expected


def test_a_linear_model_has_nothing_to_duplicate_or_swap_or_resize() -> None:
    for mutation in (duplicate_layer, remove_layer, widen, narrow, swap_activation):
        assert reachable(mutation, Genome((), learning_rate=0.01), OWN) == set()


def test_a_linear_model_gets_a_first_layer_of_any_kind() -> None:
    children = reachable(insert_layer, Genome((), learning_rate=0.01), OWN, n=2000)
    assert len(children) == len(WIDTHS) * 3 * 4
    assert all(child.depth == 1 and child.learning_rate == 0.01 for child in children)


def test_removing_a_layer_leaves_the_others_as_they_were() -> None:
    first, second, third = GENOME.layers
    assert {child.layers for child in reachable(remove_layer, GENOME, OWN)} == {
        (second, third),
        (first, third),
        (first, second),
    }
    assert {child.learning_rate for child in reachable(remove_layer, GENOME, OWN)} == {0.01}


def test_inserting_a_layer_leaves_the_others_as_they_were() -> None:
    places = set()
    for child in reachable(insert_layer, GENOME, OWN, n=600):
        rests = [child.layers[:i] + child.layers[i + 1 :] for i in range(4)]
        assert GENOME.layers in rests
        assert child.learning_rate == 0.01
        places |= {i for i in range(4) if rests[i] == GENOME.layers}
    assert places == {0, 1, 2, 3}


def test_an_inserted_layer_is_about_as_wide_as_a_neighbour() -> None:
    plain = SearchSpace(depth=(1, 4), widths=(1, 2, 4, 8, 16, 32, 64))
    children = {child.widths for child in reachable(insert_layer, Genome((2, 32)), plain, n=400)}
    first = {(width, 2, 32) for width in (1, 2, 4)}
    inner = {(2, width, 32) for width in (1, 2, 4, 16, 32, 64)}
    last = {(2, 32, width) for width in (16, 32, 64)}
    assert children == first | inner | last


def test_a_duplicate_stands_behind_its_original_in_every_gene() -> None:
    first, second, third = GENOME.layers
    assert {child.layers for child in reachable(duplicate_layer, GENOME, OWN)} == {
        (first, first, second, third),
        (first, second, second, third),
        (first, second, third, third),
    }


def test_widths_go_one_or_two_steps() -> None:
    plain = SearchSpace(depth=(1, 3), widths=(1, 2, 4, 8, 16, 32, 64))
    assert {child.widths for child in reachable(widen, Genome((8,)), plain)} == {(16,), (32,)}
    assert {child.widths for child in reachable(narrow, Genome((8,)), plain)} == {(4,), (2,)}
    assert {child.widths for child in reachable(widen, Genome((32,)), plain)} == {(64,)}
    assert reachable(widen, Genome((64,)), plain) == set()
    assert reachable(narrow, Genome((1,)), plain) == set()


@pytest.mark.parametrize("mutation", [widen, narrow])
def test_resizing_changes_one_width_and_nothing_else(mutation: Mutation) -> None:
    for child in reachable(mutation, GENOME, OWN):
        assert sum(a != b for a, b in zip(child.widths, GENOME.widths, strict=True)) == 1
        assert (child.activations, child.dropouts) == (GENOME.activations, GENOME.dropouts)
        assert child.learning_rate == GENOME.learning_rate


def test_equal_widths_change_together() -> None:
    equal = SearchSpace(depth=(1, 3), widths=WIDTHS, equal_widths=True)
    assert {child.widths for child in reachable(widen, Genome((8, 8)), equal)} == {(16, 16), (32, 32)}
    assert {child.widths for child in reachable(insert_layer, Genome((8, 8)), equal)} == {(8, 8, 8)}


def test_a_funnel_makes_room_for_what_changes() -> None:
    funnel = SearchSpace(depth=(1, 4), widths=WIDTHS, non_increasing=True)
    wider = {child.widths for child in reachable(widen, Genome((8, 8, 4)), funnel)}
    assert wider == {
        *((16, 8, 4), (32, 8, 4)),
        *((16, 16, 4), (32, 32, 4)),  # widening the second layer widened the first
        *((8, 8, 8), (16, 16, 16)),
    }
    narrower = {child.widths for child in reachable(narrow, Genome((8, 8, 4)), funnel)}
    assert narrower == {(4, 4, 4), (2, 2, 2), (8, 4, 4), (8, 2, 2), (8, 8, 2)}


def test_one_layers_activation_is_swapped_where_each_has_its_own() -> None:
    children = reachable(swap_activation, GENOME, OWN)
    assert len(children) == 6
    for child in children:
        assert sum(a != b for a, b in zip(child.layers, GENOME.layers, strict=True)) == 1
        assert (child.widths, child.dropouts) == (GENOME.widths, GENOME.dropouts)


def test_a_shared_activation_is_swapped_for_all_layers() -> None:
    space = SearchSpace(depth=(1, 3), widths=WIDTHS, activation=("relu", "tanh", "elu"))
    children = reachable(swap_activation, Genome((4, 8), "tanh"), space)
    assert children == {Genome((4, 8), "relu"), Genome((4, 8), "elu")}


def test_ordered_genes_step_to_neighbours() -> None:
    children = reachable(step_gene, GENOME, OWN)
    assert {child.learning_rate for child in children} == {0.01, 0.001, 0.1}
    stepped = {child.dropouts for child in children} - {GENOME.dropouts}
    assert stepped == {
        *((0.0, 0.1, 0.2), (0.2, 0.1, 0.2)),
        *((0.1, 0.0, 0.2), (0.1, 0.2, 0.2)),
        *((0.1, 0.1, 0.1), (0.1, 0.1, 0.3)),
    }
    assert all((child.learning_rate == 0.01) != (child.dropouts == GENOME.dropouts) for child in children)
    assert {child.activations for child in children} == {GENOME.activations}


def test_names_step_to_any_other() -> None:
    space = SearchSpace(
        depth=(1, 1),
        widths=(8,),
        optimizer=("adam", "sgd", "momentum"),
        schedule=("constant", "step", "cosine"),
    )
    children = reachable(step_gene, Genome((8,), optimizer="adam", schedule="constant"), space)
    assert {(child.optimizer, child.schedule) for child in children} == {
        *(("sgd", "constant"), ("momentum", "constant")),
        *(("adam", "step"), ("adam", "cosine")),
    }


def test_every_gene_steps_about_as_often_as_a_layer_is_inserted() -> None:
    space = SearchSpace(depth=(1, 9), widths=WIDTHS, learning_rate=(0.1, 0.2), batch_size=(8, 16))
    genome, rng = Genome((8, 8), learning_rate=0.1, batch_size=8), random.Random(0)
    names = [mutated[1] for _ in range(3000) if (mutated := mutate(genome, space, rng))]
    # Five operators that apply and two genes: sevenths, within four standard deviations.
    assert abs(names.count("step_gene") / 3000 - 2 / 7) < 0.033
    assert abs(names.count("insert_layer") / 3000 - 1 / 7) < 0.026


# Heredity.


def test_inherited_shares_of_a_worked_example() -> None:
    first = Genome((8, 16), ("relu", "tanh"), dropout=(0.1, 0.3))
    second = Genome((4, 32), ("elu", "silu"), dropout=(0.2, 0.4))
    child = Genome((8, 4), ("relu", "gelu"), dropout=(0.1, 0.2))
    # The first layer is the first parent's; width and dropout of the second are the second parent's.
    assert inherited(child, first, second) == pytest.approx((1.0, 2 / 3))
    assert inherited(Genome(()), first, second) == ()
    assert inherited(first, Genome(()), Genome(())) == (0.0, 0.0)


def test_genes_that_a_genome_does_not_carry_do_not_count() -> None:
    first, second = Genome((8, 16)), Genome((4, 32))
    assert inherited(Genome((8, 2)), first, second) == (1.0, 0.0)


def test_layers_are_inherited_in_order() -> None:
    # The first parent has 8 before 16: of a child with 16 before 8, a layer is not explained.
    first, second = Genome((8, 16)), Genome((2, 4))
    assert inherited(Genome((8, 16)), first, second) == (1.0, 1.0)
    assert sorted(inherited(Genome((16, 8)), first, second)) == [0.0, 1.0]


def test_a_layer_is_inherited_from_each_parent_once() -> None:
    assert sum(inherited(Genome((8, 8, 8)), Genome((8, 2)), Genome((8, 4)))) == 2


def test_what_a_parents_layers_have_in_common_comes_from_any_of_them() -> None:
    first, second = Genome((8, 16), "relu"), Genome((4,), "tanh")
    assert inherited(Genome((8, 16), "tanh"), first, second) == (1.0, 1.0)


@quick
@given(spaces(), randoms)
def test_a_copy_has_inherited_everything(space: SearchSpace, rng: random.Random) -> None:
    genome, other = space.sample(rng), space.sample(rng)
    everything = (1.0,) * genome.depth
    assert inherited(genome, genome, other) == inherited(genome, other, genome) == everything


def test_mixed_children_have_all_widths_of_parents_at_every_position() -> None:
    space, rng = SearchSpace(depth=(0, 6), widths=WIDTHS), random.Random(0)
    for _ in range(1000):
        first, second = space.sample(rng), space.sample(rng)
        child = mix_layers(first, second, space, rng)
        assert inherited(child, first, second) == (1.0,) * child.depth


@quick
@given(spaces(), randoms, crossovers)
def test_children_of_crossover_have_inherited_everything(
    space: SearchSpace, rng: random.Random, name: str
) -> None:
    for _ in range(10):
        first, second = space.sample(rng), space.sample(rng)
        child = CROSSOVERS[name](first, second, space, rng)
        assert inherited(child, first, second) == (1.0,) * child.depth


def test_unrelated_genomes_have_inherited_little() -> None:
    rng = random.Random(0)
    shares: list[float] = []
    for _ in range(300):
        unrelated, first, second = (OWN.sample(rng) for _ in range(3))
        shares += inherited(unrelated, first, second)
    assert fmean(shares) < 0.5
