"""The contract of trackers: they are told what happens, and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.space import SearchSpace


@dataclass(frozen=True)
class RunInfo:
    """What there is to say of a search before it starts.

    `identity` decides every result of the search (seed, space, data, training, ...); `options` do
    not (workers, budgets, places). Of the `n_candidates` the first `n_recorded` are known from an
    earlier life of the search, in `n_evaluated` evaluations. `pair` gives a candidate that was told, by
    its id, and its evaluation: nobody has to remember them all.
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
    pair: Callable[[int], tuple[Candidate, Evaluation]] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Outcome:
    """What there is to say of a search at its end.

    `scores` are named numbers such as ``test_score``; `model_dir` is the folder of the saved
    winner and `example` a few rows of the table it is for.
    """

    status: Literal["finished", "interrupted", "failed"]
    best: Candidate | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    model_dir: Path | None = None
    example: Any = None


class Tracker(Protocol):
    """Is told of a search in this order: started, then evaluated and generation, then finished.

    A resumed search tells everything again from the start; trackers that keep what they were told
    in an earlier life do not take it down twice.
    """

    def started(self, run: RunInfo) -> None:
        """The search is about to ask for its first candidates."""

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """A candidate was evaluated; comes in the order of ids."""

    def generation(self, generation: Generation) -> None:
        """A generation ended."""

    def finished(self, outcome: Outcome) -> None:
        """The search is over; nothing follows."""
