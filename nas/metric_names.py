"""Metrics as people read them: by their usual names, and losses in their own sign."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMES = {
    "r2": "R²",
    "roc_auc": "ROC AUC",
    "roc_auc_ovr": "ROC AUC (one-vs-rest)",
    "neg_root_mean_squared_error": "RMSE",
    "neg_mean_squared_error": "MSE",
    "neg_mean_absolute_error": "mean absolute error",
    "neg_median_absolute_error": "median absolute error",
    "neg_log_loss": "log loss",
    "neg_brier_score": "Brier score",
    "f1_macro": "F1 (macro)",
    "f1_micro": "F1 (micro)",
    "matthews_corrcoef": "Matthews correlation",
}


@dataclass(frozen=True)
class ShownMetric:
    """A metric as it is shown; a search maximizes its fitness, which is a loss times −1.

    Attributes
    ----------
    name : str
        Such as "R²" or "log loss".
    sign : int
        −1 for losses, which are shown positive, else 1.
    """

    name: str
    sign: int = 1

    @property
    def label(self) -> str:
        """The name for an axis, with the direction where lower is better."""
        return self.name if self.sign > 0 else f"{self.name} (lower is better)"

    def __call__(self, fitness: float) -> float:
        """The value that is shown for a fitness, or for a difference of two."""
        return self.sign * fitness + 0.0  # adding 0.0 turns -0.0 into 0.0

    def text(self, fitness: float) -> str:
        """A fitness as text of at least four significant digits."""
        value = self(fitness)
        return (
            f"{value:.4f}" if abs(value) < 100 else f"{value:,.2f}" if abs(value) < 1e4 else f"{value:,.0f}"
        )

    def gain(self, difference: float) -> str:
        """A difference as text with its sign."""
        text = self.text(difference)
        is_none = not float(text.replace(",", ""))
        return f"+{text.removeprefix('-')}" if is_none or not text.startswith("-") else text


def shown_metric(metric: str) -> ShownMetric:
    """How a metric of a search is shown."""
    sign = -1 if metric.startswith("neg_") else 1
    return ShownMetric(_NAMES.get(metric) or metric.removeprefix("neg_").replace("_", " "), sign)


def metric_key(metric: str) -> str:
    """Return a metric's name as a column of a table or a store: of a loss the loss's own, ``log_loss``.

    Other characters than letters, digits, ``_``, ``-`` and ``.`` become ``_``: MLflow refuses them.
    """
    return re.sub(r"[^\w.-]", "_", metric.removeprefix("neg_"))
