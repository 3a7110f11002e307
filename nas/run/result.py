"""What a search found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nas.evaluation import Candidate, Evaluation
from nas.run.comparison import TestScores
from nas.runtime import Network


@dataclass(frozen=True)
class SearchResult:
    """The winner, its scores, and everything that was tried.

    Attributes
    ----------
    run_dir, model_path : Path
        The run's folder, and the saved winner's folder in it.
    task, metric : str
    best : Candidate
    evaluation : Evaluation
        The winner's, from the search.
    network : nas.runtime.Network
        The winner, trained: `predict`, `predict_proba`, `transform` on raw tables.
    test : TestScores
        Scores on the rows that the search never saw.
    history : list of (Candidate, Evaluation)
        Everything that was tried, in order.
    seconds : float
        From the first candidate to the last.
    stopped : str
        "candidates", "time", "exhausted" (the space holds no further genome) or "interrupted".
    tracking_uri, mlflow_run_id, mlflow_url : str or None
    dropped : tuple of str
        Columns that the network does not use.
    """

    run_dir: Path
    model_path: Path
    task: str
    metric: str
    best: Candidate
    evaluation: Evaluation
    network: Network = field(repr=False)
    test: TestScores
    history: list[tuple[Candidate, Evaluation]] = field(repr=False)
    seconds: float
    stopped: str
    tracking_uri: str | None = None
    mlflow_run_id: str | None = None
    mlflow_url: str | None = None
    dropped: tuple[str, ...] = ()

    @property
    def n_failures(self) -> int:
        """How many candidates failed."""
        return sum(evaluation.failed for _, evaluation in self.history)

    def to_frame(self) -> pd.DataFrame:
        """One row a candidate, in order: genome, fitness and where it came from."""
        return pd.DataFrame(
            [
                {
                    "id": candidate.id,
                    "generation": candidate.generation,
                    "operator": candidate.operator,
                    "genome": str(candidate.genome),
                    "depth": candidate.genome.depth,
                    "n_parameters": evaluation.n_parameters,
                    "fitness": None if evaluation.failed else evaluation.fitness,
                    "validation_loss": None if evaluation.failed else evaluation.validation_loss,
                    "best_epoch": evaluation.best_epoch,
                    "seconds": evaluation.seconds,
                    "error": evaluation.error,
                }
                for candidate, evaluation in self.history
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, as ``nas search --json`` prints it."""
        genome = self.best.genome
        return {
            "run_dir": str(self.run_dir),
            "task": self.task,
            "metric": self.metric,
            "best": {
                "genome": genome.to_dict(),
                "widths": list(genome.widths),
                "fitness": self.evaluation.fitness,
                "n_parameters": self.evaluation.n_parameters,
            },
            "validation_score": self.evaluation.fitness,
            "test_score": self.test.score,
            "test_score_error": self.test.error,
            "baseline_test_score": self.test.baseline,
            "test_difference": self.test.difference,
            "test_difference_error": self.test.difference_error,
            "candidates": len(self.history),
            "failures": self.n_failures,
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
            "tracking_uri": self.tracking_uri,
            "mlflow_run_id": self.mlflow_run_id,
            "model_path": str(self.model_path),
        }
