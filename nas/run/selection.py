"""Naming a winner honestly: the best few are scored again where they were not chosen.

The best of many validation scores is too good: of those who are equally good, the luckiest is
chosen. So the finalists are trained again from the start, with other initial weights, on other cuts
of the rows that are not for testing (cross-validation; the test rows stay untouched), and the one with
the best mean is named.

Some rows are easier than others, so that the two scores of a winner can't be compared as they are. A
single layer of 100, which nobody chose, is trained on both: what the winner's lead over it in the search
was above its lead on the other cuts is the selection bias of the search's score.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

import numpy as np

from nas.evaluation import RESCORE, Candidate, Evaluation, Problem, plan_cohorts
from nas.evolution import Engine, Individual
from nas.execution import Executor, Task
from nas.genome import Genome
from nas.run.preparation import Prepared
from nas.scoring import error_over_folds

REFERENCE = Genome((100,))
"""What the winner has to beat: scikit-learn's default structure, a single layer of 100."""

_REFERENCE_SEEDS = 3
"""Seeds with which the reference is trained on the rows of the search."""

_AT_ONCE = 2**31
"""Bytes that the other cuts of the rows may take at once."""


@dataclass(frozen=True)
class Rescore:
    """A genome's scores on other cuts of the rows.

    Attributes
    ----------
    genome : Genome
    scores : tuple of float
        One a fold, on rows that were not trained on; without those folds on which it failed.
    best_epochs : tuple of int
        The epochs that were best there.
    error : float
        Of the mean; see `nas.scoring.error_over_folds`.
    """

    genome: Genome
    scores: tuple[float, ...]
    best_epochs: tuple[int, ...]

    @property
    def mean(self) -> float:
        """The mean score; -inf where every fold failed."""
        return fmean(self.scores) if self.scores else -math.inf

    @property
    def error(self) -> float:
        """See the class."""
        return error_over_folds(self.scores)

    @property
    def epochs(self) -> int:
        """How many epochs suit the genome: the median of the best."""
        return max(1, round(median(self.best_epochs)))


@dataclass(frozen=True)
class Selection:
    """Who was named, among whom, and how it compares with a single layer of 100.

    Attributes
    ----------
    winner : Individual
        The finalist that was named.
    finalists : list of Rescore
        Best of the search first.
    position : int
        The winner's among them.
    reference : Rescore
        Of `REFERENCE`, on the same folds.
    reference_scores : tuple of float
        Scores of `REFERENCE` on the rows of the search, with several seeds.
    n_folds : int
    """

    winner: Individual
    finalists: list[Rescore]
    position: int
    reference: Rescore
    reference_scores: tuple[float, ...]
    n_folds: int

    @property
    def rescore(self) -> Rescore:
        """The winner's."""
        return self.finalists[self.position]

    @property
    def selection_bias(self) -> float:
        """By how much the winner's score in the search is estimated to be too good; NaN if unknown."""
        if not self.reference_scores:
            return math.nan
        return self.winner.evaluation.fitness - fmean(self.reference_scores) - self.gain[0]

    @property
    def gain(self) -> tuple[float, float]:
        """What the winner scores above the single layer of 100, with its standard error, by paired folds.

        NaN where one of the two failed on some fold.
        """
        ours, theirs = self.rescore.scores, self.reference.scores
        if not len(ours) == len(theirs) == self.n_folds:
            return math.nan, math.nan
        differences = [one - other for one, other in zip(ours, theirs, strict=True)]
        return fmean(differences), error_over_folds(differences)


def select(
    engine: Engine,
    prepared: Prepared,
    executor: Executor,
    seed: int,
    n_finalists: int,
    *,
    refit: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
) -> Selection | None:
    """Score the finalists of a search again, and name one; None if `should_stop` ended that.

    Parameters
    ----------
    engine : Engine
        Of a search in which somebody has not failed.
    prepared : Prepared
    executor : Executor
    seed : int
        Decides folds and initial weights.
    n_finalists : int
    refit : bool
        Whether the winner will be trained anew, or keeps the weights that the search measured.
    should_stop : callable, optional
    """
    finalists = engine.finalists(n_finalists, anew=refit)
    genomes = [one.genome for one in finalists] + [REFERENCE]
    scalings = [name for name in prepared.scaled if name in {genome.scaling for genome in genomes}]

    def batches() -> Iterator[tuple[Problem, list[Candidate]]]:
        n = 0
        for fold in map(executor.hold, prepared.folds(seed, scalings)):
            yield fold, [_candidate(genome, [seed, n, i]) for i, genome in enumerate(genomes)]
            del fold  # it may be gone before the next one is made
            n += 1
        yield prepared.problem, [_candidate(REFERENCE, [seed, n, i]) for i in range(_REFERENCE_SEEDS)]

    evaluated = _evaluated(batches(), executor, should_stop, n_bytes=prepared.problem.n_bytes)
    if evaluated is None:
        return None
    *by_fold, reference_scores = evaluated
    rescores = []
    for i, genome in enumerate(genomes):
        fine = [fold[i] for fold in by_fold if not fold[i].failed]
        scores, best_epochs = [one.fitness for one in fine], [one.best_epoch for one in fine]
        rescores.append(Rescore(genome, tuple(scores), tuple(best_epochs)))
    named = engine.named(finalists, [one.mean for one in rescores[:-1]])
    return Selection(
        winner=finalists[named],
        finalists=rescores[:-1],
        position=named,
        reference=rescores[-1],
        reference_scores=tuple(one.fitness for one in reference_scores if not one.failed),
        n_folds=len(by_fold),
    )


def _candidate(genome: Genome, numbers: Sequence[int]) -> Candidate:
    """Somebody to train from the start; no candidate of the search has a seed of three numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    return Candidate(id=0, genome=genome, seed=seed, generation=numbers[1], operator=RESCORE)


def _evaluated(
    batches: Iterator[tuple[Problem, Sequence[Candidate]]],
    executor: Executor,
    should_stop: Callable[[], bool],
    *,
    n_bytes: int,
) -> list[list[Evaluation]] | None:
    """The evaluations of candidates on problems, side by side; None if `should_stop` ended that.

    Problems of about `n_bytes` are made when their turn comes, and let go when they are done: as many are
    there at once as take `_AT_ONCE` bytes, or one.
    """
    most = max(1, _AT_ONCE // max(1, n_bytes))
    ids = itertools.count()
    under_way: dict[int, Problem] = {}
    batch_ids: list[list[int]] = []
    found: dict[int, Evaluation] = {}
    coming = True
    while coming or under_way:
        if coming and len(under_way) < most:
            problem, candidates = next(batches, (None, ()))
            coming = problem is not None
            if problem is not None:
                numbered = [replace(one, id=next(ids)) for one in candidates]
                under_way[len(batch_ids)] = problem
                batch_ids.append([one.id for one in numbered])
                for cohort in plan_cohorts(numbered, problem):
                    executor.submit(Task(problem, cohort))
            del problem
            continue
        completed = executor.completed(should_stop)
        if completed is None:
            executor.drop()
            return None
        found |= {one.candidate_id: one for one in completed}
        for i in [i for i in under_way if found.keys() >= set(batch_ids[i])]:
            executor.release(under_way.pop(i))
    return [[found[number] for number in numbers] for numbers in batch_ids]
