"""Operators as text and back, and the parent that a child starts from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from landscape import individual

from nas.evolution import Operator, Origin, Proposal
from nas.evolution.lineage import most_similar_parent
from nas.evolution.operators import CROSSOVERS, MUTATIONS
from nas.genome import Genome

operators = st.builds(
    lambda first, mutations: Operator(first[0], first[1], tuple(mutations)),
    st.sampled_from([(origin, None) for origin in Origin] + [(None, name) for name in [*CROSSOVERS, None]]),
    st.lists(st.sampled_from(list(MUTATIONS)), max_size=3),
).filter(lambda operator: bool(str(operator)))


@given(operators)
def test_an_operator_is_read_from_its_own_text(operator: Operator) -> None:
    assert Operator.parse(str(operator)) == operator


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("random", Operator(Origin.RANDOM)),
        ("continue", Operator(Origin.CONTINUE)),
        ("rescore", Operator(Origin.RESCORE)),
        ("widen", Operator(mutations=("widen",))),
        ("widen+step_gene", Operator(mutations=("widen", "step_gene"))),
        ("crossover:mix_layers", Operator(crossover="mix_layers")),
        ("crossover:cut_and_splice+narrow", Operator(crossover="cut_and_splice", mutations=("narrow",))),
        ("a_name_of_a_later_version", Operator(mutations=("a_name_of_a_later_version",))),
    ],
)
def test_texts_of_journals_are_read(text: str, operator: Operator) -> None:
    assert Operator.parse(text) == operator
    assert str(operator) == text


def test_one_more_mutation_comes_last() -> None:
    operator = Operator(crossover="mix_layers").followed_by("widen").followed_by("narrow")
    assert str(operator) == "crossover:mix_layers+widen+narrow"


def test_weights_come_from_the_most_similar_parent_with_the_same_inputs() -> None:
    near, far = individual(0, Genome((8, 8)), 0.5), individual(1, Genome((32, 2)), 0.9)
    child = Genome((8, 4))
    assert most_similar_parent(Proposal(child, Operator(), (far, near))) is near
    other_inputs = individual(2, Genome((8, 4), scaling="quantile"), 0.9)
    assert most_similar_parent(Proposal(child, Operator(), (far, other_inputs))) is far
    assert most_similar_parent(Proposal(child, Operator(), (other_inputs,))) is None
    more_inputs = individual(3, Genome((8, 4), scaling="standard", numeric_encoding="piecewise_linear"), 0.9)
    assert most_similar_parent(Proposal(child, Operator(), (far, more_inputs))) is more_inputs
    assert most_similar_parent(Proposal(child, Operator(Origin.RANDOM))) is None
