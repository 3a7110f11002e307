"""The result of a search."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nas.evaluation import Candidate, Evaluation
from nas.evaluation.out_of_fold import OutOfFold
from nas.genome import Genome
from nas.reporting import result_text
from nas.reporting.lines import place, short_genome
from nas.run.earlier import EarlierWinner
from nas.run.selection import Selection
from nas.run.stop_reason import StopReason
from nas.run.test_scores import TestScores
from nas.runtime import Ensemble, Network
from nas.space import Costs
from nas.tracking.address import is_server
from nas.tracking.shown import as_text, command
from nas.tracking.table import row
from nas.uncertainty import Columns


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
    selection : Selection or None
        How the winner was selected: the finalists' scores on other cuts of the rows, the selection bias of
        the search's score, the gain over a single layer of 100. None if the run was interrupted before.
    front : list of (Candidate, Evaluation)
        The non-dominated candidates; with one objective, the best of the search.
    front_costs : list of Costs
        Parameters, FLOPs and estimated latency of each network of the front.
    network : nas.Network or nas.Ensemble
        The winner, trained, or an ensemble around it: `predict`, `predict_proba`, `transform` on raw tables.
    test : TestScores
        Scores on rows that were held out from the search.
    history : sequence of (Candidate, Evaluation)
        Everything that was tried, in order, read from the run's journal when it is asked for.
    n_candidates, n_epochs, n_failures : int
        The number of different networks that were tried, the sum of their epochs, and the number of
        evaluations that failed.
    heredity : tuple of float
        For each layer position the share of genes that children of crossover have from a parent.
    seconds : float
        From the first candidate to the last.
    stopped : StopReason
        Why the search ended: "candidates", "epochs", "time", "target", "patience", "exhausted", "callback" or
        "interrupted"; see `nas.run.stop_reason.StopReason`, a string.
    interrupted : bool
        Whether anything was left out after an interrupt, be it the report alone.
    tracking_uri, mlflow_run_id, mlflow_url : str or None
    dropped : tuple of str
        Columns that the network does not use.
    oof : OutOfFold or None
        Predictions for rows that were held out, each by a network of the search that was not trained on the
        row: `rows`, `predictions` (probabilities, or values in standard deviations) and `fold`.
    columns : Columns or None
        Which columns matter: the increase of the loss of these predictions when a column is shuffled.
    earlier : EarlierWinner or None
        The winner that a resumed search had before, if the new one is another: kept, and compared.
    """

    run_dir: Path
    model_path: Path
    task: str
    metric: str
    best: Candidate
    evaluation: Evaluation
    network: Network | Ensemble = field(repr=False)
    selection: Selection | None
    front: list[tuple[Candidate, Evaluation]] = field(repr=False)
    front_costs: list[Costs] = field(repr=False)
    test: TestScores
    history: Sequence[tuple[Candidate, Evaluation]] = field(repr=False)
    n_candidates: int
    n_epochs: int
    n_failures: int
    heredity: tuple[float, ...]
    seconds: float
    stopped: StopReason
    interrupted: bool = False
    tracking_uri: str | None = None
    mlflow_run_id: str | None = None
    mlflow_url: str | None = None
    dropped: tuple[str, ...] = ()
    oof: OutOfFold | None = field(default=None, repr=False)
    columns: Columns | None = field(default=None, repr=False)
    earlier: EarlierWinner | None = field(default=None, repr=False)

    @property
    def temperature(self) -> float | None:
        """The temperature of the network's probabilities, 1 where none helps; None for regression."""
        is_measured = self.network.uncertainty.n_rows > 0 and self.task != "regression"
        return self.network.uncertainty.temperature if is_measured else None

    def __repr__(self) -> str:
        network = short_genome(self.best.genome)
        score = f"test {self.metric}={self.test.score:.4f}"
        return f"<SearchResult {network}, {score}, {self.n_candidates} candidates, {str(self.run_dir)!r}>"

    def summary(self, *, verbose: bool = False) -> str:
        """The text that ``nas search`` prints: the winner, and how good it is; `verbose`: and all details."""
        record = self.record()
        text = result_text.summary(record, self.run_dir)
        return f"{text}\n\n{self._details(record)}" if verbose else text

    def _details(self, record: Mapping[str, Any]) -> str:
        text = result_text.details(record, self.run_dir)
        return text if self.mlflow_url is None else f"{text}\n{self._browse}"

    @property
    def _browse(self) -> str:
        if is_server(self.tracking_uri or ""):
            return f"browse            {self.mlflow_url}"
        run = place(self.run_dir)
        return f"browse            {command('ui', run)}, then {self.mlflow_url}"

    def _repr_html_(self) -> str:
        """The summary and the ten best candidates, as a notebook shows them."""
        board = self.leaderboard(10).to_html(index=False, border=0, na_rep="")
        return f"<pre>{html.escape(self.summary())}</pre>\n{board}"

    def plot(self, name: str = "history") -> Any:
        """A picture of the report as a matplotlib figure: "history", "lineage", ...; see `nas.plot`."""
        from nas.reporting import plot  # which imports matplotlib

        return plot(self.run_dir, name)

    def to_frame(self) -> pd.DataFrame:
        """A row for each evaluation, in order: genome, fitness, operator and parents."""
        return pd.DataFrame([row(*pair) for pair in self.history])

    def leaderboard(self, n: int | None = None) -> pd.DataFrame:
        """A row for each network that was trained, best first: its rank, id, genome, score, size and loss.

        Parameters
        ----------
        n : int, optional
            The rows to return; all if not given.
        """
        best: dict[Genome, tuple[Candidate, Evaluation]] = {}
        for candidate, evaluation in self.history:
            if not evaluation.failed:
                best[candidate.genome] = candidate, evaluation  # the longest training is the last
        ranked = sorted(best.values(), key=lambda pair: (-pair[1].fitness, pair[1].validation_loss))
        return pd.DataFrame(
            {
                "rank": range(1, len(ranked[:n]) + 1),
                "id": [candidate.id for candidate, _ in ranked[:n]],
                "network": [str(candidate.genome) for candidate, _ in ranked[:n]],
                self.metric: [evaluation.fitness for _, evaluation in ranked[:n]],
                "parameters": [evaluation.n_parameters for _, evaluation in ranked[:n]],
                "validation_loss": [evaluation.validation_loss for _, evaluation in ranked[:n]],
                "is_winner": [candidate.genome == self.best.genome for candidate, _ in ranked[:n]],
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values, as ``nas search --json`` prints it."""
        genome = self.best.genome
        return {
            "run_dir": str(self.run_dir),
            "task": self.task,
            "metric": self.metric,
            "best": {
                "id": self.best.id,
                "genome": genome.to_dict(),
                "widths": list(genome.widths),
                "fitness": self.evaluation.fitness,
                "n_parameters": self.evaluation.n_parameters,
            },
            "validation_score": self.evaluation.fitness,
            "validation_score_error": _finite(self.evaluation.standard_error),
            "validation_folds": max(1, len(self.evaluation.fold_scores)),
            **self._selection_to_dict(),
            "front": [
                {
                    "id": candidate.id,
                    "genome": candidate.genome.to_dict(),
                    "fitness": evaluation.fitness,
                    "n_parameters": evaluation.n_parameters,
                    "flops": costs.flops,
                    "latency": costs.latency,
                }
                for (candidate, evaluation), costs in zip(self.front, self.front_costs, strict=True)
            ],
            "ensemble": [
                {"widths": list(member.sizes[1:-1]), "share": share}
                for member, share in zip(self.network.members, self.network.member_weights, strict=True)
            ],
            "refit": bool(self.network.provenance.get("refit")),
            "dropped": [as_text(name) for name in self.dropped],
            "heredity": list(self.heredity),
            "test_rows": self.test.n_rows,
            "test_metrics": {} if self.test.rmse is None else {"rmse": self.test.rmse},
            "baselines_left_out": dict(self.test.left_out),
            "test_score": _finite(self.test.score),
            "test_score_error": _finite(self.test.error),
            "baseline_test_score": _finite(self.test.baseline),
            "test_difference": _finite(self.test.difference),
            "test_difference_error": _finite(self.test.difference_error),
            "trees_test_score": _finite(self.test.trees),
            "trees_difference": _finite(self.test.trees_difference),
            "trees_difference_error": _finite(self.test.trees_difference_error),
            **self._uncertainty_to_dict(),
            **({} if self.earlier is None else {"earlier": self.earlier.to_dict()}),
            "candidates": self.n_candidates,
            "epochs": self.n_epochs,
            "failures": self.n_failures,
            "seconds": round(self.seconds, 3),
            "stopped": str(self.stopped),
            "tracking_uri": self.tracking_uri,
            "mlflow_run_id": self.mlflow_run_id,
            "model_path": str(self.model_path),
        }

    def _uncertainty_to_dict(self) -> dict[str, Any]:
        """The temperature of probabilities, and the importance of columns."""
        entries: dict[str, Any] = {} if self.temperature is None else {"temperature": self.temperature}
        if self.columns is not None:
            entries["columns"] = {
                "loss": _finite(self.columns.loss),
                "n_columns": self.columns.n_columns,
                "n_rows": self.columns.n_rows,
                "importance": [
                    {
                        "column": effect.name,
                        "importance": _finite(effect.importance),
                        "low": _finite(effect.low),
                        "high": _finite(effect.high),
                    }
                    for effect in self.columns.effects
                ],
            }
        return entries

    def record(self) -> dict[str, Any]:
        """The result as the run's folder keeps it: with the scores of all finalists, for comparisons."""
        places = ("run_dir", "model_path", "tracking_uri", "mlflow_run_id")
        record = {key: value for key, value in self.to_dict().items() if key not in places}
        if self.selection is not None:
            record["finalists"] = [
                {"genome": finalist.genome.to_dict(), "scores": list(finalist.scores)}
                for finalist in self.selection.finalists
            ]
            record["named"] = self.selection.position
            record["single_layer_scores"] = list(self.selection.reference.scores)
        return record

    def _selection_to_dict(self) -> dict[str, Any]:
        if self.selection is None:
            return {}
        gain, error = self.selection.gain
        numbers = {
            "rescoring_folds": self.selection.n_folds,
            "rescored": self.selection.rescore.mean,
            "rescored_error": self.selection.rescore.error,
            "selection_bias": self.selection.selection_bias,
            "single_layer_rescored": self.selection.reference.mean,
            "single_layer_gain": gain,
            "single_layer_gain_error": error,
        }
        return {key: _finite(value) for key, value in numbers.items()}


def _finite(value: float | None) -> float | None:
    """The number, or None for what JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None
