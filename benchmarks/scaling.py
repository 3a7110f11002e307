"""What a search costs beside training: the driver's throughput, workers, start-up, the journal.

    python -m benchmarks.scaling [--quick] [--candidates N] [--workers N] [--engines A,B] [--repeats N]
                                 [--json FILE] [--plot FILE]

Throughput: the real loop asks, plans cohorts, dispatches, writes the journal and tells, while evaluations
are computed at once from genomes by logical workers who end in no particular order. Each engine is a
process of its own. Growth is the exponent of the seconds spent up to so many candidates, from the first
thousand on: 1 is flat.

Workers: whole searches with Ray, the same candidates by one worker and by two, in turn; and the share of
their time that no network is trained in, which is what scheduling costs at most.

Start-up: seconds from ``nas search`` until the journal holds a candidate, with and without Ray and MLflow.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import nas
from benchmarks.harness import Figure, Silent, report
from nas.data import load_dataset
from nas.evaluation import Candidate, Evaluation, Problem
from nas.evolution import ALGORITHMS, recipe
from nas.execution import Task
from nas.network import State
from nas.run.budget import Budget, BudgetUsage
from nas.run.loop import CandidateStream, search_loop
from nas.run.preparation import prepare
from nas.run.weights import Weights
from nas.space import cost_model, load_space
from nas.tracking import Outcome, RunInfo, Tracker
from nas.tracking.journal import Journal

ENGINES = ("auto", *ALGORITHMS, "auto of two objectives")
_MARKS = (1_000, 3_000, 10_000, 30_000, 100_000)
_SPACE = "deep"
_EPOCHS = 100
_NOISE = np.random.default_rng(0).random(10_000).round(6)
_LUCK = np.random.default_rng(1).normal(0, 0.005, 10_007).tolist()
_LAG_A_WORKER = 1 / 4
"""Batches under way for each logical worker, at least 2: a first batch has four candidates."""


class _Logical:
    """An executor of logical workers, who know the fitness of a genome without training it."""

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._waiting: deque[Task] = deque()
        self._running: list[Task] = []
        self._rng = random.Random(0)

    def hold(self, problem: Problem) -> Problem:
        """See `Executor.hold`; itself."""
        return problem

    def submit(self, task: Task) -> None:
        """See `Executor.submit`."""
        self._waiting.append(task)

    def completed(self, should_stop: Callable[[], bool]) -> list[Evaluation] | None:
        """See `Executor.completed`; any of those who work is the next to end."""
        if should_stop():
            return None
        while self._waiting and len(self._running) < self._n_workers:
            self._running.append(self._waiting.popleft())
        i = self._rng.randrange(len(self._running))
        self._running[i], self._running[-1] = self._running[-1], self._running[i]
        return [_judged(candidate) for candidate in self._running.pop().cohort]

    def release(self, problem: Problem) -> None:
        """See `Executor.release`; there is none."""

    def drop(self) -> None:
        """See `Executor.drop`."""
        self._waiting.clear()
        self._running.clear()

    def __enter__(self) -> _Logical:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def _judged(candidate: Candidate) -> Evaluation:
    """Best at two layers of 64, with more epochs, and with some luck."""
    genome, epochs = candidate.genome, candidate.epochs or _EPOCHS
    doublings = sum(abs(math.log2(width / 64)) for width in genome.widths)
    luck = _LUCK[candidate.seed % len(_LUCK)]
    fitness = 0.95 - 0.02 * abs(genome.depth - 2) - 0.01 * doublings - 0.2 / epochs + luck
    n_epochs = epochs - candidate.epochs_done
    start = candidate.id % (len(_NOISE) - 3 * n_epochs)
    # Numbers of its own, as those of a real candidate are: what keeps them shows in the memory.
    curves = tuple(
        tuple(_NOISE[start + i * n_epochs : start + (i + 1) * n_epochs].tolist()) for i in range(3)
    )
    return Evaluation(
        candidate.id,
        fitness=round(fitness, 6),
        validation_loss=round(1 - fitness, 6),
        n_parameters=genome.n_parameters(64, 10),
        best_epoch=epochs,
        stopped="epochs",
        train_losses=curves[0],
        validation_losses=curves[1],
        validation_scores=curves[2],
    )


class _SameForAll(Weights):
    """Weights of nobody in particular, as nobody trains."""

    def __init__(self) -> None:
        self._state = State(np.zeros(0, "f"), (), ("adam", 0.0), 0, 0)

    def of(self, candidate_id: int) -> tuple[State, ...]:
        """See `Weights.of`."""
        return (self._state,)

    def sync(self, candidate_ids: object) -> None:
        """See `Weights.sync`."""

    def forget(self, told: int, keep: object) -> None:
        """See `Weights.forget`."""


class _Marks(Silent):
    """A tracker that calls a function when so many have been evaluated."""

    def __init__(self, marks: Sequence[int], note: Callable[[int], object]) -> None:
        self._marks, self._note = marks, note
        self._n = 0

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """See `Tracker.evaluated`."""
        self._n += 1
        if self._n in self._marks:
            self._note(self._n)


def stub_search(
    engine: str,
    folder: Path,
    *,
    n_candidates: int,
    n_workers: int,
    marks: Sequence[int],
    note: Callable[[int], object],
    more: Sequence[Tracker] = (),
) -> None:
    """Search in the real loop, with a real journal in `folder`, while logical workers evaluate.

    `note` is called when as many as each of `marks` have been evaluated; `more` trackers are told.
    """
    problem = prepare(load_dataset("digits"), 0, {"epochs": _EPOCHS}).problem
    batches_in_flight = max(2, round(_LAG_A_WORKER * n_workers))
    in_generations = engine in ALGORITHMS and ALGORITHMS[engine].default_batches_in_flight == 1
    if " of two objectives" in engine:
        chosen = recipe("auto", objectives=("error", "parameters"), batches_in_flight=batches_in_flight)
    else:
        chosen = recipe(engine, batches_in_flight=None if in_generations else batches_in_flight)
    searched = chosen.engine(
        load_space(_SPACE),
        0,
        epochs=_EPOCHS,
        steps_per_epoch=problem.steps_per_epoch,
        costs=cost_model(problem.n_inputs, problem.n_outputs),
    )
    file = folder / "journal.jsonl"
    file.touch()
    journal = Journal(file)
    data = {"name": "digits", "rows": 0, "columns": 0, "task": "", "target": [], "classes": 0, "digest": "0"}
    info = RunInfo(
        "scaling",
        "0",
        folder,
        searched.state.space,
        "accuracy",
        {"data": data, "metric": "accuracy", "space": searched.state.space.to_dict(), "seed": 0},
        {},
        n_candidates,
        pair=journal.record.evaluations.__getitem__,
    )
    for tracker in (journal, *more):
        tracker.started(info)
    note(0)
    search_loop(
        searched,
        CandidateStream(searched, problem, _Logical(n_workers), _SameForAll(), n_candidates),
        BudgetUsage(Budget(candidates=n_candidates)),
        [journal, _Marks(marks, note), *more],
        interrupted=lambda: False,
    )
    for tracker in more:
        tracker.finished(Outcome("finished"))


def _throughput(engine: str, marks: Sequence[int], n_workers: int) -> list[dict[str, Any]]:
    """A row for each mark."""
    noted: list[tuple[int, float, float]] = []

    def note(n: int) -> None:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        noted.append((n, time.perf_counter(), memory))

    with tempfile.TemporaryDirectory() as folder:
        stub_search(engine, Path(folder), n_candidates=marks[-1], n_workers=n_workers, marks=marks, note=note)
        file = Path(folder, "journal.jsonl")
        size = file.stat().st_size / len(file.read_bytes().splitlines())
    (_, since, _), *noted = noted
    rows, before = [], (0, since)
    for n, now, memory in noted:
        rows.append(
            {
                "engine": engine,
                "workers": n_workers,
                "candidates": n,
                "candidates/s": round((n - before[0]) / (now - before[1])),
                "seconds": round(now - since, 3),
                "peak MiB": round(memory),
                "journal bytes": round(size),
            }
        )
        before = (n, now)
    return rows


def _growth(rows: Sequence[dict[str, Any]]) -> float:
    """The exponent of seconds by candidates, fitted from the first thousand on; NaN for one mark."""
    if len(rows) < 2:
        return math.nan
    x, y = (np.log([row[key] for row in rows]) for key in ("candidates", "seconds"))
    return float(np.polyfit(x, y, 1)[0])


def _workers(repeats: int, n_candidates: int) -> dict[str, Any]:
    """Median seconds of the same search by one worker and by two, and what the journal took of them."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    trained: dict[int, list[float]] = {1: [], 2: []}
    journal: list[float] = []
    spent = 0.0
    write = Journal._write

    def timed(self: Journal, entry: Any) -> None:
        nonlocal spent
        since = time.perf_counter()
        write(self, entry)
        spent += time.perf_counter() - since

    space = nas.SearchSpace(depth=(1, 3), widths=(128, 192, 256, 384), learning_rate=(0.001, 0.002, 0.004))
    Journal._write = timed  # type: ignore[method-assign]
    try:
        for _ in range(repeats):
            for n in seconds:
                spent = 0.0
                with tempfile.TemporaryDirectory() as folder:
                    result = nas.search(
                        "digits",
                        space=space,
                        n_candidates=n_candidates,
                        n_workers=n,
                        n_finalists=1,
                        baseline=False,
                        tracking=False,
                        progress=False,
                        runs_dir=folder,
                    )
                    each = [evaluation.seconds for _, evaluation in result.history]
                seconds[n].append(result.seconds)
                trained[n].append(sum(each) / (n * result.seconds))
                journal.append(spent / result.seconds)
    finally:
        Journal._write = write  # type: ignore[method-assign]
    one, two = median(seconds[1]), median(seconds[2])
    return {
        "search": f"digits, {n_candidates} candidates",
        "ms a candidate": round(1000 * sum(each) / len(each)),
        "1 worker s": round(one, 2),
        "2 workers s": round(two, 2),
        "speed-up": round(one / two, 3),
        "1 worker not training": round(1 - median(trained[1]), 3),
        "2 workers not training": round(1 - median(trained[2]), 3),
        "journal share": round(median(journal), 5),
    }


