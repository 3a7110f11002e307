"""Selecting the winner by cross-validation of the finalists, and estimating the selection bias.

The best of many validation scores overstates: of equally good candidates, the luckiest is selected (Cawley &
Talbot 2010). So the finalists are trained from scratch, with other initial weights, on other cuts of the rows
that are not for testing; the test rows stay untouched. The finalist with the best mean score is the winner.

Some rows are easier than other rows, so the two scores of a winner cannot be compared directly. A reference,
a single layer of 100, which no selection has favoured, is trained on both: the excess of the winner's lead
over it in the search above its expected lead on the other cuts is the selection bias of the search's score.
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
"""The reference structure: scikit-learn's default, a single layer of 100."""

_REFERENCE_SEEDS = 3
"""Seeds with which the reference is trained on the search's own split: a mean varies less than a score."""

_FEW_FOLDS, _FEW_FINALISTS = 2, 2
"""Where time is short: with fewer, the scores say nothing that the search's own scores do not."""

_FINALISTS, _FINALISTS_AFTER_FOLDS = 6, 3
"""Finalists by default: after cross-validation, more are within its error of each other."""

_TASKS = 4
"""Cohorts of finalists that are cross-validated in a single problem: work for as many workers."""

_MAX_BYTES = 2**31
"""Bytes that folds may take at once: an eighth of the memory of a machine with 16 GiB."""


@dataclass(frozen=True)
class Rescore:
    """A genome's scores on other cuts of the rows.

    Attributes
    ----------
    genome : Genome
    scores : tuple of float
        For each fold the score on its validation rows; empty, or without those folds, where the training
        failed.
    best_epochs : tuple of int
        For each of these folds the epoch with the best score.
    loss : float
        The mean validation loss over these folds; NaN if it is unknown.
    error : float
        The standard error of the mean; see `nas.scoring.error_over_folds`.
    """

    genome: Genome
    scores: tuple[float, ...]
    best_epochs: tuple[int, ...]
    loss: float = math.nan

    @property
    def mean(self) -> float:
        """The mean score; -inf if every fold failed."""
        return fmean(self.scores) if self.scores else -math.inf

    @property
    def error(self) -> float:
        """See the class."""
        return error_over_folds(self.scores)

    @property
    def epochs(self) -> int:
        """The number of epochs that suits the genome: the median of the best epochs."""
        return max(1, round(median(self.best_epochs)))


