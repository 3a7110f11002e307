"""The estimators with all defaults, on splits that others have published results for.

    python -m benchmarks.published FILE.npz ... [--quick] [--splits N] [--first-split N] [--seconds S]
                                   [--ensemble K] [--seed N] [--rows FILE] [--json FILE]

Each file holds `X`, `y`, `task` and the test rows of its splits, `test_idx`; of files known by name
without any, the first so many rows are the official training part. A split is one ``fit`` and one
``predict`` in a process of its own. S are its total seconds: the time budget is what is left of them when
``fit`` begins, and the seconds of a row run from the start of the process to its predictions.
Regression counts by the root mean squared error in the units of the target.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

import numpy as np

from benchmarks.data import Table, load_table
from benchmarks.harness import Figure, report
from benchmarks.rows import Row, Rows, add_options, read_rows
from nas import NASClassifier, NASRegressor


@dataclass(frozen=True)
class Asked:
    """What is asked for of a set, in how many total seconds of each split."""

    figure: float
    seconds: float


ASKED = {
    "adult": Asked(0.855, 120),
    "uci_power_plant": Asked(3.6, 60),
    "uci_concrete": Asked(4.4, 60),
    "uci_energy": Asked(0.45, 60),
    "uci_yacht": Asked(0.55, 60),
}
TOTAL = 1.05
"""Total seconds over the seconds asked for, at most."""

_SECONDS = 60.0
_OFFICIAL = {"adult": 32_561, "mnist": 60_000}
"""Rows of the official training part, which stand first."""

_LEAST = 1.0
"""Seconds of the time budget, at least, where starting has taken nearly all."""


def load_splits(file: str) -> Table:
    """A file's table with its splits; `ValueError` if it has none."""
    table = load_table(file)
    if table.test_rows:
        return table
    if table.name not in _OFFICIAL:
        raise ValueError(f"{file}: expected test_idx, or one of {', '.join(_OFFICIAL)}")
    return replace(table, test_rows=[np.arange(_OFFICIAL[table.name], len(table.y))])


def split_row(table: Table, i: int, seconds: float, ensemble: int, seed: int) -> Row:
    """The row of a split, measured in a process of its own."""
    since = time.monotonic()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        row = pool.submit(_fitted_row, table, i, since + seconds, ensemble, seed).result()
        taken = time.monotonic() - since
    return (
        {"data": table.name, "split": i, "asked": seconds, "seed": seed} | row | {"seconds": round(taken, 1)}
    )


def _fitted_row(table: Table, i: int, end: float, ensemble: int, seed: int) -> Row:
    """Fit an estimator on the training rows of a split until `end`, and score it on the others."""
    test = table.test_rows[i]
    train = np.setdiff1d(np.arange(len(table.y)), test)
    make: Any = NASRegressor if table.regression else NASClassifier
    with tempfile.TemporaryDirectory() as folder:
        estimator = make(
            n_candidates=1_000_000,
            time_budget=max(end - time.monotonic(), _LEAST),
            n_jobs=2,
            ensemble=ensemble,
            random_state=seed,
            runs_dir=folder,
        )
        estimator.fit(table.X.iloc[train], table.y[train])
        predicted = estimator.predict(table.X.iloc[test])
        n_candidates = len(estimator.candidates_)
    truth = table.y[test]
    score = (
        float(np.sqrt(np.mean((predicted - truth) ** 2)))
        if table.regression
        else float(np.mean(predicted == truth))
    )
    return {
        "measure": "RMSE" if table.regression else "accuracy",
        "score": round(score, 5),
        "candidates": n_candidates,
        "winner": str(estimator.best_genome_),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure or merge, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    rows = Rows(("data", "split", "asked", "seed"), options.rows)
    for file in options.merge or ():
        rows.merge(read_rows(file))
    if not options.merge:
        _measure(options, rows)
    if not rows.all:
        raise SystemExit("FILE.npz: expected at least one file, got none")
    report(figures(rows.all), rows.all, options.json)


def _measure(options: argparse.Namespace, rows: Rows) -> None:
    for file in options.files:
        table = load_splits(file)
        asked = ASKED.get(table.name)
        seconds = options.seconds or (5.0 if options.quick else asked.seconds if asked else _SECONDS)
        first, n = options.first_split, options.splits or (1 if options.quick else len(table.test_rows))
        for i in range(first, min(first + n, len(table.test_rows))):
            if rows.get(data=table.name, split=i, asked=seconds, seed=options.seed) is None:
                rows.add(row := split_row(table, i, seconds, options.ensemble, options.seed))
                print(row, file=sys.stderr, flush=True)


def figures(rows: Sequence[Row]) -> list[Figure]:
    """Mean scores of the sets of which something is asked, and how well the total seconds were kept."""
    asked = []
    for data, seconds in dict.fromkeys((row["data"], row["asked"]) for row in rows):
        set_rows = [row for row in rows if (row["data"], row["asked"]) == (data, seconds)]
        scores = [row["score"] for row in set_rows]
        error = stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else float("nan")
        n, measure = len(set_rows), set_rows[0]["measure"]
        name = f"{data}: {measure}, mean of {n} splits (± {error:.3f}), {seconds:g} s each"
        if data in ASKED:
            asked.append(Figure(name, ASKED[data].figure, round(fmean(scores), 4), measure == "RMSE"))
    longest = max(row["seconds"] / row["asked"] for row in rows)
    return [
        *asked,
        Figure("total seconds over the seconds asked for (longest)", TOTAL, longest, at_most=True),
    ]


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.published", description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument("files", nargs="*", metavar="FILE.npz")
    parser.add_argument("--quick", action="store_true", help="one split of 5 seconds")
    parser.add_argument("--splits", type=int, metavar="N", help="so many of a file; default: all, quick: 1")
    parser.add_argument("--first-split", type=int, default=0, metavar="N", help="of --splits; default: 0")
    parser.add_argument("--seconds", type=float, metavar="S", help="total, of a split; default: as asked for")
    parser.add_argument("--ensemble", type=int, default=1, metavar="K", help="see the estimators; default: 1")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    add_options(parser)
    return parser


if __name__ == "__main__":
    main()
