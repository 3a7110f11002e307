"""Training speed: the same epochs of the same networks by this engine, alone and in cohorts, and by others.

    python -m benchmarks.engine [--quick] [--repeats N] [--images FILE] [--json FILE] [--plot FILE]
    python -m benchmarks.engine --calibrate

One core, float32, Adam, relu, no early stopping, no validation, the same number of steps on batches of
the same size. Where numba is installed (``pip install "evonas[fast]"``), networks train with compiled
loops; the columns "without loops" are the same trainings by NumPy alone. "products" are the matrix
products alone, one plain call each: nearly the bound of what this BLAS can do, which products in panels
pass by a third for batches of 32. JAX's compilation, for each new shape, is a column of its own. Peers
that are not installed (``pip install "evonas[bench]"``) are left out, with their figures.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from benchmarks import peers
from benchmarks.calibration import calibrate
from benchmarks.harness import Figure, interleaved, report
from benchmarks.peers import RATE, Task
from nas import kernels
from nas.network import MLP, OPTIMIZERS
from nas.network.arrays import Floats, Ints
from nas.space import load_space
from nas.training import Member, Plan, TrainingConfig, TrainingData, plan, train_cohort

DIGITS = [
    *(((width,), 32) for width in (8, 16, 32, 64, 128, 256, 512, 1024)),
    *(((64,) * depth, 32) for depth in (2, 3, 4, 5)),
    *(((256, 256), batch) for batch in (32, 128, 256, 512)),
    ((128, 128), 128),
    ((256, 256, 256), 128),
    ((512, 512), 128),
    ((1024, 1024), 128),
]
IMAGES = [((16,), 32), ((64,), 32), ((128, 128), 128), ((256, 256), 128), ((512, 512), 128)]
QUICK = [((16,), 32), ((64, 64), 32), ((128, 128), 128), ((256, 256), 128), ((512, 512), 128)]
N_IMAGES = 3000
"""Rows of the image set that are trained on: enough for a step's time, few enough for many shapes."""

EPOCHS = 10
SIZE = 32
"""Networks that are offered to the planner as one cohort."""