@dataclass(frozen=True)
class Selection:
    """The winner, the finalists' scores, and the comparison with the reference.

    Attributes
    ----------
    winner : Individual
        The finalist that was selected.
    finalists : list of Rescore
        By descending score in the search.
    position : int
        The winner's position among the finalists.
    reference : Rescore
        Scores of `REFERENCE` on the same folds.
    reference_scores : tuple of float
        Scores of `REFERENCE` on the search's own split, with several seeds.
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
        """The winner's scores on the folds."""
        return self.finalists[self.position]

    @property
    def selection_bias(self) -> float:
        """The estimated overstatement of the winner's score in the search; NaN if unknown."""
        if not self.reference_scores:
            return math.nan
        return self.winner.evaluation.fitness - fmean(self.reference_scores) - self._expected_lead()

    def _expected_lead(self) -> float:
        """The posterior mean of the winner's lead over the reference; NaN if either failed on some fold.

        The finalist with the best mean of few folds has been lucky there, too. So its lead is shrunk towards
        the mean of all finalists' leads, by the share of their variance that the folds' noise explains
        (empirical Bayes; Efron & Morris 1975). The noise is what is left of the scores without the means of
        finalists and of folds.
        """
        if math.isnan(self.gain[0]):
            return math.nan
        complete = [rescore.scores for rescore in self.finalists if len(rescore.scores) == self.n_folds]
        n, k = len(complete), self.n_folds
        if n < 2 or k < 2:
            return self.gain[0]
        scores = np.array(complete)
        means = scores.mean(axis=1)
        noise = scores - means[:, np.newaxis] - scores.mean(axis=0) + scores.mean()
        variance_of_mean = float(np.square(noise).sum()) / ((n - 1) * (k - 1)) / k
        variance = float(means.var(ddof=1))
        share = max(0.0, 1 - variance_of_mean / variance) if variance > 0 else 0.0
        expected = float(means.mean()) + share * (self.rescore.mean - float(means.mean()))
        return expected - self.reference.mean

    @property
    def gain(self) -> tuple[float, float]:
        """The winner's score less the reference's, with its standard error, by paired folds.

        NaN if either failed on some fold.
        """
        scores, reference_scores = self.rescore.scores, self.reference.scores
        if not len(scores) == len(reference_scores) == self.n_folds:
            return math.nan, math.nan
        differences = [score - reference for score, reference in zip(scores, reference_scores, strict=True)]
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
    out_of_time: Callable[[], bool] = lambda: False,
    affordable: float = math.inf,
) -> Selection | None:
    """Score the finalists of a search again, and select the winner.

    None if `should_stop` ended that, or there was no time for it.

    Parameters
    ----------
    engine : Engine
        Of a search in which some candidate has not failed.
    prepared : Prepared
    executor : Executor
    seed : int
        Determines folds and initial weights.
    n_finalists : int
    refit : bool
        Whether the winner will be trained from scratch, or keeps the weights that the search has scored.
    should_stop : callable, optional
    out_of_time : callable, optional
        Once true, the folds on which all finalists are scored have to do.
    affordable : float
        Trainings that there is time for: fewer finalists are scored on at least two folds.
    """
    n_problems = 1 if prepared.problem.folds else _FEW_FOLDS
    n = min(n_finalists, int(min(affordable, 1e9) / n_problems) - 1)
    if n < min(_FEW_FINALISTS, n_finalists):
        return None
    finalists = engine.finalists(n, anew=refit)
    genomes = [finalist.genome for finalist in finalists] + [REFERENCE]
    used = {genome.encoding for genome in genomes}
    encodings = [encoding for encoding in prepared.preprocessors if encoding in used]
    # With folds inside the problem, further folds of the same rows are a single problem.
    folds = iter([prepared.repeated(seed)]) if prepared.problem.folds else prepared.folds(seed, encodings)
    folds = map(executor.hold, folds)
    rescoring = Rescoring(executor, genomes, seed, n_bytes=prepared.problem.n_bytes)
    scored = rescoring.on_folds(folds, prepared.problem, should_stop, out_of_time)
    if scored is None:
        return None
    by_fold, reference_evaluations = scored
    rescores = [_rescore(genome, [fold[i] for fold in by_fold]) for i, genome in enumerate(genomes)]
    if any(None in fold for fold in by_fold):
        has_scores = [bool(rescore.scores) for rescore in rescores]
        finalists = list(itertools.compress(finalists, has_scores))
        rescores = [*itertools.compress(rescores[:-1], has_scores), rescores[-1]]
        if len(finalists) < min(_FEW_FINALISTS, n_finalists):
            return None
    is_smooth = bool(prepared.problem.folds) and len(engine.objectives) == 1
    merits = _merits(rescores[:-1]) if is_smooth else [rescore.mean for rescore in rescores[:-1]]
    position = engine.named(finalists, merits)
    return Selection(
        winner=finalists[position],
        finalists=rescores[:-1],
        position=position,
        reference=rescores[-1],
        reference_scores=tuple(
            evaluation.fitness
            for evaluation in reference_evaluations
            if evaluation is not None and not evaluation.failed
        ),
        n_folds=len(by_fold) * prepared.problem.n_folds,
    )


def n_fewest_scorings(prepared: Prepared) -> int:
    """Trainings below which `select` has no time."""
    return (1 if prepared.problem.folds else _FEW_FOLDS) * (_FEW_FINALISTS + 1)


def finalists_to_score(prepared: Prepared, requested: int | None) -> int:
    """The number of finalists; fewer by default where every candidate is cross-validated already."""
    if requested is not None:
        return requested
    return _FINALISTS_AFTER_FOLDS if prepared.problem.folds else _FINALISTS


def n_scorings(prepared: Prepared, n_finalists: int) -> int:
    """Trainings that `select` takes at most."""
    n_problems = 1 if prepared.problem.folds else prepared.n_folds
    return n_problems * (n_finalists + 1) + _n_reference_seeds(prepared.problem)


def _n_reference_seeds(problem: Problem) -> int:
    """The trainings of the reference on the search's own rows: the mean over folds varies little already."""
    return 1 if problem.folds else _REFERENCE_SEEDS


def _rescore(genome: Genome, evaluations: Sequence[Evaluation | None]) -> Rescore:
    """The scores of a genome by its evaluations on each fold; None where there was no time."""
    valid = [evaluation for evaluation in evaluations if evaluation is not None and not evaluation.failed]
    of_folds = [evaluation.fold_scores or (evaluation.fitness,) for evaluation in valid]
    epochs = [
        (evaluation.best_epoch,) * len(of_fold) for evaluation, of_fold in zip(valid, of_folds, strict=True)
    ]
    loss = fmean([evaluation.validation_loss for evaluation in valid]) if valid else math.nan
    return Rescore(genome, tuple(itertools.chain(*of_folds)), tuple(itertools.chain(*epochs)), loss)


