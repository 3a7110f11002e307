"""Stop a search by a rule of your own: once the population as a whole no longer improves.

Run it with ``python examples/callback.py``; it takes about ten seconds.
"""

from pathlib import Path

import nas
from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.run import CallbackContext


class Plateau(nas.Callback):
    """Prints each new best score, and stops once the median of the population is on a plateau.

    Parameters
    ----------
    patience : int
        Generations in a row without a better median.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = self.median = float("-inf")
        self.n_generations = 0

    def evaluated(self, context: CallbackContext, candidate: Candidate, evaluation: Evaluation) -> None:
        """Print a new best score."""
        if not evaluation.failed and evaluation.fitness > self.best:
            self.best = evaluation.fitness
            print(f"{context.n_evaluations:4}  {context.metric} {self.best:.4f}  {candidate.genome}")

    def generation(self, context: CallbackContext, generation: Generation) -> bool:
        """Whether to stop: the search then ends after this batch, as at any other end."""
        is_better = generation.median > self.median
        self.median = max(self.median, generation.median)
        self.n_generations = 0 if is_better else self.n_generations + 1
        return self.n_generations >= self.patience


def main(runs_dir: Path = Path("runs"), n_candidates: int = 100) -> nas.SearchResult:
    """Search until the population is on a plateau."""
    result = nas.search(
        "wine",
        n_candidates=n_candidates,
        callbacks=[Plateau(patience=4)],
        runs_dir=runs_dir,
        tracking=False,
        progress=False,
    )
    print(f"stopped by {result.stopped} after {result.n_candidates} networks: {result.best.genome}")
    print(f"to go on without the rule: nas resume {result.run_dir}")
    return result


if __name__ == "__main__":
    main()
