"""A metric that calls a scorer with an estimator made of predictions."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nas.network.arrays import Array, Floats
from nas.scorers.clipping import Clip
from nas.scorers.scikit_learn import parameters_of
from nas.scorers.targets import ScoredTargets, as_column
from nas.scoring import Scorer


@dataclass(frozen=True, eq=False)
class ScorerMetric:
    """A metric that calls a scorer.

    Attributes
    ----------
    scorer : callable
    problem : ScoredTargets
    clip : Clip, optional
        Bounds of targets and predictions, if the score has any.
    zero : bool
        Whether a target is 0.
    weighted : bool
        Whether weights are passed to a scorer that has a parameter for them.
    """

    scorer: Scorer
    problem: ScoredTargets
    clip: Clip | None = None
    zero: bool = False
    weighted: bool = True

    def __call__(self, predictions: Floats, y: Array, weights: Floats | None = None) -> float:
        """The score of predictions for `y`, in the forms of the network's outputs and of the loss."""
        estimator, truth = self._estimator(predictions), self._truth(y)
        heavy = weights is not None and self.weighted and self.takes_weights
        weighted = {"sample_weight": weights} if heavy else {}
        with warnings.catch_warnings():
            # scikit-learn would warn of classes without predictions after each epoch.
            warnings.simplefilter("ignore")
            return self.scorer(estimator, np.empty((len(predictions), 0)), truth, **weighted)

    @cached_property
    def takes_weights(self) -> bool:
        """Whether the scorer, or the function that scikit-learn's scorer wraps, has ``sample_weight``."""
        return "sample_weight" in parameters_of(getattr(self.scorer, "_score_func", self.scorer))

    def _truth(self, y: Array) -> Array:
        """Targets in the form of the table, within the bounds of the score."""
        truth = self.problem.as_table(y)
        if self.problem.task != "regression":
            return truth
        if self.zero:
            # float32 has rounded zeros; a relative error divides by the target.
            truth[np.abs(truth) <= 1e-6 * (np.abs(self.problem.mean) + self.problem.scale)] = 0
        return as_column(truth if self.clip is None else np.maximum(truth, self.clip.smallest))

    def _estimator(self, predictions: Floats) -> Any:
        """An estimator with methods that return the predictions, in scikit-learn's form."""
        from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

        problem = self.problem
        if problem.task == "regression":
            values = problem.as_table(predictions)
            values = as_column(values if self.clip is None else np.maximum(values, self.clip.floor))

            class Regressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
                def predict(self, X: Any) -> Array:
                    return values

            return Regressor()
        # A mean of several networks may exceed 1 by rounding.
        proba = np.clip(predictions.astype(float), 0, 1)
        if problem.task == "classification" and proba.shape[1] == 1:
            proba = np.hstack([1 - proba, proba])
        predicted = proba > 0.5 if problem.task == "multilabel" else problem.labels[proba.argmax(axis=1)]
        labels: Array = predicted.astype(int) if problem.task == "multilabel" else predicted
        classes = problem.labels
        if problem.task == "classification":
            # scikit-learn's columns are in the order of sorted labels.
            order = np.argsort(classes)
            classes, proba = classes[order], proba[:, order]
        # Probabilities rank as logits do.
        decisions = proba[:, 1] if problem.task == "classification" and proba.shape[1] == 2 else proba

        class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
            classes_ = classes

            def predict(self, X: Any) -> Array:
                return labels

            def predict_proba(self, X: Any) -> Any:
                return proba

            def decision_function(self, X: Any) -> Any:
                return decisions

            def __sklearn_is_fitted__(self) -> bool:
                return True

        return Classifier()
