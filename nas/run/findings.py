"""What the search itself has found, before a winner is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Engine
from nas.network import State
from nas.run.budget import Spent


@dataclass(frozen=True)
class Findings:
    """What one engine has found, or those of several islands together.

    Attributes
    ----------
    why : str
        It ended; see `nas.run.SearchResult.stopped`.
    is_behind : bool
        Whether an earlier life had come further: this one was interrupted while it took that in.
    engine : Engine
        Which knows the best.
    spent : Spent
    heredity : tuple of float
    history : sequence of (Candidate, Evaluation)
        Everything that was tried.
    evaluation, state : functions of a candidate's id
        Its evaluation with all curves, and its trained weights, where they are kept.
    """

    why: str
    is_behind: bool
    engine: Engine
    spent: Spent
    heredity: tuple[float, ...]
    history: Sequence[tuple[Candidate, Evaluation]]
    evaluation: Callable[[int], Evaluation]
    state: Callable[[int], State]
