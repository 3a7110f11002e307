"""Who has a run of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import InputError
from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.tracking.choice import ChildChoice, Elites, Tracking


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
    best = ChildChoice("best")
    assert [best.add(*told(i, x)) for i, x in enumerate([0.1, 0.3, 0.2, 0.3, 0.4])] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_up_to_a_thousand_candidates_all_have_a_run() -> None:
    choice = ChildChoice("auto", 1000)
    pairs = [told(i, 0.1) for i in range(1000)]
    assert all(choice.add(*pair) for pair in pairs)
    assert choice.rest(pairs[0][0]) == []
    # Networks that are trained on are evaluated again, and are no further candidates.
    again = Candidate(1000, Genome((8,)), 0, 0, "continue", epochs_done=3)
    assert choice.add(again, Evaluation(1000, fitness=0.2))


def test_a_search_of_unknown_length_has_all_its_runs_at_the_end_if_they_are_few() -> None:
    choice = ChildChoice("auto")
    for i in range(1000):
        assert choice.add(*told(i, 0.1))
    again = Candidate(1000, Genome((8,)), 0, 0, "continue", epochs_done=3)
    assert not choice.add(again, Evaluation(1000, fitness=0.05))
    assert choice.rest(None) == [1000]


@given(st.permutations(list(range(1000, 1030))), st.integers(0, 999))
def test_of_more_the_first_thousand_and_the_best_have_a_run_in_any_order(later: list[int], best: int) -> None:
    choice = ChildChoice("auto", 2000)
    scores = {number: 0.5 + number / 10_000 for number in later}
    now = [number for number in range(1000) if choice.add(*told(number, 0.9 if number == best else 0.1))]
    assert not any(choice.add(*told(number, scores[number])) for number in later)
    assert now == list(range(1000))
    winner = told(1000, 0.5)[0]
    assert choice.rest(winner) == [best, *range(1029, 1020, -1), 1000]


@pytest.mark.parametrize("change", [{"policy": "some"}, {"register": " "}, {"register": "a/b"}])
def test_what_cannot_be_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(InputError, match=f"{'track' if 'policy' in change else 'register'}: expected"):
        Tracking("sqlite:///mlflow.db", **change)
