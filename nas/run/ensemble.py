"""An ensemble of a search's candidates: greedy forward selection by the validation rows.

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
    state: Callable[[int], State],
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
    state : callable
        The trained weights of a candidate, by its id.
    problem : Problem
        The training and validation rows of the search.
    n_picks : int
        At least 1.
    """
    # Members read the same inputs.
    encoding = winner.candidate.genome.encoding
    individuals = [winner]
    individuals += [
        member for member in pool if member.id != winner.id and member.candidate.genome.encoding == encoding
    ]
    predictions = [_predictions(member, state(member.id), problem) for member in individuals]
    targets = _as_outputs(problem.y_validation, predictions[0].shape[1])

    def merit(outputs: Floats) -> tuple[float, float]:
        score = problem.score(outputs, problem.y_validation)
        # On few rows many scores are equal: of these the outputs with the least squared error (Brier 1950).
        return (score if np.isfinite(score) else -np.inf), -float(np.mean(np.square(outputs - targets)))

    picks, total = [0], predictions[0].astype(np.float64)
    while len(picks) < n_picks:
        merits = [merit((total + outputs) / (len(picks) + 1)) for outputs in predictions]
        best = max(range(len(individuals)), key=lambda i: (merits[i], -i))
        picks.append(best)
        total = total + predictions[best]
    return [(individuals[i], n) for i, n in sorted(Counter(picks).items())]


def _predictions(member: Individual, state: State, problem: Problem) -> Floats:
    """Outputs for the validation rows."""
    genome = member.candidate.genome
    network = build_network(genome, member.candidate.seed, problem, initialize=False)
    network.parameters[...] = (state.best or state).parameters
    return predict(network, problem.of(genome).X_validation)


def _as_outputs(y: Array, n_outputs: int) -> Array:
    """Targets in the form of outputs: classes as one-hot rows."""
    return np.eye(n_outputs)[y] if y.ndim == 1 else y
