"""Other models for the same table: scikit-learn's default network, and its default gradient-boosted trees.

Both are fitted on training and validation rows together, with all settings at their defaults. A baseline
that would take longer than the search allows is left out, and the reason is kept.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nas.execution.beside import Beside, BesideError
from nas.network.arrays import Array, Floats
from nas.run.interruption import Interruption
from nas.run.preparation import Prepared
from nas.runtime import Target
from nas.scoring import METRICS

SHARE = 0.1
"""Share of the search's duration that each baseline may take."""

FREE_SECONDS = 3.0
"""Seconds that a baseline may take after any search: as the start of the program."""

_FEW_CELLS = 2**20
"""Numbers of the training rows below which more than one thread does not pay."""

_MOST_CATEGORIES = 255
"""Categories that scikit-learn's trees can tell apart in a column."""


@dataclass(frozen=True)
class Baseline:
    """A fitted model and the test rows, as it reads them.

    Attributes
    ----------
    task : str
    target : Target
        By which targets were standardized.
    model : object with ``predict`` and, for classes, ``predict_proba``
    X : array of shape (test rows, inputs)
    """

    task: str
    target: Target
    model: Any
    X: Floats

    def codes(self) -> Array:
        """Predictions in the form of ``Dataset.y``."""
        predictions: Array = self.model.predict(self.X)
        if self.task == "regression":
            scale, mean = np.array(self.target.scale), np.array(self.target.mean)
            values: Array = predictions.reshape(len(self.X), -1) * scale + mean
            return values
        return predictions.reshape(len(self.X), -1) if self.task == "multilabel" else predictions

    def probabilities(self) -> Floats:
        """Probabilities of shape (rows, classes), or (rows, labels)."""
        probabilities: Floats = self.model.predict_proba(self.X)
        return probabilities


@dataclass(frozen=True)
class _Kind:
    """How a baseline is fitted.

    Attributes
    ----------
    make : callable
        A model that is not fitted; given a number, with at most so many iterations.
    inputs : callable
        The training and the test rows as the model reads them, and further arguments of ``make``.
    n_iterations : int
        The most that a fit takes.
    """

    make: Callable[..., Any]
    inputs: Callable[[Prepared], tuple[Floats, Floats, dict[str, Any]]]
    n_iterations: int


def fit_baseline(
    name: str, source: Prepared, *, seed: int, seconds: float, interruption: Interruption
) -> Baseline | str:
    """Fit a baseline on all rows that are not for testing.

    Parameters
    ----------
    name : str
        A key of `KINDS`.
    source : Prepared
        The data of the last training; see `Prepared.final`.
    seed : int
    seconds : float
        The fit is left out if it would take longer, estimated from a few iterations.
    interruption : Interruption

    Returns
    -------
    Baseline, or str
        Or the reason why there is none.
    """
    kind = KINDS[name]
    train, test, options = kind.inputs(source)
    y = _targets(source)

    def fit(X: Floats, y: Array, **limits: int) -> Any:
        return kind.make(source.dataset.task, seed, **options, **limits).fit(X, y)

    try:
        # scikit-learn catches a KeyboardInterrupt itself, and calls the half-trained model fitted.
        with _computing(train.size), contextlib.suppress(KeyboardInterrupt), interruption.raising():
            estimate = 0.0 if interruption.requested() else _seconds_of(fit, train, y, kind.n_iterations)
            if estimate > seconds:
                return f"left out, as it would take about {estimate:.0f} s"
            if not interruption.requested():
                model = fit(train, y)
    except ValueError as error:
        # Such as trees that validate by rows of each class, where a class has a single row.
        return f"left out, as scikit-learn says: {' '.join(str(error).split())}"
    return (
        "left out, as the search was interrupted"
        if interruption.requested()
        else Baseline(source.dataset.task, source.target, model, test)
    )


def _seconds_of(fit: Callable[..., Any], X: Floats, y: Array, n_iterations: int) -> float:
    """An upper estimate of the time of a fit, from its first iterations."""
    few = slice(0, 100)
    fit(X[few], _restricted(y[few]), max_iter=1)  # what is imported at a first call is not counted
    times = []
    for n in (1, 3):
        start = time.perf_counter(), time.process_time()
        fit(X, y, max_iter=n)
        # Other processes take time on the clock, further threads that of the processor.
        times.append(min(time.perf_counter() - start[0], time.process_time() - start[1]))
    first, third = times
    return first + (n_iterations - 1) * max(0.0, third - first) / 2


def _restricted(y: Array) -> Array:
    """Targets of a few rows, with at least two values, which classifiers require."""
    if len(np.unique(y)) > 1 or y.ndim == 2:
        return y
    return np.arange(len(y)) % 2


