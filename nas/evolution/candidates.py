"""Candidates of proposals, and individuals of their evaluations: ids, seeds, warm starts, costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nas.evaluation import Candidate, Evaluation
from nas.evolution.individual import Individual
from nas.evolution.lineage import Origin, Proposal, most_similar_parent
from nas.space import CostModel


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
    _best: dict[int | None, Evaluation] = field(default_factory=dict)
    """The best evaluation of each rung, by the epochs up to it."""

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
            bar=self._bar(epochs),
        )

    def _bar(self, epochs: int | None) -> float | None:
        """The score on its first fold below which a candidate has no chance: the best one's worst fold.

        None with several objectives: a network that is worse may be on the front for its costs.
        """
        best = self._best.get(epochs)
        return None if best is None or len(self.objectives) > 1 else min(best.fold_scores)

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
        if evaluation.fold_scores and not evaluation.is_partial:
            best = self._best.get(candidate.epochs)
            if best is None or evaluation.fitness > best.fitness:
                self._best[candidate.epochs] = evaluation
        costs = None if self.costs is None else self.costs(candidate.genome)
        return Individual(candidate, evaluation, costs, self.objectives, age), proposal
