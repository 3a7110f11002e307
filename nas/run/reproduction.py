"""Training one candidate of a search again, alone, to see what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nas.errors import InputError, RunError
from nas.evaluation import Candidate, Checkpoint, Evaluation, Problem, evaluate
from nas.network import State
from nas.run.weights import Weights
from nas.tracking.archive import to_global_ids


@dataclass(frozen=True)
class Reproduction:
    """What a search recorded of a candidate, and what came of it now.

    Attributes
    ----------
    candidate : Candidate
    recorded, again : Evaluation
        In the search it may have been trained together with others, which rounds differently.
    retrained : tuple of int
        Ids of those that had to be trained again before, as the weights that it inherits are not kept
        any more; oldest first.
    """

    candidate: Candidate
    recorded: Evaluation
    again: Evaluation
    retrained: tuple[int, ...]

    def to_global_ids(self, island: int, n: int) -> Reproduction:
        """The same, as the whole search on `n` islands knows its candidates."""
        candidate, recorded = to_global_ids((self.candidate, self.recorded), island, n)
        again = replace(self.again, candidate_id=candidate.id)
        return Reproduction(candidate, recorded, again, tuple(i * n + island for i in self.retrained))


def reproduce(
    candidate_id: int,
    evaluations: Sequence[tuple[Candidate, Evaluation]],
    problem: Problem,
    weights: Weights,
) -> Reproduction:
    """Train a candidate again, from the weights that it inherited.

    Raises
    ------
    InputError
        If the search has no such candidate.
    RunError
        If one whose weights it needs cannot be trained.
    """
    recorded = {candidate.id: (candidate, evaluation) for candidate, evaluation in evaluations}
    if candidate_id not in recorded:
        last = f"0 to {max(recorded)}" if recorded else "none"
        raise InputError(f"candidate: expected one that the run has evaluated, got {candidate_id} of {last}")
    line = _ancestors(candidate_id, recorded, weights)
    state: State | None = None
    for i in line:
        again = _again(recorded[i][0], problem, recorded, weights, state)
        if i != candidate_id and (again.failed or again.state is None):
            raise RunError(
                f"candidate {i}: expected weights that {candidate_id} inherits, got: {again.error}"
            )
        state = again.state
    candidate, before = recorded[candidate_id]
    return Reproduction(candidate, before, again, tuple(line[:-1]))


def _ancestors(
    candidate_id: int, recorded: Mapping[int, tuple[Candidate, Evaluation]], weights: Weights
) -> list[int]:
    """The candidate and before it those that it needs, back to one whose heritage is kept or who has none."""
    line = [candidate_id]
    while (warm_start_from := recorded[line[0]][0].inherits) is not None and not weights.has(warm_start_from):
        line.insert(0, warm_start_from)
    return line


def _again(
    candidate: Candidate,
    problem: Problem,
    recorded: Mapping[int, tuple[Candidate, Evaluation]],
    weights: Weights,
    state: State | None,
) -> Evaluation:
    checkpoints = {}
    if candidate.inherits is not None:
        kept = weights.of(candidate.inherits) if state is None else state
        checkpoints[candidate.id] = Checkpoint.for_child(
            candidate, recorded[candidate.inherits][0].genome, kept
        )
    found = evaluate([candidate], problem, checkpoints)
    assert found is not None, "nobody interrupts"
    return found[0]