@contextlib.contextmanager
def _computing(n_cells: int) -> Iterator[None]:
    """Without warnings; small tables on one thread, as several wait for each other longer than they save."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), threadpool_limits(1 if n_cells < _FEW_CELLS else None):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Training interrupted by user")
        yield


def _targets(source: Prepared) -> Array:
    """Targets of the training rows: codes, 0 and 1, or standardized values."""
    dataset = source.dataset
    y: Array = dataset.y[source.split.train]
    if dataset.task == "regression":
        y = (y - np.array(source.target.mean)) / np.array(source.target.scale)
    return y[:, 0] if y.shape[1:] == (1,) else y


def _network(task: str, seed: int, **options: Any) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    return (MLPRegressor if task == "regression" else MLPClassifier)(random_state=seed, **options)


def _encoded(source: Prepared) -> tuple[Floats, Floats, dict[str, Any]]:
    """The inputs that a network of the search has."""
    test = source.preprocessor.encode(source.dataset.table.iloc[source.split.test])
    return source.problem.X_train, test, {}


class _Trees:
    """Gradient-boosted trees for any task: a model for each target or label, as scikit-learn has one output.

    Parameters
    ----------
    task : str
    seed : int
    options
        Of scikit-learn's model.
    """

    def __init__(self, task: str, seed: int, **options: Any) -> None:
        self._task, self._seed, self._options = task, seed, options

    def fit(self, X: Floats, y: Array) -> _Trees:
        """Fit a model for each column of `y`."""
        from sklearn.dummy import DummyClassifier
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        regression = self._task == "regression"
        kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier

        def model(column: Array) -> Any:
            if not regression and len(np.unique(column)) < 2:
                return DummyClassifier()  # a label that every row has, or none
            return kind(random_state=self._seed, **self._options)

        columns = y[:, np.newaxis] if y.ndim == 1 else y
        self._models = [model(column).fit(X, column) for column in columns.T]
        return self

    def predict(self, X: Floats) -> Array:
        """Predictions of shape (rows,), or (rows, targets)."""
        predictions = np.column_stack([model.predict(X) for model in self._models])
        return predictions[:, 0] if len(self._models) == 1 else predictions

    def predict_proba(self, X: Floats) -> Floats:
        """Probabilities of shape (rows, classes), or (rows, labels)."""
        if self._task == "classification":
            probabilities: Floats = self._models[0].predict_proba(X)
            return probabilities
        return np.column_stack([_of_label(model, X) for model in self._models])


def _of_label(model: Any, X: Floats) -> Floats:
    """The probability of 1."""
    position = np.flatnonzero(model.classes_ == 1)
    probabilities: Floats = model.predict_proba(X)
    return probabilities[:, position[0]] if len(position) else np.zeros(len(X))


def _columns_for_trees(source: Prepared) -> tuple[Floats, Floats, dict[str, Any]]:
    """Numbers with their gaps, and codes of categories: trees need neither scaling nor one-hot encoding.

    Dates and columns with target means are as the network reads them.
    """
    table = source.dataset.table
    X_train, X_test, _ = _encoded(source)
    parts: list[Floats] = []
    categories: list[int] = []
    start = width = 0
    for column in source.preprocessor.columns:
        if column.kind == "numeric" and not column.parts:
            part = column.numbers(table[column.name])[:, np.newaxis]
        elif column.kind == "category" and not column.means and column.n_places <= _MOST_CATEGORIES:
            places = column.places(table[column.name])
            part = np.where(places < 0, np.nan, places)[:, np.newaxis]
            categories.append(width)
        else:
            inputs = slice(start, start + column.n_inputs)
            part = np.empty((len(table), column.n_inputs))
            part[source.split.train], part[source.split.test] = X_train[:, inputs], X_test[:, inputs]
        parts.append(part)
        start += column.n_inputs
        width += part.shape[1]
    X = np.hstack(parts)
    options = {"categorical_features": categories} if categories else {}
    return X[source.split.train], X[source.split.test], options


KINDS = {
    "network": _Kind(_network, _encoded, 200),
    "trees": _Kind(_Trees, _columns_for_trees, 100),
}
"""The baselines by name."""


def fit_baselines(
    source: Prepared, *, seed: int, seconds: float, interruption: Interruption
) -> dict[str, Baseline | str]:
    """Fit all baselines, each within so many seconds; or the reasons why not."""
    return {
        name: fit_baseline(name, source, seed=seed, seconds=seconds, interruption=interruption)
        for name in KINDS
    }


def fit_in_process(source: Prepared, seed: int, seconds: float) -> dict[str, Baseline | str]:
    """Fit all baselines in a process of their own."""
    with Interruption() as interruption:
        return fit_baselines(source, seed=seed, seconds=seconds, interruption=interruption)


class BaselineProcess:
    """Fits the baselines in a process of its own, beside what a search does after its last candidate.

    Parameters
    ----------
    source : Prepared
    seed : int
    seconds : float
        See `fit_baseline`.

    Raises
    ------
    Exception
        If no process can be started, or the data cannot be sent there.
    """

    def __init__(self, source: Prepared, seed: int, seconds: float) -> None:
        # Scores are computed by the caller: a scorer of the caller's own may not arrive there.
        problem = replace(source.problem, metric=METRICS["accuracy"], encoded={}, codes={})
        sent = replace(source, problem=problem, cuts=None)
        self._process = Beside(("nas.run.baselines", "sklearn.neural_network", "sklearn.ensemble"))
        try:
            self._process.call("nas.run.baselines:fit_in_process", sent, seed, seconds)
        except BaseException:
            self._process.close()
            raise

    def results(self, interrupted: Callable[[], bool], late: Callable[[], bool]) -> dict[str, Baseline | str]:
        """Wait for the baselines; once `interrupted()` or `late()`, the reason why there are none."""
        try:
            results = None if interrupted() else self._process.result(lambda: interrupted() or late())
        except BesideError as error:  # killed, or out of memory: the search itself is not concerned
            return dict.fromkeys(KINDS, f"left out, because: {error}")
        finally:
            self.close()
        if results is None:
            reason = "the search was interrupted" if interrupted() else "the time was up"
            return dict.fromkeys(KINDS, f"left out, as {reason}")
        fitted: dict[str, Baseline | str] = results
        return fitted

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def close(self) -> None:
        """End the process."""
        self._process.close()
