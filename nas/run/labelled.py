"""Scores of a saved network on a labelled table: `nas.evaluate`, ``nas evaluate``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nas.data.frames import named_table
from nas.data.targets import read_true_values
from nas.errors import InputError, RunError, did_you_mean
from nas.network.arrays import Array, Floats
from nas.predictions import table_for
from nas.reporting.lines import metric_name, place, quantity
from nas.runtime import ModelError, Predictor, TableError, load_network
from nas.scorers import metric_for
from nas.scorers.targets import ScoredTargets
from nas.scoring import Metric
from nas.tracking.archive import RunArchive
from nas.tracking.shown import as_text

_COVERAGE = 95
"""Per cent of intervals."""

_RESAMPLES, _FEWEST_RESAMPLES, _ROWS = 400, 100, 2e7
"""Bootstrap samples (Efron & Tibshirani 1993, section 13), fewer where all together have so many rows."""

_METRICS = {
    "classification": (
        *("accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss"),
        *("roc_auc", "roc_auc_ovr", "matthews_corrcoef"),
    ),
    "multilabel": ("accuracy", "f1_macro", "f1_micro", "roc_auc"),
    "regression": (
        *("r2", "neg_root_mean_squared_error", "neg_mean_absolute_error"),
        "neg_median_absolute_error",
    ),
}
"""Scorers for each task; on rows for which one of them is undefined it is left out."""

_NAMES = {
    "neg_root_mean_squared_error": "RMSE",
    "neg_mean_absolute_error": "mean absolute error",
    "neg_median_absolute_error": "median absolute error",
    "neg_log_loss": "log loss",
    "roc_auc": "ROC AUC",
    "roc_auc_ovr": "ROC AUC (one-vs-rest)",
    "f1_macro": "F1 (macro)",
    "f1_micro": "F1 (micro)",
    "matthews_corrcoef": "Matthews correlation",
    "balanced_accuracy": "balanced accuracy",
}


@dataclass(frozen=True)
class LabelledScore:
    """A score with the bounds of its interval; losses and errors in their own sign.

    Attributes
    ----------
    name : str
        The scorer's name.
    value, low, high : float
    """

    name: str
    value: float
    low: float
    high: float

    @property
    def cells(self) -> tuple[str, str, str]:
        """The score as cells of a table: name, value and interval."""
        bounds = f"{quantity(self.low)} to {quantity(self.high)}"
        return _shown_name(self.name), quantity(self.value), bounds


@dataclass(frozen=True)
class LabelledScores:
    """The scores of a network on a labelled table.

    Attributes
    ----------
    model, data : str
    n_rows : int
    metric : str
        The score that the search maximized; empty where that is unknown.
    test_score : float, optional
        That score on the search's own test rows.
    scores : list of LabelledScore
        The search's metric first.
    is_own_table : bool
        Whether the rows are those of the search, which has trained the network on most of them.
    """

    model: str
    data: str
    n_rows: int
    metric: str
    test_score: float | None
    scores: list[LabelledScore]
    is_own_table: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "model": self.model,
            "data": self.data,
            "rows": self.n_rows,
            "metric": self.metric,
            "test_score": self.test_score,
            "scores": {score.name: [score.value, score.low, score.high] for score in self.scores},
            "own_table": self.is_own_table,
        }

    def __str__(self) -> str:
        rows = f"{self.n_rows:,} row{'' if self.n_rows == 1 else 's'}"
        lines = [f"{place(self.model)} on {as_text(self.data)}, {rows}; intervals of {_COVERAGE} %"]
        cells = [score.cells for score in self.scores]
        first, second, third = (max(map(len, column)) for column in zip(*cells, strict=True))
        for (name, value, bounds), score in zip(cells, self.scores, strict=True):
            note = ""
            if score.name == self.metric and self.test_score is not None:
                note = f"({quantity(self.test_score)} on the search's test rows)"
            lines.append(f"{name:{first}}  {value:>{second}}  {bounds:{third}}  {note}".rstrip())
        if self.is_own_table:
            lines.append("These are the rows of the search: the network was trained on most of them.")
        return "\n".join(lines)


def evaluate(
    model: Predictor | str | os.PathLike[str],
    data: Any,
    *,
    scoring: str | Sequence[str] = (),
) -> LabelledScores:
    """Score a saved network on a table that holds the true values of its target, too.

    Parameters
    ----------
    model : Network, Ensemble or path
        A network, the folder of a saved one, or a run's folder.
    data : path or table
        A CSV or Parquet file, or a table in memory, with the network's columns and its target.
    scoring : str or sequence of str
        Further scorers of scikit-learn by name; joined by commas in a text.

    Returns
    -------
    LabelledScores
        Each score with an interval of 95 % by the bootstrap over rows.

    Raises
    ------
    InputError
        If the model or the table cannot be read, they do not fit, or there is no such scorer.
    """
    try:
        network = model if isinstance(model, Predictor) else load_network(model)
        table = _table(network, data)
        targets = _targets(network, table, data)
        outputs = _outputs(network, table)
    except (ModelError, TableError) as error:
        raise InputError(str(error)) from None
    problem = ScoredTargets(
        network.task,
        tuple(network.target.names if network.task == "multilabel" else network.target.classes),
        np.array(network.target.mean),
        np.array(network.target.scale),
        tuple(network.target.names),
    )
    provenance = network.provenance
    search_metric = str(provenance.get("metric", ""))
    requested = scoring.split(",") if isinstance(scoring, str) and scoring else list(scoring)
    metrics = list(_metrics(problem, targets, search_metric, requested))
    return LabelledScores(
        model="a network" if isinstance(model, Predictor) else str(model),
        data=str(data) if isinstance(data, (str, os.PathLike)) else "a table",
        n_rows=len(targets),
        metric=search_metric,
        test_score=provenance.get("test_score"),
        scores=_scores(metrics, outputs, problem.as_networks(targets)),
        is_own_table=_is_own_table(model, data),
    )


def _table(network: Predictor, data: Any) -> pd.DataFrame:
    if isinstance(data, (str, os.PathLike)):
        names = network.target.names if network.task == "classification" else ()
        return table_for(network, os.fspath(data), as_text=names)
    table = named_table(data)
    if table is None:
        raise InputError(f"data: expected a file or a table with named columns, got {type(data).__name__}")
    return table


def _targets(network: Predictor, table: pd.DataFrame, data: Any) -> Array:
    """The true values in the form of ``Dataset.y``."""
    columns, where = list(map(str, table.columns)), data if isinstance(data, (str, os.PathLike)) else "data"
    for name in network.target.names:
        if name not in columns:
            meant = did_you_mean(name, columns)
            raise InputError(f"{where}: expected a column {name!r} with the true values, got none{meant}")
    targets = table[list(network.target.names)]
    return read_true_values(targets, network.task, network.target.classes)


def _outputs(network: Predictor, table: pd.DataFrame) -> Floats:
    """Predictions in a metric's form: of shape (rows, outputs), numeric targets standardized."""
    if network.task == "regression":
        values = network.predict(table)
        mean, scale = np.array(network.target.mean), np.array(network.target.scale)
        outputs: Floats = (values.reshape(len(values), -1) - mean) / scale
        return outputs
    probabilities: Floats = network.predict_proba(table)
    is_single_output = network.task == "classification" and len(network.target.classes) == 2
    return probabilities[:, 1:] if is_single_output else probabilities


