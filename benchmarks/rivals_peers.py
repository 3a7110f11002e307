"""The libraries that nas is compared with in `rivals`, each with its defaults and in a process of its own.

    python -m benchmarks.rivals_peers NAME TASK.pickle RESULT.npz

Defaults are those of each library, but for the random seed and how much is printed. Where a library does not
read a table as it is, its usual preparation stands before it: scikit-learn's network has standardized numbers
and one-hot categories, and RealMLP and TabM have missing numbers replaced by the mean, as has the former.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:  # the package's import would count as the peers' time
    from nas.network.arrays import Array, Floats

_MISSING = "missing"
"""The category that stands for missing cells where a library takes none."""

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, eq=False)
class Task:
    """Rows to fit and rows to predict.

    Attributes
    ----------
    X_train, X_test : DataFrame
        Numbers, and categories of one and the same pandas dtype in both.
    y_train : array
        Numbers, or class numbers from 0 on.
    regression : bool
    seed : int
    """

    X_train: pd.DataFrame
    y_train: Array
    X_test: pd.DataFrame
    regression: bool
    seed: int

    @classmethod
    def of(cls, X: pd.DataFrame, y: Array, train: Array, test: Array, *, regression: bool, seed: int) -> Task:
        """Cut a table; columns are renamed x0, x1 and so on, as some libraries refuse certain names."""
        X = X.set_axis([f"x{i}" for i in range(X.shape[1])], axis=1)
        for name in X.columns:
            if not pd.api.types.is_numeric_dtype(X[name]):
                X[name] = X[name].astype("category")
            else:
                X[name] = X[name].astype(float)
        parts = [X.iloc[rows].reset_index(drop=True) for rows in (train, test)]
        return cls(parts[0], y[train], parts[1], regression, seed)

    @property
    def numbers(self) -> list[str]:
        """Names of the columns of numbers."""
        return [str(name) for name in self.X_train if self.X_train[name].dtype == float]

    @property
    def categories(self) -> list[str]:
        """Names of the columns of categories."""
        return [str(name) for name in self.X_train if self.X_train[name].dtype != float]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a peer predicts for the test rows, and how long it took.

    Attributes
    ----------
    predictions : array
    probabilities : float array of shape (rows, classes), optional
    seconds : float
        From the start of the process to its end, imports included.
    fit_seconds : float
        Of fitting and predicting alone.
    """

    predictions: Array
    probabilities: Floats | None
    seconds: float
    fit_seconds: float


class PeerError(Exception):
    """A peer that did not predict; the message says why."""


def ask(name: str, task: Task, limit: float) -> Answer:
    """Let a peer fit and predict in a process of its own.

    Raises
    ------
    PeerError
        If it fails, or takes more seconds than the limit.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "task.pickle", Path(folder) / "result.npz"
        given.write_bytes(pickle.dumps(task))
        line = [sys.executable, "-m", "benchmarks.rivals_peers", name, str(given), str(result)]
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
        since = time.monotonic()
        try:
            # Some libraries leave files where they are started.
            done = subprocess.run(
                line,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": path},
                text=True,
                capture_output=True,
                timeout=limit,
            )
        except subprocess.TimeoutExpired:
            raise PeerError(f"no prediction within {limit:g} s (--limit)") from None
        taken = time.monotonic() - since
        if done.returncode:
            raise PeerError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no message")
        with np.load(result, allow_pickle=False) as arrays:
            found = dict(arrays)
    return Answer(found["predictions"], found.get("probabilities"), taken, float(found["fit_seconds"]))


def _mlp(task: Task) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    encoding = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), task.numbers),
        (OneHotEncoder(handle_unknown="ignore"), task.categories),
    )
    network = (MLPRegressor if task.regression else MLPClassifier)(random_state=task.seed)
    return make_pipeline(encoding, network)


def _hgb(task: Task) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task.regression else HistGradientBoostingClassifier
    return kind(random_state=task.seed)


def _lightgbm(task: Task) -> Any:
    import lightgbm

    kind = lightgbm.LGBMRegressor if task.regression else lightgbm.LGBMClassifier
    return kind(random_state=task.seed, verbose=-1)


def _catboost(task: Task) -> Any:
    import catboost

    kind = catboost.CatBoostRegressor if task.regression else catboost.CatBoostClassifier
    return kind(random_seed=task.seed, cat_features=task.categories, verbose=False, allow_writing_files=False)


def _realmlp(task: Task) -> Any:
    import pytabkit

    kind = pytabkit.RealMLP_TD_Regressor if task.regression else pytabkit.RealMLP_TD_Classifier
    return kind(random_state=task.seed, device="cpu")


def _tabm(task: Task) -> Any:
    import pytabkit

    kind = pytabkit.TabM_D_Regressor if task.regression else pytabkit.TabM_D_Classifier
    return kind(random_state=task.seed, device="cpu")


def _as_it_is(task: Task) -> tuple[pd.DataFrame, pd.DataFrame]:
    return task.X_train, task.X_test


def _missing_as_category(task: Task) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Categories as text, missing cells among them; CatBoost takes missing numbers."""
    parts = [task.X_train.copy(), task.X_test.copy()]
    for part in parts:
        for name in task.categories:
            part[name] = part[name].astype(object).where(part[name].notna(), _MISSING).astype(str)
    return parts[0], parts[1]


def _means_for_missing(task: Task) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Missing numbers replaced by the mean of the training rows."""
    means = task.X_train[task.numbers].mean().fillna(0.0)
    return task.X_train.fillna(means.to_dict()), task.X_test.fillna(means.to_dict())


@dataclass(frozen=True)
class Peer:
    """A library's estimator: the distribution that brings it, and how it is made and given its rows."""

    label: str
    module: str
    distribution: str
    make: Callable[[Task], Any]
    rows: Callable[[Task], tuple[pd.DataFrame, pd.DataFrame]] = _as_it_is

    @property
    def is_installed(self) -> bool:
        """Whether its module can be imported."""
        return importlib.util.find_spec(self.module) is not None


PEERS = {
    "mlp": Peer("scikit-learn's MLP", "sklearn", "scikit-learn", _mlp),
    "hgb": Peer("HistGradientBoosting", "sklearn", "scikit-learn", _hgb),
    "lightgbm": Peer("LightGBM", "lightgbm", "lightgbm", _lightgbm),
    "catboost": Peer("CatBoost", "catboost", "catboost", _catboost, _missing_as_category),
    "realmlp": Peer("RealMLP", "pytabkit", "pytabkit", _realmlp, _means_for_missing),
    "tabm": Peer("TabM", "pytabkit", "pytabkit", _tabm, _means_for_missing),
}


def main() -> None:
    """Fit and predict as one peer: the child's side of `ask`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals_peers")
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("task", type=Path)
    parser.add_argument("result", type=Path)
    options = parser.parse_args()
    task: Task = pickle.loads(options.task.read_bytes())  # written by `ask`, for this process alone
    peer = PEERS[options.name]
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):
        model = peer.make(task)  # imports the library, before the clock of fitting starts
        since = time.monotonic()
        X_train, X_test = peer.rows(task)
        model.fit(X_train, task.y_train)
        found: dict[str, Any] = {"predictions": np.asarray(model.predict(X_test)).reshape(len(X_test))}
        if not task.regression:
            found["probabilities"] = np.asarray(model.predict_proba(X_test), float)
        found["fit_seconds"] = time.monotonic() - since
    np.savez(options.result, **found)


if __name__ == "__main__":
    main()
