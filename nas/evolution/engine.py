"""The ask/tell contract, and what all engines share: lineage, the cache of genomes, statistics.

An engine knows genomes and fitness: no clock, no training, no input or output. Asked, it proposes a
batch of candidates; told their evaluations in the order of their ids, it takes them in. It may be
asked for the next batch while up to `batches_in_flight` are under way: what it proposes then rests on
what it was told, in an order that no worker's speed changes. The same seed and the same evaluations give
the same candidates, which is how a search is resumed.
"""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import replace
from statistics import fmean, median, pstdev
from typing import ClassVar

import numpy as np
from deap import tools

from nas.alignment import genome_distance, mean_distance
from nas.evaluation import Candidate, Evaluation
from nas.evolution.generation import Generation
from nas.evolution.individual import Individual
from nas.evolution.operators import inherited, mutate, shrink
from nas.evolution.proposal import Proposal
from nas.evolution.ranking import ByFitness, Ranking, by_fitness
from nas.evolution.successive_halving import CONTINUE, SuccessiveHalving
from nas.evolution.surrogate import Surrogate
from nas.genome import Genome
from nas.space import CostModel, Costs, Limits, SearchSpace

_ENUMERABLE = 20_000
_DRAWS = 10
_FURTHER = 10
"""Mutations, one after the other, that a child may take to become one that was never proposed."""

_RANDOM_DRAWS = 20_000
_ELITE = 20
_SELF_MADE = 5