def _metrics(
    problem: ScoredTargets, targets: Array, search_metric: str, requested: Sequence[str]
) -> Iterator[Metric]:
    """The search's metric, the requested metrics, and the usual metrics of the task; each once."""
    for name in requested:
        metric_for(name, problem, targets)  # raises an error in a sentence if it is unsuitable
    for name in dict.fromkeys([search_metric, *requested, *_METRICS[problem.task]]):
        if name == "roc_auc_ovr" and len(problem.classes) == 2:
            continue  # it is that of two classes
        with suppress(InputError):  # undefined on these rows, or a function of the search's caller
            yield metric_for(name or None, problem, targets)


def _scores(metrics: Sequence[Metric], outputs: Floats, y: Array) -> list[LabelledScore]:
    """The scores with intervals between percentiles of the bootstrap, with the same samples for all."""
    rng = np.random.default_rng(0)
    n = int(max(_FEWEST_RESAMPLES, min(_RESAMPLES, _ROWS / len(y))))
    samples = [rng.integers(0, len(y), len(y)) for _ in range(n)]
    scores = []
    for metric in metrics:
        value = metric(outputs, y)
        if not np.isfinite(value):
            continue
        resampled = np.array([metric(outputs[rows], y[rows]) for rows in samples])
        tail = (100 - _COVERAGE) / 2
        low, high = np.nanpercentile(resampled, [tail, 100 - tail])
        if metric.name.startswith("neg_"):
            value, low, high = -value, -high, -low
        scores.append(LabelledScore(metric.name, float(value), float(low), float(high)))
    return scores


def _is_own_table(model: Any, data: Any) -> bool:
    """Whether the table is the file that the model's search has read."""
    if isinstance(model, Predictor) or not isinstance(data, (str, os.PathLike)):
        return False
    path = Path(model).absolute()
    for folder in (path, *path.parents[:2]):  # a run, its winner, or another candidate of it
        with suppress(RunError, KeyError):
            table: Mapping[str, Any] = RunArchive(folder).config["data"]
            return bool(table["source"] == str(Path(data).resolve()))
    return False


def _shown_name(name: str) -> str:
    return _NAMES.get(name) or metric_name({"metric": name}).removeprefix("neg_").replace("_", " ")
