"""Cohorts follow from shapes alone, and are worth it."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits
from trainings import train, train_together

from nas import kernels
from nas.network import ACTIVATIONS, MLP
from nas.network.arrays import Floats, Ints
from nas.network.extras import Extras
from nas.network.optimizers import PIECE
from nas.training import Member, Plan, TrainingConfig, plan
from nas.training.cohort import Cohort
from nas.training.layout import Layout, Place
from nas.training.planner import COSTS, MOST, predicted, work
from nas.training.shapes import Shape

CONFIG = TrainingConfig(epochs=4, batch_size=32, patience=None)


def one(*widths: int, config: TrainingConfig = CONFIG, inputs: int = 64, activation: str = "relu") -> Plan:
    return Plan((inputs, *widths, 10), (activation,) * len(widths), config)


@given(
    widths=st.lists(st.lists(st.sampled_from([1, 4, 8, 9, 16, 40]), max_size=4), min_size=1, max_size=9),
    inputs=st.sampled_from([1, 8, 64]),
    data=st.data(),
)
def test_counts_are_those_of_the_members_places(
    widths: list[list[int]], inputs: int, data: st.DataObject
) -> None:
    shapes = []
    for hidden in widths:
        sizes = (inputs, *hidden, 3)
        names = data.draw(st.tuples(*[st.sampled_from(["relu", "tanh"])] * len(hidden)))
        extras = Extras(is_parametric=data.draw(st.booleans()), has_skips=data.draw(st.booleans()))
        shapes.append(Shape.of(sizes, names, tiled=len(widths) > 1, extras=extras))
    layout = Layout(shapes, tiled=len(shapes) > 1)
    assert layout.depth == max(shape.depth for shape in shapes)
    taken = np.zeros(layout.size, int)
    for layer in range(1, layout.depth + 2):
        places = [place for member in layout.places for place in member if place.layer == layer]
        rows = [row for place in places for row in range(place.rows.start, place.rows.stop)]
        n_ones = len(places) if layer <= layout.depth else 0
        assert len(set(rows)) == len(rows) <= layout.n_rows[layer] - n_ones
        if layer != 1 or not layout.tiled or not layout.depth:  # there may be spare rows
            assert len(rows) == layout.n_rows[layer] - n_ones
        for place in places:
            taken[place.numbers] += 1
            assert place.numbers.stop - place.numbers.start == place.shape[0] * place.shape[1]
        if layer <= layout.depth:
            runs = list(layout.runs(layer))
            kinds = [((run.name, run.blends is not None), run.rows) for run in runs]
            assert kinds == neighbours(shapes, places, layer)
            for run in runs:
                length = run.rows.stop - run.rows.start
                assert run.blends is None or run.blends.stop - run.blends.start == length
        if layer > 1 or not layout.depth:
            stacks = list(layout.stacks(layer))
            assert stacks == stacked(places)
            counts = [(len(stack), stack[0].source, *stack[0].shape) for stack in stacks]
            assert layout.stack_counts[-1 if layer > layout.depth else layer - 2] == counts
    for shape, of_layers in zip(shapes, layout.unit_places, strict=True):
        for (blends, gains), *counted in zip(of_layers, *shape.unit_counts, strict=True):
            assert [blends.stop - blends.start, gains.stop - gains.start] == counted
            taken[blends] += 1
            taken[gains] += 1
    assert taken.max() == 1  # no number is in two places


def neighbours(shapes: list[Shape], places: list[Place], layer: int) -> list[tuple[Any, slice]]:
    """The rows of each run of one activation, parametric or not, from the members' places."""
    names = [
        (shape.activations[layer - 1], shape.extras.is_parametric) for shape in shapes if shape.depth >= layer
    ]
    runs: list[tuple[Any, slice]] = []
    for name, place in zip(names, places, strict=True):
        if runs and runs[-1][0] == name:
            runs[-1] = (name, slice(runs[-1][1].start, place.rows.stop))
        else:
            runs.append((name, place.rows))
    return runs


