"""What is kept of a winner's predictions, for reports: ``predictions.npz`` in the run's folder.

===============  ==========================================================================================
``part``         "test": rows of the test part, by the saved network; "held_out": where there is no test
                 part, rows that each network of the folds was not trained on
``n_rows``       the number of such rows, of which all are kept, or as many at equal distances as fit
``rows``         their positions in the table, shape (rows,)
``truth``        codes of classes, shape (rows,); 0 and 1 for labels or values, shape (rows, outputs)
``predictions``  probabilities of classes or labels, or values in the units of the targets,
                 shape (rows, outputs)
===============  ==========================================================================================
"""

from __future__ import annotations

import numpy as np

from nas.evaluation.out_of_fold import OutOfFold
from nas.network.arrays import Array, Floats
from nas.run.preparation import Prepared
from nas.runtime import Predictor

_MOST_ROWS, _MOST_VALUES = 100_000, 1_000_000
"""Rows and values that are kept: a few megabytes, and proportions to a third of a per cent."""


def kept_predictions(
    prepared: Prepared, network: Predictor, oof: OutOfFold | None
) -> dict[str, Array] | None:
    """The arrays of ``predictions.npz``: of the test rows, else of held-out rows; None without either."""
    test = prepared.split.test
    if len(test):
        chosen = _chosen(len(test), network)
        rows = test[chosen]
        return _arrays("test", prepared, len(test), rows, _predicted(prepared, network, rows))
    if oof is None:
        return None
    chosen = _chosen(len(oof.rows), network)
    return _arrays(
        "held_out", prepared, len(oof.rows), oof.rows[chosen], _as_predicted(oof.predictions[chosen], network)
    )


def _chosen(n: int, network: Predictor) -> Array:
    """Positions of the rows that are kept."""
    n_outputs = max(len(network.target.classes), len(network.target.names))
    return np.arange(0, n, max(1, -(-n * n_outputs // _MOST_VALUES), -(-n // _MOST_ROWS)))


def _arrays(part: str, prepared: Prepared, n: int, rows: Array, predictions: Floats) -> dict[str, Array]:
    truth = prepared.dataset.y[rows]
    if prepared.dataset.task != "classification":
        truth = truth.reshape(len(rows), -1)
    return {
        "part": np.array(part),
        "n_rows": np.array(n),
        "rows": rows,
        "truth": truth,
        "predictions": predictions,
    }


def _predicted(prepared: Prepared, network: Predictor, rows: Array) -> Floats:
    """The network's probabilities or values for rows of the table."""
    table = prepared.dataset.table.iloc[rows]
    if network.task == "regression":
        values: Floats = network.predict(table).reshape(len(rows), -1)
        return values
    probabilities: Floats = network.predict_proba(table).astype(np.float32)
    return probabilities


def _as_predicted(outputs: Floats, network: Predictor) -> Floats:
    """Outputs of `OutOfFold` in the form that a saved network predicts."""
    if network.task == "regression":
        values: Floats = outputs * np.array(network.target.scale) + np.array(network.target.mean)
        return values
    if network.task == "classification" and outputs.shape[1] == 1:
        outputs = np.hstack([1 - outputs, outputs])
    return outputs.astype(np.float32)
