"""The numbers behind a report's pictures."""

from __future__ import annotations

import itertools
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.reporting.advice import advice, borders
from nas.reporting.analysis import (
    changed,
    deep_or_wide,
    expected_best,
    front,
    gains,
    lineage,
    random_expectation,
    structure_map,
)
from nas.reporting.history import History
from nas.reporting.networks import Network
from nas.reporting.summary import winner_and_fittest
from nas.space import SearchSpace

SPACE = SearchSpace(depth=(1, 3), widths=(8, 16, 32, 64), activation=("relu", "tanh"))


def candidate(number: int, widths: tuple[int, ...], operator: str = "random", **more: Any) -> Candidate:
    activation = more.pop("activation", "relu")
    return Candidate(number, Genome(widths, activation), 0, 0, operator, **more)


def network(one: Candidate, fitness: float, **rungs: float) -> Network:
    n = one.genome.n_parameters(4, 2)
    by_rung = {int(key[1:]): value for key, value in rungs.items()} or {0: fitness}
    return Network(one, Evaluation(one.id, fitness=fitness, n_parameters=n), 10, by_rung)


def history(networks: list[Network], candidates: list[Candidate] | None = None, winner: int = 0) -> History:
    those = candidates or [one.candidate for one in networks]
    return History(
        folder=Path("runs/one"),
        name="one",
        identity={"metric": "accuracy"},
        config={},
        result={},
        space=SPACE,
        candidates={one.id: one for one in those},
        networks=networks,
        failures=[],
        generations=[],
        n_evaluations=len(those),
        curves={},
        winner=winner,
    )


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_the_expected_best_is_the_mean_over_all_choices(values: list[float]) -> None:
    sizes = np.arange(1, len(values) + 1)
    for k, mean in zip(sizes.tolist(), expected_best(np.sort(values), sizes), strict=True):
        assert mean == pytest.approx(fmean(max(some) for some in itertools.combinations(values, k)))


def test_random_search_is_judged_by_random_networks_alone() -> None:
    drawn = [network(candidate(i, (8,)), i / 10) for i in range(8)]
    bred = [network(candidate(9, (16,), "widen_layer"), 5.0)]
    assert random_expectation(drawn[:7] + bred) is None
    found = random_expectation(drawn + bred)
    assert found is not None
    assert found.n == 8
    assert found.mean[-1] == pytest.approx(0.7)
    assert found.mean[0] == pytest.approx(0.35)
    # Random ones that a model has chosen are no random sample.
    late = [*drawn, *bred, *(network(candidate(i, (8,)), 9.0) for i in range(20, 30))]
    few = random_expectation(late, preselected=True)
    assert few is not None
    assert (few.n, few.mean[-1]) == (11, 9.0)
    assert (found.low <= found.high).all()
    assert (found.low[0], found.high[0]) == (0.0, 0.7)
    # The best of 8 draws of 8 is among the lowest 5 with a chance of (5 / 8) ** 8, 2 %, and of 6 with 10 %.
    assert (found.low[-1], found.high[-1]) == (0.5, 0.7)


def test_a_lineage_goes_from_the_first_ancestor_to_the_winner() -> None:
    first = candidate(0, (16,), epochs=4)
    on = candidate(1, (16,), "continue", parents=(0,), inherits=0, epochs_done=4, epochs=12)
    other = candidate(2, (8, 8))
    child = candidate(3, (32, 8), "crossover:mix_layers", parents=(2, 1), inherits=1, activation="tanh")
    networks = [network(first, 0.6, r4=0.5, r12=0.6), network(other, 0.4), network(child, 0.7)]
    steps = lineage(history(networks, [first, on, other, child], winner=3))
    assert [step.candidate.id for step in steps] == [0, 1, 3]
    assert steps[0].changes == "drawn at random"
    assert steps[1].changes == "trained further, up to 12 epochs"
    assert steps[2].changes == "layer 1: 16 → 32, a new layer 2 of 8, activation: relu → tanh"
    assert [step.gain for step in steps] == [None, pytest.approx(0.1), pytest.approx(0.1)]


def test_changes_are_listed_layer_by_layer() -> None:
    parent = Candidate(0, Genome((64, 16, 8), ("relu", "tanh", "relu"), learning_rate=0.001), 0, 0, "random")
    child = Candidate(1, Genome((64, 8), ("relu", "relu"), learning_rate=0.002), 0, 0, "remove_layer")
    assert changed(parent, child) == "without layer 2 of 16, learning rate: 0.001 → 0.002"


