"""RealMLP-TD's own point in nas's engine beside pytabkit's RealMLP: test errors, and an epoch's time.

    python -m benchmarks.realmlp [DATA ...] [--data DIR] [--seeds N] [--first-seed N] [--epochs E]
                                 [--most-rows N] [--rows FILE] [--merge FILE ...] [--json FILE] [--quick]

Both train a single network on the same training rows, keep its best epoch on the same validation rows, and
predict the same test rows, on one core. The genome is the start of the space `realmlp` for the task, with
pytabkit's 256 rows a batch and 256 epochs; an epoch's time has its validation in it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import geometric_mean

import numpy as np

from benchmarks.comparison import Paired
from benchmarks.data import load, resolve
from benchmarks.gains import FLOOR
from benchmarks.harness import Figure, report
from benchmarks.recipe import error_of, part_of, test_inputs
from benchmarks.rivals_peers import Task
from benchmarks.rows import Row, Rows, add_options, add_table_options, read_rows
from nas.data import Dataset
from nas.evaluation import Candidate, Training, build_network, fit
from nas.genome import Genome
from nas.network import LOSSES
from nas.network.arrays import Array, Floats
from nas.run.preparation import Prepared, prepare
from nas.space import load_space
from nas.training import predict

_KEYS = ("data", "seed", "contestant")


def genome_of(dataset: Dataset) -> Genome:
    """RealMLP-TD's point for the task of a table."""
    of_classes, of_values = load_space("realmlp").starts
    if dataset.task != "regression":
        return of_classes
    return replace(of_values, label_smoothing=None)


def measure(dataset: Dataset, seed: int, epochs: int) -> list[Row]:
    """Train both on one split; a row for each."""
    genome = genome_of(dataset)
    prepared = prepared_for(dataset, seed, epochs, genome)
    y = prepared.targets(prepared.split.test)
    found = []
    output = LOSSES[prepared.problem.loss].output
    answers = {"nas": ours(prepared, genome, seed), "pytabkit": _theirs(prepared, seed, epochs)}
    for name, (predictions, seconds) in answers.items():
        row = {"data": dataset.name, "seed": seed, "contestant": name, "task": dataset.task}
        error = error_of(predictions, y, output)
        found.append({**row, "error": error, "epoch seconds": seconds / epochs})
    return found


def prepared_for(dataset: Dataset, seed: int, epochs: int, genome: Genome) -> Prepared:
    """The rows of one split, with the settings of pytabkit's training."""
    settings = {"patience": None, "epochs": epochs, "batch_size": min(256, dataset.n_rows // 2)}
    return prepare(dataset, seed, settings, encodings=[genome.encoding], n_folds=1)


def ours(prepared: Prepared, genome: Genome, seed: int) -> tuple[Floats, float]:
    """Predictions of the test rows, and the seconds of training."""
    candidate = Candidate(0, genome, seed, 0, "start")
    problem = prepared.problem.of(genome)
    network = build_network(genome, [seed], problem)
    since = time.perf_counter()
    fit([network], [Training(candidate)], prepared.problem)
    seconds = time.perf_counter() - since
    return predict(network, test_inputs(prepared, genome.encoding)), seconds


def _theirs(prepared: Prepared, seed: int, epochs: int) -> tuple[Floats, float]:
    import pytabkit

    dataset, split = prepared.dataset, prepared.split
    is_regression = dataset.task == "regression"
    y = dataset.y[:, 0] if is_regression else dataset.y
    fitted = np.concatenate([split.train, split.validation])
    task = Task.of(dataset.table.copy(), y, fitted, split.test, regression=is_regression, seed=seed)
    means = task.X_train[task.numbers].mean()
    X, X_test = (part.fillna(means) for part in (task.X_train, task.X_test))
    kind = pytabkit.RealMLP_TD_Regressor if is_regression else pytabkit.RealMLP_TD_Classifier
    model = kind(random_state=seed, device="cpu", n_threads=1, n_epochs=epochs)
    validation = np.arange(len(split.train), len(fitted))
    since = time.perf_counter()
    model.fit(X, y[fitted], val_idxs=validation)
    seconds = time.perf_counter() - since
    if not is_regression:
        probabilities = np.asarray(model.predict_proba(X_test))
        # Our networks have one output for two classes.
        return probabilities[:, -prepared.problem.n_outputs :], seconds
    return _standardized(prepared, np.asarray(model.predict(X_test)).reshape(-1, 1), y), seconds


def _standardized(prepared: Prepared, predictions: Floats, y: Array) -> Floats:
    """Values in the units of the network's outputs."""
    rows = prepared.split.train
    slope, height = np.polyfit(y[rows].astype(float), prepared.targets(rows)[:, 0].astype(float), 1)
    result: Floats = slope * predictions + height
    return result


def summary(rows: Sequence[Row]) -> list[Row]:
    """A row for each data set: both errors, their ratio, and the ratio of the times of an epoch."""
    found = []
    for data in dict.fromkeys(row["data"] for row in rows):
        own, other = (
            {row["seed"]: row for row in rows if row["data"] == data and row["contestant"] == name}
            for name in ("nas", "pytabkit")
        )
        seeds = sorted(own.keys() & other.keys())
        ratios = [(own[i]["error"] + FLOOR) / (other[i]["error"] + FLOOR) for i in seeds]
        times = [own[i]["epoch seconds"] / other[i]["epoch seconds"] for i in seeds]
        found.append(
            {
                "data": data,
                "seeds": len(seeds),
                "nas": float(np.mean([own[i]["error"] for i in seeds])),
                "pytabkit": float(np.mean([other[i]["error"] for i in seeds])),
                "error ratio": geometric_mean(ratios),
                "ms an epoch": 1e3 * float(np.mean([own[i]["epoch seconds"] for i in seeds])),
                "time ratio": geometric_mean(times),
            }
        )
    return found


def figures(sets: Sequence[Row]) -> list[Figure]:
    """The figures asked for."""
    error = geometric_mean([one["error ratio"] for one in sets])
    seconds = geometric_mean([one["time ratio"] for one in sets])
    return [
        Figure("error of nas / pytabkit, geometric mean", 1.02, error, at_most=True),
        Figure("time an epoch of nas / pytabkit, geometric mean", 0.5, seconds, at_most=True),
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing, and print both beside each other."""
    options = _parser().parse_args(arguments)
    kept = Rows(_KEYS, options.rows)
    if options.merge:
        kept.merge(row for file in options.merge for row in read_rows(file))
    else:
        _measure_all(options, kept)
    sets = summary(kept.all)
    report(figures(sets), sets, options.json, kept.all)
    logs = [float(np.log(one["error ratio"])) for one in sets]
    if len(logs) > 1:
        gap = Paired.of(logs)
        print(f"\nlog of the error ratio: {gap.mean:+.3f}, standard error {gap.error:.3f} over {gap.n} sets")


def _measure_all(options: argparse.Namespace, kept: Rows) -> None:
    n = options.seeds or (1 if options.quick else 3)
    for data in resolve(options.files, options.data):
        dataset = load(data)
        for seed in range(options.first_seed, options.first_seed + n):
            part = part_of(dataset, options.most_rows, seed)
            if kept.get(data=part.name, seed=seed, contestant="pytabkit") is not None:
                continue
            for row in measure(part, seed, options.epochs):
                kept.add(row)
                print({k: v for k, v in row.items() if k != "task"}, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.realmlp", description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--epochs", type=int, default=256, metavar="E", help="default: 256")
    add_table_options(parser)
    add_options(parser, seeds=3)
    return parser


if __name__ == "__main__":
    main()
