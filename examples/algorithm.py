"""A search algorithm of your own: simulated annealing over genomes, in a dozen lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import nas
from nas.evolution import EvolutionState, Individual, Proposal, Strategy, mutant


class Annealing(Strategy):
    """Replaces its genome by a mutant, always by a better one, by a worse one ever more rarely.

    Kirkpatrick, Gelatt and Vecchi (1983), with a temperature that falls as 1 / evaluations.
    """

    default_size = 4

    def propose(self, state: EvolutionState) -> Proposal:
        """Mutate the present genome."""
        return mutant(state.population[0], state.space, state.rng)

    def survive(self, state: EvolutionState, offspring: Sequence[Individual]) -> list[Individual]:
        """Accept the best of the batch by the Metropolis rule."""
        present, challenger = state.fittest(state.population, 1), state.fittest(offspring, 1)
        if not present or not challenger:
            return challenger or present
        gain = challenger[0].evaluation.fitness - present[0].evaluation.fitness
        temperature = 0.5 / (1 + state.n_evaluated)
        accepted = gain >= 0 or state.rng.random() < math.exp(gain / temperature)
        return challenger if accepted else present


def main(runs_dir: Path = Path("runs"), n_candidates: int = 40) -> nas.SearchResult:
    """Search by annealing."""
    result = nas.search(
        "wine",
        algorithm=Annealing,
        n_candidates=n_candidates,
        runs_dir=runs_dir,
        tracking=False,
        progress=False,
    )
    print(f"{result.best.genome}: {result.evaluation.fitness:.4f}")
    return result


if __name__ == "__main__":
    main()
