"""How often intervals and sets hold the truth, and what a temperature brings, on rows that were not searched.

    python -m benchmarks.coverage [FILE.npz ...] [--quick] [--candidates N] [--seeds N] [--coverage C]
                                  [--members K] [--json FILE]

The tables are scikit-learn's, and those of files with `X`, `y` and `task`. A third of the rows, 5,000 at
most, is set aside, and so is the test part of the search on the others; on both the saved network is tried.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

import nas
from benchmarks.data import load_table
from benchmarks.harness import Figure, report
from nas import Dataset
from nas.data import split
from nas.network.arrays import Array, Floats

_BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")

_MOST_HELD_OUT = 5_000
"""Rows set aside: the error of a coverage of 90 % is then 0.4 %."""


def row_of(dataset: Dataset, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Search on a part of the rows, and try the network on the others."""
    rows = np.random.default_rng(seed).permutation(dataset.n_rows)
    n_held_out = min(dataset.n_rows // 3, _MOST_HELD_OUT)
    unseen, known = rows[:n_held_out], np.sort(rows[n_held_out:])
    part = Dataset(
        dataset.name,
        dataset.table.iloc[known].reset_index(drop=True),
        dataset.y[known],
        dataset.task,
        dataset.target_names,
        dataset.classes,
        dataset.categorical,
        readings=dataset.readings,
    )
    with tempfile.TemporaryDirectory() as folder:
        result = nas.search(
            part,
            runs_dir=folder,
            n_candidates=options.candidates,
            members=options.members,
            seed=seed,
            n_workers=0,
            baseline=False,
            tracking=False,
            progress=False,
            report=False,
        )
    test = np.concatenate([unseen, known[split(part, seed).test]])
    table, y = dataset.table.iloc[test], dataset.y[test]
    of_task = _of_values if dataset.task == "regression" else _of_classes
    measured = of_task(result.network, table, y, options.coverage)
    return {"data": dataset.name, "seed": seed, "rows": part.n_rows, "tested": len(test), **measured}


def _of_values(network: Any, table: pd.DataFrame, y: Array, coverage: float) -> dict[str, Any]:
    bounds = network.predict_interval(table, coverage)
    truth = y.reshape(len(y))
    return {
        "coverage": float(((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean()),
        "size": float((bounds[:, 1] - bounds[:, 0]).mean() / truth.std()),
        "empty": 0.0,
        "temperature": float("nan"),
        "log loss": float("nan"),
        "without": float("nan"),
    }


def _of_classes(network: Any, table: pd.DataFrame, y: Array, coverage: float) -> dict[str, Any]:
    sets, rows = network.predict_set(table, coverage), np.arange(len(y))
    chances, temperature = network.predict_proba(table), network.uncertainty.temperature
    network.uncertainty = nas.runtime.Uncertainty()
    return {
        "coverage": float(sets[rows, y].mean()),
        "size": float(sets.sum(axis=1).mean()),
        "empty": float((~sets.any(axis=1)).mean()),
        "temperature": temperature,
        "log loss": _log_loss(chances, y),
        "without": _log_loss(network.predict_proba(table), y),
    }


def _log_loss(chances: Floats, y: Array) -> float:
    return float(-np.log(np.maximum(chances[np.arange(len(y)), y].astype(float), 1e-15)).mean())


def figures_of(rows: list[dict[str, Any]], coverage: float) -> list[Figure]:
    """The mean coverage over tables, which is to be near the one asked for, and that of the worst table."""
    by_table = {row["data"]: [one["coverage"] for one in rows if one["data"] == row["data"]] for row in rows}
    means = [fmean(values) for values in by_table.values()]
    name = f"coverage of {coverage:.0%}"
    scaled = [row for row in rows if row["temperature"] == row["temperature"]]
    found = [
        Figure(f"{name}, mean of {len(means)} tables, at least", coverage - 0.02, fmean(means)),
        Figure(f"{name}, mean of {len(means)} tables, at most", coverage + 0.02, fmean(means), True),
        Figure(f"{name}, the lowest of a table", coverage - 0.05, min(means)),
    ]
    if scaled:
        change = fmean(row["log loss"] - row["without"] for row in scaled)
        found.append(Figure("log loss with less without temperature, mean", 0.0, change, True))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    options.candidates = options.candidates or (6 if options.quick else 30)
    n_seeds = options.seeds or (1 if options.quick else 3)
    rows = []
    for dataset in _datasets(options.files, quick=options.quick):
        for seed in range(n_seeds):
            rows.append(row_of(dataset, seed, options))
            print(rows[-1], file=sys.stderr, flush=True)
    report(figures_of(rows, options.coverage), rows, options.json)


def _datasets(files: list[str], *, quick: bool) -> Iterator[Dataset]:
    for name in ("iris", "diabetes") if quick else _BUNDLED:
        yield nas.load_dataset(name)
    for file in files:
        loaded = load_table(file)
        target = loaded.y if loaded.regression else [f"class {label}" for label in loaded.y]
        dataset = nas.load_dataset(loaded.X.assign(**{"the target": target}), target="the target")
        yield Dataset(loaded.name, *list(vars(dataset).values())[1:])


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("files", nargs="*", metavar="FILE.npz")
    parser.add_argument("--quick", action="store_true", help="two small tables, one seed, six candidates")
    parser.add_argument("--candidates", type=int, metavar="N", help="of each search; default: 30, quick: 6")
    parser.add_argument("--seeds", type=int, metavar="N", help="default: 3, quick: 1")
    parser.add_argument("--coverage", type=float, default=0.9, metavar="C", help="default: 0.9")
    parser.add_argument("--members", type=int, metavar="K", help="see nas search; default: as there")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    return parser


if __name__ == "__main__":
    main()
