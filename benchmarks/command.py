"""The command ``nas search`` in a process of its own, timed from its start to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

import nas
from benchmarks.data import COMMAND_READING
from nas.data import Dataset
from nas.network.arrays import Array, Ints

MANY = 10**6
"""Candidates of a search, more than it has time for."""

_WATCHED_EVERY = 0.02
"""Seconds between two looks at a journal."""

_ROOT = Path(__file__).resolve().parent.parent
_TOLERANCE = 1e-5
"""Between the test score that the command prints and the score of its model's predictions."""


@dataclass(frozen=True)
class Command:
    """A finished command: its run's folder, its seconds, and what it has printed.

    `line_seconds` are the seconds from its start until each line of the journal was written: the first
    when the search began, the others with candidates.
    """

    run_dir: Path
    seconds: float
    printed: dict[str, Any]
    line_seconds: list[float]

    @property
    def network(self) -> Any:
        """The model that the command has saved."""
        return nas.load_network(self.run_dir / "best")


class CommandError(Exception):
    """A command that ended with an error; the message is the end of what it has printed."""


def run_search(
    file: Path, task: str, seconds: float, seed: int, folder: Path, options: Sequence[str] = ()
) -> Command:
    """Run ``nas search --time-budget SECONDS`` on a file that `Table.write` has written.

    Parameters
    ----------
    file : path
    task : str
    seconds : float
    seed : int
    folder : path
        Of the runs.
    options : sequence of str
        Further options; without, they are the defaults, but for the number of candidates.
    """
    line = [sys.executable, "-m", "nas", "search", str(file), *COMMAND_READING, "--task", task, "--json"]
    line += ["--seed", str(seed), "--time-budget", f"{seconds:g}", "--candidates", str(MANY)]
    line += ["--runs-dir", str(folder), *options]
    with _Watch(folder) as watch:
        since = time.monotonic()
        done = subprocess.run(
            line,
            cwd=file.parent,
            env=os.environ | {"PYTHONPATH": _python_path()},
            text=True,
            capture_output=True,
        )
        taken = time.monotonic() - since
    if done.returncode:
        raise CommandError(f"{' '.join(line)}: exit code {done.returncode}: {done.stderr[-1000:]}")
    printed = json.loads(done.stdout.splitlines()[-1])
    return Command(Path(printed["run_dir"]), taken, printed, [moment - since for moment in watch.times])


def _python_path() -> str:
    """The path by which another process imports this very package."""
    return os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))


def test_predictions(command: Command, dataset: Dataset, test: Ints) -> Array:
    """What the saved model predicts for the test rows, in the form of ``Dataset.y``.

    Raises `CommandError` if the score of these is not the test score that the command has printed: then
    these rows are not the rows that it has left for the test.
    """
    predictions = command.network.predict(dataset.table.iloc[test])
    y = dataset.y[test]
    predicted: Array = np.asarray(predictions)
    if dataset.task == "classification":
        codes = {label: code for code, label in enumerate(dataset.classes)}
        predicted = np.array([codes[label] for label in predicted.tolist()])
        score = float(np.mean(predicted == y))
    else:
        predicted = predicted.reshape(len(predicted), -1)
        score = float(np.mean(1 - np.square(y - predicted).mean(axis=0) / y.var(axis=0)))
    if abs(score - command.printed["test_score"]) > _TOLERANCE:
        raise CommandError(
            f"{dataset.name}: expected the test score that nas search has printed, "
            f"{command.printed['test_score']:.6g}, got {score:.6g} from its model's predictions"
        )
    return predicted


class _Watch(threading.Thread):
    """Takes down, to a 50th of a second, when each line of the journal in a folder of runs was written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.times: list[float] = []
        self._folder, self._over, self._n_bytes = folder, threading.Event(), 0

    def run(self) -> None:
        """Look until it is over, and then once more."""
        while not self._over.wait(_WATCHED_EVERY):
            self._look()
        self._look()

    def _look(self) -> None:
        # Not a folder that is still being made, which has another name a moment later.
        for path in self._folder.glob("[!.]*/journal.jsonl"):
            with path.open("rb") as file:
                file.seek(self._n_bytes)
                new = file.read()
            self._n_bytes += len(new)
            self.times += [time.monotonic()] * new.count(b"\n")

    def __enter__(self) -> _Watch:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self.join()