Data = tuple[str, Floats, Ints]


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(arguments)
    repeats = options.repeats or (3 if options.quick else 5)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if not kernels.is_missing():
        os.environ.setdefault("NAS_KERNELS", "numba")  # compiled before anything is measured
    kernels.load()
    with threadpool_limits(1):
        if options.calibrate:
            calibrate(options.calibrate)
            return
        digits, images = _digits(), _images(options.images)
        rows = []
        shapes = (QUICK, IMAGES[:2]) if options.quick else (DIGITS, IMAGES)
        for data, chosen in zip((digits, images), shapes, strict=True):
            for widths, batch in chosen:
                rows.append(_row(data, widths, batch, repeats))
                print(f"{data[0]} {rows[-1]['hidden']}, batch {batch}", file=sys.stderr, flush=True)
        figures = _figures(rows, digits, images, max(2, repeats // 2))
    print()
    report(figures, rows, options.json)
    print(f"{repeats} interleaved repeats of {EPOCHS} epochs, medians, in ms an epoch of one network")
    if options.plot:
        _plot(rows, options.plot)


def _digits() -> Data:
    X, y = load_digits(return_X_y=True)
    return "digits", np.ascontiguousarray(X / 16, np.float32), y.astype(np.int64)


def _images(file: str | None) -> Data:
    """Images of 784 pixels: `X` and `y` of a file, or digits made larger, with noise."""
    if file is not None:
        with np.load(file, allow_pickle=False) as arrays:
            X, y = arrays["X"][:N_IMAGES], arrays["y"][:N_IMAGES]
        return "images", np.ascontiguousarray(X / 255, np.float32), y.astype(np.int64)
    _, X, y = _digits()
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(X), size=N_IMAGES)
    large = np.kron(X[chosen].reshape(-1, 8, 8), np.ones((1, 4, 4)))[:, 2:30, 2:30].reshape(N_IMAGES, 784)
    return "synthetic", (large + rng.normal(0, 0.1, large.shape)).astype(np.float32), y[chosen]


def _row(data: Data, widths: tuple[int, ...], batch: int, repeats: int) -> dict[str, Any]:
    name, X, y = data
    task = Task(X, y, widths, batch, EPOCHS)
    (cohort, *_) = plan([_plan(task)] * SIZE)
    contestants: dict[str, Callable[[], object]] = {"alone": lambda: _alone(task)}
    if len(cohort) > 1:
        contestants["cohort"] = lambda: _together([task] * len(cohort))
    if kernels.is_loaded():
        contestants |= {
            f"{name} without loops": partial(_without_loops, run) for name, run in contestants.items()
        }
    compilation = float("nan")
    for peer in _peers():
        contestants[peer.__name__] = peer(task)
        if peer is peers.jax:
            since = time.perf_counter()
            contestants["jax"]()
            compilation = time.perf_counter() - since
    contestants["products"] = peers.products(task)
    seconds = interleaved(contestants, repeats)
    if "jax" in seconds:
        compilation -= seconds["jax"]
    ms = {key: 1e3 * value / EPOCHS for key, value in seconds.items()}
    missing = float("nan")
    for suffix in ("", " without loops"):
        alone = ms.setdefault(f"alone{suffix}", missing)
        ms[f"cohort{suffix}"] = ms.get(f"cohort{suffix}", len(cohort) * alone) / len(cohort)
    return {
        "data": name,
        "hidden": "-".join(map(str, widths)),
        "batch": batch,
        "alone": ms["alone"],
        "cohort of": len(cohort),
        "cohort": ms["cohort"],
        "alone without loops": ms["alone without loops"],
        "cohort without loops": ms["cohort without loops"],
        "sklearn": ms.get("scikit_learn", missing),
        "torch": ms.get("pytorch", missing),
        "jax": ms.get("jax", missing),
        "jax compiles (s)": compilation,
        "products": ms["products"],
        "sklearn/alone": ms.get("scikit_learn", missing) / ms["alone"],
        "sklearn/cohort": ms.get("scikit_learn", missing) / ms["cohort"],
        "torch/alone": ms.get("pytorch", missing) / ms["alone"],
        "torch/cohort": ms.get("pytorch", missing) / ms["cohort"],
        "alone/products": ms["alone"] / ms["products"],
    }


def _without_loops(run: Callable[[], object]) -> None:
    with kernels.disabled():
        run()


def _peers() -> list[Callable[[Task], Callable[[], object]]]:
    known = {"sklearn": peers.scikit_learn, "torch": peers.pytorch, "jax": peers.jax}
    return [peer for name, peer in known.items() if importlib.util.find_spec(name)]


def _plan(task: Task, **changes: Any) -> Plan:
    config = TrainingConfig(epochs=task.epochs, batch_size=task.batch, learning_rate=RATE, patience=None)
    return Plan(task.sizes, (task.activation,) * len(task.widths), replace(config, **changes))


def _network(one: Plan, seed: int) -> MLP:
    return MLP(one.sizes, one.activations, "cross_entropy", rng=np.random.default_rng(seed))


def _alone(task: Task) -> None:
    one = _plan(task)
    train_cohort([Member(_network(one, 0), one.config)], TrainingData(task.X, task.y))


def _together(tasks: Sequence[Task]) -> None:
    plans = [_plan(task) for task in tasks]
    members = [Member(_network(one, seed), one.config) for seed, one in enumerate(plans)]
    train_cohort(members, TrainingData(tasks[0].X, tasks[0].y))


def _as_planned(tasks: Sequence[Task]) -> None:
    for cohort in plan([_plan(task) for task in tasks]):
        _together([tasks[i] for i in cohort])


def _figures(rows: Sequence[dict[str, Any]], digits: Data, images: Data, repeats: int) -> list[Figure]:
    """The figures that the engine is asked for."""

    def row(hidden: str, batch: int) -> dict[str, Any]:
        return next(r for r in rows if (r["data"], r["hidden"], r["batch"]) == ("digits", hidden, batch))

    rng = random.Random(0)
    _, X, y = digits
    narrow = [Task(X, y, (rng.randint(8, 32),), 32, EPOCHS) for _ in range(SIZE)]
    mixed = [_drawn(digits, rng) for _ in range(SIZE)]
    narrow_ratios = _ratios(narrow, repeats, [peers.scikit_learn], one_cohort=True)
    mixed_ratios = _ratios(mixed, repeats, [peers.scikit_learn, peers.pytorch])
    wide = [r for r in rows if r["data"] == "digits" and r["batch"] >= 128]
    wide = [r for r in wide if min(map(int, r["hidden"].split("-"))) >= 256]
    figures = [
        Figure("cohort of 32, widths 8-32, batch 32: scikit-learn", 35, narrow_ratios["scikit_learn"]),
        Figure("32 mixed shapes of `small`, as planned: scikit-learn", 8, mixed_ratios["scikit_learn"]),
        Figure("32 mixed shapes of `small`, as planned: PyTorch", 10, mixed_ratios["pytorch"]),
        Figure("alone 64-64, batch 32: scikit-learn", 7, row("64-64", 32)["sklearn/alone"]),
        Figure("alone 64-64, batch 32: PyTorch", 5, row("64-64", 32)["torch/alone"]),
        Figure(
            "alone 64-64, batch 32: JAX, without its compilation",
            1.0,
            row("64-64", 32)["jax"] / row("64-64", 32)["alone"],
        ),
        Figure("alone 512-512, batch 128: scikit-learn", 1.7, row("512-512", 128)["sklearn/alone"]),
        Figure("alone 512-512, batch 128: PyTorch", 1.3, row("512-512", 128)["torch/alone"]),
        Figure(
            "full step / products, widths >= 256, batch >= 128 (worst)",
            1.2,
            max(r["alone/products"] for r in wide),
            at_most=True,
        ),
        Figure(
            "full step / products, 128-128, batch 128",
            1.3,
            row("128-128", 128)["alone/products"],
            at_most=True,
        ),
        Figure(
            "peak memory / (data + 6 x parameters + activations)",
            1.2,
            max(_memory(data, widths) for data in (digits, images) for widths in ((64, 64), (512, 512))),
            at_most=True,
        ),
        Figure("step of Adam, 500,000 parameters: loops / NumPy", 0.25, _adam(repeats), at_most=True),
    ]
    return [
        figure for figure in figures if figure.measured == figure.measured
    ]  # those of absent peers are NaN


def _drawn(data: Data, rng: random.Random) -> Task:
    """A shape of the space `small`; of its activations, the peers know relu and tanh."""
    genome = load_space("small").sample(rng)
    activation = "tanh" if genome.activation == "tanh" else "relu"
    return Task(data[1], data[2], genome.widths, 32, EPOCHS, activation)


def _ratios(
    tasks: Sequence[Task],
    repeats: int,
    competitors: Sequence[Callable[[Task], Callable[[], object]]],
    *,
    one_cohort: bool = False,
) -> dict[str, float]:
    """How many times as long each peer takes for all the tasks, one by one."""
    contestants: dict[str, Callable[[], object]] = {
        "nas": (lambda: _together(tasks)) if one_cohort else (lambda: _as_planned(tasks))
    }
    for peer in competitors:
        if peer in _peers():
            contestants[peer.__name__] = partial(_one_by_one, [peer(task) for task in tasks])
    seconds = interleaved(contestants, repeats)
    return {peer.__name__: seconds.get(peer.__name__, float("nan")) / seconds["nas"] for peer in competitors}


def _one_by_one(runs: Sequence[Callable[[], object]]) -> None:
    for run in runs:
        run()


def _adam(repeats: int) -> float:
    """A step of Adam in one loop over that by NumPy; NaN without loops."""
    if not kernels.is_loaded():
        return float("nan")

    def steps() -> Callable[[], None]:
        optimizer = OPTIMIZERS["adam"](*np.random.default_rng(0).normal(size=(2, 500_000)).astype(np.float32))

        def run() -> None:
            for _ in range(20):
                optimizer.step(RATE)

        return run

    with kernels.disabled():
        by_numpy = steps()
    seconds = interleaved({"loops": steps(), "numpy": by_numpy}, repeats)
    return seconds["loops"] / seconds["numpy"]


def _memory(data: Data, widths: tuple[int, ...]) -> float:
    """Peak memory of training a network, data included, over what it must have."""
    _, X, y = data
    task = Task(X, y, widths, 128, 1)
    tracemalloc.start()
    try:
        _alone(task)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    parameters = sum((m + 1) * n for m, n in zip(task.sizes, task.sizes[1:], strict=False))
    return (X.nbytes + peak) / (X.nbytes + 24 * parameters + 4 * task.batch * sum(task.sizes))


def _plot(rows: Sequence[dict[str, Any]], file: str) -> None:
    import matplotlib.pyplot as plt

    digits = [row for row in rows if row["data"] == "digits"]
    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    names = [f"{row['hidden']}\nbatch {row['batch']}" for row in digits]
    for key, label, color, marker in (
        ("cohort", "nas, in cohorts", "#1b4f8a", "o"),
        ("alone", "nas, alone", "#5b9bd5", "o"),
        ("jax", "JAX, compilation apart", "#999999", "^"),
        ("torch", "PyTorch", "#d9822b", "s"),
    ):
        axes.plot(
            names,
            [row["sklearn"] / row[key] for row in digits],
            marker,
            label=label,
            color=color,
            linestyle="",
        )
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_yticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    axes.minorticks_off()
    axes.set_ylabel("times as fast as scikit-learn")
    axes.set_title("Training on digits, one core, an epoch of one network")
    axes.tick_params(axis="x", labelsize=6, rotation=60)
    axes.grid(axis="y", linewidth=0.3)
    axes.legend(frameon=False)
    figure.savefig(file, dpi=150)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer shapes and repeats")
    parser.add_argument("--repeats", type=int, metavar="N", help="counted rounds; default: 5, quick: 3")
    parser.add_argument(
        "--images", metavar="FILE", help=".npz with X (rows x 784, 0 to 255) and y; synthetic without"
    )
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")
    parser.add_argument("--plot", metavar="FILE", help="draw how many times as fast as scikit-learn")
    parser.add_argument(
        "--calibrate",
        type=int,
        nargs="?",
        const=200,
        metavar="N",
        help="fit the planner's costs to N cohorts instead",
    )
    return parser


if __name__ == "__main__":
    main()
