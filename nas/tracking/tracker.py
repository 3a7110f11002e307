"""The contract of trackers: they receive the events of a search, and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.space import SearchSpace


@dataclass(frozen=True)
class RunInfo:
    """A search before it starts.

    Attributes
    ----------
    name, run_id : str
        The name of the run's folder, and an id that is unique among all runs.
    run_dir : Path
        The run's folder.
    space : SearchSpace
    metric : str
        Name of the score that is maximized.
    identity : mapping
        Everything that decides the results of the search: seed, space, data, training, ...
    options : mapping
        Settings that do not decide results: workers, budgets, paths.
    n_candidates : int
        Number of different networks that the budget holds.
    n_recorded, n_evaluated : int
        Different networks, and evaluations, that a resumed search reads from its journal.
    time_budget : float, optional
        Seconds of the whole command.
    seconds_left : callable, optional
        Seconds that the search may go on, by its plan; None without a time budget.
    pair : callable, optional
        Returns a candidate and its evaluation with all curves by the candidate's id, once `evaluated` was
        called with it. A tracker can read a candidate later and need not hold all of them in memory.
    """

    name: str
    run_id: str
    run_dir: Path
    space: SearchSpace
    metric: str
    identity: Mapping[str, Any]
    options: Mapping[str, Any]
    n_candidates: int
    n_recorded: int = 0
    n_evaluated: int = 0
    time_budget: float | None = None
    seconds_left: Callable[[], float] | None = field(default=None, compare=False)
    pair: Callable[[int], tuple[Candidate, Evaluation]] | None = field(default=None, compare=False)


class OutcomeStatus(StrEnum):
    """How a search ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """A search at its end.

    Attributes
    ----------
    status : OutcomeStatus or its text
    best : Candidate, optional
        The winner; None where the search has none.
    scores : mapping of str to float
        Named numbers such as ``test_score``.
    model_dir : Path, optional
        Folder of the saved winner.
    example : data frame, optional
        A few rows of the table that the winner predicts.
    """

    status: OutcomeStatus | Literal["finished", "interrupted", "failed"]
    best: Candidate | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    model_dir: Path | None = None
    example: Any = None


@runtime_checkable
class Tracker(Protocol):
    """Receives the events of a search: `started`, then `evaluated` and `generation`, then `finished`.

    The methods are called in the process and the thread that called `nas.search`, between two batches of
    trainings: a tracker that takes long holds up the search. It must not change what it receives. An
    exception that it raises ends the search as a failure; the journal is complete, and the search can be
    resumed.

    A resumed search repeats all events from its first candidate on. A tracker that stores events has to
    recognize the events that it stored before, by the candidate's id, which is the same each time; the
    first ``run.n_evaluated`` candidates are repetitions.

    Any object with these four methods is a tracker; it need not inherit from this class.

    Examples
    --------
    A tracker that appends the fitness of each new candidate to a CSV file:

    >>> from nas.tracking import Outcome, RunInfo
    >>> class FitnessFile:
    ...     def started(self, run: RunInfo) -> None:
    ...         self.n_repeated = run.n_evaluated
    ...         self.file = (run.run_dir / "fitness.csv").open("a", encoding="utf-8")
    ...
    ...     def evaluated(self, candidate, evaluation) -> None:
    ...         if candidate.id >= self.n_repeated and not evaluation.failed:
    ...             print(candidate.id, evaluation.fitness, sep=",", file=self.file, flush=True)
    ...
    ...     def generation(self, generation) -> None:
    ...         pass
    ...
    ...     def finished(self, outcome: Outcome) -> None:
    ...         self.file.close()
    >>> isinstance(FitnessFile(), Tracker)
    True
    """

    def started(self, run: RunInfo) -> None:
        """Receive the search before it asks for its first candidates."""

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Receive an evaluated candidate; called in the order of ids, also for failed candidates."""

    def generation(self, generation: Generation) -> None:
        """Receive the statistics of a generation after the last of its candidates."""

    def finished(self, outcome: Outcome) -> None:
        """Receive the outcome, also of a failed or interrupted search; no event follows."""
