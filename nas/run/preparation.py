"""From a table to the problem that candidates are evaluated on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from nas.data import (
    Cuts,
    Dataset,
    Rows,
    Split,
    encode_training_rows,
    fit_preprocessors,
    folds,
    n_folds,
    split,
)
from nas.errors import DataError
from nas.evaluation import Problem
from nas.network import TrainingConfig
from nas.network.arrays import Array
from nas.runtime import Preprocessor, Target
from nas.scorers import metric_for
from nas.scoring import Metric, Scorer

_STEPS = 10_000
"""Optimizer steps that the default number of epochs aims at."""

_LARGEST_TARGET = 1e6
"""Standard deviations from the mean up to which float32 can tell a target's values apart."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A data set, cut and encoded for a search.

    `preprocessor`, `target` and `scaled`, the preprocessors for other scalings by their names, were learned
    from the training rows alone. `cuts` are those that the search was given, where it does not make its own.
    """

    dataset: Dataset
    split: Split
    preprocessor: Preprocessor
    target: Target
    problem: Problem
    cuts: Cuts | None = None
    scaled: Mapping[str, Preprocessor] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """The name of the score that is maximized."""
        return self.problem.metric.name

    @cached_property
    def together(self) -> Prepared:
        """The same data with the rows that the winner is at last trained on as the training part.

        These are training and validation rows together, unless the search was given other cuts.
        """
        parts = self.split
        rows = self.searched if self.cuts is None or self.cuts.trains_on_all else parts.train
        merged = Split(rows, rows[:0], parts.test)
        return self._encoded(merged, tuple(self.scaled))

    def _encoded(self, parts: Split, scalings: Sequence[str]) -> Prepared:
        problem = self.problem
        return _encode(self.dataset, parts, problem.training, problem.batch_seed, problem.metric, scalings)

    def targets(self, rows: Array) -> Array:
        """The targets of rows as the network's loss, and the metric, ask for them."""
        return _network_target(self.dataset, self.target)[0][rows]

    @property
    def searched(self) -> Array:
        """The rows that are not for testing, as rising positions in the table."""
        return np.sort(np.concatenate([self.split.train, self.split.validation]))

    @property
    def shown(self) -> Array:
        """Rows for examples: those for testing, or where there are none, those that validate."""
        return self.split.test if len(self.split.test) else self.split.validation

    def fold(self, train: Array, validation: Array, scalings: Sequence[str] = ()) -> Problem:
        """The problem with other rows to train on and to validate, everything learned from the former."""
        return self._encoded(Split(train, validation, self.split.test), scalings).problem

    def folds(self, seed: int, scalings: Sequence[str] = ()) -> Iterator[Problem]:
        """The problem with other cuts of the rows that are not for testing, one after the other.

        They are drawn by the seed unless they were given; everything is learned from the rows to train on.
        Those are left out whose training rows say nothing: in which no column varies. Inputs are scaled in
        the ways that `scalings` names, besides the standard one.
        """
        pairs = (
            folds(self.dataset, self.searched, n_folds(len(self.searched)), seed)
            if self.cuts is None
            else self.cuts.folds
        )
        for train, validation in pairs:
            try:
                made = [self.fold(train, validation, scalings)]
            except DataError:
                continue
            yield made.pop()  # it may be gone before the next one is made

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns that are not used: constant, empty, or a different text in nearly every row."""
        return tuple(column.name for column in self.preprocessor.columns if column.kind == "dropped")


def prepare(
    dataset: Dataset,
    seed: int,
    overrides: Mapping[str, Any] | None = None,
    scoring: str | Scorer | None = None,
    cuts: Cuts | None = None,
    scalings: Sequence[str] = (),
) -> Prepared:
    """Split the rows, learn the encoding from the training part, and encode.

    Parameters
    ----------
    dataset : Dataset
    seed : int
        Decides the split, and the order of the batches.
    overrides : mapping, optional
        Settings of `TrainingConfig` in place of those that follow from the number of rows.
    scoring : str or callable, optional
        See `nas.scorers.metric_for`.
    cuts : Cuts, optional
        Those to use instead of `nas.data.split`.
    scalings : sequence of str
        The ways to scale numbers that genomes may ask for; see `nas.genome.SCALINGS`.
    """
    parts = split(dataset, seed) if cuts is None else cuts.split
    training = replace(default_training(len(parts.train)), **(overrides or {}))
    target = _fit_target(dataset, parts.train)
    labels = dataset.target_names if dataset.task == "multilabel" else dataset.classes
    metric = metric_for(
        scoring,
        dataset.task,
        classes=labels,
        mean=target.mean,
        scale=target.scale,
        names=dataset.target_names,
        targets=dataset.y,
        validation=parts.validation,
    )
    others = tuple(name for name in scalings if name != "standard")
    return replace(_encode(dataset, parts, training, seed, metric, others), cuts=cuts)


def default_training(n_rows: int) -> TrainingConfig:
    """Settings that suit the number of training rows: about as many steps for any table.

    The batch is a power of two near a 32nd of the rows, from 16 to 256; the epochs, from 20 to 300,
    come to about 10,000 steps, which early stopping usually cuts to a fraction.
    """
    batch_size = min(n_rows, 2 ** round(math.log2(min(max(n_rows / 32, 16), 256))))
    epochs = min(max(_STEPS // math.ceil(n_rows / batch_size), 20), 300)
    return TrainingConfig(epochs=epochs, batch_size=batch_size, patience=max(10, epochs // 15))


def _encode(
    dataset: Dataset,
    parts: Split,
    training: TrainingConfig,
    seed: int,
    metric: Metric,
    scalings: Sequence[str] = (),
) -> Prepared:
    """Learn everything from the training part, and encode it and the validation part with it."""
    rows, others = Rows(dataset.table, parts.train), Rows(dataset.table, parts.validation)
    target = _fit_target(dataset, parts.train)
    y, loss, n_outputs = _network_target(dataset, target)
    told = np.eye(n_outputs)[y[parts.train]] if y.ndim == 1 else y[parts.train]
    names = ("standard", *scalings)
    fitted = fit_preprocessors(rows, dataset.categorical, told, names, dataset.readings)
    inputs = {
        name: (encode_training_rows(one, rows, told), one.encode(others)) for name, one in fitted.items()
    }
    preprocessor, (X_train, X_validation) = fitted.pop("standard"), inputs.pop("standard")
    problem = Problem(
        X_train=X_train,
        y_train=y[parts.train],
        X_validation=X_validation,
        y_validation=y[parts.validation],
        n_outputs=n_outputs,
        loss=loss,
        metric=metric,
        training=training,
        batch_seed=seed,
        weights_train=None if dataset.weights is None else dataset.weights[parts.train],
        weights_validation=None if dataset.weights is None else dataset.weights[parts.validation],
        scaled=inputs,
    )
    return Prepared(dataset, parts, preprocessor, target, problem, scaled=fitted)


def _fit_target(dataset: Dataset, train: Array) -> Target:
    if dataset.task != "regression":
        return Target(dataset.target_names, classes=dataset.classes)
    y = dataset.y[train]
    scale = [float(spread) if spread > 0 else 1.0 for spread in y.std(axis=0)]
    return Target(dataset.target_names, mean=tuple(map(float, y.mean(axis=0))), scale=tuple(scale))


def _network_target(dataset: Dataset, target: Target) -> tuple[Array, str, int]:
    """The target as the network's loss asks for it, the loss, and the number of outputs."""
    y = dataset.y
    if dataset.task == "regression":
        standardized = (y - np.array(target.mean)) / np.array(target.scale)
        if np.abs(standardized).max() > _LARGEST_TARGET:
            raise DataError(
                f"target {', '.join(target.names)}: expected values within {_LARGEST_TARGET:g} standard "
                f"deviations of the training rows, got one {np.abs(standardized).max():.3g} away"
            )
        return standardized.astype(np.float32), "squared_error", y.shape[1]
    if dataset.task == "multilabel":
        return y.astype(np.float32), "binary_cross_entropy", y.shape[1]
    if len(dataset.classes) == 2:
        return y.astype(np.float32)[:, np.newaxis], "binary_cross_entropy", 1
    return y, "cross_entropy", len(dataset.classes)
