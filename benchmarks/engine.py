"""Training speed: the same epochs of the same network by this engine and by scikit-learn.

    python -m benchmarks.engine [--quick] [--repeats N] [--json FILE] [--plot FILE]

One core, float32, digits (1,797 rows, 64 columns), Adam, relu, no early stopping, no validation: the
same number of steps on batches of the same size. "of products" is the share of the engine's time
that its matrix products alone would take: the bound of any implementation over the same BLAS.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from benchmarks.harness import Figure, interleaved, report
from nas.network import MLP, TrainingConfig, train
from nas.network.arrays import Floats, Ints

SHAPES = [
    ((32,), 32),
    ((64,), 32),
    ((64, 64), 32),
    ((128, 128), 128),
    ((256, 256), 128),
    ((64, 64, 64, 64), 32),
    ((256, 256, 256), 128),
    ((512, 512), 128),
]
QUICK_SHAPES = SHAPES[:4]
ASKED = ((64, 64), 32)
EPOCHS = 5


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    repeats = options.repeats or (3 if options.quick else 7)
    X, y = load_digits(return_X_y=True)
    X = np.ascontiguousarray(X / 16, np.float32)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        rows = [_row(X, y, widths, batch, repeats) for widths, batch in _shapes(quick=options.quick)]
    (asked,) = [row for row in rows if (row["hidden"], row["batch"]) == ("64-64", 32)]
    figure = Figure("epoch of 64-64, batch 32: scikit-learn / nas", 3.0, asked["ratio"])
    report([figure], rows, options.json)
    print(f"{repeats} interleaved repeats of {EPOCHS} epochs, medians, in ms an epoch")
    if options.plot:
        _plot(rows, options.plot)


def _shapes(*, quick: bool) -> list[tuple[tuple[int, ...], int]]:
    return QUICK_SHAPES if quick else SHAPES


def _row(X: Floats, y: Ints, widths: tuple[int, ...], batch: int, repeats: int) -> dict[str, Any]:
    contestants: dict[str, Callable[[], object]] = {
        "nas": partial(_train_here, X, y, widths, batch),
        "scikit-learn": partial(_train_there, X, y, widths, batch),
        "products": _products(X, widths, batch),
    }
    seconds = interleaved(contestants, repeats)
    return {
        "hidden": "-".join(map(str, widths)),
        "batch": batch,
        "nas": 1e3 * seconds["nas"] / EPOCHS,
        "scikit-learn": 1e3 * seconds["scikit-learn"] / EPOCHS,
        "ratio": seconds["scikit-learn"] / seconds["nas"],
        "of products": seconds["products"] / seconds["nas"],
    }


def _train_here(X: Floats, y: Ints, widths: tuple[int, ...], batch: int) -> None:
    network = MLP(
        (X.shape[1], *widths, 10), ["relu"] * len(widths), "cross_entropy", rng=np.random.default_rng(0)
    )
    train(network, X, y, TrainingConfig(epochs=EPOCHS, batch_size=batch, learning_rate=0.001))


def _train_there(X: Floats, y: Ints, widths: tuple[int, ...], batch: int) -> None:
    MLPClassifier(
        widths, batch_size=batch, alpha=0, max_iter=EPOCHS, n_iter_no_change=EPOCHS, random_state=0
    ).fit(X, y)


def _products(X: Floats, widths: tuple[int, ...], batch: int) -> Callable[[], None]:
    """A function that does the matrix products of the same epochs, and nothing else."""
    sizes = (X.shape[1], *widths, 10)
    rng = np.random.default_rng(0)

    def array(*shape: int) -> Floats:
        return rng.normal(size=shape).astype(np.float32)

    layers = [
        (array(batch, m), array(m, n), array(batch, n), array(m, n), array(batch, m))
        for m, n in pairwise(sizes)
    ]
    steps = EPOCHS * -(-len(X) // batch)

    def run() -> None:
        for _ in range(steps):
            for inputs, weight, outputs, _, _ in layers:
                np.dot(inputs, weight, out=outputs)
            for i, (inputs, weight, outputs, d_weight, d_inputs) in enumerate(layers):
                np.dot(inputs.T, outputs, out=d_weight)
                if i > 0:
                    np.dot(outputs, weight.T, out=d_inputs)

    return run


def _plot(rows: list[dict[str, Any]], file: str) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    names = [f"{row['hidden']}\nbatch {row['batch']}" for row in rows]
    axes.bar(names, [row["ratio"] for row in rows], color="#3b6ea5")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_ylabel("times as fast as scikit-learn")
    axes.tick_params(axis="x", labelsize=7)
    figure.savefig(file, dpi=150)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer shapes and repeats")
    parser.add_argument("--repeats", type=int, metavar="N", help="counted rounds; default: 7, quick: 3")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratios")
    return parser


if __name__ == "__main__":
    main()
