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
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import nas
from benchmarks.harness import Figure, report
from benchmarks.stub_search import stub_search
from nas.evolution import ALGORITHMS
from nas.tracking.journal import Journal

ENGINES = ("auto", *ALGORITHMS, "auto of two objectives")
_MARKS = (1_000, 3_000, 10_000, 30_000, 100_000)


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
