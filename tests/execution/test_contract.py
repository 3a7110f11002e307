"""The contract of executors, held by the serial one and by Ray's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from nas.errors import EvaluationError
from nas.evaluation import WORST_FITNESS, Candidate, Evaluation, Problem
from nas.execution import Executor, SerialExecutor
from nas.execution.ray import RayExecutor
from nas.genome import Genome

pytestmark = pytest.mark.slow  # starting Ray takes seconds

Make = Callable[[Problem], Executor]
MAKERS: dict[str, Make] = {
    "serial": SerialExecutor,
    "one worker": lambda problem: RayExecutor(problem, 1),
    "two workers": lambda problem: RayExecutor(problem, 2),
}


def never() -> bool:
    return False


def candidates(*widths: tuple[int, ...]) -> list[Candidate]:
    return [Candidate(i, Genome(w, "tanh"), 100 + i, 0, "random") for i, w in enumerate(widths)]


def pairs(asked: Sequence[Candidate]) -> list[Sequence[Candidate]]:
    return [asked[i : i + 2] for i in range(0, len(asked), 2)]


def ordered(executor: Executor, *cohorts: Sequence[Candidate]) -> list[Evaluation]:
    return sorted(executor.run(cohorts, never), key=lambda evaluation: evaluation.candidate_id)


@pytest.fixture(scope="module", params=MAKERS)
def executor(request: pytest.FixtureRequest, problem: Problem) -> Iterator[Executor]:
    with MAKERS[request.param](problem) as executor:
        yield executor


SMALL = candidates((8,), (4, 4), (), (16, 8), (2,), (6, 6, 6))


def test_every_candidate_gets_its_evaluation(executor: Executor) -> None:
    found = ordered(executor, *pairs(SMALL))
    assert [evaluation.candidate_id for evaluation in found] == [candidate.id for candidate in SMALL]
    assert all(evaluation.error is None and 0 <= evaluation.fitness <= 1 for evaluation in found)


def test_results_are_those_of_the_serial_executor(executor: Executor, problem: Problem) -> None:
    assert ordered(executor, *pairs(SMALL)) == ordered(SerialExecutor(problem), *pairs(SMALL))


def test_out_of_memory_is_a_failure_of_the_candidate_alone(executor: Executor) -> None:
    # Weights of 4 TB: more than any machine that runs these tests has.
    huge, small = ordered(executor, candidates((10**6, 10**6), (4,)))
    assert huge.error is not None
    assert "out of memory" in huge.error
    assert huge.fitness == WORST_FITNESS
    assert small.error is None


def test_divergence_is_a_failure_of_the_candidate_alone(executor: Executor) -> None:
    wild = Candidate(0, Genome((8, 8), "identity", learning_rate=1e3, optimizer="sgd"), 1, 0, "random")
    failed, fine = ordered(executor, [wild, *candidates((4,), (4, 4))[1:]])
    assert failed.error is not None
    assert "loss became" in failed.error
    assert "in epoch" in failed.error
    assert fine.error is None


def test_nothing_comes_after_a_stop(executor: Executor) -> None:
    found: list[Evaluation] = []
    for evaluation in executor.run(pairs(SMALL), lambda: len(found) >= 2):
        found.append(evaluation)  # noqa: PERF402  # `found` is what the stop looks at
    # Cohorts of two, of which another may have been done at the same time.
    assert 2 <= len(found) <= 4


def test_an_executor_can_be_used_again(executor: Executor) -> None:
    assert ordered(executor, SMALL[:2]) == ordered(executor, SMALL[:2])


def test_a_bug_is_an_exception_with_its_traceback(executor: Executor) -> None:
    unknown = Candidate(0, Genome((4,), "no such activation"), 0, 0, "random")
    with pytest.raises(EvaluationError, match=r"(?s)candidate 0 .*Traceback .*no such activation"):
        ordered(executor, [unknown])