class Engine(ABC):
    """Proposes candidates and learns from their evaluations.

    Subclasses say how the next genome comes about (`_propose`) and who may have children
    (`_survivors`).

    Parameters
    ----------
    space : SearchSpace
    seed : int
        Decides every draw.
    population_size : int
        How many may have children.
    objectives : tuple of str
        See `nas.evolution.individual.OBJECTIVES`; "error" first.
    costs : CostModel, optional
        Needed for limits, and for objectives other than the error.
    limits : Limits
        What no candidate exceeds.
    inherit : bool
        Whether children start from the trained weights of the parent that they resemble most.
    halving : SuccessiveHalving, optional
        Trains everyone for a few epochs and the best of them on.
    surrogate : Surrogate, optional
        Chooses among many children those that promise most.
    starts : sequence of Genome
        Proposed first.
    batches_in_flight : int, optional
        Batches that may be under way at once; by default the algorithm's own number. More than one: no
        barrier between batches, and work for more workers, with children of less recent news.
    """

    default_batches_in_flight: ClassVar[int] = 1
    default_size: ClassVar[int] = 12
    ranking: ClassVar[type[Ranking]] = ByFitness

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        population_size: int | None = None,
        *,
        objectives: tuple[str, ...] = ("error",),
        costs: CostModel | None = None,
        limits: Limits | None = None,
        inherit: bool = True,
        halving: SuccessiveHalving | None = None,
        surrogate: Surrogate | None = None,
        starts: Sequence[Genome] = (),
        batches_in_flight: int | None = None,
    ) -> None:
        population_size = self.default_size if population_size is None else population_size
        if population_size < 2:
            raise ValueError(f"population_size: expected at least 2, got {population_size}")
        batches_in_flight = self.default_batches_in_flight if batches_in_flight is None else batches_in_flight
        if batches_in_flight < 1 or (batches_in_flight > 1 and self.default_batches_in_flight == 1):
            expected = "1" if self.default_batches_in_flight == 1 else "at least 1"
            raise ValueError(f"batches_in_flight: expected {expected}, got {batches_in_flight}")
        self.space = space
        self.seed = seed
        self.batches_in_flight = batches_in_flight
        self.population_size = population_size
        self.objectives = objectives
        self.costs = costs
        self.limits = limits or Limits()
        self._limited = self.limits != Limits()
        self.inherit = inherit
        self.halving = halving
        self.surrogate = surrogate
        self.rng = random.Random(seed)
        self.population: list[Individual] = []
        self.hall_of_fame = _hall(_ELITE)
        self.self_made = _hall(_SELF_MADE)
        """The best of those who inherited no weights."""
        self.logbook = tools.Logbook()
        self.logbook.header = ["number", "evaluated", "failures", "best", "mean", "std", "diversity"]
        self.individuals: dict[Genome, Individual] = {}
        """Everyone who was evaluated and did not fail, as last evaluated."""
        self._everyone = self.ranking()
        self._statistics = _fitness_statistics()
        self._arrivals = deque(Proposal(genome, "start") for genome in dict.fromkeys(starts))
        """What others have found, to be proposed before anything new."""
        self._seen: set[Genome] = set()
        self._unchosen: dict[Genome, Proposal] = {}
        self._left: list[Genome] | None = None
        """What a small space has left, once children are not new any more."""
        self._batches: deque[deque[Candidate]] = deque()
        self._told: list[Individual] = []
        self._generation = 0
        self._last: Generation | None = None
        self._n_asked = self._n_told = self._n_failures = 0
        self._under_way: dict[int, Proposal] = {}
        self._heredity: list[tuple[float, int]] = []
        """For each layer position the sum of shares inherited, and how many they are of."""

    @property
    def batch_size(self) -> int:
        """Candidates that are asked for at once."""
        return self.population_size

    @property
    def can_ask(self) -> bool:
        """Whether the next batch may be asked for."""
        return len(self._batches) < self.batches_in_flight

    def ask(self) -> list[Candidate]:
        """The candidates of the next batch; none if nothing is left to try.

        Raises
        ------
        RuntimeError
            If as many batches are under way as may be.
        """
        if not self.can_ask:
            waiting = sum(map(len, self._batches))
            raise RuntimeError(f"ask: expected some of {waiting} evaluations to be told first")
        batch = [self._candidate(proposal) for proposal in self._next_batch()]
        if batch:
            self._batches.append(deque(batch))
            self._generation += 1
        return batch

    def tell(self, evaluation: Evaluation) -> None:
        """Take in the evaluation of the next candidate that was asked for, in the order of ids.

        Raises
        ------
        ValueError
            If it is another candidate's.
        """
        expected = self._batches[0][0].id if self._batches else None
        if evaluation.candidate_id != expected:
            raise ValueError(f"tell: expected candidate {expected}, got {evaluation.candidate_id}")
        candidate = self._batches[0].popleft()
        individual = self._individual(candidate, evaluation)
        self._n_told += 1
        self._told.append(individual)
        if evaluation.failed:
            self._n_failures += 1
        else:
            self._take_in(individual)
        if not self._batches[0]:
            self._batches.popleft()
            self._end_batch(candidate.generation)

    @property
    def best(self) -> Individual | None:
        """The best individual so far; None while every candidate has failed."""
        return self.hall_of_fame[0] if len(self.hall_of_fame) else None

    @property
    def front(self) -> list[Individual]:
        """Those than whom nobody is better in every objective, best in the first objective first."""
        return self._everyone.best(1)

    def finalists(self, n: int, *, anew: bool = True) -> list[Individual]:
        """The `n` best of those whose trained weights are kept, or as many as there are.

        Where children inherit, and the winner will be trained anew, half of them are the best of those
        who did not: how good somebody is then, weights that went through many hands say little about.
        """
        best, self_made = self._contenders(n)
        if not (anew and self.inherit):
            return best
        chosen = {one.id: one for one in best[: n - n // 2]}
        for one in [*self_made, *best]:
            if len(chosen) < n:
                chosen.setdefault(one.id, one)
        return list(chosen.values())

    def _contenders(self, n: int) -> tuple[list[Individual], Sequence[Individual]]:
        """The `n` best of all whose weights are kept, and the best of those who inherited none."""
        kept = self.live_checkpoints()
        best = self._fittest([one for one in self.individuals.values() if one.id in kept], n)
        return best, list(self.self_made)

    def elites(self, n: int) -> list[Individual]:
        """The `n` best so far, or all if there are fewer; with several objectives, all over the front."""
        return self._everyone.best(n)

    def immigrate(self, genomes: Sequence[Genome]) -> None:
        """Propose what another engine has found, as far as it was never proposed here, in the next batches.

        A migrant is trained in its new home as everybody there is.
        """
        waiting = {one.genome for one in self._arrivals}
        for genome in dict.fromkeys(genomes):
            if genome not in self._seen and genome not in waiting:
                self._arrivals.append(Proposal(genome, "migrant"))

    def merge(self, individuals: Sequence[Individual]) -> None:
        """Take in those that other engines have evaluated, best of each genome, to name the best of all.

        Their ids have to differ.
        """
        for one in individuals:
            known = self.individuals.get(one.genome)
            if known is None or known.fitness < one.fitness:
                self._take_in(one)

    def named(self, finalists: Sequence[Individual], scores: Sequence[float]) -> int:
        """The position of the finalist that wins, now that all have been scored again."""
        return max(range(len(finalists)), key=lambda i: (scores[i], -i))

    def generation(self) -> Generation | None:
        """The state after the last batch, or after the part of it that was told."""
        number = self._batches[0][0].generation if self._told else 0
        return self._summary(number) if self._told else self._last

    def live_checkpoints(self) -> set[int]:
        """Ids of candidates whose trained weights may still be asked for: by children, or at the end."""
        kept = {one.id for one in [*self.population, *self.hall_of_fame, *self.self_made]}
        if self.halving is not None:
            kept |= {one.id for one in self.halving.waiting()}
        return kept

    def _next_batch(self) -> list[Proposal]:
        """Promotions, then what the search was given or sent, then new genomes."""
        batch: list[Proposal] = []
        if self.halving is not None:
            chosen = self.halving.promoted(self.batch_size)
            batch += [Proposal(one.genome, CONTINUE, (one,)) for one in chosen]
        while self._arrivals and len(batch) < self.batch_size:
            batch.append(self._arrivals.popleft())
            self._seen.add(batch[-1].genome)
        return batch + self._new(self.batch_size - len(batch))

    def _new(self, n: int) -> list[Proposal]:
        """Up to `n` genomes that were never proposed; fewer only at the end of the space."""
        chosen: list[Proposal] = []
        if self.surrogate is not None and self._n_fresh >= self.surrogate.start and self.population and n > 0:
            under_way = list(self._under_way.values())
            chosen = self.surrogate.choose(self._pool(), n, self._inherits, under_way, self._effort)
        while len(chosen) < n:
            taken = {proposal.genome for proposal in chosen}
            proposal = self._unseen(_Union(self._seen, taken))
            if proposal is None:
                break
            chosen.append(proposal)
        self._seen |= {proposal.genome for proposal in chosen}
        return chosen

    def _pool(self) -> list[Proposal]:
        """Children to choose from, some drawn at random; fewer where many were proposed before.

        Who was not chosen of earlier ones may be now, as long as all parents live.
        """
        surrogate = self.surrogate
        assert surrogate is not None, "there is somebody to choose"
        parents = set(map(id, self.population))
        pool = {
            genome: one
            for genome, one in self._unchosen.items()
            if genome not in self._seen and parents.issuperset(map(id, one.parents))
        }
        n = max(surrogate.pool - len(pool), surrogate.n_new)
        n_random = round(surrogate.random_share * n)
        for i in range(n):
            drawn = self._within_limits(self._random() if i < n_random else self._propose())
            if drawn is not None and drawn.genome not in self._seen:
                pool[drawn.genome] = drawn
        self._unchosen = dict(itertools.islice(pool.items(), max(0, len(pool) - surrogate.pool), None))
        return list(self._unchosen.values())

    @property
    def _n_fresh(self) -> int:
        """Genomes that were proposed so far."""
        return len(self._seen)

    @property
    def _is_starting(self) -> bool:
        """Whether there are too few to have children, or for a model to choose children by."""
        few = self.surrogate is not None and self._n_fresh < self.surrogate.start
        return few or not self.population

    def _unseen(self, seen: Container[Genome]) -> Proposal | None:
        """A genome that is new and within the limits; None if there is none."""
        for _ in range(_DRAWS):
            proposal: Proposal | None = self._propose()
            # Around parents that have had many children most is known: a child then goes on until it
            # is new, instead of being born again and again.
            for _ in range(_FURTHER):
                if proposal is None:
                    break
                within = self._within_limits(proposal)
                if within is not None and within.genome not in seen:
                    return within
                proposal = self._mutated(proposal)
        if self.space.size() <= _ENUMERABLE:
            return self._left_over(seen)
        for _ in range(_RANDOM_DRAWS):
            within = self._within_limits(self._random())
            if within is not None and within.genome not in seen:
                return within
        return None

    def _mutated(self, proposal: Proposal) -> Proposal | None:
        """The mutant of one parent after one more mutation; None for others.

        A child of two would be ever less of a child of theirs, and of a random genome nothing is left.
        """
        changed = mutate(proposal.genome, self.space, self.rng) if len(proposal.parents) == 1 else None
        if changed is None:
            return None
        genome, mutation = changed
        return Proposal(genome, f"{proposal.operator}+{mutation}", proposal.parents)

    def _left_over(self, seen: Container[Genome]) -> Proposal | None:
        """What nobody has proposed of a small space, in random order."""
        if self._left is None:
            self._left = [one for one in self.space if one not in seen and self._allowed(one)]
            self.rng.shuffle(self._left)
        while self._left:
            genome = self._left.pop()
            if genome not in seen:
                return Proposal(genome, "random")
        return None

    def _within_limits(self, proposal: Proposal) -> Proposal | None:
        """The proposal, made smaller step by step until it is within the limits."""
        genome: Genome | None = proposal.genome
        while genome is not None and not self._allowed(genome):
            genome = shrink(genome, self.space, self.rng)
        if genome is None:
            return None
        return proposal if genome is proposal.genome else replace(proposal, genome=genome)

    def _random(self) -> Proposal:
        return Proposal(self.space.sample(self.rng), "random")

    def _allowed(self, genome: Genome) -> bool:
        return self.costs is None or not self._limited or self.limits.allow(self.costs(genome))

    def _candidate(self, proposal: Proposal) -> Candidate:
        number = self._n_asked
        self._n_asked += 1
        self._under_way[number] = proposal
        continued = proposal.operator == CONTINUE
        warm_start_from = proposal.parents[0] if continued else self._inherits(proposal)
        done = proposal.parents[0].candidate.epochs or 0 if continued else 0
        return Candidate(
            id=number,
            genome=proposal.genome,
            seed=int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0]),
            generation=self._generation,
            operator=proposal.operator,
            parents=tuple(parent.id for parent in proposal.parents),
            inherits=None if warm_start_from is None else warm_start_from.id,
            epochs_done=done,
            epochs=None if self.halving is None else self.halving.next_rung(done),
        )

    def _inherits(self, proposal: Proposal) -> Individual | None:
        """The parent whose weights a child starts from: of those with its inputs the most similar one."""
        genome = proposal.genome
        alike = [parent for parent in proposal.parents if parent.genome.scaling == genome.scaling]
        if not self.inherit or not alike:
            return None
        if len(alike) == 1:
            return alike[0]
        return min(alike, key=lambda parent: genome_distance(genome, parent.genome))

    def _individual(self, candidate: Candidate, evaluation: Evaluation) -> Individual:
        parents = self._under_way.pop(candidate.id).parents
        if candidate.operator.startswith("crossover"):
            for position, share in enumerate(
                inherited(candidate.genome, parents[0].genome, parents[-1].genome)
            ):
                if position == len(self._heredity):
                    self._heredity.append((0.0, 0))
                total, n = self._heredity[position]
                self._heredity[position] = (total + share, n + 1)
        age = evaluation.best_epoch
        for parent in parents:
            if parent.id == candidate.inherits:
                # Who goes on has inherited what it had inherited before.
                age += parent.inherited if candidate.epochs_done else parent.age
        return Individual(candidate, evaluation, self._cost(candidate.genome), self.objectives, age)

    @property
    def _effort(self) -> Callable[[Genome], float] | None:
        """What training a genome takes; None if costs are not known."""
        costs = self.costs
        return None if costs is None else lambda genome: costs(genome).effort

    def _cost(self, genome: Genome) -> Costs | None:
        return None if self.costs is None else self.costs(genome)

    def _take_in(self, individual: Individual) -> None:
        """Remember who was evaluated, in place of the same genome with fewer epochs."""
        before = self.individuals.get(individual.genome)
        if before is not None:
            for hall in (self.hall_of_fame, self.self_made):
                for i in reversed(range(len(hall))):
                    if hall[i].genome == individual.genome:
                        hall.remove(i)
            self.population = [one for one in self.population if one is not before]
            self._everyone.discard(before)
        self.individuals[individual.genome] = individual
        self._everyone.add(individual)
        self.hall_of_fame.update([individual])
        if not individual.inherited:
            self.self_made.update([individual])
        if self.halving is not None:
            self.halving.enter(individual)

    def _end_batch(self, number: int) -> None:
        if self.surrogate is not None and self.individuals:
            self.surrogate.learn(self._everyone)
        self.population = self._survivors(self.population, self._alive(self._told))
        self._told = []
        self._last = self._summary(number)
        if self._last is not None:
            self.logbook.record(**{name: getattr(self._last, name) for name in self.logbook.header})

    def _alive(self, individuals: Sequence[Individual]) -> list[Individual]:
        """Those who have not failed."""
        return [one for one in individuals if not one.evaluation.failed]

    def _summary(self, number: int) -> Generation | None:
        alive = self._alive(self.population + self._told)
        if self.best is None or not alive:
            return None
        return Generation(
            number=number,
            evaluated=self._n_told,
            failures=self._n_failures,
            diversity=mean_distance([one.genome for one in alive]),
            best_genome=self.best.genome,
            heredity=tuple(total / n for total, n in self._heredity),
            **{**self._statistics.compile(alive), "best": self.best.evaluation.fitness},
        )

    def _fittest(self, individuals: Sequence[Individual], n: int) -> list[Individual]:
        """The `n` best: those that the model expects to be, where one has learned from them."""
        if self.surrogate is not None and self.surrogate.has_learned and individuals:
            return self.surrogate.best(individuals, n)
        return self._ranked(individuals)[:n]

    def _ranked(self, individuals: Collection[Individual]) -> list[Individual]:
        """Best first; among equals the one that was asked for first."""
        return sorted(individuals, key=by_fitness, reverse=True)

    @abstractmethod
    def _propose(self) -> Proposal:
        """A genome, the operator that made it, and its parents; may repeat itself."""

    @abstractmethod
    def _survivors(self, population: list[Individual], offspring: list[Individual]) -> list[Individual]:
        """Who may have children after a batch; all have been evaluated."""


class _Union:
    """What is in either of two collections, which may change."""

    def __init__(self, one: Container[Genome], other: Container[Genome]) -> None:
        self._one, self._other = one, other

    def __contains__(self, genome: object) -> bool:
        return genome in self._one or genome in self._other


def _hall(size: int) -> tools.HallOfFame:
    """The best individuals, each genome once."""
    return tools.HallOfFame(size, similar=lambda one, other: one.genome == other.genome)


def _fitness_statistics() -> tools.Statistics:
    """Median, mean and standard deviation of individuals' fitness, as DEAP compiles them."""
    statistics = tools.Statistics(key=lambda individual: individual.evaluation.fitness)
    for name, function in (("median", median), ("mean", fmean), ("std", pstdev)):
        statistics.register(name, function)
    return statistics
