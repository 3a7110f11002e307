"""The common part of both estimators: reading tables, searching, and keeping the result."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nas.data import Cuts, Dataset, settle_kinds
from nas.errors import InputError
from nas.estimators.drawing import drawing
from nas.estimators.tables import (
    Features,
    Targets,
    as_frame,
    check_lengths,
    names_of,
    read_features,
    read_weights,
)
from nas.estimators.validation import Validation
from nas.isolation import isolated
from nas.network.arrays import Array, Floats
from nas.run.context import Observers, new_context
from nas.run.deadline import Deadline, command_start
from nas.run.display import display
from nas.run.execute import execute
from nas.run.result import SearchResult
from nas.settings import values_of
from nas.settings.search_settings import SEARCH_GROUPS, SearchSettings
from nas.space import SearchSpace, load_space
from nas.tracking.address import tracking_store
from nas.tracking.choice import Tracking
from nas.tracking.folder import new_run_folder

_NAME = "table"


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows as `fit` gets them: features, targets, and weights of shape (rows,) or None."""

    X: Features
    targets: Targets
    weights: Floats | None

    @property
    def counting(self) -> Array:
        """The rows with a weight above 0, as a mask of shape (rows,)."""
        return np.ones(len(self.targets.y), bool) if self.weights is None else self.weights > 0


