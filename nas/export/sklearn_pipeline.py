"""The scikit-learn format: a fitted `Pipeline` from raw columns to labels or values, in a skops file.

No pickle is involved: only classes of scikit-learn and types of NumPy are in it, and
``skops.io.load(file, trusted=["numpy.dtype"])`` loads it. It reads data frames with categories as text,
and None or NaN for missing values. An ensemble is a `VotingClassifier` or `VotingRegressor`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    LabelEncoder,
    MinMaxScaler,
    OneHotEncoder,
    QuantileTransformer,
    StandardScaler,
)

from nas.errors import InputError
from nas.export.check import Predict, standardized
from nas.network.arrays import Array, Floats
from nas.runtime import FARTHEST, Column, Network, Predictor, cell_key

_log = logging.getLogger(__name__)

TRUSTED = ["numpy.dtype"]
"""Types that skops does not trust by default: imputers store the dtype of their columns."""

_ACTIVATIONS = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
"""scikit-learn's names of the activations that it has."""

_OTHER_CATEGORY = "\0any other"
"""A category in the example rows for all that are not listed."""

_TRAINING = (
    *("_optimizer", "_random_state", "_no_improvement_count", "loss_", "loss_curve_", "best_loss_"),
    *("best_validation_score_", "validation_scores_", "t_", "n_iter_"),
)
"""Attributes that scikit-learn sets in a training, which an exported network did not have."""


def write(network: Predictor, path: Path) -> None:
    """Write a network as a fitted pipeline; raises `InputError` if it has no equivalent."""
    skops.io.dump(_pipeline(network), path)


def load(network: Predictor, path: Path) -> Predict:
    """The predictions of the pipeline, loaded by skops."""
    pipeline = skops.io.load(path, trusted=TRUSTED)

    def predict(table: pd.DataFrame) -> tuple[Array, Floats]:
        frame = frame_for(network, table)
        predicted: Array = pipeline.predict(frame)
        if network.task == "regression":
            return predicted, standardized(network, predicted)
        by_text = {str(label): label for label in network.target.classes}
        if network.task == "classification":
            predicted = np.array([by_text[str(label)] for label in predicted.tolist()], object)
        return predicted, pipeline.predict_proba(frame)

    return predict


def frame_for(network: Predictor, table: Any) -> pd.DataFrame:
    """A table as input of the pipeline: numbers as floats, categories as text, None for missing ones."""
    columns: dict[str, Any] = {}
    for column in network.columns:
        if column.kind == "numeric":
            columns[column.name] = column.numbers(table[column.name])
        elif column.kind == "category":
            columns[column.name] = np.array(
                [cell_key(value, column.gaps) for value in table[column.name]], object
            )
    return pd.DataFrame(columns)


