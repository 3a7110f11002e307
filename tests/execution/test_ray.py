"""What only processes can do, and what is particular to Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import cloudpickle
from ray._raylet import AuthenticationTokenLoader, get_authentication_mode  # type: ignore[attr-defined]

from nas.evaluation import Candidate, Evaluation, Problem
from nas.execution import Executor, Task
from nas.execution.attempts import Attempt
from nas.execution.ray import RayExecutor
from nas.execution.ray_cluster import _own_token, _read_authentication
from nas.execution.reaper import _users
from nas.execution.serial import SerialExecutor
from nas.genome import Genome

pytestmark = pytest.mark.ray

# Workers cannot import this module; the problems defined in it travel with their code.
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]


def candidates(*widths: tuple[int, ...]) -> list[Candidate]:
    return [Candidate(i, Genome(w, "tanh"), 100 + i, 0, "random") for i, w in enumerate(widths)]


def ordered(
    executor: Executor, problem: Problem, asked: Sequence[Candidate], size: int = 1
) -> list[Evaluation]:
    """The evaluations of candidates in cohorts of this size."""
    for i in range(0, len(asked), size):
        executor.submit(Task(problem, asked[i : i + size]))
    found: list[Evaluation] = []
    while len(found) < len(asked):
        found += executor.completed(lambda: False) or []
    return sorted(found, key=lambda evaluation: evaluation.candidate_id)


SMALL = candidates((8,), (4, 4), (), (16, 8), (2,), (6, 6, 6))

DRIVER = os.getpid()


@dataclass(frozen=True, eq=False)
class Deadly(Problem):
    """A problem that kills every process but this one that builds a network for it."""

    def __getattribute__(self, name: str) -> Any:
        if name == "n_inputs" and os.getpid() != DRIVER:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getattribute__(name)


class DeadlyGenome(Genome):
    """A genome that kills every process but this one that looks at its widths' number of parameters."""

    def n_parameters(self, n_inputs: int, n_outputs: int) -> int:
        if os.getpid() != DRIVER:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().n_parameters(n_inputs, n_outputs)


@dataclass(frozen=True, eq=False)
class Hanging(Problem):
    """A problem that never lets go of the processor: no limit inside the training can end it."""

    def __getattribute__(self, name: str) -> Any:
        if name == "n_inputs":
            time.sleep(3600)
        return super().__getattribute__(name)