@dataclass(repr=False, eq=False)
class SearchEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc] # untyped
    """What both estimators do: read tables, search a network, and keep it.

    A dataclass: its constructor has the explicit signature that scikit-learn and editors need, and stores
    each parameter unchanged. `nas.estimators.documentation` describes the parameters.
    """

    space: Any = "small"
    _: KW_ONLY
    genes: Mapping[str, Any] | None = None
    n_candidates: int = 100
    time_budget: float | str | None = None
    algorithm: str = "auto"
    scoring: Any = None
    validation_fraction: float | None = None
    cv: Any = None
    time_order: bool = False
    categorical_features: Any = None
    epochs: int | None = None
    patience: int | None = None
    target_score: float | None = None
    max_parameters: float | None = None
    n_finalists: int | None = None
    ensemble: int = 1
    members: int | None = None
    refit: bool = True
    n_jobs: int | None = None
    random_state: Any = None
    verbose: int = 0
    runs_dir: Any = None
    tracking: bool = False
    tracking_uri: str | None = None

    @isolated()
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Search a network, and train it on all rows.

        Ctrl-C ends the search: the best network so far is fitted, with a warning. A second Ctrl-C, or a first
        before any candidate was evaluated, raises `KeyboardInterrupt`.

        Parameters
        ----------
        X : table of shape (rows, columns)
            A frame of pandas or polars, an Arrow table, a dict of columns, an array or a list of rows; with
            missing values, categories or text.
        y : array of shape (rows,) or (rows, targets)
        sample_weight : array of shape (rows,), optional
            The weight of each row in every training and every validation score.
        groups : array of shape (rows,), optional
            The group of each row; no group has both training and validation rows.
        X_val, y_val, sample_weight_val : like X, y and sample_weight, optional
            The validation rows, which no network is trained on.

        Returns
        -------
        self
        """
        since = command_start()
        rows = self._read(X, y, sample_weight, reset=True)
        check_lengths(rows.X, groups)
        held_out = None
        if X_val is not None or y_val is not None:
            if X_val is None or y_val is None:
                raise InputError("X_val, y_val: expected both or none, got one")
            held_out = self._read(X_val, y_val, sample_weight_val, reset=False)
        dataset = self._dataset(rows, held_out)
        seed = _seed_of(self.random_state)
        validation = Validation(self.validation_fraction, self.cv, self.time_order, groups, seed)
        cuts = validation.cuts(dataset, rows.counting, None if held_out is None else len(rows.X), rows.X)
        self._store(*self._search(dataset, cuts, seed, since))
        return self

    def _read(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> _Rows:
        if y is None:
            # The message of scikit-learn's own estimators, which its checks expect.
            raise ValueError("requires y to be passed, but the target y is None")
        features = read_features(self, X, reset=reset)
        check_lengths(features, y)
        targets = self._read_target(y, reset=reset)
        weights = read_weights(sample_weight, len(features))
        return _Rows(features, targets, self._weights(weights, targets))

    def _read_target(self, y: Any, *, reset: bool) -> Targets:
        raise NotImplementedError

    def _weights(self, weights: Floats | None, targets: Targets) -> Floats | None:
        return weights

    def _dataset(self, rows: _Rows, held_out: _Rows | None) -> Dataset:
        """The rows with a weight above 0 as a data set, validation rows last."""
        parts = [rows] if held_out is None else [rows, held_out]
        frames = [as_frame(part.X) for part in parts]
        categorical = names_of(self.categorical_features, frames[0])
        table = pd.concat([frame.set_axis(frames[0].columns, axis=1) for frame in frames], ignore_index=True)
        counting = np.concatenate([part.counting for part in parts])
        y = np.concatenate([part.targets.y for part in parts])[counting]
        targets = rows.targets
        if targets.task == "classification" and len(np.unique(y)) < 2:
            raise InputError(
                f"y: expected at least two classes, got only one class, {targets.classes[y[0]]!r}"
            )
        settled, readings = settle_kinds(table[counting].reset_index(drop=True), categorical)
        return Dataset(
            _NAME,
            settled,
            y,
            targets.task,
            targets.names,
            targets.labels,
            categorical,
            weights=_weights_of(parts, counting),
            readings=readings,
        )

    def _settings(self, seed: int) -> SearchSettings:
        """The settings of a search: parameters of their names, and those with names of scikit-learn."""
        jobs = effective_n_jobs(self.n_jobs)
        settings = values_of(self.get_params(deep=False), *SEARCH_GROUPS)
        settings["space"] = self.space if isinstance(self.space, SearchSpace) else load_space(self.space)
        return SearchSettings(**settings, n_workers=0 if jobs == 1 else jobs, seed=seed, baseline=False)

    def _search(
        self, dataset: Dataset, cuts: Cuts, seed: int, since: float
    ) -> tuple[SearchResult, pd.DataFrame]:
        """The result, and a table of all candidates, read before a temporary folder is removed."""
        settings = self._settings(seed)
        with ExitStack() as stack:
            runs_dir = self._runs_dir(stack)
            folder = new_run_folder(runs_dir, None if self._keeps_runs else "fit", _NAME)
            tracked = Tracking(tracking_store(self.tracking_uri, runs_dir), "auto") if self.tracking else None
            shown = stack.enter_context(display(bool(self.verbose)))
            observers = Observers(tracked, shown, report=self._keeps_runs)
            deadline = Deadline(settings.time_budget, since)
            result = execute(new_context(folder, dataset, settings, observers, cuts=cuts, deadline=deadline))
            return result, result.to_frame()

    @property
    def _keeps_runs(self) -> bool:
        return self.runs_dir is not None or self.tracking

    def _runs_dir(self, stack: ExitStack) -> Path:
        if self._keeps_runs:
            return Path("runs" if self.runs_dir is None else self.runs_dir)
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nas-")))

    def _store(self, result: SearchResult, candidates: pd.DataFrame) -> None:
        if result.stopped == "interrupted":
            warnings.warn(
                f"fit: interrupted after {result.n_candidates} of {self.n_candidates} candidates; "
                "the best of them is fitted",
                stacklevel=3,
            )
        self.network_ = result.network
        self.best_genome_ = result.best.genome
        self.hidden_layer_sizes_ = result.best.genome.widths
        self.validation_score_ = result.evaluation.fitness
        self.result_: Mapping[str, Any] = result.record()
        self.candidates_ = candidates
        self.run_dir_ = result.run_dir if self._keeps_runs else None
        self._n_features_out = sum(member.sizes[-2] * member.n_members for member in self.network_.members)

    @isolated()
    def read_rows(self, X: Any) -> Features:
        """Rows as the network reads them; frames by position, after a check of names and order."""
        check_is_fitted(self, "network_")
        features = read_features(self, X, reset=False)
        if isinstance(features, pd.DataFrame):
            return as_frame(features, [column.name for column in self.network_.columns])
        return features

    def transform(self, X: Any) -> Array:
        """The outputs of the last hidden layer, of shape (rows, units); float32.

        A network without hidden layers returns its inputs.
        """
        table = self.read_rows(X)
        return self.network_.transform(table)

    def _repr_html_inner(self) -> str:
        """scikit-learn's diagram, and a drawing of the network below it after `fit`."""
        page: str = super()._repr_html_inner()
        return page + drawing(self.network_) if hasattr(self, "network_") else page

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**options)
        return bundle | {"text/html": self._repr_html_inner()} if "text/html" in bundle else bundle

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []  # the outputs are float32, as the network computes
        return tags


def _seed_of(random_state: Any) -> int:
    """The random state itself if it is a number, otherwise a number that is drawn from it."""
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))  # the largest int32, as in scikit-learn


def _weights_of(parts: list[_Rows], counting: Array) -> Floats | None:
    """The weights above 0 of all parts; 1 in a part without weights if another part has weights."""
    if all(part.weights is None for part in parts):
        return None
    weights = [np.ones(len(part.targets.y)) if part.weights is None else part.weights for part in parts]
    return np.concatenate(weights)[counting]
