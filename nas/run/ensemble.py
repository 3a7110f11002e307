"""An ensemble of a search's candidates: greedy forward selection by validation or out-of-fold predictions.

In each step the network is picked with which the mean of all picks scores best; a network may be picked
several times, and then has a larger weight (Caruana et al. 2004, "Ensemble selection from libraries of
models"). Nothing is trained for it: the search keeps the weights of the best candidates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from nas.evaluation import Problem, build_network
from nas.evolution import Individual
from nas.genome import Genome
from nas.network import State
from nas.network.arrays import Array, Floats
from nas.training import predict


def select_members(
    winner: Individual,
    pool: Sequence[Individual],
    states: Callable[[int], Sequence[State]],
    problem: Problem,
    n_picks: int,
) -> list[tuple[Individual, int]]:
    """The members of an ensemble, each with the number of times that it was picked, the winner first.

    Parameters
    ----------
    winner : Individual
        The first pick.
    pool : sequence of Individual
        The other individuals that may be picked.
    states : callable
        The trained weights of a candidate, of each fold, by its id.
    problem : Problem
        The training and validation rows of the search, or its folds.
    n_picks : int
        At least 1.
    """
    # Members read the same inputs.
    encoding = winner.candidate.genome.encoding
    individuals = [winner]
    individuals += [
        member
        for member in pool
        if member.id != winner.id
        and member.candidate.genome.encoding == encoding
        and not member.evaluation.is_partial
    ]
    predictions = [_predictions(member, states(member.id), problem) for member in individuals]
    parts = _judging_parts(problem)
    targets = np.concatenate([_as_outputs(y, predictions[0].shape[1]) for y, _ in parts])
    ends = np.cumsum([len(y) for y, _ in parts])[:-1]

    def merit(outputs: Floats) -> tuple[float, float]:
        # The mean over folds, as the fitness is.
        of_folds = zip(np.split(outputs, ends), parts, strict=True)
        score = float(np.mean([problem.metric(part, y, weights) for part, (y, weights) in of_folds]))
        # On few rows many scores are equal: of these the outputs with the least squared error (Brier 1950).
        return (score if np.isfinite(score) else -np.inf), -float(np.mean(np.square(outputs - targets)))

    picks, total = [0], predictions[0].astype(np.float64)
    while len(picks) < n_picks:
        merits = [merit((total + outputs) / (len(picks) + 1)) for outputs in predictions]
        best = max(range(len(individuals)), key=lambda i: (merits[i], -i))
        picks.append(best)
        total = total + predictions[best]
    return [(individuals[i], n) for i, n in sorted(Counter(picks).items())]


def _predictions(member: Individual, states: Sequence[State], problem: Problem) -> Floats:
    """Outputs for the validation rows, or for those of each fold by the fold's own network."""
    genome, outputs = member.candidate.genome, []
    for state, X in zip(states, _judging_inputs(problem, genome), strict=True):
        network = build_network(genome, member.candidate.seed, problem, initialize=False)
        network.parameters[...] = (state.best or state).parameters
        outputs.append(predict(network, X))
    return np.concatenate(outputs)


def _judging_inputs(problem: Problem, genome: Genome) -> list[Floats]:
    """The inputs of the rows by which candidates are judged: one part, or one of each fold."""
    if not problem.folds or problem.by_fold:
        return [part.of(genome).X_validation for part in problem.by_fold or [problem]]
    X = problem.of(genome).X_train
    return [X[fold.validation] for fold in problem.folds]


def _judging_parts(problem: Problem) -> list[tuple[Array, Floats | None]]:
    """The targets of these rows, and their weights."""
    if not problem.folds:
        return [(problem.y_validation, problem.weights_validation)]
    y, weights = problem.y_train, problem.weights_train
    return [
        (y[fold.validation], None if weights is None else weights[fold.validation]) for fold in problem.folds
    ]


def _as_outputs(y: Array, n_outputs: int) -> Array:
    """Targets in the form of outputs: classes as one-hot rows."""
    return np.eye(n_outputs)[y] if y.ndim == 1 else y
