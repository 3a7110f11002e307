"""Preparing a table for a search: cuts, encodings, and the problem that candidates are evaluated on."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
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
    is_target_encoded,
    n_folds,
    n_folds_of_candidates,
    split,
    with_target_means,
)
from nas.errors import DataError, InputError
from nas.evaluation import Codes, Problem
from nas.genome import STANDARD_ENCODING, Encoding
from nas.network.arrays import Array, Floats
from nas.run.targets import fit_target, network_target
from nas.runtime import Preprocessor, Target
from nas.scorers import metric_for
from nas.scorers.targets import ScoredTargets
from nas.scoring import Metric, Scorer
from nas.training import Fold, TrainingConfig

_log = logging.getLogger(__name__)

_STEPS = 10_000
"""Optimizer steps that the default number of epochs aims at: most trainings have stopped early by then."""

_DRAWS = 20
"""Draws of folds, in search of some in which every class is held out as often as in the search's."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A data set, cut and encoded for a search.

    Attributes
    ----------
    dataset : Dataset
    split : Split
        Rows for training, validation and test.
    preprocessor : Preprocessor
        Fitted on the training rows only, with numbers standardized. With folds, these are all rows that are
        not for testing: the folds share what follows from the features alone.
    target : Target
        Fitted on the same rows.
    problem : Problem
        The encoded training and validation rows, or the training rows and their folds.
    cuts : Cuts, optional
        Cuts that a caller has given; None where the search makes its own.
    preprocessors : mapping of Encoding to Preprocessor
        Preprocessors for the other encodings of inputs that genomes may ask for.
    """

    dataset: Dataset
    split: Split
    preprocessor: Preprocessor
    target: Target
    problem: Problem
    cuts: Cuts | None = None
    preprocessors: Mapping[Encoding, Preprocessor] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """The name of the score that is maximized."""
        return self.problem.metric.name

    @cached_property
    def final(self) -> Prepared:
        """The same data with the rows of the final training as the training part, and no validation rows.

        These are training and validation rows together, unless a caller's cuts exclude the latter.
        """
        if self.problem.folds:  # the training part has all these rows already, encoded
            return replace(self, problem=replace(self.problem, folds=(), by_fold=()))
        parts = self.split
        rows = self.search_rows if self.cuts is None or self.cuts.trains_on_all else parts.train
        return self._encoded(Split(rows, rows[:0], parts.test), tuple(self.preprocessors))

    def _encoded(self, parts: Split, encodings: Sequence[Encoding]) -> Prepared:
        problem = self.problem
        return _encode(self.dataset, parts, problem.training, problem.batch_seed, problem.metric, encodings)

    def targets(self, rows: Array) -> Array:
        """The targets of rows in the form that the network's loss and the metric take."""
        return network_target(self.dataset, self.target)[0][rows]

    @property
    def outputs(self) -> Array:
        """The targets of the training rows in the form of outputs: classes as one-hot rows."""
        y = self.problem.y_train
        return np.eye(self.problem.n_outputs)[y] if y.ndim == 1 else y

    def preprocessor_of(self, encoding: Encoding, fold: Fold | None = None) -> Preprocessor:
        """The preprocessor that makes inputs; of a fold, with the target means of its training rows."""
        preprocessor = self.preprocessor if encoding == STANDARD_ENCODING else self.preprocessors[encoding]
        if fold is None or not any(map(is_target_encoded, preprocessor.columns)):
            return preprocessor
        rows = Rows(self.dataset.table, self.split.train[fold.train])
        return with_target_means(preprocessor, rows, self.outputs[fold.train])

    @property
    def search_rows(self) -> Array:
        """The rows that are not for testing, as ascending positions in the table."""
        return np.sort(np.concatenate([self.split.train, self.split.validation]))

    @property
    def n_folds(self) -> int:
        """The number of cuts that `folds` yields at most."""
        return n_folds(len(self.search_rows)) if self.cuts is None else len(self.cuts.folds)

    @property
    def example_rows(self) -> Array:
        """Rows to show as examples: the test rows, or if there are none, the validation or training rows."""
        return next(rows for rows in reversed(self.split) if len(rows))

    def repeated(self, seed: int) -> Problem:
        """The cross-validated problem with other folds than the search's, or with those of the caller."""
        redraw: Callable[[int], Sequence[tuple[Array, Array]]] = partial(
            folds, self.dataset, self.search_rows, self.problem.n_folds
        )
        if self.cuts is not None:
            if self.cuts.redraw is None:
                return _with_folds(self, self.cuts.folds).problem
            redraw = self.cuts.redraw
        # Drawn by other seeds: the search's folds were drawn by `seed` itself.
        for drawn_seed in np.random.SeedSequence([seed, 7]).generate_state(_DRAWS):
            problem = _with_folds(self, redraw(int(drawn_seed))).problem
            # Some scores cannot be computed without rows of every class.
            if self._classes_of_all(problem) >= self._classes_of_all(self.problem):
                break
        return problem

    def _classes_of_all(self, problem: Problem) -> set[tuple[int, float]]:
        """The classes, or labels with their values, that the validation rows of every fold hold."""
        if self.dataset.task == "regression":
            return set()
        columns = problem.y_train.reshape(len(problem.y_train), -1)
        parts = [columns[fold.validation] for fold in problem.folds]
        values = [
            {(i, float(value)) for i, y in enumerate(part.T) for value in np.unique(y)} for part in parts
        ]
        return set.intersection(*values)

    def fold(self, train: Array, validation: Array, encodings: Sequence[Encoding] = ()) -> Problem:
        """The problem with other training and validation rows; encodings are fitted on the training rows."""
        return self._encoded(Split(train, validation, self.split.test), encodings).problem

    def folds(self, seed: int, encodings: Sequence[Encoding] = ()) -> Iterator[Problem]:
        """The problem with other cuts of the rows that are not for testing, in sequence.

        Folds are drawn by the seed unless a caller has given cuts; encodings are fitted on each fold's
        training rows. Folds without a column that varies in the training rows are left out. Inputs are
        encoded in the ways that `encodings` names, besides the standard one.

        The iterator keeps no reference to a fold, as a generator's frame would until the next fold exists:
        folds are as large as the table, and a caller may release one before the next is made.
        """
        pairs = (
            folds(self.dataset, self.search_rows, n_folds(len(self.search_rows)), seed)
            if self.cuts is None
            else self.cuts.folds
        )
        return filter(None, map(partial(self._fold_or_none, encodings=encodings), pairs))

    def _fold_or_none(self, cut: tuple[Array, Array], encodings: Sequence[Encoding]) -> Problem | None:
        """A fold; None if no column varies in its training rows."""
        try:
            return self.fold(*cut, encodings)
        except DataError:
            return None

    @property
    def dropped(self) -> tuple[str, ...]:
        """Names of columns that are not used: constant, empty, or a different text in nearly every row."""
        return tuple(column.name for column in self.preprocessor.columns if column.kind == "dropped")


