"""An ensemble of what a search has kept: greedy selection by the validation rows.

Networks are picked one after the other, each time the one with which the mean of all picks scores best; the
same one may be picked again, and then counts for more (Caruana et al. 2004, "Ensemble selection from
libraries of models"). Nothing is trained for it: the weights of the best are kept by the search.
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
    state: Callable[[int], State],
    problem: Problem,
    n_picks: int,
) -> list[tuple[Individual, int]]:
    """The members of an ensemble, each with how often it was picked, the winner first.

    Parameters
    ----------
    winner : Individual
        The first pick.
    pool : sequence of Individual
        Who else may be picked.
    state : callable
        The trained weights of a candidate, by its id.
    problem : Problem
        What they were trained on.
    n_picks : int
        At least 1.
    """
    # Members read the same inputs.
    scaling = winner.candidate.genome.scaling
    others = [one for one in pool if one.id != winner.id and one.candidate.genome.scaling == scaling]
    individuals = [winner, *others]
    predictions = [_predictions(one, state(one.id), problem) for one in individuals]
    truth = _truth(predictions[0], problem.y_validation)

    def merit(outputs: Floats) -> tuple[float, float]:
        score = problem.score(outputs, problem.y_validation)
        # On few rows many are equal by the score: of these the nearest to the truth, as Brier (1950) has it.
        return (score if np.isfinite(score) else -np.inf), -float(np.mean(np.square(outputs - truth)))

    picks, total = [0], predictions[0].astype(np.float64)
    while len(picks) < n_picks:
        merits = [merit((total + one) / (len(picks) + 1)) for one in predictions]
        best = max(range(len(individuals)), key=lambda i: (merits[i], -i))
        picks.append(best)
        total = total + predictions[best]
    return [(individuals[i], n) for i, n in sorted(Counter(picks).items())]


def _predictions(one: Individual, state: State, problem: Problem) -> Floats:
    network = build_network(one.candidate.genome, one.candidate.seed, problem, initialize=False)
    network.parameters[...] = (state.best or state).parameters
    return predict(network, problem.of(one.candidate.genome).X_validation)


def _truth(outputs: Floats, y: Array) -> Array:
    """Targets in the form of outputs: classes as rows of 0 and 1."""
    return np.eye(outputs.shape[1])[y] if y.ndim == 1 else y
