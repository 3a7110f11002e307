"""Successive halving: which candidates continue, when, and from which weights."""

from __future__ import annotations

from collections import deque

import pytest
from landscape import RUNGS, ask_all, drive, individual, judge

from nas.evaluation import Candidate, Evaluation
from nas.evolution import ALGORITHMS, Engine, EngineOptions, Individual
from nas.evolution.lineage import Origin
from nas.evolution.ranking import ByFitness
from nas.evolution.successive_halving import SuccessiveHalving, rungs_up_to
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
    return [individual.id for individual in halving.promoted(at_most)]


def test_the_best_third_is_promoted_once() -> None:
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
    assert [individual.id for individual in halving.waiting()] == [0, 1]


def test_the_highest_rung_goes_first() -> None:
    halving = SuccessiveHalving((3, 9, 27))
    enter(halving, [0.9, 0.8, 0.7])
    enter(halving, [0.3, 0.2, 0.1], first=3, epochs=9)
    assert promoted(halving) == [3, 0]


def test_further_promotions_follow_next_time() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [0.1 * i for i in range(9)])
    assert promoted(halving, at_most=2) == [8, 7]
    assert promoted(halving, at_most=0) == []
    assert promoted(halving, at_most=2) == [6]


def test_early_stopped_individuals_count_and_are_not_promoted() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [0.9], stopped="patience")
    enter(halving, [0.5, 0.4, 0.3, 0.2, 0.1], first=1)
    assert promoted(halving) == [1]  # the second of the two best of six


def test_the_last_rung_is_the_end() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [0.1, 0.2, 0.3], epochs=9)
    assert promoted(halving) == []
    assert halving.waiting() == []


def test_individuals_far_behind_are_dropped() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [-0.1 * i for i in range(30)])
    assert promoted(halving) == list(range(10))
    assert [individual.id for individual in halving.waiting()] == list(range(10, 22))


def test_the_latest_five_hundred_are_ranked() -> None:
    halving = SuccessiveHalving((3, 9))
    enter(halving, [0.9] * 500)
    assert len(promoted(halving, at_most=999)) == 166
    # Of all individuals ever, none of these would be among the best third.
    enter(halving, [0.1 + 0.0001 * i for i in range(500)], first=500)
    assert promoted(halving, at_most=999) == list(range(999, 833, -1))
    assert all(individual.id >= 500 for individual in halving.waiting())


def test_ranks_are_those_of_the_given_ranking() -> None:
    class ByAge(ByFitness):
        def position(self, individual: Individual) -> int:
            return sorted(individual.id for individual in self.best(len(self))).index(individual.id)

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


def halving_engine(algorithm: str, space: SearchSpace) -> Engine:
    strategy, options = ALGORITHMS[algorithm](), EngineOptions(costs=cost_model(4, 2))
    halving = SuccessiveHalving(RUNGS, strategy.archive.new_ranking)
    return Engine(strategy, space, 0, options, halving=halving)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_continued_candidates_record_their_parent_and_epochs(algorithm: str, space: SearchSpace) -> None:
    candidates = drive(halving_engine(algorithm, space), 150)
    continued = [candidate for candidate in candidates if candidate.operator == Origin.CONTINUE]
    assert {(candidate.epochs_done, candidate.epochs) for candidate in continued} == {(3, 9), (9, 27)}
    assert len({(candidate.genome, candidate.epochs) for candidate in continued}) == len(continued)
    for candidate in continued:
        before = candidates[candidate.parents[0]]
        assert candidate.parents == (candidate.inherits,)
        assert (before.genome, before.epochs) == (candidate.genome, candidate.epochs_done)
        assert judge(before).stopped == "epochs"
    for candidate in candidates:
        if candidate.operator != Origin.CONTINUE:
            assert (candidate.epochs_done, candidate.epochs) == (0, 3)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_higher_rungs_are_reached_by_fewer(algorithm: str, space: SearchSpace) -> None:
    candidates = drive(halving_engine(algorithm, space), 150)
    first, second, third = (sum(candidate.epochs == rung for candidate in candidates) for rung in RUNGS)
    # Somewhat more than a third, as promoted individuals may drop out of the best third later; most of all
    # with fronts, where each new member changes crowding distances.
    most = 0.75 if algorithm == "nsga2" else 0.5
    assert first / 8 < second < most * first
    assert second / 8 < third < most * second