def prepare(
    dataset: Dataset,
    seed: int,
    overrides: Mapping[str, Any] | None = None,
    scoring: str | Scorer | None = None,
    cuts: Cuts | None = None,
    encodings: Sequence[Encoding] = (),
    n_folds: int | None = None,
) -> Prepared:
    """Split the rows, fit the encoding on the training part, and encode.

    With folds, the training part has all rows that are not for testing, and its folds judge candidates.

    Parameters
    ----------
    dataset : Dataset
    seed : int
        Determines the split, and the order of the batches.
    overrides : mapping, optional
        Settings of `TrainingConfig` in place of the defaults by the number of rows.
    scoring : str or callable, optional
        See `nas.scorers.metric_for`.
    cuts : Cuts, optional
        Cuts to use instead of `nas.data.split`.
    encodings : sequence of Encoding
        The encodings of inputs that genomes may ask for, besides the standard one.
    n_folds : int, optional
        The number of folds by which candidates are judged, 1 for the validation part; by default it follows
        from the number of rows. Not read with cuts.

    Raises
    ------
    DataError
        If the targets are too far apart for float32, or no column of the training part varies.
    """
    parts = split(dataset, seed) if cuts is None else cuts.split
    pairs = _pairs(dataset, parts, seed, cuts, n_folds)
    if pairs:
        rows = np.unique(np.concatenate([rows for pair in pairs for rows in pair]))
        parts = Split(rows, rows[:0], parts.test)
    training = replace(default_training(len(parts.train)), **(overrides or {}))
    target = fit_target(dataset, parts.train)
    labels = dataset.target_names if dataset.task == "multilabel" else dataset.classes
    mean, scale = np.array(target.mean, float), np.array(target.scale, float)
    targets = ScoredTargets(dataset.task, tuple(labels), mean, scale, tuple(dataset.target_names))
    judging = [validation for _, validation in pairs] or [parts.validation]
    try:
        metric = metric_for(scoring, targets, dataset.y, judging)
    except InputError:
        if not pairs or not (n_folds is None if cuts is None else cuts.otherwise is not None):
            raise
        # Perhaps the score needs rows of every class, and a fold has none of a rare class.
        single = prepare(
            dataset, seed, overrides, scoring, cuts and cuts.otherwise, encodings=encodings, n_folds=1
        )
        _log.warning(
            "%s cannot be computed on each of %d folds: a single split judges candidates",
            single.metric,
            len(pairs),
        )
        return single
    further = tuple(encoding for encoding in encodings if encoding != STANDARD_ENCODING)
    prepared = _encode(dataset, parts, training, seed, metric, further)
    return replace(_with_folds(prepared, pairs) if pairs else prepared, cuts=cuts)