class _Inputs:
    """The order of the network's inputs in the pipeline: numbers, gaps, categories; and its encoder.

    Attributes
    ----------
    straight, bent : list of Column
        Numbers without and with knots.
    gaps : list of Column
        Numbers with an indicator of gaps.
    closed, open : list of Column
        Categories without and with a place for all that are not listed.

    Raises
    ------
    InputError
        On dates, on numbers that scikit-learn has no encoder for, and on a category that is empty text.
    """

    def __init__(self, network: Predictor) -> None:
        if any(member.waves is not None for member in network.members):
            raise InputError(
                "format sklearn: expected numbers that are standardized or scaled by rank, got their "
                "periodic encoding (numeric_encoding), which scikit-learn has no transformer for; all other "
                "formats have it"
            )
        units = [member.units for member in network.members if member.units is not None]
        kinds = {kind for own in units for kind in own.kinds}
        if kinds := kinds | {"norms" for member in network.members if member.normalized}:
            words = {
                "blends": "parametric activations",
                "gains": "skip connections",
                "norms": "layer norm",
            }
            found = " and ".join(words[kind] for kind in sorted(kinds))
            raise InputError(
                f"format sklearn: expected layers with an activation alone, got {found}, which networks of "
                "scikit-learn do not have; all other formats have them"
            )
        used = [column for column in network.columns if column.n_inputs]
        for column in used:
            if column.parts:
                raise InputError(
                    f"format sklearn: expected numbers and categories, got dates in column {column.name!r}; "
                    "all other formats read dates"
                )
            if column.clip or column.edges:
                encoding, gene = (
                    ("piecewise-linear", "numeric_encoding") if column.edges else ("robust", "scaling")
                )
                raise InputError(
                    "format sklearn: expected numbers that are standardized or scaled by rank, got the "
                    f"{encoding} encoding of column {column.name!r} ({gene}), which scikit-learn has no "
                    "transformer for; all other formats have it"
                )
        numbers = [column for column in used if column.kind == "numeric"]
        self.straight = [column for column in numbers if not column.knots]
        self.bent = [column for column in numbers if column.knots]
        self.numbers = [*self.straight, *self.bent]
        self.gaps = [column for column in self.numbers if column.indicator]
        categories = [column for column in used if column.kind == "category"]
        self.closed = [column for column in categories if not column.other]
        self.open = [column for column in categories if column.other]
        for column in categories:
            if "" in column.categories:
                raise InputError(
                    f"column {column.name!r}: expected categories with a name, got an empty one, which "
                    "counts as missing in scikit-learn's form"
                )
        starts = np.cumsum([0, *(column.n_inputs for column in network.columns)])
        self._start = {
            column.name: int(start) for column, start in zip(network.columns, starts, strict=False)
        }

    def rows(self, weight: Array) -> Array:
        """The first layer's weights in the pipeline's order of inputs, of shape (inputs, units)."""
        nothing = np.zeros(weight.shape[1], weight.dtype)
        rows = [weight[self._start[column.name]] for column in self.numbers]
        rows += [weight[self._start[column.name] + 1] for column in self.gaps]
        for column in [*self.closed, *self.open]:
            at, n = self._start[column.name], len(column.categories)
            places = weight[at : at + column.n_inputs]
            if column.means:
                # Target means folded into the weights, so that each place has an input of its own.
                places = np.array(column.means) @ places
            rows += list(places[:n])
            # The encoder has a place for missing values even if the network has none.
            rows.append(places[n] if column.missing else nothing)
            if column.other:
                rows.append(places[-1])
        return np.array(rows, np.float64)

    def transformer(self) -> ColumnTransformer:
        """The fitted encoder."""
        bent = [
            (f"number {i}", _numbers(QuantileTransformer(n_quantiles=2)), [column])
            for i, column in enumerate(self.bent)
        ]
        parts = [
            ("numbers", _numbers(), self.straight),
            *bent,
            ("gaps", MissingIndicator(features="all"), self.gaps),
            ("categories", _categories(self.closed, handle_unknown="ignore"), self.closed),
            (
                "open categories",
                _categories(self.open, handle_unknown="infrequent_if_exist", min_frequency=2),
                self.open,
            ),
        ]
        transformer = ColumnTransformer(
            [(name, part, [column.name for column in columns]) for name, part, columns in parts if columns]
        )
        # Arrays between the steps, whatever `sklearn.set_config(transform_output=...)` says.
        transformer.set_output(transform="default")
        transformer.fit(self._example())
        for name, _, columns in parts:
            if columns and name.startswith("number"):
                _learn_numbers(transformer.named_transformers_[name], columns)
        return transformer

    def _example(self) -> pd.DataFrame:
        """Rows with each listed category twice, and a single row of another category."""
        cells = {}
        lists = {
            column.name: [*column.categories * 2, "", "", *([_OTHER_CATEGORY] if column.other else [])]
            for column in [*self.closed, *self.open]
        }
        n = max([2, *map(len, lists.values())])
        for name, values in lists.items():
            cells[name] = np.array(values + values[:1] * (n - len(values)), object)
        for column in self.numbers:
            cells[column.name] = np.linspace(column.mean - column.scale, column.mean + column.scale, n)
        return pd.DataFrame(cells)


def _numbers(*first: Any) -> Any:
    """The steps of numbers: gaps filled, standardized, clipped at `FARTHEST`."""
    return make_pipeline(SimpleImputer(), *first, StandardScaler(), MinMaxScaler(clip=True))


def _learn_numbers(pipeline: Any, columns: Sequence[Column]) -> None:
    """Set the fitted attributes of scikit-learn's steps from the network's columns."""
    steps = dict(pipeline.steps)
    lows, spans = np.zeros(len(columns)), np.ones(len(columns))
    if (lines := steps.get("quantiletransformer")) is not None:
        (column,) = columns
        knots = np.array(column.knots)
        # QuantileTransformer maps to the range from 0 to 1.
        lows[:], spans[:] = knots[0, 1], knots[-1, 1] - knots[0, 1]
        lines.quantiles_ = knots[:, :1]
        lines.references_ = (knots[:, 1] - lows) / spans
        lines.n_quantiles_ = len(knots)
    steps["simpleimputer"].statistics_ = np.array([column.fill for column in columns])
    scaler, clip = steps["standardscaler"], steps["minmaxscaler"]
    scaler.mean_ = (np.array([column.mean for column in columns]) - lows) / spans
    scaler.scale_ = np.array([column.scale for column in columns]) / spans
    scaler.var_ = np.square(scaler.scale_)
    clip.set_params(feature_range=(-FARTHEST, FARTHEST))
    clip.fit(np.array([[-FARTHEST], [FARTHEST]]).repeat(len(columns), axis=1))