def test_a_batch_begins_with_promotions(space: SearchSpace) -> None:
    engine = halving_engine("plus", space)
    batch = engine.ask()
    for candidate in batch:
        engine.tell(judge(candidate))
    able = sorted(batch, key=lambda candidate: -judge(candidate).fitness)[:4]
    able = [candidate for candidate in able if judge(candidate).stopped == "epochs"]
    following = engine.ask()
    assert [candidate.inherits for candidate in following[: len(able)]] == [
        candidate.id for candidate in able
    ]
    assert Origin.CONTINUE not in {candidate.operator for candidate in following[len(able) :]}


def test_nsga2_promotes_by_fronts(space: SearchSpace) -> None:
    engine = halving_engine("nsga2", space)
    batches = [engine.ask() for _ in range(engine.state.batches_in_flight)]
    evaluated = [candidate for batch in batches for candidate in batch]
    for candidate in evaluated:
        engine.tell(judge(candidate))
    n = len(evaluated) // 3
    by_front = [
        individual for individual in engine.state.population[:n] if individual.evaluation.stopped == "epochs"
    ]
    on = [candidate.inherits for candidate in engine.ask() if candidate.operator == Origin.CONTINUE]
    assert on == [individual.id for individual in by_front]
    by_error = sorted(evaluated, key=lambda candidate: -judge(candidate).fitness)[:n]
    assert set(on) != {candidate.id for candidate in by_error}


def test_checkpoints_of_all_that_may_be_promoted_are_live(space: SearchSpace) -> None:
    engine = halving_engine("random", space)
    drive(engine, 150)
    assert engine.halving is not None
    waiting = {individual.id for individual in engine.halving.waiting()}
    best = {individual.id for individual in [*engine.state.population, *engine.archive.hall_of_fame]}
    assert waiting - best  # live for no other reason
    assert waiting <= engine.live_checkpoints()


def test_a_continued_individual_replaces_the_shorter_training(space: SearchSpace) -> None:
    engine = halving_engine("plus", space)
    drive(engine, 200)
    genomes = [individual.genome for individual in engine.state.population]
    assert len(set(genomes)) == len(genomes)
    famous = [individual.genome for individual in engine.archive.hall_of_fame]
    assert len(set(famous)) == len(famous)
    assert engine.best is not None
    assert engine.best.candidate.epochs == 27
    assert engine.best.age >= 27


def test_continuing_adds_nothing_to_the_inherited_epochs(space: SearchSpace) -> None:
    # Regression: a network's own epochs counted as inherited once its training continued.
    engine = halving_engine("plus", space)
    waiting, evaluated = deque(ask_all(engine)), dict[int, Individual]()
    while len(evaluated) < 150:
        candidate = waiting.popleft()
        engine.tell(judge(candidate))
        evaluated[candidate.id] = engine.archive.individuals[candidate.genome]
        if not waiting:
            waiting += ask_all(engine)
    continued = [individual for individual in evaluated.values() if individual.candidate.epochs_done]
    assert {bool(child.inherited) for child in continued} == {True, False}
    for child in continued:
        assert child.inherited == evaluated[child.candidate.parents[0]].inherited
        assert child.age == child.inherited + child.evaluation.best_epoch


def test_a_failed_continuation_leaves_the_shorter_training(space: SearchSpace) -> None:
    engine = halving_engine("random", space)
    evaluated: list[Candidate] = []
    for _ in range(2):
        for candidate in engine.ask():
            failed = Evaluation(candidate.id, error="no")
            engine.tell(failed if candidate.operator == Origin.CONTINUE else judge(candidate))
            evaluated.append(candidate)
    failures = [candidate for candidate in evaluated if candidate.operator == Origin.CONTINUE]
    assert failures
    for candidate in failures:
        assert engine.archive.individuals[candidate.genome].id == candidate.inherits