def test_gains_are_counted_after_the_same_epochs_against_the_better_parent() -> None:
    mother, father = candidate(0, (8,), epochs=4), candidate(1, (16,), epochs=4)
    networks = [
        network(mother, 0.9, r4=0.5, r12=0.9),
        network(father, 0.6, r4=0.6),
        network(candidate(2, (32,), "widen_layer", parents=(0,), epochs=4), 0.7, r4=0.7),
        network(candidate(3, (64,), "widen_layer", parents=(1,), epochs=4), 0.5, r4=0.5),
        network(
            candidate(4, (8, 8), "crossover:mix_layers+widen_layer", parents=(0, 1), epochs=4), 0.8, r4=0.8
        ),
        network(candidate(5, (8, 16), "widen_layer", parents=(0,), epochs=36), 0.8, r36=0.8),
    ]
    found = {row.kind: row for row in gains(history(networks))}
    assert set(found) == {"widen layer", "mix layers (crossover)"}
    assert found["widen layer"].n == 2
    assert found["widen layer"].mean == pytest.approx(0.05)
    assert found["widen layer"].error == pytest.approx(0.15)
    assert found["widen layer"].share_better == 0.5
    assert found["mix layers (crossover)"].mean == pytest.approx(0.2)


def test_deep_and_wide_are_compared_among_equally_large() -> None:
    networks = [
        network(candidate(i, w), f) for i, (w, f) in enumerate([((8,), 0.5), ((8,), 0.6), ((4, 4), 0.7)])
    ]
    (size,) = deep_or_wide(networks)
    assert (size.n_single, size.single, size.n_deep, size.deep) == (2, 0.6, 1, 0.7)
    assert size.low <= Genome((8,)).n_parameters(4, 2) < 2 * size.low


def test_the_map_counts_by_depth_and_mean_width() -> None:
    networks = [
        network(candidate(i, w), f) for i, (w, f) in enumerate([((8,), 0.5), ((9,), 0.7), ((4, 16), 0.6)])
    ]
    cells = {(cell.depth, cell.width): (cell.n, cell.median, cell.best) for cell in structure_map(networks)}
    assert cells == {(1, 8): (2, pytest.approx(0.6), 0.7), (2, 8): (1, 0.6, 0.6)}


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_the_front_is_not_dominated_and_dominates_all_others(points: list[tuple[int, int]]) -> None:
    networks = [network(candidate(i, (8,)), float(f)) for i, (_, f) in enumerate(points)]
    found = front(networks, [float(cost) for cost, _ in points])
    for cost, fitness in points:
        assert any(points[i][0] <= cost and points[i][1] >= fitness for i in found)
    for i, j in itertools.permutations(found, 2):
        assert not (points[i][0] <= points[j][0] and points[i][1] >= points[j][1])


def test_the_border_of_a_space_is_named() -> None:
    found = borders(Genome((64, 16, 8), "relu"), SPACE)
    assert [border.text for border in found] == [
        "depth, at its most of 3",
        "width, at its most of 64",
        "width, at its least of 8",
    ]
    assert borders(Genome((16, 32), "relu"), SPACE) == []


def test_advice_follows_from_what_happened() -> None:
    flat = [network(candidate(i, (16, 32)), 0.5 + 0.1 * (i == 0)) for i in range(30)]
    assert advice(history(flat))[0].startswith("Stop here")
    rising = [network(candidate(i, (16, 32)), i / 100) for i in range(30)]
    (more,) = advice(history(rising, winner=29))
    assert more.startswith(
        "More candidates: in the last third of the search the best score still improved by 0.0900"
    )


def test_a_larger_space_is_advised_if_networks_at_its_border_are_better() -> None:
    def found(border: float) -> list[str]:
        best = network(candidate(0, (64, 16)), 0.9)
        at = [network(candidate(i, (64, 16)), border + i / 1000) for i in range(1, 11)]
        within = [network(candidate(i, (16, 32)), 0.5 + i / 1000) for i in range(11, 31)]
        return advice(history([best, *at, *within]))

    (larger,) = found(0.7)
    assert "width, at its most of 64" in larger
    assert found(0.5)[0].startswith("Stop here")


@pytest.mark.parametrize(("n", "words"), [(1, "1 network was trained"), (12, "12 networks were trained")])
def test_few_networks_are_no_reason_for_a_verdict(n: int, words: str) -> None:
    (note,) = advice(history([network(candidate(i, (64, 16)), i / 10) for i in range(n)]))
    assert note.startswith(f"No verdict yet: {words}")
    assert "--candidates 60" in note


def test_a_better_score_than_the_winners_is_explained() -> None:
    one, other = network(candidate(0, (16,)), 0.8), network(candidate(1, (32, 8)), 0.9)
    base = history([one, other])
    assert winner_and_fittest(history([one, other], winner=1)) == []

    def explained(**result: Any) -> str:
        changed = {"result": {"validation_score": 0.8, **result}, "identity": {"metric": "neg_log_loss"}}
        (note,) = winner_and_fittest(History(**{**vars(base), **changed}))
        return note

    def finalist(network: Network, *scores: float) -> dict[str, Any]:
        return {"genome": network.genome.to_dict(), "scores": scores}

    both = [finalist(one, -0.2, -0.4), finalist(other, -0.5, -0.5)]
    text = explained(finalists=both)
    assert text.startswith("Candidate 1 (32-8 units) has the best log loss of the search")
    assert text.endswith("decided: 0.3000 for the winner, 0.5000 for it.")
    assert "It was not among the finalists," in explained(finalists=both[:1])
    assert "ended before candidates were trained anew" in explained()
