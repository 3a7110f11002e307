"""Deep learning in three steps: a set of functions (the network), goodness of a function, the best function.

1. The network is a function of its parameters, f(x) = σ(W₃ σ(W₂ σ(W₁ x + b₁) + b₂) + b₃). The worked example
   is that of H.-Y. Lee, "Deep Learning Tutorial" (2016): [[1, −2], [−1, 1]] [1, −1] + [1, 0] → [0.98, 0.12].
2. Goodness is a loss: the cross-entropy of each example, added up over all examples.
3. The best function is found by gradient descent (Rumelhart, Hinton and Williams, Nature 1986), drawn here
   on the surface of a loss with two parameters. Backpropagation computes the gradient; it is compared with
   differences of the loss itself.

Run it with ``python examples/three_steps.py``; it takes a few seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from nas.network import MLP
from nas.network.gradient_check import numeric_gradient

Array = np.ndarray[Any, np.dtype[Any]]

LAYERS = [
    (np.array([[1.0, -2.0], [-1.0, 1.0]]), np.array([1.0, 0.0])),
    (np.array([[2.0, -1.0], [-2.0, -1.0]]), np.array([0.0, 0.0])),
    (np.array([[3.0, -1.0], [-1.0, 4.0]]), np.array([-2.0, 2.0])),
]
"""W, of shape (outputs, inputs), and b of each layer of the worked example."""


def sigmoid(z: Array) -> Array:
    """The activation σ(z) = 1 / (1 + exp(−z))."""
    result: Array = 1 / (1 + np.exp(-z))
    return result


def forward(x: Array) -> list[Array]:
    """The outputs of each layer, from the first on."""
    outputs = []
    for W, b in LAYERS:
        x = sigmoid(W @ x + b)
        outputs.append(x)
    return outputs


def as_network() -> MLP:
    """The same layers as a network of this package, in which rows are examples: x W + b."""
    network = MLP((2, 2, 2, 2), ["sigmoid", "sigmoid"], "binary_cross_entropy", dtype=np.float64)
    for weight, bias, (W, b) in zip(network.weights, network.biases, LAYERS, strict=True):
        weight[...], bias[...] = W.T, b
    return network


def cross_entropy(z: Array, true_class: int) -> float:
    """−ln p of the true class, where p = softmax(z)."""
    p = np.exp(z) / np.exp(z).sum()
    return float(-np.log(p[true_class]))


def step_one() -> None:
    """A network is a nested function: with other parameters it is another function."""
    print("Step 1: the network is a nested function")
    network = as_network()
    for x in ([1.0, -1.0], [0.0, 0.0]):
        outputs = forward(np.array(x))
        shown = " → ".join(f"[{a[0]:.2f}, {a[1]:.2f}]" for a in outputs)
        same = np.allclose(network.predict(np.array([x]))[0], outputs[-1])
        print(f"  f([{x[0]:.0f}, {x[1]:.0f}]): {shown}; nas.network.MLP gives the same: {same}")


def breast_cancer() -> tuple[Array, Array]:
    """The standardized columns and the classes (1: benign) of scikit-learn's breast cancer table."""
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def step_two(X: Array, y: Array) -> MLP:
    """The loss of one example, and of all."""
    network = MLP(
        (X.shape[1], 8, 4, 2), ["tanh"] * 2, "cross_entropy", rng=np.random.default_rng(0), dtype="d"
    )
    z = network.hidden(X[:1])[0] @ network.weights[-1] + network.biases[-1]
    mean, _ = network.loss_and_gradient(X, y)
    print("\nStep 2: goodness of a function, here of random weights")
    print(f"  cross-entropy of the first example: −ln p = {cross_entropy(z, y[0]):.4f}")
    print(f"  total over {len(X)} examples: {mean * len(X):.2f}, on average {mean:.4f}")
    print(f"  a function that always answers half and half has {np.log(2):.4f} on average")
    return network


def two_parameter_network(w: Sequence[float]) -> MLP:
    """The function σ(w₂ tanh(w₁ x)): a hidden layer of one unit, and no biases."""
    network = MLP((1, 1, 1), ["tanh"], "binary_cross_entropy", dtype=np.float64)
    network.parameters[:2] = w
    return network


def descend(x: Array, y: Array, start: Sequence[float], rate: float, n_steps: int) -> tuple[Array, Array]:
    """Gradient descent, w ← w − rate ∂L/∂w.

    Returns
    -------
    path : array of shape (steps + 1, 2)
    losses : array of shape (steps + 1,)
    """
    network = two_parameter_network(start)
    path, losses = [], []
    for _ in range(n_steps + 1):
        loss, gradient = network.loss_and_gradient(x, y)
        path.append(network.parameters[:2].copy())
        losses.append(loss)
        network.parameters[:2] -= rate * gradient[:2]
    return np.array(path), np.array(losses)