def stacked(places: list[Place]) -> list[list[Place]]:
    """Places side by side that can be one stack: equal shapes and sources, and units that are neighbours."""
    stacks: list[list[Place]] = []
    for place in places:
        last = stacks[-1][-1] if stacks else None
        if (
            last is not None
            and (last.shape, last.source) == (place.shape, place.source)
            and (place.source == 0 or last.source_rows.stop + 1 == place.source_rows.start)
        ):
            stacks[-1].append(place)
        else:
            stacks.append([place])
    return stacks


def test_work_is_counted_for_every_cost() -> None:
    assert set(work([one(8)])) == set(COSTS)


shapes = st.lists(st.integers(1, 300), max_size=4)


@given(widths=st.lists(shapes, min_size=1, max_size=20), most=st.integers(1, MOST), data=st.data())
@settings(max_examples=40, deadline=None)
def test_each_network_is_in_a_single_cohort_that_can_train_together(
    widths: list[list[int]], most: int, data: st.DataObject
) -> None:
    plans = [one(*w, config=replace(CONFIG, batch_size=data.draw(st.sampled_from([16, 32])))) for w in widths]
    cohorts = plan(plans, most)
    assert sorted(i for cohort in cohorts for i in cohort) == list(range(len(plans)))
    for cohort in cohorts:
        assert 1 <= len(cohort) <= most
        assert len({plans[i].config.batch_size for i in cohort}) == 1
        assert cohort == sorted(cohort)
        # Not worse than its members solo, by the model.
        assert predicted([plans[i] for i in cohort]) <= sum(predicted([plans[i]]) for i in cohort)