def _start_up(repeats: int) -> list[dict[str, Any]]:
    """Median seconds until the first candidate's line in the journal, by what had to be started."""
    ways = {
        "serial": ["--workers", "0", "--no-tracking"],
        "serial, MLflow": ["--workers", "0"],
        "Ray": ["--workers", "2", "--no-tracking"],
        "Ray, MLflow": ["--workers", "2"],
    }
    rows = [{"start of": "nas --version", "seconds": round(median(_version() for _ in range(repeats)), 2)}]
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, options in ways.items():
            taken[name].append(_first_line(options))
    return rows + [{"start of": name, "seconds": round(median(taken[name]), 2)} for name in ways]


def _version() -> float:
    since = time.perf_counter()
    subprocess.run([sys.executable, "-m", "nas", "--version"], check=True, capture_output=True)
    return time.perf_counter() - since


def _first_line(options: Sequence[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nas", "search", "iris", "--runs-dir", folder, "--name", "one"]
        command += ["--candidates", "4", "--no-baseline", "--finalists", "1", *options]
        journal = Path(folder, "one", "journal.jsonl")
        since = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while not journal.is_file() or journal.read_bytes().count(b"\n") < 2:
                if process.poll() not in (None, 0):
                    raise RuntimeError(f"{' '.join(command)}: ended with {process.returncode}")
                time.sleep(0.01)
            return time.perf_counter() - since


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    most = options.candidates or (3_000 if options.quick else 100_000)
    repeats = options.repeats or (1 if options.quick else 3)
    marks = sorted({mark for mark in _MARKS if mark < most} | {most})
    engines = options.engines.split(",") if options.engines else list(ENGINES)
    figures, rows = [], []
    # Each in a process of its own: memory of one is not another's.
    spawn = multiprocessing.get_context("spawn")
    for engine in engines:
        with spawn.Pool(1) as pool:
            found = pool.apply(_throughput, (engine, marks, options.workers))
        print("\n".join(map(str, found)), file=sys.stderr, flush=True)
        rows += found
        slowest = min(row["candidates/s"] for row in found)
        figures.append(Figure(f"{engine}: candidates/s, slowest stretch", 2000, slowest))
        if len(found) > 1:
            figures.append(Figure(f"{engine}: growth of seconds", 1.1, round(_growth(found), 3), True))
            extra = 1024 * (found[-1]["peak MiB"] - found[0]["peak MiB"])
            each = extra / (found[-1]["candidates"] - found[0]["candidates"])
            figures.append(Figure(f"{engine}: memory, KiB a candidate", 2, round(each, 2), True))
    if not options.engines:
        workers = _workers(repeats, 30 if options.quick else 200)
        start = _start_up(repeats)
        seconds = {row["start of"]: row["seconds"] for row in start}
        figures += [
            Figure("2 workers against 1", 1.9, workers["speed-up"]),
            Figure(
                "share of one worker's time between trainings", 0.05, workers["1 worker not training"], True
            ),
            Figure("journal's share of a search", 0.01, workers["journal share"], True),
            Figure("first candidate with Ray and MLflow, s", 8, seconds["Ray, MLflow"], True),
            Figure("first candidate in one process, s", 3, seconds["serial"], True),
        ]
        print(json.dumps(workers), *map(json.dumps, start), sep="\n")
    report(figures, rows, options.json)
    if options.plot:
        _plot(rows, options.plot)


def _plot(rows: Sequence[dict[str, Any]], file: str) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for engine in dict.fromkeys(row["engine"] for row in rows):
        those = [row for row in rows if row["engine"] == engine]
        axes.loglog(
            [row["candidates"] for row in those], [row["candidates/s"] for row in those], "o-", label=engine
        )
    axes.set(xlabel="candidates", ylabel="candidates a second, since the last mark")
    axes.legend(fontsize="small")
    figure.savefig(file, dpi=150)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="3,000 candidates, one repeat")
    parser.add_argument("--candidates", type=int, metavar="N", help="of each engine; default: 100,000")
    parser.add_argument("--workers", type=int, default=8, metavar="N", help="logical workers; default: 8")
    parser.add_argument("--engines", metavar="A,B", help=f"throughput only, of some of {', '.join(ENGINES)}")
    parser.add_argument("--repeats", type=int, metavar="N", help="of whole searches; default: 3, quick: 1")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    parser.add_argument("--plot", metavar="FILE", help="draw throughput against candidates")
    return parser


if __name__ == "__main__":
    main()
