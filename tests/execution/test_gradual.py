"""Evaluating here until workers are ready, or without them."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Callable

import pytest

from nas.evaluation import Candidate, Evaluation, Problem
from nas.execution import Executor, Task, Workers, executor_for
from nas.execution.gradual import GradualExecutor, workers_pay
from nas.execution.ray import RayExecutor
from nas.execution.serial import SerialExecutor
from nas.genome import Genome


class Spy(SerialExecutor):
    """Workers that start when a test lets them, in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.may_start = threading.Event()
        self.asked, self.ended = False, threading.Event()
        self.evaluated: list[int] = []

    def __enter__(self) -> Spy:
        self.asked = True
        assert self.may_start.wait(20)
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended.set()

    def completed(self, should_stop: Callable[[], bool]) -> list[Evaluation] | None:
        completed = super().completed(should_stop)
        self.evaluated += [evaluation.candidate_id for evaluation in completed or ()]
        return completed


def never() -> bool:
    return False


def tasks(problem: Problem, n: int) -> list[Task]:
    return [Task(problem, [Candidate(i, Genome((4 + i,)), i, 0, "random")]) for i in range(n)]


def gradual(spy: Spy, n_expected: int, left: float = math.inf) -> GradualExecutor:
    return GradualExecutor(SerialExecutor(), lambda interrupted: spy, 2, n_expected, lambda: left, never)


def next_of(executor: Executor) -> Evaluation:
    completed = executor.completed(never)
    assert completed is not None
    return completed[0]


@pytest.mark.parametrize(
    ("seconds", "n_workers", "pays"),
    [(10, 2, False), (20, 2, True), (10, 16, True), (100, 1, False), (130, 1, True), (math.inf, 1, True)],
)
def test_workers_pay_where_they_save_more_than_their_start(
    seconds: float, n_workers: int, pays: bool
) -> None:
    assert workers_pay(seconds, n_workers) is pays


def test_a_short_search_starts_no_workers(problem: Problem) -> None:
    spy = Spy()
    with gradual(spy, n_expected=3) as executor:
        for task in tasks(problem, 3):
            executor.submit(task)
        assert [next_of(executor).candidate_id for _ in range(3)] == [0, 1, 2]
    assert not spy.asked
    assert not spy.ended.is_set()


def test_a_search_with_little_time_left_starts_none(problem: Problem) -> None:
    spy = Spy()
    with gradual(spy, n_expected=10**9, left=5.0) as executor:
        executor.submit(tasks(problem, 1)[0])
        next_of(executor)
    assert not spy.asked


def test_tasks_go_to_workers_once_they_are_ready(problem: Problem) -> None:
    spy, alone = Spy(), SerialExecutor()
    asked = tasks(problem, 4)
    with gradual(spy, n_expected=10**9) as executor:
        for task in asked:
            executor.submit(task)
        found = [next_of(executor), next_of(executor)]
        assert spy.evaluated == []
        spy.may_start.set()
        assert executor._thread is not None
        executor._thread.join(20)
        found += [next_of(executor), next_of(executor)]
        assert spy.evaluated == [2, 3]
        executor.retire()
    assert spy.ended.is_set()
    for task in asked:
        alone.submit(task)
    assert found == [next_of(alone) for _ in range(4)]


def test_workers_that_fail_to_start_are_done_without(
    problem: Problem, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(interrupted: Callable[[], bool]) -> Executor:
        raise RuntimeError("no room")

    with GradualExecutor(SerialExecutor(), broken, 2, 10**9, lambda: math.inf, never) as executor:
        for task in tasks(problem, 2):
            executor.submit(task)
        next_of(executor)
        assert executor._thread is not None
        executor._thread.join(20)
        assert next_of(executor).candidate_id == 1
    assert "workers: expected to start, got: no room; the search goes on in this process" in caplog.text


def test_what_is_dropped_is_not_evaluated(problem: Problem) -> None:
    with gradual(Spy(), n_expected=4) as executor:
        for task in tasks(problem, 2):
            executor.submit(task)
        executor.drop()
        executor.submit(tasks(problem, 3)[2])
        assert next_of(executor).candidate_id == 2
        assert executor.completed(lambda: True) is None


def test_the_process_is_left_as_it_was(problem: Problem) -> None:
    interval, handler = sys.getswitchinterval(), signal.getsignal(signal.SIGTERM)
    with gradual(Spy(), n_expected=1) as executor:
        executor.submit(tasks(problem, 1)[0])
        next_of(executor)
    assert (sys.getswitchinterval(), signal.getsignal(signal.SIGTERM)) == (interval, handler)


def test_a_number_of_workers_is_taken_literally() -> None:
    assert isinstance(executor_for(Workers(2, n_expected=100), never), GradualExecutor)
    assert isinstance(executor_for(Workers(2), never), RayExecutor)
    assert isinstance(executor_for(Workers(2, n_expected=100, n_bytes=2**40), never), RayExecutor)
    assert isinstance(executor_for(Workers(2, resources={"num_cpus": 1}, n_expected=9), never), RayExecutor)
    assert isinstance(executor_for(Workers(0, n_expected=100), never), SerialExecutor)


@pytest.mark.ray
def test_ray_takes_over_and_leaves_nothing(problem: Problem) -> None:
    with executor_for(Workers(2, n_bytes=2**20, n_expected=10**9), never) as executor:
        assert isinstance(executor, GradualExecutor)
        executor.submit(tasks(problem, 1)[0])
        first = next_of(executor)
        assert executor._thread is not None
        executor._thread.join(120)
        executor.submit(tasks(problem, 2)[1])
        assert next_of(executor).candidate_id == 1
        executor.submit(tasks(problem, 1)[0])
        assert next_of(executor) == first
        assert isinstance(executor._workers, RayExecutor)
    import ray

    assert not ray.is_initialized()
