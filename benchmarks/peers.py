"""The same training by other libraries: equal architecture, batches, epochs, Adam, relu or tanh, one core.

Each maker returns a function that trains one network from the start. JAX compiles for each new shape:
its first call does that, and is timed apart.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nas.network.arrays import Floats, Ints

RATE = 0.001

# Read by JAX when it is imported: one thread, like everybody.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")


@dataclass(frozen=True)
class Task:
    """What is trained: hidden widths with one activation, on these rows."""

    X: Floats
    y: Ints
    widths: tuple[int, ...]
    batch: int
    epochs: int
    activation: str = "relu"

    @property
    def n_classes(self) -> int:
        """Outputs of the network."""
        return int(self.y.max()) + 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, hidden widths, outputs."""
        return (self.X.shape[1], *self.widths, self.n_classes)


def scikit_learn(task: Task) -> Callable[[], object]:
    """MLPClassifier without early stopping."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            MLPClassifier(
                task.widths,
                activation=task.activation,
                batch_size=min(task.batch, len(task.X)),
                alpha=0,
                learning_rate_init=RATE,
                max_iter=task.epochs,
                n_iter_no_change=task.epochs,
                random_state=0,
            ).fit(task.X, task.y)

    return run


def pytorch(task: Task) -> Callable[[], object]:
    """The usual loop: Sequential, CrossEntropyLoss, Adam; batches taken by index, without a DataLoader."""
    import torch

    torch.set_num_threads(1)
    X, y = torch.from_numpy(task.X), torch.from_numpy(task.y)
    kinds: dict[str, Any] = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}

    def run() -> None:
        torch.manual_seed(0)
        layers: list[Any] = []
        for above, below in pairwise(task.sizes[:-1]):
            layers += [torch.nn.Linear(above, below), kinds[task.activation]()]
        network = torch.nn.Sequential(*layers, torch.nn.Linear(task.sizes[-2], task.sizes[-1]))
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        loss = torch.nn.CrossEntropyLoss()
        for _ in range(task.epochs):
            order = torch.randperm(len(X))
            for start in range(0, len(X), task.batch):
                rows = order[start : start + task.batch]
                optimizer.zero_grad(set_to_none=True)
                loss(network(X[rows]), y[rows]).backward()
                optimizer.step()

    return run


def jax(task: Task) -> Callable[[], object]:
    """A whole epoch in one compiled function, with a scan over batches: its fastest form here."""
    import jax as library
    import jax.numpy as jnp

    X, y = jnp.asarray(task.X), jnp.asarray(task.y)
    n_full, n = len(X) // task.batch, len(X)
    act = {"relu": library.nn.relu, "tanh": jnp.tanh}[task.activation]

    def cost(parameters: Any, rows: Any) -> Any:
        a = X[rows]
        for W, b in parameters[:-1]:
            a = act(a @ W + b)
        z = a @ parameters[-1][0] + parameters[-1][1]
        return -jnp.take_along_axis(library.nn.log_softmax(z), y[rows][:, None], axis=1).mean()

    def step(state: Any, rows: Any) -> Any:
        p, m, v, t = state
        g = library.grad(cost)(p, rows)
        t = t + 1
        m = library.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = library.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        rate = RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        p = library.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), p, m, v)
        return (p, m, v, t), None

    def all_batches(state: Any, order: Any) -> Any:
        full = order[: n_full * task.batch].reshape(n_full, task.batch)
        state, _ = library.lax.scan(step, state, full)
        if n % task.batch:
            state, _ = step(state, order[n_full * task.batch :])
        return state

    epoch = library.jit(all_batches)
    rng = np.random.default_rng(0)

    def run() -> None:
        p = [
            (jnp.asarray(rng.normal(0, (2 / m) ** 0.5, (m, n)).astype(np.float32)), jnp.zeros(n, jnp.float32))
            for m, n in pairwise(task.sizes)
        ]
        zeros = library.tree.map(jnp.zeros_like, p)
        state: Any = (p, zeros, zeros, jnp.zeros((), jnp.float32))
        for _ in range(task.epochs):
            state = epoch(state, jnp.asarray(rng.permutation(n)))
        state[-1].block_until_ready()

    return run


def products(task: Task) -> Callable[[], None]:
    """The matrix products of the same epochs, and nothing else, by one plain call each."""
    rng = np.random.default_rng(0)

    def array(*shape: int) -> Floats:
        return rng.normal(size=shape).astype(np.float32)

    def layers(rows: int) -> list[tuple[Floats, ...]]:
        return [
            (array(n, m), array(m, rows), array(n, rows), array(n, m), array(m, rows))
            for m, n in pairwise(task.sizes)
        ]

    whole, rest = divmod(len(task.X), task.batch)
    steps: Sequence[Any] = [layers(task.batch)] * whole
    if rest:
        steps = [*steps, layers(rest)]

    def run() -> None:
        for _ in range(task.epochs):
            for step in steps:
                for W, a, z, _, _ in step:
                    np.dot(W, a, out=z)
                for i, (W, a, dz, dW, da) in enumerate(step):
                    np.dot(dz, a.T, out=dW)
                    if i > 0:
                        np.dot(W.T, dz, out=da)

    return run