PATHS = [((0.1, -2.5), 0.3), ((0.1, -2.5), 3.0), ((-0.2, 0.1), 3.0), ((0.1, -2.5), 60.0)]
"""Starts and learning rates: slow, good, good from a start on the other side, too fast."""


def step_three(x: Array, y: Array, n_steps: int) -> list[tuple[Array, Array]]:
    """Gradient descent from several starts, at several rates."""
    print(f"\nStep 3: the best function, by {n_steps} steps of gradient descent on two parameters")
    print("  start          rate   loss at first   at last   ends at")
    runs = []
    for start, rate in PATHS:
        path, losses = descend(x, y, start, rate, n_steps)
        runs.append((path, losses))
        begin, end = (f"({w[0]:5.2f}, {w[1]:5.2f})" for w in (path[0], path[-1]))
        print(f"  {begin} {rate:5.1f} {losses[0]:12.4f} {losses[-1]:12.4f}   {end}")
    return runs


def compare_gradients(network: MLP, X: Array, y: Array) -> tuple[Array, Array]:
    """The gradient by backpropagation, and by central differences of the loss."""
    start = time.perf_counter()
    _, analytic = network.loss_and_gradient(X, y)
    between = time.perf_counter()
    numeric = numeric_gradient(network, X, y)
    end = time.perf_counter()
    error = np.abs(analytic - numeric).max() / np.abs(numeric).max()
    print(f"\nBackpropagation beside numeric gradients, {len(numeric)} parameters")
    print(f"  largest difference: {error:.1e} of the largest entry")
    print(f"  backpropagation: one pass forward and one back, {1e3 * (between - start):.1f} ms")
    print(f"  differences: {2 * len(numeric)} evaluations of the loss, {1e3 * (end - between):.0f} ms")
    return analytic, numeric


def surface(x: Array, y: Array, first: Array, second: Array) -> Array:
    """The loss over a grid of both parameters, of shape (second, first)."""
    losses = [[two_parameter_network((u, v)).loss_and_gradient(x, y)[0] for u in first] for v in second]
    return np.array(losses)


def draw(
    x: Array, y: Array, runs: Sequence[tuple[Array, Array]], gradients: tuple[Array, Array], n_grid: int
) -> Figure:
    """The surface with the paths, the loss along each path, and both gradients."""
    figure = Figure(figsize=(14, 4.4), layout="constrained")
    on_surface, curves, checks = figure.subplots(1, 3)
    first, second = np.linspace(-2.5, 2.5, n_grid), np.linspace(-4.5, 4.5, n_grid)
    levels = on_surface.contourf(first, second, surface(x, y, first, second), 30, cmap="viridis")
    figure.colorbar(levels, ax=on_surface)
    for i, ((path, losses), (_, rate)) in enumerate(zip(runs, PATHS, strict=True)):
        style = {"color": ("white", "tab:orange", "tab:pink", "tab:red")[i]}
        if rate < 10:  # the path of the last leaves the picture at once
            on_surface.plot(*path.T, ".-", markersize=4, label=f"rate {rate:g}", **style)
            on_surface.plot(*path[0], "o", **style)
            on_surface.plot(*path[-1], "*", markersize=14, **style)
        style["color"] = "black" if i == 0 else style["color"]
        curves.plot(losses, label=f"rate {rate:g} from ({path[0][0]:g}, {path[0][1]:g})", **style)
    on_surface.set(xlabel="w₁", ylabel="w₂", title="loss of p = σ(w₂ tanh(w₁ x)): a saddle at 0")
    on_surface.set(xlim=first[[0, -1]], ylim=second[[0, -1]])
    on_surface.legend(loc="upper right", facecolor="gray", labelcolor="white")
    curves.set(xlabel="step", ylabel="mean cross-entropy", yscale="log", title="gradient descent")
    curves.set_ylim(0.25, 60)  # room for the legend
    curves.legend(loc="upper right")
    analytic, numeric = gradients
    checks.plot(numeric, analytic, "o", markersize=4, alpha=0.5)
    checks.axline((0, 0), slope=1, color="gray", linewidth=1)
    checks.set(xlabel="numeric ∂L/∂w", ylabel="by backpropagation", title=f"{len(numeric)} parameters")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """All three steps."""
    parser = argparse.ArgumentParser(description="Network, goodness, best function.")
    parser.add_argument("--output", type=Path, default=Path("three_steps.png"), help="the picture")
    parser.add_argument("--quick", action="store_true", help="a coarse picture")
    options = parser.parse_args(arguments)
    step_one()
    X, y = breast_cancer()
    network = step_two(X, y)
    x, benign = X[:, :1], y[:, None].astype(float)  # the mean radius alone
    runs = step_three(x, benign, n_steps=60)
    gradients = compare_gradients(network, X, y)
    draw(x, benign, runs, gradients, n_grid=15 if options.quick else 60).savefig(options.output, dpi=90)
    print(f"\npicture: {options.output}")


if __name__ == "__main__":
    main()
