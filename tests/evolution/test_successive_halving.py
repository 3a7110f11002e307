"""Successive halving: who goes on, when, and from where."""

from __future__ import annotations

from collections import deque

import pytest
from landscape import RUNGS, ask_all, drive, individual, judge

from nas.evaluation import Candidate, Evaluation
from nas.evolution import ALGORITHMS, Engine, EngineOptions, Individual
from nas.evolution.ranking import ByFitness
from nas.evolution.successive_halving import CONTINUE, SuccessiveHalving, rungs_up_to
from nas.genome import Genome
from nas.space import SearchSpace, cost_model


def enter(
    halving: SuccessiveHalving,
    values: list[float],
    *,
    first: int = 0,
    epochs: int = 3,
    stopped: str = "epochs",
) -> None:
    for i, value in enumerate(values, first):
        halving.enter(individual(i, Genome((i + 1,)), value, epochs=epochs, stopped=stopped))


def promoted(halving: SuccessiveHalving, at_most: int = 99) -> list[int]:
    return [one.id for one in halving.promoted(at_most)]


def test_the_best_third_goes_on_once() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [0.1, 0.6, 0.3, 0.5, 0.2, 0.4, 0.0, 0.05])
    assert promoted(halving) == [1, 3]
    assert promoted(halving) == []
    enter(halving, [0.01], first=8)
    assert promoted(halving) == [5]  # three of nine


def test_fewer_than_three_wait() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [0.1, 0.2])
    assert promoted(halving) == []
    assert [one.id for one in halving.waiting()] == [0, 1]


def test_the_highest_rung_goes_first() -> None:
    halving = SuccessiveHalving((3, 9, 27))
    enter(halving, [0.9, 0.8, 0.7])
    enter(halving, [0.3, 0.2, 0.1], first=3, epochs=9)
    assert promoted(halving) == [3, 0]


def test_whoever_is_too_many_goes_next_time() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [0.1 * i for i in range(9)])
    assert promoted(halving, at_most=2) == [8, 7]
    assert promoted(halving, at_most=0) == []
    assert promoted(halving, at_most=2) == [6]


def test_who_stopped_early_counts_and_stays() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [0.9], stopped="patience")
    enter(halving, [0.5, 0.4, 0.3, 0.2, 0.1], first=1)
    assert promoted(halving) == [1]  # the second of the two best of six


def test_the_last_rung_is_the_end() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [0.1, 0.2, 0.3], epochs=9)
    assert promoted(halving) == []
    assert halving.waiting() == []


def test_who_is_far_behind_waits_no_longer() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [-0.1 * i for i in range(30)])
    assert promoted(halving) == list(range(10))
    assert [one.id for one in halving.waiting()] == list(range(10, 22))


def test_the_latest_five_hundred_are_ranked() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [0.9] * 500)
    assert len(promoted(halving, at_most=999)) == 166
    # None of all who ever came would be among the best third now.
    enter(halving, [0.1 + 0.0001 * i for i in range(500)], first=500)
    assert promoted(halving, at_most=999) == list(range(999, 833, -1))
    assert all(one.id >= 500 for one in halving.waiting())


def test_ranks_are_the_engines() -> None:
    class ByAge(ByFitness):
        def position(self, individual: Individual) -> int:
            return sorted(one.id for one in self.best(len(self))).index(individual.id)

    halving = SuccessiveHalving((3, 9), ByAge)
    enter(halving, [0.1, 0.2, 0.3])
    assert promoted(halving) == [0]