def _categories(columns: Sequence[Column], **options: Any) -> Any:
    """An input for each category, for missing values, and, if `options` say so, for other categories."""
    listed = [
        np.array([*column.categories, "", *([_OTHER_CATEGORY] if column.other else [])], object)
        for column in columns
    ]
    return make_pipeline(
        SimpleImputer(strategy="constant", fill_value=""),
        SimpleImputer(strategy="constant", missing_values=None, fill_value=""),
        OneHotEncoder(categories=listed, sparse_output=False, **options),
    )


def _pipeline(network: Predictor) -> Any:
    """The fitted pipeline: an encoder of columns, and a model."""
    inputs = _Inputs(network)
    models = [_mlp(member, inputs, network.uncertainty.temperature) for member, _ in network.plain_members()]
    model = models[0] if len(models) == 1 else _voting(network, models)
    return make_pipeline(inputs.transformer(), model)


def _mlp(network: Network, inputs: _Inputs, temperature: float) -> Any:
    """scikit-learn's network with the weights of ours; raises `InputError` on other activations.

    The temperature divides the last layer's weights.
    """
    names = set(network.activations)
    if len(names) > 1 or not names <= set(_ACTIVATIONS):
        raise InputError(
            f"format sklearn: activation: expected one of {', '.join(_ACTIVATIONS)} in all hidden layers, "
            f"got {', '.join(network.activations)}; all other formats have it"
        )
    activation = _ACTIVATIONS[names.pop()] if names else "identity"
    weights = [inputs.rows(network.weights[0]), *(array.astype(np.float64) for array in network.weights[1:])]
    biases = [array.astype(np.float64) for array in network.biases]
    target = _example_target(network)
    if network.task == "regression":
        scale, mean = np.array(network.target.scale), np.array(network.target.mean)
        weights[-1], biases[-1] = weights[-1] * scale, biases[-1] * scale + mean
    else:
        weights[-1], biases[-1] = weights[-1] / temperature, biases[-1] / temperature
    if network.task == "classification":
        _reorder(weights, biases, target)
    kind = MLPRegressor if network.task == "regression" else MLPClassifier
    # A fixed seed for weights that are discarded: without, NumPy's global random state would be used.
    model = kind(hidden_layer_sizes=network.sizes[1:-1], activation=activation, max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(np.zeros((len(target), len(weights[0]))), target)
    model.set_params(random_state=None)
    model.coefs_, model.intercepts_ = weights, biases
    for name in _TRAINING:
        model.__dict__.pop(name, None)
    return model


def _labels(network: Predictor) -> Array:
    """The classes as sortable labels: as text if text and numbers are mixed."""
    classes = network.target.classes
    texts = any(isinstance(label, str) for label in classes)
    return np.array([str(label) for label in classes], object) if texts else np.array(classes)


def _example_target(network: Predictor) -> Array:
    """The target of example rows, from which scikit-learn infers the kind of target."""
    if network.task == "classification":
        return _labels(network)
    n = len(network.target.names)
    if network.task == "multilabel":
        return np.array([np.zeros(n, int), np.ones(n, int)])
    return np.zeros((2, n)) if n > 1 else np.zeros(2)


def _reorder(weights: list[Array], biases: list[Array], classes: Array) -> None:
    """Reorder the outputs by scikit-learn's classes, which are sorted."""
    order = np.argsort(classes)
    if len(biases[-1]) > 1:
        weights[-1], biases[-1] = weights[-1][:, order], biases[-1][order]
    elif order[0] != 0:
        weights[-1], biases[-1] = -weights[-1], -biases[-1]


def _voting(network: Predictor, models: Sequence[Any]) -> Any:
    """The weighted mean of several models in scikit-learn's classes for it.

    Raises
    ------
    InputError
        For several targets or labels, which these classes do not support.
    """
    if network.task != "classification" and len(network.target.names) > 1:
        raise InputError(
            f"format sklearn: expected one target for an ensemble, or a network with members, got "
            f"{len(network.target.names)}"
        )
    if network.task == "multilabel":
        raise InputError(
            "format sklearn: expected classes or numbers for an ensemble, or a network with members, got "
            "several labels"
        )
    named = [(f"member_{i}", model) for i, model in enumerate(models)]
    weights = [weight for _, weight in network.plain_members()]
    if network.task == "regression":
        voting = VotingRegressor(named, weights=weights)
    else:
        voting = VotingClassifier(named, voting="soft", weights=weights)
        voting.le_ = LabelEncoder().fit(_labels(network))
        voting.classes_ = voting.le_.classes_
        for model in models:
            # VotingClassifier votes by class numbers.
            model.classes_ = np.arange(len(voting.classes_))
            model._label_binarizer.fit(model.classes_)
    voting.estimators_ = list(models)
    voting.named_estimators_ = dict(named)
    return voting
