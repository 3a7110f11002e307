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
    parts = problem.judging_parts(winner.genome)
    targets = np.concatenate([_as_outputs(part.y, predictions[0].shape[1]) for part in parts])
    ends = np.cumsum([len(part.y) for part in parts])[:-1]

    def merit(outputs: Floats) -> tuple[float, float]:
        # The mean over folds, as the fitness is.
        of_folds = zip(np.split(outputs, ends), parts, strict=True)
        score = float(np.mean([problem.metric(own, part.y, part.weights) for own, part in of_folds]))
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
    for state, part in zip(states, problem.judging_parts(genome), strict=True):
        network = build_network(genome, member.candidate.seed, problem, initialize=False)
        network.parameters[...] = (state.best or state).parameters
        outputs.append(predict(network, part.X))
    return np.concatenate(outputs)


def _as_outputs(y: Array, n_outputs: int) -> Array:
    """Targets in the form of outputs: classes as one-hot rows."""
    return np.eye(n_outputs)[y] if y.ndim == 1 else y
