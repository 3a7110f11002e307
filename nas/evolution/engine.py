"""The engine: asks a strategy for candidates, and takes in their evaluations in the order of ids.

An engine handles genomes and fitness: no clock, no training, no input or output. `ask` proposes a batch of
candidates; `tell` takes in their evaluations. The next batch may be asked for while up to
`batches_in_flight` are being evaluated: its proposals then rest on the evaluations so far, in an order that
the speed of workers does not change. The same seed and the same evaluations give the same candidates, which
is how a search is resumed.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nas.evaluation import Candidate, Evaluation
from nas.evolution.candidates import Candidates
from nas.evolution.generation import Generation, Statistics
from nas.evolution.individual import Individual
from nas.evolution.lineage import Operator, Origin, Proposal
from nas.evolution.proposals import Bounds, Proposals
from nas.evolution.strategy import EvolutionState, Strategy
from nas.evolution.successive_halving import SuccessiveHalving
from nas.evolution.surrogate import Surrogate
from nas.genome import Genome
from nas.space import CostModel, Limits, SearchSpace

NO_LIMITS = Limits()


@dataclass(frozen=True)
class EngineOptions:
    """What a search asks of its engine, whatever the algorithm; None: the strategy's default.

    Attributes
    ----------
    population_size : int, optional
        Individuals that may have children, at least 2.
    batches_in_flight : int, optional
        Batches that may be evaluated at once. More than 1 means no barrier between batches, and work for
        more workers, with children of less recent parents.
    objectives : tuple of str, optional
        See `nas.evolution.individual.OBJECTIVES`; "error" first.
    costs : CostModel, optional
        Needed for limits, and for objectives other than the error.
    limits : Limits
        Upper limits on the costs of every candidate.
    inherit : bool
        Whether children start from the trained weights of the parent that is most similar to them.
    starts : sequence of Genome
        Proposed first.
    """

    population_size: int | None = None
    batches_in_flight: int | None = None
    objectives: tuple[str, ...] | None = None
    costs: CostModel | None = None
    limits: Limits = NO_LIMITS
    inherit: bool = True
    starts: Sequence[Genome] = ()


DEFAULT_OPTIONS = EngineOptions()


class Engine:
    """Proposes candidates, and learns from their evaluations.

    Parameters
    ----------
    strategy : Strategy
        The evolutionary algorithm.
    space : SearchSpace
    seed : int
        Decides every draw.
    options : EngineOptions
    halving : SuccessiveHalving, optional
        Trains all candidates for a few epochs and promotes the best.
    surrogate : Surrogate, optional
        Selects the most promising of many children.

    Attributes
    ----------
    state : EvolutionState
        What the strategy reads, the population among it.
    archive : Archive
        All evaluated individuals, failures aside.

    Raises
    ------
    ValueError
        On a population or a number of batches in flight that the strategy cannot have.
    """

    def __init__(
        self,
        strategy: Strategy,
        space: SearchSpace,
        seed: int,
        options: EngineOptions = DEFAULT_OPTIONS,
        *,
        halving: SuccessiveHalving | None = None,
        surrogate: Surrogate | None = None,
    ) -> None:
        self.strategy, self.seed, self.options = strategy, seed, options
        self.halving = halving
        self.objectives = options.objectives or strategy.default_objectives
        size = _population_size(strategy, options.population_size)
        n_batches = _batches_in_flight(strategy, options.batches_in_flight)
        self.state = EvolutionState(space, random.Random(seed), size, n_batches, surrogate)
        self.archive = strategy.archive()
        next_rung = None if halving is None else halving.next_rung
        self._candidates = Candidates(seed, self.objectives, options.costs, options.inherit, next_rung)
        bounds = Bounds(space, options.costs, options.limits)
        self._proposals = Proposals(
            strategy, self.state, bounds, options.starts, self._candidates.warm_start_from
        )
        self._statistics = Statistics()
        self._batches: deque[deque[Candidate]] = deque()
        self._n_batches = 0
        self._batch_results: list[Individual] = []
        """The individuals of the first batch in flight that are evaluated, failures included."""

        self._latest: Generation | None = None

    @property
    def can_ask(self) -> bool:
        """Whether the next batch may be asked for."""
        return len(self._batches) < self.state.batches_in_flight

    def ask(self) -> list[Candidate]:
        """Return the candidates of the next batch; none if the space is exhausted.

        Promotions of successive halving come first, then starts and migrants, then new genomes.

        Raises
        ------
        RuntimeError
            If as many batches are in flight as may be.
        """
        if not self.can_ask:
            waiting = sum(map(len, self._batches))
            raise RuntimeError(f"ask: expected some of {waiting} evaluations to be told first")
        n = self.strategy.batch_size(self.state)
        promoted = [] if self.halving is None else [*map(_continued, self.halving.promoted(n))]
        proposals = self._proposals.fill(promoted, list(self._candidates.in_flight.values()))
        batch = [self._candidates.candidate(proposal, self._n_batches) for proposal in proposals]
        if batch:
            self._batches.append(deque(batch))
            self._n_batches += 1
        return batch

    def tell(self, evaluation: Evaluation) -> None:
        """Take in the evaluation of the next candidate, in the order of ids.

        Raises
        ------
        ValueError
            If it belongs to another candidate.
        """
        expected = self._batches[0][0].id if self._batches else None
        if evaluation.candidate_id != expected:
            raise ValueError(f"tell: expected candidate {expected}, got {evaluation.candidate_id}")
        candidate = self._batches[0].popleft()
        individual, proposal = self._candidates.individual(candidate, evaluation)
        self._statistics.count(individual, proposal)
        self.state.n_evaluated += 1
        self._batch_results.append(individual)
        if not evaluation.failed:
            self._add(individual)
        if not self._batches[0]:
            self._batches.popleft()
            self._end_batch(candidate.generation)

    @property
    def best(self) -> Individual | None:
        """The best individual so far; None while every candidate has failed."""
        return self.archive.best

    @property
    def front(self) -> list[Individual]:
        """The individuals that no other dominates, the best in the first objective first."""
        return self.archive.front

    def finalists(self, n: int, *, anew: bool = True) -> list[Individual]:
        """Return the `n` best individuals of which trained weights are kept, or all if fewer.

        Parameters
        ----------
        n : int
        anew : bool
            Whether the winner will be trained from scratch. With inheritance, half of the finalists are then
            the best that were trained from scratch: inherited weights say little about such a training.
        """
        mixed = anew and self.options.inherit
        return self.archive.finalists(n, self.live_checkpoints(), self.state.fittest, mixed=mixed)

    def elites(self, n: int) -> list[Individual]:
        """Return the `n` best so far, or all if fewer; with several objectives, spread over the front."""
        return self.archive.ranking.best(n)

    def immigrate(self, genomes: Sequence[Genome]) -> None:
        """Propose genomes of another engine in the next batches, except those that were proposed here.

        Migrants are trained like all other candidates.
        """
        self._proposals.immigrate(genomes)

    def merge(self, individuals: Sequence[Individual]) -> None:
        """Take in individuals of other engines, with ids that differ, and keep the best of each genome."""
        for individual in individuals:
            same = self.archive.individuals.get(individual.genome)
            if same is None or same.fitness < individual.fitness:
                self._add(individual)

    def named(self, finalists: Sequence[Individual], scores: Sequence[float]) -> int:
        """Return the position of the finalist that wins by new scores, one for each finalist."""
        return self.archive.winner(finalists, scores)

    def generation(self) -> Generation | None:
        """Return the state after the last batch, or after the evaluated part of the first batch in flight."""
        if not self._batch_results:
            return self._latest
        individuals = [*self.state.population, *_successes(self._batch_results)]
        number = self._batches[0][0].generation
        return self._statistics.summary(number, self.state.n_evaluated, self.best, individuals)

    def live_checkpoints(self) -> set[int]:
        """Return the ids of candidates of which trained weights are needed: by children, or at the end."""
        live = self.archive.checkpoints() | {individual.id for individual in self.state.population}
        if self.halving is not None:
            live |= {individual.id for individual in self.halving.waiting()}
        return live

    def _add(self, individual: Individual) -> None:
        """Add an individual, in place of the same genome with fewer epochs."""
        replaced = self.archive.add(individual)
        if replaced is not None:
            population = self.state.population
            self.state.population = [member for member in population if member is not replaced]
        if self.halving is not None:
            self.halving.enter(individual)

    def _end_batch(self, number: int) -> None:
        """Fit the surrogate, and let the strategy select the next population."""
        surrogate = self.state.surrogate
        if surrogate is not None and self.archive.individuals:
            surrogate.learn(self.archive.ranking)
        self.state.population = self.strategy.survive(self.state, _successes(self._batch_results))
        self._batch_results = []
        population, n_evaluated = self.state.population, self.state.n_evaluated
        self._latest = self._statistics.summary(number, n_evaluated, self.best, population)


def _continued(individual: Individual) -> Proposal:
    """Propose to train an individual on, up to the next rung."""
    return Proposal(individual.genome, Operator(Origin.CONTINUE), (individual,))


def _successes(individuals: Sequence[Individual]) -> list[Individual]:
    return [individual for individual in individuals if not individual.evaluation.failed]


def _population_size(strategy: Strategy, requested: int | None) -> int:
    size = strategy.default_size if requested is None else requested
    if size < 2:
        raise ValueError(f"population_size: expected at least 2, got {size}")
    return size


def _batches_in_flight(strategy: Strategy, requested: int | None) -> int:
    default = strategy.default_batches_in_flight
    n = default if requested is None else requested
    if n < 1 or (n > 1 and default == 1):
        raise ValueError(f"batches_in_flight: expected {'1' if default == 1 else 'at least 1'}, got {n}")
    return n
