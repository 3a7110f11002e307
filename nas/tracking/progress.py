"""Progress on the screen: a live line on a terminal, else a line for each phase and each generation."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from nas import screen
from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.metric_names import shown_metric
from nas.tracking.tracker import Outcome, RunInfo

_BAR = 12
"""Columns of the bar: with it, counts and times take 60 of a terminal's 80 columns."""

Left = Callable[[], float]
"""Seconds that are left of a phase; infinity or NaN where that is unknown."""


class ProgressDisplay:
    """Shows the phases of a search; as a tracker, its candidates.

    It is a context manager, in which a live line is on the screen where the stream is a terminal. The line
    changes several times a second, whatever the search does.

    Parameters
    ----------
    stream : text file
        The file to print to, usually standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = Console(file=stream, highlight=False)
        self._live: Progress | None = None
        self._best: tuple[float, float] | None = None
        self._best_text = "none yet"
        self._n_networks = self._failures = 0
        self._has_started = False

    def __enter__(self) -> ProgressDisplay:
        screen.end()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def phase(self, name: str, left: Left | None = None) -> None:
        """Show another phase, and the seconds that are left of it.

        Without a terminal, phases are printed once the search has started: what is refused before that is
        refused in one line.
        """
        self._show(name, left=left)
        if self._live is None and self._has_started:
            seconds = math.nan if left is None else left()
            self._print(f"{name}, {duration(seconds)} left" if math.isfinite(seconds) else name)

    def started(self, run: RunInfo) -> None:
        """Show the search."""
        self._run, self._since, self._has_started = run, time.monotonic(), True
        self._shown = shown_metric(run.metric)
        self._show("searching", total=run.n_candidates, left=self._seconds_left, best="best none yet")

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Count the candidate; update the best so far."""
        self._n_networks += candidate.epochs_done == 0  # a network counts once
        self._failures += evaluation.failed
        quality = (evaluation.fitness, -evaluation.validation_loss)
        if not evaluation.failed and (self._best is None or quality > self._best):
            self._best = quality
            shown = self._shown
            self._best_text = f"{shown.name} {shown.text(evaluation.fitness)} ({candidate.genome})"
        if self._live is not None:
            failed = f", {self._failures} failed" if self._failures else ""
            self._live.update(self._task, completed=self._n_networks, best=f"best {self._best_text}{failed}")

    def generation(self, generation: Generation) -> None:
        """Print a line, unless there is a live line."""
        if self._live is None:
            failed = f", {self._failures} failed" if self._failures else ""
            self._print(
                f"generation {generation.number}: {self._n_networks}/{self._run.n_candidates} candidates"
                f"{failed}, best {self._best_text}, mean {self._shown.text(generation.mean)}, "
                f"{duration(self._seconds_left())} left"
            )

    def finished(self, outcome: Outcome) -> None:
        """Show that the search ends; what else has to be written may take a moment."""
        if self._live is not None:
            self._live.refresh()
        self._show("ending")

    def close(self) -> None:
        """Remove the live line."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _show(
        self, name: str, *, total: float | None = None, left: Left | None = None, best: str = ""
    ) -> None:
        if not self._console.is_terminal:
            return
        if self._live is None:
            self._live = Progress(
                TextColumn("{task.description}", table_column=_whole()),
                BarColumn(bar_width=_BAR, table_column=_whole()),
                _Counts(table_column=_whole()),
                TimeElapsedColumn(table_column=_whole()),
                _LeftColumn(table_column=_whole()),
                # Of a line that is too long for the terminal, the genome is cut.
                TextColumn("{task.fields[best]}", table_column=Column(no_wrap=True, ratio=1)),
                console=self._console,
                transient=True,
                expand=True,
            )
            self._live.start()
        for task in self._live.task_ids:
            self._live.remove_task(task)
        fields: dict[str, Any] = {"seconds_left": left or (lambda: math.nan), "best": best}
        self._task = self._live.add_task(name, total=total, **fields)

    def _print(self, line: str) -> None:
        # A reader that has exited, such as `head`, must not end the search.
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def _seconds_left(self) -> float:
        """Estimate the time left from the mean time of a network and from the time budget."""
        elapsed = time.monotonic() - self._since
        new = max(1, self._n_networks - self._run.n_recorded)
        seconds = elapsed / new * (self._run.n_candidates - self._n_networks)
        if self._run.seconds_left is not None:
            seconds = min(seconds, max(0.0, self._run.seconds_left()))
        return seconds


def _whole() -> Column:
    """A column that stays whole on a narrow terminal."""
    return Column(no_wrap=True, overflow="ignore")


class _Counts(ProgressColumn):
    """Candidates and their share, where they are counted."""

    max_refresh = None

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        return Text(f"{int(task.completed)}/{int(task.total)} {task.percentage:.0f}%")


class _LeftColumn(ProgressColumn):
    """The time that is left, where it is known."""

    max_refresh = None

    def render(self, task: Task) -> Text:
        seconds = task.fields["seconds_left"]()
        return Text(f"{duration(seconds)} left" if math.isfinite(seconds) else "")


def duration(seconds: float) -> str:
    """Seconds or minutes."""
    return f"{max(0.0, seconds):.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
