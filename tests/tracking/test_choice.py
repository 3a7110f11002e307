"""Who has a run of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import InputError
from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.tracking.choice import Elites, Tracking, elites


def told(number: int, fitness: float | None) -> tuple[Candidate, Evaluation]:
    candidate = Candidate(number, Genome((8,)), 0, 0, "random")
    if fitness is None:
        return candidate, Evaluation(number, error="diverged")
    return candidate, Evaluation(number, fitness=fitness)


def test_the_best_so_far_are_elites_when_they_come() -> None:
    best = Elites(2)
    came = [best.add(*told(i, x)) for i, x in enumerate([0.5, 0.4, 0.3, 0.45, 0.6, 0.45, None])]
    assert came == [True, True, False, True, True, False, False]
    assert best.ids == [4, 0]


@given(st.lists(st.floats(0, 1), max_size=40), st.integers(1, 5))
def test_elites_are_what_sorting_all_would_give(scores: list[float], n: int) -> None:
    best = Elites(n)
    for i, score in enumerate(scores):
        best.add(*told(i, score))
    assert best.ids == sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:n]


def test_the_policy_best_has_the_record_holders() -> None:
    best = elites("best")
    assert [best.add(*told(i, x)) for i, x in enumerate([0.1, 0.3, 0.2, 0.3, 0.4])] == [
        True,
        True,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("change", [{"policy": "some"}, {"register": " "}, {"register": "a/b"}])
def test_what_cannot_be_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(InputError, match=f"{'track' if 'policy' in change else 'register'}: expected"):
        Tracking("sqlite:///mlflow.db", **change)
