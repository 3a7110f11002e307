"""Candidates of proposals, and individuals of their evaluations: ids, seeds, warm starts, costs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from nas.evaluation import Candidate, Evaluation
from nas.evolution.individual import Individual
from nas.evolution.lineage import Origin, Proposal, most_similar_parent
from nas.space import CostModel

_LATEST = 20
"""The latest candidates of a rung that count: a search proposes better candidates as it goes on."""


@dataclass
class _Rung:
    """The candidates that were cross-validated after the same epochs."""

    best: Evaluation | None = None
    first_scores: deque[float] = field(default_factory=lambda: deque(maxlen=_LATEST))

    def add(self, evaluation: Evaluation) -> None:
        self.first_scores.append(evaluation.fold_scores[0])
        is_better = self.best is None or evaluation.fitness > self.best.fitness
        if is_better and not evaluation.is_partial:
            self.best = evaluation

    def bar(self, best: Evaluation) -> float:
        """The score on the first fold below which a candidate is not trained on the others.

        The median of the latest scores on that fold, so that about half of the candidates are trained on all
        folds; but no more than the best candidate's score there, and no less than its worst fold: a candidate
        that is worse on a fold has no chance (Bergman et al. 2024, arXiv 2405.03389).
        """
        return max(min(median(self.first_scores), best.fold_scores[0]), min(best.fold_scores))


@dataclass
class Candidates:
    """Makes candidates, with ids that count up, and individuals of their evaluations.

    Attributes
    ----------
    seed : int
        Seeds of candidates follow from it and from their ids.
    objectives : tuple of str
        See `nas.evolution.individual.OBJECTIVES`.
    costs : CostModel, optional
    inherit : bool
        Whether children start from the trained weights of a parent.
    next_rung : callable, optional
        From the epochs of training so far to those up to the next rung; None: candidates train as a whole.
    in_flight : dict
        The proposals of candidates that are being evaluated, by id.
    """

    seed: int
    objectives: tuple[str, ...]
    costs: CostModel | None
    inherit: bool
    next_rung: Callable[[int], int] | None
    in_flight: dict[int, Proposal] = field(default_factory=dict)
    n_made: int = 0
    _rungs: dict[int | None, _Rung] = field(default_factory=dict)
    """By the epochs up to each rung."""

    def candidate(self, proposal: Proposal, generation: int) -> Candidate:
        """Return the next candidate, which is in flight until `individual` takes its evaluation."""
        number = self.n_made
        self.n_made += 1
        self.in_flight[number] = proposal
        continued = proposal.operator.origin is Origin.CONTINUE
        parent = proposal.parents[0] if continued else self.warm_start_from(proposal)
        epochs_done = proposal.parents[0].candidate.epochs or 0 if continued else 0
        epochs = None if self.next_rung is None else self.next_rung(epochs_done)
        return Candidate(
            id=number,
            genome=proposal.genome,
            seed=int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0]),
            generation=generation,
            operator=str(proposal.operator),
            parents=tuple(parent.id for parent in proposal.parents),
            inherits=None if parent is None else parent.id,
            epochs_done=epochs_done,
            epochs=epochs,
            **self._chance(epochs),
        )

    def _chance(self, epochs: int | None) -> dict[str, float]:
        """The bar and the offset of a candidate; none with several objectives.

        A network that is worse may be on the front of several objectives for its costs.
        """
        rung = self._rungs.get(epochs)
        if rung is None or rung.best is None or len(self.objectives) > 1:
            return {}
        return {"bar": rung.bar(rung.best), "offset": rung.best.fitness - rung.best.fold_scores[0]}

    def warm_start_from(self, proposal: Proposal) -> Individual | None:
        """Return the parent that gives a child its first weights; None without inheritance.

        Each fold inherits from the same fold: a parent that trained on its first fold only gives no weights.
        """
        parent = most_similar_parent(proposal) if self.inherit else None
        return None if parent is None or parent.evaluation.is_partial else parent

    def individual(self, candidate: Candidate, evaluation: Evaluation) -> tuple[Individual, Proposal]:
        """Return the individual of an evaluated candidate, and the proposal that it came from."""
        proposal = self.in_flight.pop(candidate.id)
        age = evaluation.best_epoch
        for parent in proposal.parents:
            if parent.id == candidate.inherits:
                # A continued training has inherited the epochs that it had inherited before, not its own.
                age += parent.inherited if candidate.epochs_done else parent.age
        if evaluation.fold_scores:
            self._rungs.setdefault(candidate.epochs, _Rung()).add(evaluation)
        costs = None if self.costs is None else self.costs(candidate.genome)
        return Individual(candidate, evaluation, costs, self.objectives, age), proposal