def worker_pids() -> list[int]:
    """Ray workers that evaluate at this moment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_text()
            except OSError:
                continue
            if command.startswith("ray::_evaluate"):
                found.append(int(entry.name))
    return found


def slow(problem: Problem, epochs: int) -> Problem:
    training = replace(problem.training, epochs=epochs, patience=None, batch_size=1)
    return replace(problem, training=training)


@pytest.mark.exhaustive
def test_a_killed_worker_costs_nothing(problem: Problem) -> None:
    # Candidates of about a second; each worker is killed once, in the middle of one.
    problem = slow(problem, 100)
    asked = candidates((32, 32), (32, 16), (16, 32))
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            time.sleep(0.05)
            for pid in worker_pids()[:1]:
                time.sleep(0.3)
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    with RayExecutor(2) as executor:
        killer = threading.Thread(target=kill)
        killer.start()
        found = ordered(executor, problem, asked)
        killer.join()
    assert killed
    assert found == ordered(SerialExecutor(), problem, asked)


@pytest.mark.exhaustive
def test_a_candidate_that_kills_its_worker_is_one_recorded_failure(problem: Problem) -> None:
    deadly = Deadly(**{name: getattr(problem, name) for name in problem.__dataclass_fields__})
    with RayExecutor(1) as executor:
        (failed,) = ordered(executor, deadly, candidates((4,)))
    assert failed.error == "its worker process died, 3 times"


@pytest.mark.exhaustive
def test_a_candidate_that_kills_its_worker_costs_its_cohort_nothing(problem: Problem) -> None:
    good = candidates((4,), (8,), (6, 6))
    deadly = Candidate(3, DeadlyGenome((4, 4), "tanh"), 9, 0, "random")
    with RayExecutor(2) as executor:
        *fine, failed = ordered(executor, problem, [*good, deadly], size=4)
    assert failed.error == "its worker process died, 3 times"
    # The other members of its cohort are trained again, each solo.
    assert fine == ordered(SerialExecutor(), problem, good)


def completed_at_once(executor: Executor, n: int) -> list[list[Evaluation]]:
    """Evaluations of so many candidates, as they come: those together that a task has brought."""
    found: list[list[Evaluation]] = []
    while sum(map(len, found)) < n:
        found.append(executor.completed(lambda: False) or [])
    return found


@pytest.mark.exhaustive
def test_short_cohorts_go_to_a_worker_together(problem: Problem) -> None:
    asked = candidates(*[(2 + i,) for i in range(16)])
    with RayExecutor(1) as executor:
        for one in asked:
            executor.submit(Task(problem, [one]))
        found = completed_at_once(executor, len(asked))
    sizes = [len(group) for group in found]
    # Nothing was known of the first; later at most half of those that wait go together. How many do
    # depends on how long one took, which on a busy machine may be long.
    assert sizes[0] == 1
    waiting = [16 - sum(sizes[:i]) for i in range(len(sizes))]
    assert all(size <= max(1, n // 2) for size, n in zip(sizes, waiting, strict=True))
    assert max(sizes) > 1
    assert [*chain(*found)] == ordered(SerialExecutor(), problem, asked)


@pytest.mark.exhaustive
def test_a_candidate_that_kills_its_worker_is_found_in_its_cohort(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if nothing took time: how many go together depends on what waits alone.
    monkeypatch.setattr("nas.execution.attempts._TASK_SECONDS", 1e9)
    asked = candidates(*[(2 + i,) for i in range(8)])
    deadly = Candidate(8, DeadlyGenome((4, 4), "tanh"), 9, 0, "random")
    with RayExecutor(1) as executor:
        for one in [*asked[:2], deadly, *asked[2:]]:
            executor.submit(Task(problem, [one]))
        found = completed_at_once(executor, len(asked) + 1)
    # After the first two, three went together; they died with the one who did it, and were tried again. The
    # two behind them were with Ray already.
    assert [len(those) for those in found] == [1, 1, 2, 1, 1, 1, 1, 1]
    *fine, failed = sorted(chain(*found), key=lambda one: one.candidate_id)
    assert failed.error == "its worker process died, 3 times"
    assert fine == ordered(SerialExecutor(), problem, asked)


@pytest.mark.exhaustive
def test_long_cohorts_go_to_a_worker_alone(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.execution.attempts._TASK_SECONDS", 1e-3)
    with RayExecutor(1) as executor:
        for one in candidates(*[(32, 32)] * 5):
            executor.submit(Task(problem, [one]))
        found = completed_at_once(executor, 5)
    assert [len(those) for those in found] == [1] * 5


def test_a_hanging_candidate_is_ended_from_outside(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.execution.attempts.GRACE", 1.0)
    problem = replace(problem, training=replace(problem.training, time_limit=0.5))
    hanging = Hanging(**{name: getattr(problem, name) for name in problem.__dataclass_fields__})
    with RayExecutor(2) as executor:
        since = time.monotonic()
        found = ordered(executor, hanging, candidates((4,), (8,)), size=2)
        assert time.monotonic() - since < 30
    assert [evaluation.error for evaluation in found] == ["no result within 0.5 s"] * 2


@pytest.mark.exhaustive
def test_waiting_for_a_worker_is_not_hanging(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.execution.attempts.GRACE", 1.0)
    # The second task waits in Ray behind the first, for longer than it may train.
    first, second = (replace(problem, training=replace(problem.training, time_limit=s)) for s in (4.0, 1.0))
    hanging = Hanging(**{name: getattr(first, name) for name in first.__dataclass_fields__})
    waiting, running = candidates((4,), (8,))[::-1]
    with RayExecutor(1) as executor:
        executor.submit(Task(hanging, [running]))
        executor.submit(Task(second, [waiting]))
        (hung,) = executor.completed(lambda: False) or []
        # A new worker starts now, which takes seconds on a machine that does other things.
        monkeypatch.setattr("nas.execution.attempts.GRACE", 60.0)
        (fine,) = executor.completed(lambda: False) or []
    assert hung.error == "no result within 4 s"
    assert [fine] == ordered(SerialExecutor(), second, [waiting])


def test_every_attempt_has_a_time_of_its_own(problem: Problem) -> None:
    (retry,) = Attempt([Task(problem, candidates((4,)))], attempts_left=2, since=time.monotonic()).retries()
    assert (retry.attempts_left, retry.since) == (1, None)


@pytest.mark.exhaustive
def test_a_hanging_candidate_ends_its_process_in_a_ray_of_others(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.execution.attempts.GRACE", 1.0)
    problem = replace(problem, training=replace(problem.training, time_limit=0.5))
    hanging = Hanging(**{name: getattr(problem, name) for name in problem.__dataclass_fields__})
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with RayExecutor(None, address="auto") as executor:
            (found,) = ordered(executor, hanging, candidates((4,)))
    finally:
        ray.shutdown()
    assert found.error == "its worker process died, 3 times"


@pytest.mark.exhaustive
def test_a_ray_that_runs_already_is_used_and_left_running(problem: Problem) -> None:
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        with RayExecutor(1) as executor:
            assert ordered(executor, problem, SMALL[:2]) == ordered(SerialExecutor(), problem, SMALL[:2])
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_nothing_is_left_behind(problem: Problem) -> None:
    with RayExecutor(1) as executor:
        ordered(executor, problem, SMALL[:1])
        # Its own folder: commands in tests beside this one have others.
        node: Any = ray._private.worker._global_node
        session = Path(node.get_session_dir_path())
        (folder,) = (path for path in session.parents if path.name.startswith("nas-ray-"))
        assert folder.exists()
    assert not folder.exists()
    assert not ray.is_initialized()
    assert not worker_pids()


@pytest.mark.parametrize("mode", ["token", "disabled"])
def test_a_ray_that_is_joined_later_is_given_the_users_token(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = "a" * 64
    with monkeypatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", mode)
        patch.setenv("RAY_AUTH_TOKEN", users)
        _read_authentication()
        before = (get_authentication_mode(), token())
        assert before[1] == (users if mode == "token" else "")
        with _own_token():
            assert token() == os.environ["RAY_AUTH_TOKEN"] != users
            assert os.environ["RAY_AUTH_MODE"] == "token"
        assert (os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"]) == (mode, users)
        assert (get_authentication_mode(), token()) == before
    _read_authentication()


def token() -> str:
    """What Ray sends from this process."""
    return AuthenticationTokenLoader.instance().get_raw_token()  # type: ignore[no-any-return]


@pytest.mark.exhaustive_except("5")
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="finding processes needs /proc")
@pytest.mark.parametrize("seconds", [0.5, 5])
def test_a_killed_driver_leaves_nothing_behind(tmp_path: Path, seconds: float) -> None:
    # While Ray starts, and while it works.
    before = set(Path("/tmp").glob("nas-ray-*"))
    command = [
        sys.executable,
        "-m",
        "nas",
        "search",
        "iris",
        "--no-tracking",
        "--no-report",
        "--candidates",
        "5000",
    ]
    process = subprocess.Popen(
        [*command, "--runs-dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (mine := set(Path("/tmp").glob("nas-ray-*")) - before):
        assert process.poll() is None
        time.sleep(0.02)
    (folder,) = mine
    time.sleep(seconds)
    assert list(_users(folder))
    process.kill()
    process.wait()
    until = time.monotonic() + 15
    while (left := _left_of(folder)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left


def _left_of(folder: Path) -> list[object]:
    """The folder itself, who has files of it open, and the commands of processes that name it."""
    found: list[object] = [folder] if folder.exists() else []
    found += _users(folder)
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder) in (command := entry.read_text()):
                found.append(command)
    return found


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("stop", "delay"),
    [(signal.SIGINT, 0.3), (signal.SIGTERM, 0.3), (signal.SIGINT, 1.5), (signal.SIGTERM, 2.5)],
)
def test_a_signal_while_ray_starts_leaves_nothing_behind(stop: signal.Signals, delay: float) -> None:
    # The signal comes so many seconds after Ray's folder is made.
    before = set(Path("/tmp").glob("nas-ray-*"))
    command = [
        sys.executable,
        "-m",
        "nas",
        "search",
        "iris",
        "--no-tracking",
        "--no-report",
        "--workers",
        "1",
    ]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*command, "--candidates", "5000", "--space", "small", "--no-baseline", "--runs-dir", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        while set(Path("/tmp").glob("nas-ray-*")) == before:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(delay)
        (made,) = set(Path("/tmp").glob("nas-ray-*")) - before
        os.kill(process.pid, stop)
        since = time.monotonic()
        error = process.communicate(timeout=60)[1]
    # Before Ray has started, which takes longer, and before it has been ended.
    assert time.monotonic() - since < 5
    assert process.returncode == 130, error
    assert "Traceback" not in error
    until = time.monotonic() + 15
    while (left := _left_of(made)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left


@pytest.mark.exhaustive
def test_a_start_that_is_given_up_ends_in_the_background(problem: Problem) -> None:
    before = set(Path("/tmp").glob("nas-ray-*"))
    since = time.monotonic()
    with pytest.raises(KeyboardInterrupt), RayExecutor(1, interrupted=lambda: True):
        pass
    assert time.monotonic() - since < 5
    # The next one waits until that is gone.
    with RayExecutor(1) as executor:
        assert len(set(Path("/tmp").glob("nas-ray-*")) - before) == 1
        assert ordered(executor, problem, SMALL[:1]) == ordered(SerialExecutor(), problem, SMALL[:1])
    assert set(Path("/tmp").glob("nas-ray-*")) == before


@dataclass(frozen=True, eq=False)
class Greedy(Problem):
    """A problem that takes memory without end in every process but this one."""

    def __getattribute__(self, name: str) -> Any:
        if name == "n_inputs" and os.getpid() != DRIVER:
            taken = []
            while True:
                taken.append(b"1" * 50_000_000)
                time.sleep(0.02)
        return super().__getattribute__(name)


@pytest.mark.exhaustive
def test_a_candidate_that_takes_memory_without_end_is_one_recorded_failure(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ray ends workers when this share of the machine's memory is in use: 2 GB more than is now.
    memory = {
        name: int(rest.split()[0]) * 1024
        for name, rest in (line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    }
    share = 1 - (memory["MemAvailable"] - 2 * 10**9) / memory["MemTotal"]
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{share:.3f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    monkeypatch.setattr("nas.execution.attempts.ATTEMPTS", 1)
    greedy = Greedy(**{name: getattr(problem, name) for name in problem.__dataclass_fields__})
    with RayExecutor(2) as executor:
        executor.submit(Task(greedy, candidates((4,))))
        (failed,) = executor.completed(lambda: False) or []
        assert failed.error == "out of memory: its worker process was ended by Ray"
        # The others go on.
        assert ordered(executor, problem, SMALL) == ordered(SerialExecutor(), problem, SMALL)
