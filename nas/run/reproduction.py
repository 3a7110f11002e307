"""Training one candidate of a search again, solo, to compare its result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nas.errors import InputError, RunError
from nas.evaluation import Candidate, Checkpoint, Evaluation, Problem, evaluate
from nas.network import State
from nas.run.weights import Weights
from nas.tracking.parts import to_global_ids


@dataclass(frozen=True)
class Reproduction:
    """The evaluation of a candidate that a search has recorded, and that of its training now.

    Attributes
    ----------
    candidate : Candidate
    recorded, repeated : Evaluation
        In the search it may have been trained in a cohort, which rounds differently.
    retrained : tuple of int
        Ids of its ancestors that had to be trained again before, as the checkpoint that it starts from is not
        kept any more; oldest first.
    """

    candidate: Candidate
    recorded: Evaluation
    repeated: Evaluation
    retrained: tuple[int, ...]

    def __str__(self) -> str:
        candidate = self.candidate
        lines = [
            f"candidate         {candidate.id}: {candidate.genome}",
            f"made by           {candidate.operator} of {_numbers(candidate.parents)}, seed {candidate.seed}",
            f"recorded          {_outcome(self.recorded)}",
            f"again, solo       {_outcome(self.repeated)}",
        ]
        if candidate.inherits is not None:
            origin = f"trained again: {_numbers(self.retrained)}" if self.retrained else "kept"
            lines.insert(2, f"started from      the weights of {candidate.inherits}, {origin}")
        return "\n".join(lines)

    def to_global_ids(self, part: int, n: int) -> Reproduction:
        """The same with global ids, those of a whole search with `n` parts."""
        candidate, recorded = to_global_ids((self.candidate, self.recorded), part, n)
        repeated = replace(self.repeated, candidate_id=candidate.id)
        return Reproduction(candidate, recorded, repeated, tuple(i * n + part for i in self.retrained))


def reproduce(
    candidate_id: int,
    evaluations: Sequence[tuple[Candidate, Evaluation]],
    problem: Problem,
    weights: Weights,
) -> Reproduction:
    """Train a candidate again, from its parent's checkpoint if it started from one.

    Raises
    ------
    InputError
        If the search has no such candidate.
    RunError
        If an ancestor that it needs cannot be trained.
    """
    recorded = {candidate.id: (candidate, evaluation) for candidate, evaluation in evaluations}
    if candidate_id not in recorded:
        last = f"0 to {max(recorded)}" if recorded else "none"
        raise InputError(f"candidate: expected one that the run has evaluated, got {candidate_id} of {last}")
    line = _ancestors(candidate_id, recorded, weights)
    states: tuple[State, ...] = ()
    for i in line:
        evaluation = _train_again(recorded[i][0], problem, recorded, weights, states)
        if i != candidate_id and (evaluation.failed or not evaluation.states):
            raise RunError(
                f"candidate {i}: expected weights that {candidate_id} inherits, got: {evaluation.error}"
            )
        states = evaluation.states
    candidate, before = recorded[candidate_id]
    return Reproduction(candidate, before, evaluation, tuple(line[:-1]))


def _ancestors(
    candidate_id: int, recorded: Mapping[int, tuple[Candidate, Evaluation]], weights: Weights
) -> list[int]:
    """The candidate, and before it the ancestors that it needs and that are not kept."""
    line = [candidate_id]
    while (warm_start_from := recorded[line[0]][0].inherits) is not None and not weights.has(warm_start_from):
        line.insert(0, warm_start_from)
    return line


def _train_again(
    candidate: Candidate,
    problem: Problem,
    recorded: Mapping[int, tuple[Candidate, Evaluation]],
    weights: Weights,
    states: tuple[State, ...],
) -> Evaluation:
    checkpoints = {}
    if candidate.inherits is not None:
        checkpoints[candidate.id] = Checkpoint.for_child(
            candidate, recorded[candidate.inherits][0].genome, states or weights.of(candidate.inherits)
        )
    # Solo, a score may be rounded to the other side of the candidate's bar.
    is_partial = recorded[candidate.id][1].is_partial
    candidate = replace(candidate, bar=math.inf if is_partial else None)
    evaluations = evaluate([candidate], problem, checkpoints)
    assert evaluations is not None, "there is no should_stop"
    return evaluations[0]


def _outcome(evaluation: Evaluation) -> str:
    if evaluation.failed:
        return f"failed: {evaluation.error}"
    return f"{evaluation.fitness:g} at epoch {evaluation.best_epoch}, loss {evaluation.validation_loss:g}"


def _numbers(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids)) or "no parents"
