"""What all benchmarks share: interleaved repeats, the table of figures, JSON, the machine."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.tracking import Outcome, RunInfo


class Silent:
    """A tracker that takes nothing down; subclasses say what they want to know."""

    def started(self, run: RunInfo) -> None:
        """See `Tracker.started`."""

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """See `Tracker.evaluated`."""

    def generation(self, generation: Generation) -> None:
        """See `Tracker.generation`."""

    def finished(self, outcome: Outcome) -> None:
        """See `Tracker.finished`."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that was asked for, and what was measured."""

    name: str
    asked: float
    measured: float
    at_most: bool = False

    @property
    def holds(self) -> bool:
        """Whether the measured number is as good as the one asked for."""
        return self.measured <= self.asked if self.at_most else self.measured >= self.asked


def interleaved(
    contestants: Mapping[str, Callable[[], object]],
    repeats: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """The median seconds of each contestant, run in turn: a machine that slows down slows all.

    Parameters
    ----------
    contestants : mapping of names to functions without arguments
    repeats : int
        Counted rounds.
    warmup : int
        Rounds before them that are not counted.
    clock : callable
        `time.process_time`, of contestants on one core: other processes take nothing of it.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(warmup + repeats):
        for name, contestant in contestants.items():
            since = clock()
            contestant()
            if round_ >= warmup:
                seconds[name].append(clock() - since)
    return {name: median(values) for name, values in seconds.items()}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"],
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as an aligned table."""
    cells = [list(rows[0]), *([_shown(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    )


def report(
    figures: Sequence[Figure],
    rows: Sequence[Mapping[str, Any]],
    file: str | None,
    raw: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Print the rows, then the figures asked for; write both as JSON where a file is named.

    `raw` are written in place of the rows, where these only sum them up.
    """
    print(table(rows))
    if figures:
        print()
        print(table([asdict(figure) | {"holds": "yes" if figure.holds else "NO"} for figure in figures]))
    print("\nmachine: " + ", ".join(f"{name} {value}" for name, value in machine().items()))
    if file is not None:
        record = {
            "figures": [
                {"name": f.name, "asked": f.asked, "measured": f.measured, "holds": f.holds} for f in figures
            ],
            "rows": list(rows if raw is None else raw),
            "machine": machine(),
        }
        Path(file).write_text(json.dumps(record, indent=1) + "\n")


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
