"""The contract of executors, held by the serial one and by Ray's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from nas.errors import EvaluationError
from nas.evaluation import WORST_FITNESS, Candidate, Checkpoint, Evaluation, Problem, evaluate
from nas.execution import Executor, Task
from nas.execution.ray import RayExecutor
from nas.execution.serial import SerialExecutor
from nas.genome import Genome

pytestmark = pytest.mark.ray

MAKERS: dict[str, Callable[[], Executor]] = {
    "serial": SerialExecutor,
    "one worker": lambda: RayExecutor(1),
    "two workers": lambda: RayExecutor(2),
}


def never() -> bool:
    return False


def candidates(*widths: tuple[int, ...]) -> list[Candidate]:
    return [Candidate(i, Genome(w, "tanh"), 100 + i, 0, "random") for i, w in enumerate(widths)]


def pairs(asked: Sequence[Candidate]) -> list[Sequence[Candidate]]:
    return [asked[i : i + 2] for i in range(0, len(asked), 2)]


def all_of(executor: Executor, *tasks: Task) -> list[Evaluation]:
    """Submit all tasks, and wait for their results."""
    for task in tasks:
        executor.submit(task)
    found: list[Evaluation] = []
    while len(found) < sum(len(task.cohort) for task in tasks):
        completed = executor.completed(never)
        assert completed
        found += completed
    return found


def ordered(
    executor: Executor,
    problem: Problem,
    *cohorts: Sequence[Candidate],
    checkpoints: Mapping[int, Checkpoint] | None = None,
) -> list[Evaluation]:
    tasks = [Task(problem, cohort, checkpoints or {}) for cohort in cohorts]
    return sorted(all_of(executor, *tasks), key=lambda evaluation: evaluation.candidate_id)


@pytest.fixture(scope="module", params=MAKERS)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with MAKERS[request.param]() as executor:
        yield executor


SMALL = candidates((8,), (4, 4), (), (16, 8), (2,), (6, 6, 6))


def test_every_candidate_gets_its_evaluation(executor: Executor, problem: Problem) -> None:
    found = ordered(executor, problem, *pairs(SMALL))
    assert [evaluation.candidate_id for evaluation in found] == [candidate.id for candidate in SMALL]
    assert all(evaluation.error is None and 0 <= evaluation.fitness <= 1 for evaluation in found)


def test_results_are_those_of_the_serial_executor(executor: Executor, problem: Problem) -> None:
    found = ordered(executor, problem, *pairs(SMALL))
    expected = ordered(SerialExecutor(), problem, *pairs(SMALL))
    assert found == expected
    for one, other in zip(found, expected, strict=True):
        # Equality leaves states out.
        ((first,), (second,)) = one.states, other.states
        assert first.parameters.tobytes() == second.parameters.tobytes()


@pytest.mark.exhaustive
def test_a_problem_that_is_held_is_the_same(executor: Executor, problem: Problem) -> None:
    held = executor.hold(problem)
    assert held.metric is problem.metric
    assert held.training == problem.training
    for _ in range(2):  # let go of, it may come again
        assert ordered(executor, held, *pairs(SMALL)) == ordered(executor, problem, *pairs(SMALL))
        executor.release(held)


def test_weights_are_inherited_anywhere(executor: Executor, problem: Problem) -> None:
    parent = candidates((8, 4))[0]
    (found,) = evaluate([replace(parent, epochs=3)], problem) or []
    checkpoint = Checkpoint(parent.genome, found.states)
    children = [
        Candidate(1, Genome((12, 4), "tanh"), 5, 1, "widen", (0,), inherits=0),
        Candidate(2, Genome((6,), "tanh"), 5, 1, "random"),
    ]
    goes_on = Candidate(3, parent.genome, 5, 1, "continue", (0,), inherits=0, epochs_done=3, epochs=8)
    checkpoints = {1: checkpoint, 3: checkpoint}
    result = ordered(executor, problem, children, [goes_on], checkpoints=checkpoints)
    assert result == [
        *(evaluate(children, problem, checkpoints) or []),
        *(evaluate([goes_on], problem, checkpoints) or []),
    ]
    assert result[0] != (evaluate(children, problem) or [])[0]


def test_problems_may_differ_from_task_to_task(executor: Executor, problem: Problem) -> None:
    other = replace(problem, batch_seed=6)
    one, two = SMALL[:2]
    tasks = [Task(problem, [one]), Task(other, [two]), Task(other, [replace(one, id=7)])]
    found = sorted(all_of(executor, *tasks), key=lambda evaluation: evaluation.candidate_id)
    assert found[0] == (evaluate([one], problem) or [])[0]
    assert found[1:] == [
        *(evaluate([two], other) or []),
        *(evaluate([replace(one, id=7)], other) or []),
    ]
    assert found[0].train_losses != found[2].train_losses


def test_out_of_memory_is_a_failure_of_the_candidate_alone(executor: Executor, problem: Problem) -> None:
    # Weights of 4 TB: more than any machine that runs these tests has.
    huge, small = ordered(executor, problem, candidates((10**6, 10**6), (4,)))
    assert huge.error is not None
    assert "out of memory" in huge.error
    assert huge.fitness == WORST_FITNESS
    assert small.error is None


def test_divergence_is_a_failure_of_the_candidate_alone(executor: Executor, problem: Problem) -> None:
    wild = Candidate(0, Genome((8, 8), "identity", learning_rate=1e3, optimizer="sgd"), 1, 0, "random")
    failed, fine = ordered(executor, problem, [wild, *candidates((4,), (4, 4))[1:]])
    assert failed.error is not None
    assert "loss became" in failed.error
    assert "in epoch" in failed.error
    assert failed.states == ()
    assert fine.error is None


def test_nothing_comes_after_a_stop(executor: Executor, problem: Problem) -> None:
    for cohort in pairs(SMALL):
        executor.submit(Task(problem, cohort))
    assert executor.completed(never)
    # What was ready already may still come; then the stop is heard, within a second.
    left = 2
    while executor.completed(lambda: True) is not None:
        left -= 1
    assert left >= 0
    executor.drop()


def test_what_was_dropped_never_comes(executor: Executor, problem: Problem) -> None:
    for cohort in pairs(SMALL):
        executor.submit(Task(problem, cohort))
    executor.drop()
    later = [replace(candidate, id=100 + candidate.id) for candidate in SMALL[:2]]
    found = ordered(executor, problem, later)
    assert [evaluation.candidate_id for evaluation in found] == [100, 101]
    assert not any(evaluation.failed for evaluation in found)


def test_an_executor_can_be_used_again(executor: Executor, problem: Problem) -> None:
    assert ordered(executor, problem, SMALL[:2]) == ordered(executor, problem, SMALL[:2])


def test_a_bug_is_an_exception_with_its_traceback(executor: Executor, problem: Problem) -> None:
    unknown = Candidate(0, Genome((4,), "no such activation"), 0, 0, "random")
    with pytest.raises(EvaluationError, match=r"(?s)candidate 0 .*Traceback .*no such activation"):
        ordered(executor, problem, [unknown])
