"""One hidden layer fits any continuous function, but some functions take far fewer units in several layers.

The first part fits one hidden layer to continuous functions, and draws the largest error against the width
(universal approximation: Cybenko 1989, Hornik 1991). Beside what training finds stands what the same layer
can do at least: n relu units with weights that are set by hand interpolate a function at n + 1 knots.

The second part needs depth: a triangle wave composed with itself k times is a sawtooth of 2^k straight pieces
(Telgarsky 2016, "Benefits of depth in neural networks"). k layers of two relu units compute it, with 6 k + 1
parameters. A single layer of n units has n + 1 pieces and crosses the height 1/2 as often at most; with fewer
than 2^k − 1 units it misses a tooth, and is wrong by 1/2 there: no better than a constant. Where training
does not find a network that exists, the table says so.

Run it with ``python examples/universality.py``; it takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from nas.network import MLP
from nas.training import Member, TrainingConfig, TrainingData, train_cohort

Array = np.ndarray[Any, np.dtype[Any]]

FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "wave sin 4πx": lambda x: np.sin(4 * np.pi * x),
    "kink |x − 1/3|": lambda x: np.abs(x - 1 / 3),
    "square root √x": np.sqrt,
}
"""Continuous functions on [0, 1]: smooth, not smooth, infinitely steep at 0."""

GRID = np.linspace(0, 1, 4097)[:, None]
"""The points, of shape (4097, 1), at which the largest error is measured."""


def largest_error(network: MLP, target: Array) -> float:
    """The maximum of |f(x) − network(x)| over `GRID`."""
    return float(np.abs(network.predict(GRID)[:, 0] - target).max())


def interpolation(function: Callable[[Array], Array], width: int) -> MLP:
    """One layer of relu units, set by hand: straight lines between width + 1 equally spaced knots."""
    knots = np.linspace(0, 1, width + 1)
    values = function(knots)
    slopes = np.diff(values) * width
    network = MLP((1, width, 1), ["relu"], "squared_error", dtype=np.float64)
    network.weights[0][...], network.biases[0][...] = 1, -knots[:-1]  # unit i is relu(x − knot i)
    network.weights[1][:, 0], network.biases[1][...] = np.diff(slopes, prepend=0), values[0]
    return network


def sawtooth(n_compositions: int) -> Array:
    """The triangle wave t(x) = 1 − |2x − 1|, composed with itself, at the points of `GRID`."""
    y = GRID[:, 0]
    for _ in range(n_compositions):
        y = 1 - np.abs(2 * y - 1)
    return y


def deep_sawtooth(n_compositions: int) -> MLP:
    """The same as a network, set by hand: each layer computes t(x) = 2 relu(x) − 4 relu(x − 1/2)."""
    network = MLP((1, *[2] * n_compositions, 1), ["relu"] * n_compositions, "squared_error", dtype=np.float64)
    for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        weight[...] = 1 if layer == 0 else np.array([[2], [-4]])
        bias[...] = 0 if layer == n_compositions else (0, -0.5)
    return network


def initialized(sizes: Sequence[int], rng: np.random.Generator) -> MLP:
    """A network of random weights, whose first units bend at random points of [0, 1].

    With biases of 0 all of them would bend at 0.
    """
    network = MLP(sizes, ["relu"] * (len(sizes) - 2), "squared_error", rng=rng)
    network.biases[0][...] = -network.weights[0][0] * rng.random(sizes[1])
    return network


def trained(
    sizes: Sequence[Sequence[int]], target: Array, n_seeds: int, epochs: int
) -> dict[int, list[float]]:
    """Train networks of these sizes from several initial weights, all of them together, in one cohort.

    Rows are the points of `GRID` at equal steps; Adam, mean squared error.

    Returns
    -------
    dict
        The largest errors of each network's seeds, by its position in `sizes`.
    """
    members = [
        Member(
            initialized(one, np.random.default_rng([seed, i])),
            TrainingConfig(epochs, batch_size=32, learning_rate=0.005, schedule="cosine"),
        )
        for i, one in enumerate(sizes)
        for seed in range(n_seeds)
    ]
    train_cohort(members, TrainingData(GRID[::4], target[::4, None]))
    errors = [largest_error(member.network, target) for member in members]
    return {i: errors[i * n_seeds : (i + 1) * n_seeds] for i in range(len(sizes))}


def n_parameters(sizes: Sequence[int]) -> int:
    """Weights and biases."""
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


Curves = dict[str, list[tuple[int, float, float, float]]]
"""By function: the width, the best and the median trained error, and that of the interpolation."""


def fit_functions(widths: Sequence[int], n_seeds: int, epochs: int) -> Curves:
    """The largest error of one hidden layer against its width."""
    curves: Curves = {}
    for name, function in FUNCTIONS.items():
        target = function(GRID[:, 0])
        errors = trained([(1, width, 1) for width in widths], target, n_seeds, epochs)
        curves[name] = [
            (
                width,
                min(errors[i]),
                float(np.median(errors[i])),
                largest_error(interpolation(function, width), target),
            )
            for i, width in enumerate(widths)
        ]
    return curves


def print_functions(curves: Curves, n_seeds: int) -> None:
    """A line for each width."""
    print(
        f"One hidden layer of relu units: the largest error on [0, 1], best / median of {n_seeds} trainings,"
    )
    print("and of an interpolation with weights set by hand")
    print("  width " + "".join(f"{name:>30}" for name in curves))
    for lines in zip(*curves.values(), strict=True):
        cells = "".join(f"{best:12.4f} /{median:7.4f} ({by_hand:.4f})" for _, best, median, by_hand in lines)
        print(f"{lines[0][0]:7} {cells}")


@dataclass(frozen=True)
class Sawtooth:
    """What each kind of network makes of a sawtooth of 2^k pieces: the largest error of each seed."""

    k: int
    by_hand: float
    slim: list[float]
    deep: list[float]
    wide: list[float]

    @property
    def slim_sizes(self) -> tuple[int, ...]:
        """One layer with as many parameters as the deep network that is set by hand."""
        return 1, 2 * self.k, 1

    @property
    def deep_sizes(self) -> tuple[int, ...]:
        """A deep network with more units than it needs, for training."""
        return 1, *[16] * self.k, 1

    @property
    def wide_sizes(self) -> tuple[int, ...]:
        """One layer with as many parameters; a unit has three."""
        return 1, round((n_parameters(self.deep_sizes) - 1) / 3), 1


def fit_sawteeth(compositions: Sequence[int], n_seeds: int, epochs: int) -> list[Sawtooth]:
    """Deep networks, and single layers of as many parameters, for ever more teeth."""
    rows = []
    for k in compositions:
        row = Sawtooth(k, largest_error(deep_sawtooth(k), sawtooth(k)), [], [], [])
        sizes = (row.slim_sizes, row.deep_sizes, row.wide_sizes)
        slim, deep, wide = trained(sizes, sawtooth(k), n_seeds, epochs).values()
        rows.append(replace(row, slim=slim, deep=deep, wide=wide))
    return rows


def print_sawteeth(rows: Sequence[Sawtooth]) -> None:
    """A line for each sawtooth, and what they say."""
    print(f"\nA sawtooth of 2^k pieces: the largest error, best / median of {len(rows[0].deep)} trainings")
    print(
        "           one layer   as many parameters          more parameters\n"
        "  k pieces needs units k × 2 by hand  2k, trained     k × 16, trained   one layer, trained"
    )
    for row in rows:
        n = n_parameters(row.slim_sizes)
        deep, wide = (f"{min(errors):.3f} / {np.median(errors):.3f}" for errors in (row.deep, row.wide))
        print(
            f"{row.k:3} {2**row.k:6} {2**row.k - 1:9}    {n:4}: {row.by_hand:.3f} {min(row.slim):10.3f}"
            f"   {n_parameters(row.deep_sizes):7}: {deep} {row.wide_sizes[1]:5} units: {wide}"
        )
    print("The constant 1/2 has an error of 0.5: a network that is no better has found nothing.")
    ahead = [row.k for row in rows if min(row.deep) < 0.5 * min(row.wide) and min(row.wide) > 0.01]
    if ahead:
        print(
            f"For k = {_listed(ahead)} the trained deep network has less than half the error of the wide one."
        )
    lost = [row.k for row in rows if min(row.deep) > 0.25 and min(row.wide) > 0.25]
    if lost:
        print(
            f"For k = {_listed(lost)} exact networks exist, deep and wide, but training finds neither: "
            "what can be computed is not what is learned."
        )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def draw(curves: Curves, rows: Sequence[Sawtooth]) -> Figure:
    """The errors against the width, those of sawteeth, and the most toothed of these."""
    figure = Figure(figsize=(14, 4.4), layout="constrained")
    widths, depths, shape = figure.subplots(1, 3)
    for i, (name, lines) in enumerate(curves.items()):
        width, best, _, by_hand = np.transpose(lines)
        widths.plot(width, best, "o-", color=f"C{i}", label=f"{name}, trained")
        widths.plot(width, by_hand, "--", color=f"C{i}", label="interpolation set by hand")
    widths.set(xscale="log", yscale="log", xlabel="units of the one hidden layer", ylabel="largest error")
    widths.set_title("one hidden layer is enough")
    widths.legend(fontsize=8)
    ks = [row.k for row in rows]
    for label, errors, style in (
        ("one layer of 2k, trained", [min(row.slim) for row in rows], "v-"),
        ("one layer, as many parameters as k × 16, trained", [min(row.wide) for row in rows], "o-"),
        ("k layers of 16, trained", [min(row.deep) for row in rows], "s-"),
        ("k layers of 2, set by hand", [row.by_hand for row in rows], "^--"),
    ):
        depths.plot(ks, errors, style, label=label)
    depths.axhline(0.5, color="gray", linewidth=1)
    depths.text(ks[0], 0.51, "the constant 1/2", color="gray", va="bottom")
    depths.set(xlabel="compositions k", ylabel="largest error", title="a sawtooth of 2^k pieces needs depth")
    depths.set_ylim(-0.03, 1)
    depths.legend(fontsize=8, loc="upper left")
    k = ks[-1]
    few = interpolation(lambda x: np.interp(x, GRID[:, 0], sawtooth(k)), 2 * k)
    shape.plot(GRID, sawtooth(k), linewidth=3, color="lightgray", label=f"t composed {k} times")
    for network, color, label in (
        (deep_sawtooth(k), "C3", f"{k} layers of 2, set by hand: {6 * k + 1} parameters"),
        (few, "C0", f"one layer of {2 * k}, set by hand: {6 * k + 1} parameters"),
    ):
        shape.plot(GRID, network.predict(GRID), color, linewidth=1, label=label)
    shape.set(xlim=(0, 0.5), ylim=(-0.05, 1.4), xlabel="x", title=f"k = {k}, half of it")
    shape.legend(fontsize=8, loc="upper right")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Both parts."""
    parser = argparse.ArgumentParser(description="One hidden layer is enough; depth is cheaper.")
    parser.add_argument("--output", type=Path, default=Path("universality.png"), help="the picture")
    parser.add_argument("--quick", action="store_true", help="small networks, short trainings")
    options = parser.parse_args(arguments)
    if options.quick:
        curves, rows = fit_functions((2, 8), 2, epochs=5), fit_sawteeth((1, 4), 2, epochs=5)
        n_seeds = 2
    else:
        n_seeds = 8
        curves = fit_functions((1, 2, 4, 8, 16, 32, 64, 128, 256), n_seeds, epochs=300)
        rows = fit_sawteeth(range(1, 7), n_seeds, epochs=800)
    print_functions(curves, n_seeds)
    print_sawteeth(rows)
    draw(curves, rows).savefig(options.output, dpi=90)
    print(f"\npicture: {options.output}")


if __name__ == "__main__":
    main()