def _pairs(
    dataset: Dataset, parts: Split, seed: int, cuts: Cuts | None, n: int | None
) -> Sequence[tuple[Array, Array]]:
    """The folds that candidates are judged by; none where a single split does."""
    if cuts is not None:
        return cuts.folds if cuts.cross_validates else ()
    rows = np.sort(np.concatenate([parts.train, parts.validation]))
    n = n_folds_of_candidates(len(rows)) if n is None else min(n, len(rows))
    if n < 2:
        return ()
    if dataset.task == "classification":
        counts = np.bincount(dataset.y[rows], minlength=len(dataset.classes))
        rare = [
            f"{label} ({count})" for label, count in zip(dataset.classes, counts, strict=True) if count < n
        ]
        if rare:
            _log.warning(
                "classes with fewer rows than the %d folds, so that some folds have none: %s",
                n,
                ", ".join(rare),
            )
    return folds(dataset, rows, n, seed)


def _with_folds(prepared: Prepared, pairs: Sequence[tuple[Array, Array]]) -> Prepared:
    """The prepared training rows with their folds, given as positions in the table."""
    rows, problem = prepared.split.train, prepared.problem
    cuts = [Fold(*(np.searchsorted(rows, np.sort(part)) for part in pair)) for pair in pairs]
    by_fold: Sequence[Problem] = ()
    if any(map(is_target_encoded, prepared.preprocessor.columns)):
        by_fold = [_problem_of_fold(prepared, fold) for fold in cuts]
    return replace(prepared, problem=replace(problem, folds=cuts, by_fold=by_fold))


def _problem_of_fold(prepared: Prepared, fold: Fold) -> Problem:
    """A fold as a problem of its own, with the target means of its training rows."""
    problem, table, rows = prepared.problem, prepared.dataset.table, prepared.split.train
    train, validation = Rows(table, rows[fold.train]), Rows(table, rows[fold.validation])
    y, targets = problem.y_train, prepared.outputs[fold.train]
    encodings = (STANDARD_ENCODING, *prepared.preprocessors)
    fitted = {encoding: prepared.preprocessor_of(encoding, fold) for encoding in encodings}
    inputs = _inputs_of(fitted, train, validation, targets)
    X_train, X_validation = inputs.pop(STANDARD_ENCODING)
    weights = problem.weights_train
    return replace(
        problem,
        folds=(),
        by_fold=(),
        X_train=X_train,
        y_train=y[fold.train],
        X_validation=X_validation,
        y_validation=y[fold.validation],
        weights_train=None if weights is None else weights[fold.train],
        weights_validation=None if weights is None else weights[fold.validation],
        encoded=inputs,
    )


def default_training(n_rows: int) -> TrainingConfig:
    """Settings for a number of training rows: about as many optimizer steps for any table.

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
    encodings: Sequence[Encoding] = (),
) -> Prepared:
    """Fit encodings and target on the training part, and encode that and the validation part."""
    rows, validation_rows = Rows(dataset.table, parts.train), Rows(dataset.table, parts.validation)
    target = fit_target(dataset, parts.train)
    y, loss, n_outputs = network_target(dataset, target)
    targets = np.eye(n_outputs)[y[parts.train]] if y.ndim == 1 else y[parts.train]
    all_encodings = (STANDARD_ENCODING, *encodings)
    fitted = fit_preprocessors(rows, dataset.categorical, targets, all_encodings, dataset.readings)
    inputs = _inputs_of(fitted, rows, validation_rows, targets)
    standard, (X_train, X_validation) = fitted.pop(STANDARD_ENCODING), inputs.pop(STANDARD_ENCODING)
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
        encoded=inputs,
        codes={
            encoding: Codes.of(preprocessor.columns, inputs[encoding][0])
            for encoding, preprocessor in fitted.items()
            if encoding.of_table.numeric_encoding is not None
        },
        numbers=_places_of_numbers(standard),
        columns={
            encoding: np.repeat(np.arange(len(own.columns)), [column.n_inputs for column in own.columns])
            for encoding, own in [(STANDARD_ENCODING, standard), *fitted.items()]
        },
    )
    return Prepared(dataset, parts, standard, target, problem, preprocessors=fitted)


def _inputs_of(
    fitted: Mapping[Encoding, Preprocessor], train: Rows, validation: Rows, targets: Array
) -> dict[Encoding, tuple[Floats, Floats]]:
    """The inputs of training and validation rows in each encoding, equal ones as the same arrays."""
    arrays: dict[Encoding, tuple[Floats, Floats]] = {}
    for encoding, own in fitted.items():
        if encoding.of_table not in arrays:
            arrays[encoding.of_table] = encode_training_rows(own, train, targets), own.encode(validation)
    return {encoding: arrays[encoding.of_table] for encoding in fitted}


def _places_of_numbers(preprocessor: Preprocessor) -> tuple[int, ...]:
    """The positions of scaled numbers among the inputs."""
    columns = preprocessor.columns
    starts = np.cumsum([0, *(column.n_inputs for column in columns)]).tolist()
    numbers = (column.kind == "numeric" and not column.parts for column in columns)
    return tuple(start for start, is_number in zip(starts, numbers, strict=False) if is_number)
