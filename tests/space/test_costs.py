"""Costs of genomes and limits on them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import InputError
from nas.genome import Encoding, Genome
from nas.network import ACTIVATIONS
from nas.space import COSTS, Costs, Limits, SearchSpace, cost_model

SPACE = SearchSpace(
    depth=(0, 2), widths=(4, 8, 16), activation=("gelu", "relu"), activation_per_layer=True, name="mine"
)
MODEL = cost_model(5, 2)


def test_costs_of_a_worked_example() -> None:
    # 5·8 + 8 and 8·2 + 2 parameters; two operations a weight and one a bias; two layers and a relu.
    costs = MODEL(Genome((8,), "relu"))
    assert (costs.parameters, costs.flops) == (66, 2 * 56 + 10)
    assert costs.latency == pytest.approx(2 * 1.4 + 0.7 + 122 / 30_000, abs=1e-3)


def test_members_compute_each_layer_and_share_its_parameters() -> None:
    single, several = MODEL(Genome((8,), "relu")), MODEL(Genome((8,), "relu", members=4))
    # The outputs, 8·2 + 2, of three members more; and four factors for each of 5 inputs.
    assert several.parameters == single.parameters + 3 * 18 + 4 * 5
    assert several.flops == 4 * (single.flops + 5)
    assert several.latency == pytest.approx(4 * single.latency, rel=1e-2)
    space = SearchSpace(depth=(1, 1), widths=(8,), members=(1, 4, 8), name="mine")
    assert Limits(single.parameters).smallest(space, MODEL) == Genome((8,), members=1)
    allowed = [genome.members for genome in space if Limits(several.parameters).allow(MODEL(genome))]
    assert allowed == [1, 4]


def test_parametric_activations_and_skips_cost_something() -> None:
    plain = MODEL(Genome((8, 4, 4), "relu"))
    both = MODEL(Genome((8, 4, 4), "relu", parametric_activation=0.1, skips=1))
    assert both.parameters == plain.parameters + 16 + 8
    assert both.flops == plain.flops + 3 * 16 + 2 * 8
    assert both.latency == pytest.approx(plain.latency + 3 * 1.2 + 2 * 1.9, abs=0.01)


def test_a_genome_without_activation_costs_what_relu_costs() -> None:
    assert MODEL(Genome((8, 4))) == MODEL(Genome((8, 4), "relu"))


def test_every_activation_has_a_latency() -> None:
    least = MODEL(Genome(())).latency
    assert all(MODEL(Genome((8,), name)).latency > least for name in ACTIVATIONS)


widths = st.lists(st.integers(1, 500), min_size=1, max_size=4)


@given(widths, st.data())
def test_every_cost_grows_with_every_width(widths: list[int], data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(widths) - 1))
    wider = [*widths[:i], widths[i] + 50, *widths[i + 1 :]]
    less, more = MODEL(Genome(tuple(widths))), MODEL(Genome(tuple(wider)))
    assert (less.parameters, less.flops) < (more.parameters, more.flops)
    assert less.latency < more.latency


def test_limits_allow_what_they_name() -> None:
    costs = Costs(parameters=100, flops=200, latency=3.0)
    assert Limits().allow(costs)
    assert Limits(100, 200, 3.0).allow(costs)
    for name in COSTS:
        assert not Limits(**{name: getattr(costs, name) - 0.5}).allow(costs)


@given(st.floats(1, 400), st.floats(1, 800), st.floats(1, 20))
def test_the_smallest_is_the_smallest_of_all_that_are_allowed(
    parameters: float, flops: float, latency: float
) -> None:
    limits = Limits(parameters, flops, latency)
    allowed = [genome for genome in SPACE if limits.allow(MODEL(genome))]
    if not allowed:
        with pytest.raises(InputError):
            limits.smallest(SPACE, MODEL)
        return
    found = limits.smallest(SPACE, MODEL)
    assert found in allowed
    assert MODEL(found).parameters == min(MODEL(genome).parameters for genome in allowed)


@pytest.mark.parametrize(
    ("genes", "name"),
    list(
        itertools.product(
            (
                {"equal_widths": True},
                {"non_increasing": True},
                {"activation": ("sigmoid", "tanh"), "learning_rate": (0.1, 0.2), "schedule": ("constant",)},
                {"dropout": (0.0, 0.1), "dropout_per_layer": True},
            ),
            COSTS,
        )
    ),
    ids=str,
)
def test_the_smallest_is_in_any_space(genes: dict[str, Any], name: str) -> None:
    space = SearchSpace(depth=(1, 3), widths=(4, 8), **genes)
    least = min(getattr(MODEL(genome), name) for genome in space)
    smallest = Limits(**{name: least}).smallest(space, MODEL)
    assert smallest in space
    assert getattr(MODEL(smallest), name) == least


def test_costs_are_by_the_inputs_of_the_encoding() -> None:
    binned = Encoding(numeric_encoding="piecewise_linear")
    model = cost_model({Encoding(): 5, binned: 85}, 2)
    few, many = Genome((8,), numeric_encoding="none"), Genome((8,), numeric_encoding="piecewise_linear")
    assert (few.encoding, many.encoding) == (Encoding(), binned)
    assert model(many).parameters == model(few).parameters + 80 * 8 == 85 * 8 + 8 + 8 * 2 + 2
    assert model(many).flops == model(few).flops + 2 * 80 * 8
    assert model(many).latency > model(few).latency
    space = SearchSpace(depth=(1, 2), widths=(8, 16), numeric_encoding=("piecewise_linear", "none"))
    assert Limits(parameters=100).smallest(space, model) == few
    with pytest.raises(InputError, match="the least there is: 66 parameters"):
        Limits(parameters=60).smallest(space, model)


def test_a_contradiction_is_named_in_one_sentence() -> None:
    space = SearchSpace(depth=(1, 2), widths=(8, 16), name="mine")
    with pytest.raises(InputError) as caught:
        Limits(parameters=50, latency=9.0).smallest(space, MODEL)
    assert str(caught.value) == (
        "limits: expected some genome of space mine to be within at most 50 parameters, at most 9 µs of "
        "latency, got none; the least there is: 66 parameters, 3.504 µs of latency"
    )


def test_limits_survive_json() -> None:
    limits = Limits(parameters=1000, latency=2.5)
    assert limits.to_dict() == {"parameters": 1000, "latency": 2.5}
    assert Limits.from_dict(json.loads(json.dumps(limits.to_dict()))) == limits
    assert Limits().to_dict() == {}


def test_effort_has_a_part_that_no_size_saves() -> None:
    model = cost_model(18, 4)
    small, large = model(Genome((32,))), model(Genome((256, 256)))
    assert small.effort - small.flops == large.effort - large.flops > 0
    # As measured on vehicle, solo and in cohorts; see `nas.space.costs`.
    assert 10 < large.effort / small.effort < 20
