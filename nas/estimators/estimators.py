"""`NASClassifier` and `NASRegressor`: a search, and the network that it found, as an estimator."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin

from nas.estimators.base import SearchEstimator
from nas.estimators.tables import Targets, read_classes, read_numbers, times_class_weights
from nas.network.arrays import Array, Floats
from nas.runtime import Ensemble, Network


class NASClassifier(ClassifierMixin, SearchEstimator):  # type: ignore[misc] # untyped
    """A multi-layer perceptron for classes, of which the structure is searched by evolution.

    Columns of text, pandas categories and missing values are taken as they are.

    Parameters
    ----------
    space : SearchSpace, str or path
        The structures that may be tried: a space, the name of one that comes with the package, or a TOML
        file.
    n_candidates : int
        Different networks to train.
    time_budget : float, optional
        Seconds of searching, at most. A search that time ends is not the same on every machine.
    algorithm : str
        "auto", or one of `nas.evolution.ALGORITHMS`.
    scoring : str or callable, optional
        What is maximized on the validation rows: a scorer's name or ``scorer(estimator, X, y)``, where `X`
        is empty; by default accuracy, or R² for regression. It gets weights if it takes ``sample_weight``.
    validation_fraction : float
        The share of rows that candidates are judged by, where neither `cv` nor a validation set is given.
    cv : int, splitter or iterable of (train, test), optional
        Cuts to judge by: candidates by one of them (that with the most rows to train on), the finalists by
        all.
    time_order : bool
        Whether rows are in order of time: nothing is then judged by rows that come before those that it was
        trained on.
    categorical_features : names, positions or mask, optional
        Columns that hold categories although they look like numbers.
    epochs : int, optional
        Epochs of training of a candidate, at most; by default they follow from the number of rows.
    patience : int, optional
        Candidates in a row without a better score after which the search ends.
    target_score : float, optional
        The validation score with which the search ends.
    max_parameters : float, optional
        The most weights and biases that a network may have.
    n_finalists : int
        How many of the best are judged again, by other cuts of the rows, before one is named.
    ensemble : int
        Networks of which the outputs are averaged, at most: the winner, and others that the search has kept,
        chosen by the validation rows; 1 for the winner alone.
    refit : bool
        Whether the winner is at last trained on all rows, for the epochs that were found to suit it;
        otherwise it keeps the weights that the search measured.
    class_weight : dict or "balanced", optional
        Weights of classes, by which those of their rows are multiplied; see `fit`.
    n_jobs : int, optional
        Worker processes; None and 1 train in this process, -1 takes all cores. The network is the same.
    random_state : int, RandomState or None
        Decides everything: the cuts, the genomes, the initial weights, the batches.
    verbose : int
        Whether progress is shown on standard error.
    runs_dir : path, optional
        Where the run's folder is kept, with its report; by default nothing is.
    tracking : bool
        Whether the run is tracked in MLflow; its folder is then kept, by default in ``runs``.
    tracking_uri : str, optional
        MLflow's store; by default ``MLFLOW_TRACKING_URI``, or SQLite in `runs_dir`.

    Attributes
    ----------
    classes_ : array of shape (classes,)
    network_ : nas.Network or nas.Ensemble
        The winner, trained, or the ensemble around it: works on raw tables, and can be exported by
        `nas.export_network`.
    best_genome_ : nas.Genome
    hidden_layer_sizes_ : tuple of int
    validation_score_ : float
        The winner's in the search, which is optimistic; see ``result_["rescored"]``.
    result_ : dict
        What the search found, as plain values.
    candidates_ : DataFrame
        One row for each candidate that was tried.
    run_dir_ : Path or None
    n_features_in_ : int
    feature_names_in_ : array of shape (columns,)
        Where columns have names.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from nas import NASClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = NASClassifier("tiny", n_candidates=10, random_state=0).fit(X, y)
    >>> classifier.predict(X[:2]).tolist()
    [0, 0]
    """

    def __init__(
        self,
        space: Any = "small",
        *,
        n_candidates: int = 100,
        time_budget: float | None = None,
        algorithm: str = "auto",
        scoring: Any = None,
        validation_fraction: float = 0.2,
        cv: Any = None,
        time_order: bool = False,
        categorical_features: Any = None,
        epochs: int | None = None,
        patience: int | None = None,
        target_score: float | None = None,
        max_parameters: float | None = None,
        n_finalists: int = 6,
        ensemble: int = 1,
        refit: bool = True,
        class_weight: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        runs_dir: Any = None,
        tracking: bool = False,
        tracking_uri: str | None = None,
    ) -> None:
        super().__init__(
            space,
            n_candidates=n_candidates,
            time_budget=time_budget,
            algorithm=algorithm,
            scoring=scoring,
            validation_fraction=validation_fraction,
            cv=cv,
            time_order=time_order,
            categorical_features=categorical_features,
            epochs=epochs,
            patience=patience,
            target_score=target_score,
            max_parameters=max_parameters,
            n_finalists=n_finalists,
            ensemble=ensemble,
            refit=refit,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
            runs_dir=runs_dir,
            tracking=tracking,
            tracking_uri=tracking_uri,
        )
        self.class_weight = class_weight

    classes_: Array

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
        winners: Array = self.classes_[self.network_.predict_proba(table).argmax(axis=1)]
        return winners

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of shape (rows, classes), or (rows, labels) for several labels."""
        table = self.read_rows(X)
        return self.network_.predict_proba(table)

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of what `predict_proba` gives."""
        with np.errstate(divide="ignore"):
            logarithms: Array = np.log(self.predict_proba(X))
        return logarithms

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NASRegressor(RegressorMixin, SearchEstimator):  # type: ignore[misc] # untyped
    """A multi-layer perceptron for numbers, of which the structure is searched by evolution.

    Parameters and attributes are those of `NASClassifier`, without `class_weight` and `classes_`. Targets
    are standardized for training, and predicted in their own units.
    """

    n_outputs_: int

    def _read_target(self, y: Any, *, reset: bool) -> Targets:
        targets = read_numbers(y, None if reset else self.n_outputs_)
        self.n_outputs_ = targets.y.shape[1]
        return targets

    def predict(self, X: Any) -> Array:
        """Numbers of shape (rows,), or (rows, targets) where there are several."""
        table = self.read_rows(X)
        return _in_double(self.network_).predict(table)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _in_double(network: Network | Ensemble) -> Network | Ensemble:
    """The same network or ensemble, which computes in float64.

    In float32 a row's values depend in their last digits on how many rows come with it, which is more than
    scikit-learn allows of numbers that are given back in float64.
    """
    if isinstance(network, Ensemble):
        return Ensemble([_member_in_double(one) for one in network.members], network.member_weights)
    return _member_in_double(network)


def _member_in_double(network: Network) -> Network:
    double = copy(network)
    double.weights = [weight.astype(np.float64) for weight in network.weights]
    double.biases = [bias.astype(np.float64) for bias in network.biases]
    return double
