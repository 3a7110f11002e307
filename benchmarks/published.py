"""The estimators with all defaults, on splits that others have published results for.

    python -m benchmarks.published FILE.npz ... [--quick] [--splits N] [--seconds N] [--ensemble K]
                                   [--seed N] [--json FILE]

Each file holds `X`, `y`, `task` and the test rows of its splits, `test_idx`; of those known by name
without any, the first so many rows are the official training part. A split is one ``fit``: a search of so
many seconds on two cores, then the finalists and the last training, which are in the seconds of the row
and not in those asked for. Regression counts by the root mean squared error in the units of the target.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import Figure, report
from nas import NASClassifier, NASRegressor
from nas.network.arrays import Array, Ints


@dataclass(frozen=True)
class Asked:
    """What is asked for of a set, in how many seconds of searching."""

    figure: float
    seconds: float


ASKED = {
    "adult": Asked(0.855, 120),
    "uci_power_plant": Asked(4.0, 60),
    "uci_concrete": Asked(5.0, 60),
    "uci_energy": Asked(0.60, 60),
    "uci_yacht": Asked(0.80, 60),
}
_SECONDS = 60.0
_OFFICIAL = {"adult": 32_561, "mnist": 60_000}
"""Rows of the official training part, which stand first."""


@dataclass(frozen=True)
class Splits:
    """A table and the test rows of each of its splits."""

    name: str
    X: pd.DataFrame
    y: Array
    regression: bool
    test_rows: list[Ints]


def load_splits(file: str) -> Splits:
    """A file's table with its splits; `ValueError` if it has none."""
    loaded = load_table(file)
    if not loaded.test_rows:
        raise ValueError(f"{file}: expected test_idx, or one of {', '.join(_OFFICIAL)}")
    return loaded


def load_table(file: str) -> Splits:
    """A file's table, categories as text, with its splits if it has any."""
    name = Path(file).stem
    with np.load(file, allow_pickle=False) as arrays:
        found = dict(arrays)
    n_columns = found["X"].shape[1]
    names = found.get("feature_names", [f"x{i}" for i in range(n_columns)])
    X = pd.DataFrame(found["X"], columns=[str(one) for one in names])
    for column in X.columns[found.get("cat_mask", np.zeros(n_columns, bool))]:
        codes = X[column]
        X[column] = codes.map("code {:g}".format).where(codes.notna(), None)
    test_rows = [np.asarray(rows, int) for rows in found.get("test_idx", ())]
    if not test_rows and name in _OFFICIAL:
        test_rows = [np.arange(_OFFICIAL[name], len(X))]
    return Splits(name, X, found["y"], str(found["task"]) == "reg", test_rows)


def split_row(splits: Splits, i: int, seconds: float, ensemble: int, seed: int) -> dict[str, Any]:
    """Fit an estimator on the training rows of a split, and score it on the others."""
    test = splits.test_rows[i]
    train = np.setdiff1d(np.arange(len(splits.y)), test)
    settings: dict[str, Any] = {
        "n_candidates": 1_000_000,
        "time_budget": seconds,
        "n_jobs": 2,
        "ensemble": ensemble,
    }
    make = NASRegressor if splits.regression else NASClassifier
    with tempfile.TemporaryDirectory() as folder:
        since = time.perf_counter()
        estimator = make(**settings, random_state=seed, runs_dir=folder)
        estimator.fit(splits.X.iloc[train], splits.y[train])
        taken = time.perf_counter() - since
    predicted = estimator.predict(splits.X.iloc[test])
    truth = splits.y[test]
    score = (
        float(np.sqrt(np.mean((predicted - truth) ** 2)))
        if splits.regression
        else float(np.mean(predicted == truth))
    )
    return {
        "data": splits.name,
        "split": i,
        "measure": "RMSE" if splits.regression else "accuracy",
        "score": round(score, 4),
        "candidates": len(estimator.candidates_),
        "seconds": round(taken, 1),
        "winner": str(estimator.best_genome_),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    rows, figures = [], []
    for file in options.files:
        splits = load_splits(file)
        asked = ASKED.get(splits.name)
        seconds = options.seconds or (5.0 if options.quick else asked.seconds if asked else _SECONDS)
        n = min(options.splits or (1 if options.quick else 5), len(splits.test_rows))
        found = []
        for i in range(n):
            found.append(split_row(splits, i, seconds, options.ensemble, options.seed))
            print(found[-1], file=sys.stderr, flush=True)
        rows += found
        scores = [row["score"] for row in found]
        error = stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else float("nan")
        print(f"{splits.name}: mean of {n} splits {fmean(scores):.4f} ± {error:.4f}", file=sys.stderr)
        if asked:
            name = f"{splits.name}: {found[0]['measure']}, mean of {n} splits, {seconds:g} s each"
            figures.append(Figure(name, asked.figure, round(fmean(scores), 4), splits.regression))
    report(figures, rows, options.json)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("files", nargs="+", metavar="FILE.npz")
    parser.add_argument("--quick", action="store_true", help="one split of 5 seconds")
    parser.add_argument("--splits", type=int, metavar="N", help="the first N of a file; default: 5, quick: 1")
    parser.add_argument("--seconds", type=float, metavar="N", help="of searching; default: as asked for")
    parser.add_argument("--ensemble", type=int, default=1, metavar="K", help="see the estimators; default: 1")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    return parser


if __name__ == "__main__":
    main()
