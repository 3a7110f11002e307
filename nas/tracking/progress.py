"""Progress on the screen: a live line on a terminal, else a line for each generation."""

from __future__ import annotations

import contextlib
import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.tracking.tracker import Outcome, RunInfo


class ProgressDisplay:
    """The tracker that prints progress.

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

    def started(self, run: RunInfo) -> None:
        """Start the live line, where the stream is a terminal."""
        self._run, self._since = run, time.monotonic()
        if self._console.is_terminal:
            self._live = Progress(
                MofNCompleteColumn(),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[left]}"),
                TimeElapsedColumn(),
                TextColumn("best {task.fields[best]}"),
                console=self._console,
                transient=True,
            )
            self._task = self._live.add_task("", total=run.n_candidates, best="none yet", left="")
            self._live.start()

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Count the candidate; update the best so far and the time left."""
        self._n_networks += candidate.epochs_done == 0  # a network counts once
        self._failures += evaluation.failed
        quality = (evaluation.fitness, -evaluation.validation_loss)
        if not evaluation.failed and (self._best is None or quality > self._best):
            self._best = quality
            self._best_text = f"{self._run.metric} {evaluation.fitness:.4f} ({candidate.genome})"
        if self._live is not None:
            failed = f", {self._failures} failed" if self._failures else ""
            self._live.update(
                self._task,
                completed=self._n_networks,
                best=self._best_text + failed,
                left=f"{self._time_left()} left",
            )

    def generation(self, generation: Generation) -> None:
        """Print a line, unless there is a live line."""
        if self._live is None:
            failed = f", {self._failures} failed" if self._failures else ""
            line = (
                f"generation {generation.number}: {self._n_networks}/{self._run.n_candidates} candidates"
                f"{failed}, best {self._best_text}, mean {generation.mean:.4f}, {self._time_left()} left\n"
            )
            # A reader that has exited, such as `head`, must not end the search.
            with contextlib.suppress(BrokenPipeError):
                self._stream.write(line)
                self._stream.flush()

    def finished(self, outcome: Outcome) -> None:
        """Remove the live line."""
        if self._live is not None:
            self._live.stop()

    def _time_left(self) -> str:
        """Estimate the time left from the mean time of a network and from the time budget."""
        elapsed = time.monotonic() - self._since
        new = max(1, self._n_networks - self._run.n_recorded)
        seconds = elapsed / new * (self._run.n_candidates - self._n_networks)
        if self._run.time_budget is not None:
            seconds = min(seconds, max(0.0, self._run.time_budget - elapsed))
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
