"""The source of proposals: genomes that are new and within the limits."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import replace

from nas.evolution.breeding import further_mutant
from nas.evolution.individual import Individual
from nas.evolution.lineage import Operator, Origin, Proposal
from nas.evolution.operators import shrink
from nas.evolution.strategy import EvolutionState, Strategy
from nas.evolution.surrogate import Surrogate
from nas.genome import Genome
from nas.space import CostModel, Limits, SearchSpace

_ENUMERABLE = 20_000
"""Genomes of a space that is enumerated once children repeat themselves: takes a fraction of a second."""

_DRAWS = 10
"""Children that the strategy makes before genomes are drawn at random instead."""

_FURTHER_MUTATIONS = 10
"""Mutations, in sequence, that a child may take until its genome is new."""

_RANDOM_DRAWS = 20_000
"""Genomes drawn before a large space counts as exhausted, as with limits that hardly any genome meets."""


class Bounds:
    """A search space with limits on the costs of its genomes; without a cost model there are no limits."""

    def __init__(self, space: SearchSpace, costs: CostModel | None, limits: Limits) -> None:
        self.space, self.costs, self.limits = space, costs, limits
        self._is_limited = costs is not None and limits != Limits()

    def allow(self, genome: Genome) -> bool:
        """Return whether a genome is within the limits."""
        return not self._is_limited or self.costs is None or self.limits.allow(self.costs(genome))

    def shrink(self, proposal: Proposal, rng: random.Random) -> Proposal | None:
        """Make a proposal smaller step by step until it is within the limits; None if it never is."""
        genome: Genome | None = proposal.genome
        while genome is not None and not self.allow(genome):
            genome = shrink(genome, self.space, rng)
        if genome is None:
            return None
        return proposal if genome is proposal.genome else replace(proposal, genome=genome)


class Proposals:
    """Starts and migrants first, then children of the strategy, none twice.

    With a surrogate, children are selected from a pool of many; without, each new child is proposed.

    Parameters
    ----------
    strategy : Strategy
    state : EvolutionState
        The search's state; `Proposals` adds to its `proposed`.
    bounds : Bounds
    starts : sequence of Genome
        Proposed first.
    warm_start_from : callable
        The parent from which a proposal would inherit weights.
    """

    def __init__(
        self,
        strategy: Strategy,
        state: EvolutionState,
        bounds: Bounds,
        starts: Sequence[Genome],
        warm_start_from: Callable[[Proposal], Individual | None],
    ) -> None:
        self._strategy, self._state, self._bounds = strategy, state, bounds
        self._warm_start_from = warm_start_from
        self._arrivals = deque(Proposal(genome, Operator(Origin.START)) for genome in dict.fromkeys(starts))
        self._pool: dict[Genome, Proposal] = {}
        self._remaining: list[Genome] | None = None
        """The genomes that a small space has left, in random order, once children repeat themselves."""

    def immigrate(self, genomes: Sequence[Genome]) -> None:
        """Propose genomes of another engine next, except those that were proposed before."""
        waiting = {arrival.genome for arrival in self._arrivals}
        for genome in dict.fromkeys(genomes):
            if genome not in self._state.proposed and genome not in waiting:
                self._arrivals.append(Proposal(genome, Operator(Origin.MIGRANT)))

    def fill(self, batch: list[Proposal], in_flight: Sequence[Proposal]) -> list[Proposal]:
        """Return the batch, extended to the strategy's batch size, or by all genomes that are left.

        Parameters
        ----------
        batch : list of Proposal
            The proposals that the next batch already has.
        in_flight : sequence of Proposal
            Proposals that are being evaluated.
        """
        batch = list(batch)
        while self._arrivals and len(batch) < self._strategy.batch_size(self._state):
            batch.append(self._arrivals.popleft())
            self._state.proposed.add(batch[-1].genome)
        return batch + self._new(self._strategy.batch_size(self._state) - len(batch), in_flight)

    def _new(self, n: int, in_flight: Sequence[Proposal]) -> list[Proposal]:
        """Return up to `n` proposals of new genomes; fewer only at the end of the space."""
        proposals: list[Proposal] = []
        proposed, surrogate = self._state.proposed, self._state.surrogate
        if surrogate is not None and n > 0 and not self._is_starting:
            costs = self._bounds.costs
            effort = None if costs is None else lambda genome: costs(genome).effort
            proposals = surrogate.choose(
                self._children(surrogate), n, self._warm_start_from, in_flight, effort
            )
        while len(proposals) < n:
            proposal = self._unseen(_Union(proposed, {earlier.genome for earlier in proposals}))
            if proposal is None:
                break
            proposals.append(proposal)
        proposed |= {proposal.genome for proposal in proposals}
        return proposals

    @property
    def _is_starting(self) -> bool:
        """Whether there are no parents yet, or too few genomes for the surrogate to select children."""
        surrogate = self._state.surrogate
        few = surrogate is not None and len(self._state.proposed) < surrogate.n_initial
        return few or not self._state.population

    def _draw(self) -> Proposal:
        """Make a proposal, which may repeat an earlier genome."""
        return self._random() if self._is_starting else self._strategy.propose(self._state)

    def _random(self) -> Proposal:
        return Proposal(self._state.space.sample(self._state.rng), Operator(Origin.RANDOM))

    def _children(self, surrogate: Surrogate) -> list[Proposal]:
        """Return a pool of new children, a share of them drawn at random, for the surrogate to select from.

        Children that earlier selections left over stay in the pool while their parents are in the population.
        """
        proposed = self._state.proposed
        parents = set(map(id, self._state.population))
        pool = {
            genome: proposal
            for genome, proposal in self._pool.items()
            if genome not in proposed and parents.issuperset(map(id, proposal.parents))
        }
        n = max(surrogate.pool_size - len(pool), surrogate.n_new)
        n_random = round(surrogate.random_share * n)
        for i in range(n):
            child = self._bounds.shrink(self._random() if i < n_random else self._draw(), self._state.rng)
            if child is not None and child.genome not in proposed:
                pool[child.genome] = child
        self._pool = dict(itertools.islice(pool.items(), max(0, len(pool) - surrogate.pool_size), None))
        return list(self._pool.values())

    def _unseen(self, excluded: Container[Genome]) -> Proposal | None:
        """Return a proposal of a genome that is not excluded and within the limits; None if there is none."""
        rng = self._state.rng
        for _ in range(_DRAWS):
            proposal: Proposal | None = self._draw()
            # Most neighbours of parents with many children are excluded: mutating a child further finds
            # a new genome sooner than making another child does.
            for _ in range(_FURTHER_MUTATIONS):
                if proposal is None:
                    break
                within = self._bounds.shrink(proposal, rng)
                if within is not None and within.genome not in excluded:
                    return within
                proposal = further_mutant(proposal, self._state.space, rng)
        if self._state.space.size() <= _ENUMERABLE:
            return self._next_remaining(excluded)
        for _ in range(_RANDOM_DRAWS):
            within = self._bounds.shrink(self._random(), rng)
            if within is not None and within.genome not in excluded:
                return within
        return None

    def _next_remaining(self, excluded: Container[Genome]) -> Proposal | None:
        """Return the next genome of a small space that is not excluded, in random order; None at its end."""
        if self._remaining is None:
            space = self._state.space
            self._remaining = [
                genome for genome in space if genome not in excluded and self._bounds.allow(genome)
            ]
            self._state.rng.shuffle(self._remaining)
        while self._remaining:
            genome = self._remaining.pop()
            if genome not in excluded:
                return Proposal(genome, Operator(Origin.RANDOM))
        return None


class _Union:
    """The union of two collections that may still change."""

    def __init__(self, first: Container[Genome], second: Container[Genome]) -> None:
        self._first, self._second = first, second

    def __contains__(self, genome: object) -> bool:
        return genome in self._first or genome in self._second