@pytest.mark.parametrize("rungs", [(), (9, 3), (3, 3), (0, 3)])
def test_rungs_that_do_not_rise_are_refused(rungs: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rungs: expected rising numbers of epochs, got"):
        SuccessiveHalving(rungs)


@pytest.mark.parametrize(
    ("epochs", "steps", "rungs"),
    [
        *(
            (1, 1, (1,)),
            (11, 1, (11,)),
            (12, 1, (4, 12)),
            (100, 1, (11, 33, 100)),
            (300, 33, (11, 33, 100, 300)),
        ),
        *((81, 123, (3, 9, 27, 81)), (20, 5000, (2, 6, 20)), (2, 5000, (2,)), (12, 400, (1, 4, 12))),
    ],
)
def test_rungs_are_thirds_down_to_some_hundred_steps(epochs: int, steps: int, rungs: tuple[int, ...]) -> None:
    assert rungs_up_to(epochs, steps) == rungs
    assert SuccessiveHalving(rungs).rungs == rungs


# With engines.


def racing_engine(algorithm: str, space: SearchSpace) -> Engine:
    strategy, options = ALGORITHMS[algorithm](), EngineOptions(costs=cost_model(4, 2))
    halving = SuccessiveHalving(RUNGS, strategy.archive.new_ranking)
    return Engine(strategy, space, 0, options, halving=halving)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_who_goes_on_says_from_where_and_how_far(algorithm: str, space: SearchSpace) -> None:
    candidates = drive(racing_engine(algorithm, space), 150)
    continued = [one for one in candidates if one.operator == CONTINUE]
    assert {(one.epochs_done, one.epochs) for one in continued} == {(3, 9), (9, 27)}
    assert len({(one.genome, one.epochs) for one in continued}) == len(continued)
    for one in continued:
        before = candidates[one.parents[0]]
        assert one.parents == (one.inherits,)
        assert (before.genome, before.epochs) == (one.genome, one.epochs_done)
        assert judge(before).stopped == "epochs"
    for one in candidates:
        if one.operator != CONTINUE:
            assert (one.epochs_done, one.epochs) == (0, 3)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_higher_rungs_are_reached_by_fewer(algorithm: str, space: SearchSpace) -> None:
    candidates = drive(racing_engine(algorithm, space), 150)
    first, second, third = (sum(one.epochs == rung for one in candidates) for rung in RUNGS)
    # Somewhat more than a third, as who was among the best may be so no more; and most of all in a front,
    # where everyone's place changes with each who comes to it.
    most = 0.75 if algorithm == "nsga2" else 0.5
    assert first / 8 < second < most * first
    assert second / 8 < third < most * second


def test_a_batch_begins_with_whom_the_ranks_send_on(space: SearchSpace) -> None:
    engine = racing_engine("plus", space)
    batch = engine.ask()
    for candidate in batch:
        engine.tell(judge(candidate))
    able = sorted(batch, key=lambda one: -judge(one).fitness)[:4]
    able = [one for one in able if judge(one).stopped == "epochs"]
    following = engine.ask()
    assert [one.inherits for one in following[: len(able)]] == [one.id for one in able]
    assert CONTINUE not in {one.operator for one in following[len(able) :]}


def test_nsga2_sends_on_whom_its_fronts_rank_first(space: SearchSpace) -> None:
    engine = racing_engine("nsga2", space)
    batches = [engine.ask() for _ in range(engine.batches_in_flight)]
    told = [one for batch in batches for one in batch]
    for candidate in told:
        engine.tell(judge(candidate))
    n = len(told) // 3
    by_front = [one for one in engine.state.population[:n] if one.evaluation.stopped == "epochs"]
    on = [one.inherits for one in engine.ask() if one.operator == CONTINUE]
    assert on == [one.id for one in by_front]
    by_error = sorted(told, key=lambda one: -judge(one).fitness)[:n]
    assert set(on) != {one.id for one in by_error}


def test_weights_are_kept_of_all_who_may_go_on(space: SearchSpace) -> None:
    engine = racing_engine("random", space)
    drive(engine, 150)
    assert engine.halving is not None
    waiting = {one.id for one in engine.halving.waiting()}
    others = {one.id for one in [*engine.state.population, *engine.archive.hall_of_fame]}
    assert waiting - others  # kept for no other reason
    assert waiting <= engine.live_checkpoints()


def test_who_has_gone_on_takes_the_place_of_who_had_not(space: SearchSpace) -> None:
    engine = racing_engine("plus", space)
    drive(engine, 200)
    genomes = [one.genome for one in engine.state.population]
    assert len(set(genomes)) == len(genomes)
    famous = [one.genome for one in engine.archive.hall_of_fame]
    assert len(set(famous)) == len(famous)
    assert engine.best is not None
    assert engine.best.candidate.epochs == 27
    assert engine.best.age >= 27


def test_going_on_adds_nothing_to_what_was_inherited(space: SearchSpace) -> None:
    # Regression: what a network had learned itself counted as inherited once it went on.
    engine = racing_engine("plus", space)
    waiting, told = deque(ask_all(engine)), dict[int, Individual]()
    while len(told) < 150:
        candidate = waiting.popleft()
        engine.tell(judge(candidate))
        told[candidate.id] = engine.archive.individuals[candidate.genome]
        if not waiting:
            waiting += ask_all(engine)
    continued = [one for one in told.values() if one.candidate.epochs_done]
    assert {bool(one.inherited) for one in continued} == {True, False}
    for one in continued:
        assert one.inherited == told[one.candidate.parents[0]].inherited
        assert one.age == one.inherited + one.evaluation.best_epoch


def test_who_fails_in_going_on_stays_as_it_was(space: SearchSpace) -> None:
    engine = racing_engine("random", space)
    told: list[Candidate] = []
    for _ in range(2):
        for one in engine.ask():
            failed = Evaluation(one.id, error="no")
            engine.tell(failed if one.operator == CONTINUE else judge(one))
            told.append(one)
    failures = [one for one in told if one.operator == CONTINUE]
    assert failures
    for one in failures:
        assert engine.archive.individuals[one.genome].id == one.inherits
