"""`NASClassifier` and `NASRegressor`: a search as estimators of scikit-learn."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from nas.estimators.base import SearchEstimator
from nas.estimators.documentation import documented
from nas.estimators.tables import Targets, read_classes, read_numbers, times_class_weights
from nas.network.arrays import Array, Floats
from nas.runtime import Ensemble, Network


@documented
@dataclass(repr=False, eq=False)
class NASClassifier(ClassifierMixin, SearchEstimator):  # type: ignore[misc] # untyped
    """A multi-layer perceptron for classification, with a structure that evolution searches.

    Columns of text, pandas categories and missing values need no preprocessing.

    Parameters
    ----------
    ...
        ``help(nas.NASClassifier)`` describes each parameter here.

    Attributes
    ----------
    classes_ : array of shape (classes,)
    ...

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from nas import NASClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = NASClassifier("tiny", n_candidates=10, random_state=0).fit(X, y)
    >>> classifier.predict(X[:2]).tolist()
    [0, 0]
    """

    class_weight: Any = field(default=None, kw_only=True)

    classes_: Array = field(init=False)

    def _read_target(self, y: Any, *, reset: bool) -> Targets:
        targets = read_classes(y, None if reset else self.classes_)
        self.classes_ = targets.classes
        return targets

    def _weights(self, weights: Floats | None, targets: Targets) -> Floats | None:
        return times_class_weights(weights, self.class_weight, targets)

    def predict(self, X: Any) -> Array:
        """Classes of shape (rows,), or 0 and 1 of shape (rows, labels)."""
        table = self.read_rows(X)
        if self.network_.task == "multilabel":
            return self.network_.predict(table)
        classes: Array = self.classes_[self.network_.predict_codes(table)]
        return classes

    def predict_set(self, X: Any, coverage: float = 0.9) -> Array:
        """Whether each class is in a row's prediction set, bool of shape (rows, classes).

        The set holds the true class with a probability of at least about `coverage`, and the most probable
        class in any case. For several labels of shape (rows, labels, 2): whether 0 and 1 are in the set.
        Raises `ValueError` unless 0 < `coverage` < 1.
        """
        table = self.read_rows(X)
        return self.network_.predict_set(table, coverage)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of shape (rows, classes), or (rows, labels) for several labels."""
        table = self.read_rows(X)
        return self.network_.predict_proba(table)

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities that `predict_proba` returns."""
        with np.errstate(divide="ignore"):
            logarithms: Array = np.log(self.predict_proba(X))
        return logarithms

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@documented
class NASRegressor(RegressorMixin, SearchEstimator):  # type: ignore[misc] # untyped
    """A multi-layer perceptron for regression, with a structure that evolution searches.

    Targets are standardized for training, and predictions are in the targets' units.

    Parameters
    ----------
    ...
        ``help(nas.NASRegressor)`` describes each parameter here.

    Attributes
    ----------
    n_outputs_ : int
    ...
    """

    n_outputs_: int

    def _read_target(self, y: Any, *, reset: bool) -> Targets:
        targets = read_numbers(y, None if reset else self.n_outputs_)
        self.n_outputs_ = targets.y.shape[1]
        return targets

    def predict(self, X: Any) -> Array:
        """Predictions as float64 of shape (rows,), or (rows, targets) for several targets."""
        table = self.read_rows(X)
        return _in_double(self.network_).predict(table)

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Array:
        """Lower and upper bounds of shape (rows, 2), or (rows, targets, 2) for several targets.

        They enclose the true value with a probability of about `coverage`, each target on its own. Raises
        `ValueError` unless 0 < `coverage` < 1.
        """
        table = self.read_rows(X)
        return _in_double(self.network_).predict_interval(table, coverage)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _in_double(network: Network | Ensemble) -> Network | Ensemble:
    """A copy of a network or ensemble that computes in float64.

    In float32 the last digits of a row's prediction depend on the number of rows, by more than scikit-learn's
    checks allow for predictions that are returned in float64.
    """
    if isinstance(network, Ensemble):
        double = Ensemble([_member_in_double(member) for member in network.members], network.member_weights)
        double.uncertainty = network.uncertainty
        return double
    return _member_in_double(network)


def _member_in_double(network: Network) -> Network:
    double = copy(network)
    double.weights = [weight.astype(np.float64) for weight in network.weights]
    double.biases = [bias.astype(np.float64) for bias in network.biases]
    double.factors = None if network.factors is None else network.factors.astype(np.float64)
    return double
