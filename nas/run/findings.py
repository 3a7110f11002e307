"""What a search has found before its winner is selected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Engine
from nas.network import State
from nas.run.budget import BudgetUsage
from nas.run.stop_reason import StopReason


@dataclass(frozen=True)
class Findings:
    """What an engine has found, or the engines of several parts together.

    Attributes
    ----------
    stop_reason : StopReason
    is_behind : bool
        Whether the journal of a resumed search holds more: this search was interrupted during its replay.
    engine : Engine
        It holds the best individuals.
    usage : BudgetUsage
    heredity : tuple of float
        See `nas.run.SearchResult`.
    history : sequence of (Candidate, Evaluation)
        Everything that was tried.
    evaluation, states : functions of a candidate's id
        Its evaluation with all curves, and its trained weights, of each fold, if they are kept.
    seconds : float
        Duration of the search phase.
    """

    stop_reason: StopReason
    is_behind: bool
    engine: Engine
    usage: BudgetUsage
    heredity: tuple[float, ...]
    history: Sequence[tuple[Candidate, Evaluation]]
    evaluation: Callable[[int], Evaluation]
    states: Callable[[int], tuple[State, ...]]
    seconds: float = 0.0