@pytest.mark.parametrize("inputs", [8, 64, 784])
@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_the_model_counts_the_products_that_are_done(inputs: int, n: int) -> None:
    # Without hidden widths beyond a panel, whose products are cut further.
    rng = random.Random(n)
    plans = [one(*rng.choices([8, 16, 24, 48], k=rng.randint(1, 3)), inputs=inputs) for _ in range(n)]
    networks = [MLP(p.sizes, p.activations, "cross_entropy") for p in plans]
    members = [
        Member(network, p.config, np.random.default_rng(0))
        for network, p in zip(networks, plans, strict=True)
    ]
    with kernels.disabled():  # cohorts are planned by NumPy's calls, whatever does the work
        cohort = Cohort(members, tiled=n > 1)
        cohort.step(np.zeros((32, inputs), np.float32), np.zeros(32, int), np.arange(32), None, 1.0)
    space = cohort._space(32)
    names = [getattr(call, "func", call).__name__ for call, _ in (*space._forward, *space._backward)]
    done = sum(name in ("matmul", "dot") for name in names)
    layers = range(1, cohort.layout.depth + 1)
    activations = sum(
        ACTIVATIONS[run.name].operations for layer in layers for run in cohort.layout.runs(layer)
    )
    counted = work(plans)["calls"] - 3 - activations - 10 * -(-cohort.layout.size // PIECE)
    assert counted == done


def test_the_model_counts_what_is_done_to_drop_units() -> None:
    plain = [one(8, 16, 8), one(16, 8), one(24), one()]
    shares: list[float | tuple[float, ...]] = [(0.0, 0.0, 0.5), (0.1, 0.0), (0.2,), 0.3]
    dropping = [
        replace(p, config=replace(CONFIG, dropout=share)) for p, share in zip(plain, shares, strict=True)
    ]
    # Two masks in the first layer, one in the third: each drawn by 4 calls, and a layer's masks go
    # into both passes.
    assert work(dropping)["calls"] == work(plain)["calls"] + 4 * 3 + 2 * 2

    def n_calls(plans: list[Plan]) -> int:
        networks = [MLP(p.sizes, p.activations, "cross_entropy") for p in plans]
        members = [
            Member(network, p.config, np.random.default_rng(0))
            for network, p in zip(networks, plans, strict=True)
        ]
        space = Cohort(members, tiled=True)._space(32)
        return len(space._forward) + len(space._backward)

    assert n_calls(dropping) == n_calls(plain) + 2 * 2


def test_the_model_counts_smoothed_labels_and_optimizers_of_their_own() -> None:
    plain = [one(8, 16), one(16), one(24)]

    def changed(**changes: Any) -> list[Plan]:
        return [*plain[:2], replace(plain[2], config=replace(CONFIG, **changes))]

    calls = work(plain)["calls"]
    assert work(changed(label_smoothing=0.1))["calls"] == calls + 20
    # Rates that differ are two more operations on every parameter.
    assert work(changed(bias_rate=0.1))["calls"] == calls + 2
    assert work(changed(parametrization="ntk"))["calls"] == calls + 2
    # Two rules, each with a piece in every layer, instead of one piece; 10 operations on each.
    assert work(changed(beta2=0.95))["calls"] == calls + 10 * (2 * 3 - 1)
    assert work([replace(p, config=replace(CONFIG, beta2=0.95)) for p in plain]) == work(plain)


@pytest.mark.parametrize("members", [1, 4])
def test_the_model_counts_the_parts_of_clipped_gradients(members: int) -> None:
    clips = replace(CONFIG, clip_norm=1.0)
    front: dict[str, Any] = {} if members > 1 else {"front_scaling": 6.0, "parametric_activation": 0.1}
    config = replace(clips, **front)
    plans = [one(8, 16, config=config), one(16, 16, config=clips), one(24)]
    plans = [replace(p, members=members) for p in plans]
    if members == 1:
        plans[0] = replace(plans[0], periodic=(1,), has_skips=True)
    networks = [
        MLP(p.sizes, p.activations, "cross_entropy", extras=p.extras, members=p.members) for p in plans
    ]
    cohort = Cohort([Member(n, p.config) for n, p in zip(networks, plans, strict=True)], tiled=True)
    n_parts = sum(len(cohort._storage.parts(i)) for i, m in enumerate(cohort.members) if m.config.clip_norm)
    without = [replace(p, config=replace(p.config, clip_norm=None)) for p in plans]
    assert work(plans)["calls"] - work(without)["calls"] == 2 * n_parts > 0


def test_the_model_counts_the_calls_in_front_of_first_layers() -> None:
    scaled = replace(CONFIG, front_scaling=6.0)
    plans = [one(8, 16, config=scaled), one(8, config=scaled), one(16), one(config=scaled), one()]
    waves = [replace(p, periodic=(0, 2)) for p in plans]

    def n_calls(plans: list[Plan]) -> int:
        networks = [MLP(p.sizes, p.activations, "cross_entropy", extras=p.extras) for p in plans]
        members = [Member(n, p.config) for n, p in zip(networks, plans, strict=True)]
        space = Cohort(members, tiled=len(plans) > 1)._space(32)
        return len(space._forward) + len(space._backward)

    for some in (plans, plans[:1], waves, waves[:1], [*plans[:2], *waves[2:]]):
        plain = [replace(p, config=CONFIG, periodic=()) for p in some]
        # Rates differ: two more operations on every parameter.
        assert work(some)["calls"] - work(plain)["calls"] - 2 == n_calls(some) - n_calls(plain) > 0
        assert work(some)["parameters"] > work(plain)["parameters"]
    assert work(plans[2:3]) == work([replace(plans[2], config=CONFIG)])


def test_the_model_counts_the_calls_of_parametric_activations_skips_and_layer_norm() -> None:
    plain = [one(8, 16), one(8), one(16, 16), one(16, 16), one()]
    blended = [replace(p, config=replace(CONFIG, parametric_activation=0.1)) for p in plain]
    skipping = [replace(p, has_skips=True) for p in plain]
    both = [replace(p, has_skips=True) for p in blended]
    normed = [replace(p, is_normalized=True) for p in plain]
    narrow = [*normed[:1], *plain[1:3], replace(normed[3], sizes=(64, 15, 13, 10)), plain[4]]

    def n_calls(plans: list[Plan]) -> int:
        networks = [MLP(p.sizes, p.activations, "cross_entropy", extras=p.extras) for p in plans]
        members = [Member(n, p.config) for n, p in zip(networks, plans, strict=True)]
        space = Cohort(members, tiled=len(plans) > 1)._space(32)
        return len(space._forward) + len(space._backward)

    with kernels.disabled():
        calls, done = work(plain)["calls"], n_calls(plain)
        some_skip, some_norm = [*skipping[:2], *plain[2:]], [*both[:1], *normed[1:]]
        for some, n_rates in (
            *[(blended, 2), (skipping, 0), (both, 2), (some_skip, 0)],
            *[(normed, 0), (narrow, 0), (some_norm, 2)],
        ):
            # Rates that differ are two more operations on every parameter.
            assert work(some)["calls"] - calls - n_rates == n_calls(some) - done > 0


@given(share=st.floats(0, 0.9), widths=st.lists(st.integers(1, 99), max_size=3))
def test_one_dropout_is_as_much_work_as_the_same_for_every_layer(share: float, widths: list[int]) -> None:
    same = replace(CONFIG, dropout=(share,) * len(widths))
    assert work([one(*widths, config=replace(CONFIG, dropout=share))]) == work([one(*widths, config=same)])


def test_small_networks_train_together_and_large_ones_alone() -> None:
    assert plan([one(16)] * 20) == [list(range(20))]
    assert plan([one(1024, 1024)] * 3) == [[0], [1], [2]]


def test_the_longest_comes_first() -> None:
    cohorts = plan([one(8), one(512, 512), one(8)])
    assert cohorts == [[1], [0, 2]]


def test_a_plan_follows_from_its_arguments_alone() -> None:
    rng = random.Random(0)
    plans = [one(*rng.choices([8, 16, 48, 130, 256], k=rng.randint(0, 3))) for _ in range(30)]
    assert plan(plans) == plan(plans)
    # Another order of the same: the same networks together, where no two are the same.
    distinct = list({p.sizes: p for p in plans}.values())
    there = {frozenset(distinct[i].sizes for i in cohort) for cohort in plan(distinct)}
    back = {frozenset(distinct[::-1][i].sizes for i in cohort) for cohort in plan(distinct[::-1])}
    assert there == back


def seconds(plans: list[Plan], X: Floats, y: Ints, *, together: bool) -> float:
    networks = [
        MLP(p.sizes, p.activations, "cross_entropy", rng=np.random.default_rng(i))
        for i, p in enumerate(plans)
    ]
    since = time.process_time()  # wall time counts what else the machine does
    if together:
        train_together(networks, X, y, [p.config for p in plans])
    else:
        for network, p in zip(networks, plans, strict=True):
            train(network, X, y, p.config)
    return time.process_time() - since


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("case", ["tiny", "mixed", "different rates"])
def test_cohorts_are_never_slower_than_their_members_solo(case: str) -> None:
    rng, generator = random.Random(1), np.random.default_rng(0)
    X = generator.normal(size=(1500, 64)).astype(np.float32)
    y = generator.integers(10, size=1500)
    choices = [4, 8, 16, 32] if case == "tiny" else [16, 32, 48, 64, 96, 128, 192, 256]
    plans = [one(*rng.choices(choices, k=rng.randint(1, 3))) for _ in range(16)]
    if case == "different rates":
        rates = [0.0005 * 2 ** rng.randint(0, 4) for _ in plans]
        plans = [
            replace(p, config=replace(CONFIG, learning_rate=rate, weight_decay=rate / 10))
            for p, rate in zip(plans, rates, strict=True)
        ]
    cohorts = [[plans[i] for i in cohort] for cohort in plan(plans)]
    assert any(len(cohort) > 1 for cohort in cohorts)
    with threadpool_limits(1):
        times = np.array(
            [
                [
                    sum(seconds(cohort, X, y, together=together) for cohort in cohorts)
                    for together in (True, False)
                ]
                for _ in range(5)
            ]
        )
    together, alone = times.min(axis=0)  # other processes only add to a time
    assert together < (0.5 if case == "tiny" else 1.0) * alone