def _merits(rescores: Sequence[Rescore]) -> list[float]:
    """The finalists' merits on a small table: the mean rank by the score and by the loss, then the score.

    On few rows a score such as accuracy has few values, and the best of them is often luck; the loss is
    smooth, but of a confident network it says little about its score. Of ten genomes on vehicle and credit_g
    (five seeds each) the best by accuracy had a test accuracy of 0.8400 and 0.7500, by loss 0.8306 and 0.759,
    by the mean rank 0.8447 and 0.7560.
    """
    if any(not rescore.scores or math.isnan(rescore.loss) for rescore in rescores):
        return [rescore.mean for rescore in rescores]
    scores = [rescore.mean for rescore in rescores]
    losses = [-rescore.loss for rescore in rescores]
    ranks = [sum(other < value for other in values) for values in (scores, losses) for value in values]
    n, spread = len(rescores), max(map(abs, scores)) or 1.0
    return [ranks[i] + ranks[n + i] + scores[i] / spread / 2 for i in range(n)]


def _candidate(genome: Genome, numbers: Sequence[int]) -> Candidate:
    """A candidate to train from scratch; no candidate of the search has a seed of three numbers."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    return Candidate(id=0, genome=genome, seed=seed, generation=numbers[1], operator=RESCORE)


class Rescoring:
    """The trainings of finalists and reference on several folds, concurrently.

    As many folds are in memory at once as take `_MAX_BYTES`, or one fold. A fold's arrays are free as soon as
    its last candidate is evaluated: they are referred to from `_in_flight` only, never from a frame that
    waits.

    Parameters
    ----------
    executor : Executor
    genomes : sequence of Genome
        The finalists, and the reference last.
    seed : int
        Determines the initial weights, with the number of the fold and the position of the genome.
    n_bytes : int
        About the size of a fold.
    """

    def __init__(self, executor: Executor, genomes: Sequence[Genome], seed: int, *, n_bytes: int) -> None:
        self._executor, self._genomes, self._seed = executor, genomes, seed
        self._max_in_flight = max(1, _MAX_BYTES // max(1, n_bytes))
        self._ids = itertools.count()
        self._in_flight: dict[int, Problem] = {}
        self._ids_of_batch: list[list[int]] = []
        self._evaluations: dict[int, Evaluation] = {}

    def on_folds(
        self,
        folds: Iterator[Problem],
        search_problem: Problem,
        should_stop: Callable[[], bool],
        out_of_time: Callable[[], bool] = lambda: False,
    ) -> tuple[list[list[Evaluation | None]], list[Evaluation | None]] | None:
        """The evaluations of all genomes on each fold, and those of the reference on the search's own split.

        None if `should_stop` ended that. Once `out_of_time`, the folds that are completed, or with none, what
        there is of the first, which may hold all folds; None stands for the rest. A fold is made when its
        turn comes.
        """
        has_fold, has_split = True, True
        while has_fold or has_split or self._in_flight:
            if has_fold and len(self._in_flight) < self._max_in_flight:
                has_fold = self._start(next(folds, None), self._genomes)
            elif has_split and not has_fold and len(self._in_flight) < self._max_in_flight:
                has_split = not self._start(search_problem, [REFERENCE] * _n_reference_seeds(search_problem))
            elif not self._collect(lambda: should_stop() or out_of_time()):
                if should_stop():
                    return None
                break
        batches = [[self._evaluations.get(i) for i in ids] for ids in self._ids_of_batch]
        on_split = batches.pop() if not has_split else []
        completed = [batch for batch in batches if None not in batch]
        return completed or batches[:1], on_split

    def _start(self, problem: Problem | None, genomes: Sequence[Genome]) -> bool:
        """Submit genomes on a problem; whether there is one."""
        if problem is None:
            return False
        n = len(self._ids_of_batch)
        candidates = [
            replace(_candidate(genome, [self._seed, n, i]), id=next(self._ids))
            for i, genome in enumerate(genomes)
        ]
        self._in_flight[n] = problem
        self._ids_of_batch.append([candidate.id for candidate in candidates])
        for cohort in plan_cohorts(candidates, problem, _TASKS if problem.folds else 1):
            self._executor.submit(Task(problem, cohort))
        return True

    def _collect(self, should_stop: Callable[[], bool]) -> bool:
        """Wait for the next evaluations, and release the folds that are completed; False if stopped."""
        completed = self._executor.completed(should_stop)
        if completed is None:
            self._executor.drop()
            while self._in_flight:
                self._executor.release(self._in_flight.popitem()[1])
            return False
        self._evaluations |= {evaluation.candidate_id: evaluation for evaluation in completed}
        for n in list(self._in_flight):
            if self._evaluations.keys() >= set(self._ids_of_batch[n]):
                self._executor.release(self._in_flight.pop(n))
        return True
