"""The same network in PyTorch, float64: forward, loss, gradients, and twenty steps of every optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from trainings import train_together

from nas.network import ACTIVATIONS, LOSSES, MLP, OPTIMIZERS, Extras
from nas.network.arrays import Array, Floats
from nas.network.extras import PLAIN
from nas.training import TrainingConfig

torch: Any = pytest.importorskip("torch", reason="PyTorch is not here; .ci/run installs it")
F = torch.nn.functional

EXACT = 1e-10
STEPS = 20

FUNCTIONS: dict[str, Any] = {
    "identity": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.01),
    "elu": F.elu,
    "selu": F.selu,
    "gelu": lambda z: F.gelu(z, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
}
# Ours are sums over outputs; squared error is halved. `s` is the label smoothing, for which PyTorch has no
# option where a class is a number of 0 or 1.
COSTS: dict[str, Any] = {
    "cross_entropy": lambda z, y, s: F.cross_entropy(z, y, label_smoothing=s),
    "binary_cross_entropy": lambda z, y, s: (
        F.binary_cross_entropy_with_logits(z, (1 - s) * y + s / 2, reduction="sum") / len(z)
    ),
    "squared_error": lambda z, y, s: 0.5 * F.mse_loss(z, y, reduction="sum") / len(z),
    "huber": lambda z, y, s: F.huber_loss(z, y, reduction="sum") / len(z),
}

REGULARIZATIONS: dict[str, Any] = {
    "constant": lambda t: 1.0,
    "flat_cosine": lambda t: 1.0 if t < 0.5 else 0.5 + 0.5 * np.cos(np.pi * (2 * t - 1)),
}
"""Shares of weight decay at the share t of all steps."""


def some_network(
    loss: str,
    activations: Sequence[str],
    widths: Sequence[int] = (7, 5),
    seed: int = 0,
    *,
    extras: Extras = PLAIN,
) -> MLP:
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {"dtype": np.float64, "extras": extras}
    network = MLP((4, *widths, 3), activations, loss, rng=rng, **options)
    network.parameters += rng.normal(scale=0.1, size=network.parameters.size)
    return network


def some_rows(loss: str, n: int = 24) -> tuple[Floats, Array]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 4))
    if loss == "cross_entropy":
        return X, rng.integers(3, size=n)
    if loss == "binary_cross_entropy":
        return X, rng.integers(2, size=(n, 3)).astype(float)
    return X, rng.normal(scale=2, size=(n, 3))


class Theirs:
    """A network of ours, computed by PyTorch."""

    def __init__(self, network: MLP) -> None:
        def leaf(array: Floats) -> Any:
            return torch.tensor(np.array(array), dtype=torch.float64, requires_grad=True)

        self.activations, self.loss = network.activations, network.loss.name
        self.weights = [leaf(weight) for weight in network.weights]
        self.biases = [leaf(bias) for bias in network.biases]
        self.scales = [leaf(network.scales)] if network.extras.has_scales else []
        self.periodic = list(network.extras.periodic)
        self.is_normalized = network.extras.is_normalized
        self.waves = [leaf(part) for part in network.waves] if self.periodic else []
        self.blends, self.gains = (list(map(leaf, of_layers)) for of_layers in network.units)

    def linear(self, X: Any) -> Any:
        first = self.weights[0]
        if self.periodic:
            frequencies, phases, sums, weights = self.waves
            z = torch.cos(2 * torch.pi * frequencies * X[:, self.periodic, None] + phases)
            u = torch.einsum("nsw,rnw->rns", sums, z).flatten(1)
        for scales in self.scales:
            X = X * scales
        if self.periodic:
            X, first = torch.cat([X, u], dim=1), torch.cat([first, weights])
        layers = [first, *self.weights[1:]]
        units = zip(self.activations, self.blends, self.gains, strict=True)
        for (name, blends, gains), weight, bias in zip(units, layers, self.biases, strict=False):
            z, before, n = X @ weight + bias, X, len(gains)
            if self.is_normalized:
                z = F.layer_norm(z, z.shape[1:], eps=1e-5)
            X = FUNCTIONS[name](z)
            if len(blends):
                X = (1 - blends) * z + blends * X
            if n:
                X = X + F.pad(gains * before[:, :n], (0, X.shape[1] - n))
        return X @ layers[-1] + self.biases[-1]

    def cost(self, X: Floats, y: Array, smoothing: float = 0.0) -> Any:
        return COSTS[self.loss](self.linear(torch.from_numpy(X)), torch.from_numpy(y), smoothing)

    def predict(self, X: Floats) -> Floats:
        z = self.linear(torch.from_numpy(X)).detach()
        if self.loss == "cross_entropy":
            z = torch.softmax(z, dim=1)
        elif self.loss == "binary_cross_entropy":
            z = torch.sigmoid(z)
        result: Floats = z.numpy()
        return result

    @property
    def _all(self) -> list[Any]:
        units = [part for part in (*self.blends, *self.gains) if len(part)]
        return [*self.weights, *self.biases, *self.scales, *self.waves, *units]

    def flat(self, *, gradient: bool = False) -> Floats:
        parts = [part.grad if gradient else part.detach() for part in self._all]
        return np.concatenate([part.numpy().ravel() for part in parts])

    def optimizer(self, config: TrainingConfig) -> Any:
        rate, betas, is_ntk = config.learning_rate, (0.9, config.beta2), config.parametrization == "ntk"
        groups: list[Any] = []
        for i, weight in enumerate(self.weights):
            root = (len(weight) + (3 * len(self.periodic) if i == 0 else 0)) ** 0.5 if is_ntk else 1.0
            decay = config.weight_decay * (root if config.optimizer == "adamw" else 1.0)
            groups.append({"params": [weight], "weight_decay": decay, "lr": rate / root})
        # Decay leaves biases alone.
        groups.append({"params": self.biases, "weight_decay": 0.0, "lr": rate * config.bias_rate})
        if self.scales:
            of_scales = {"weight_decay": 0.0, "lr": rate * config.front_scaling}
            groups.append({"params": self.scales, **of_scales})
        if self.waves:
            slow = {"weight_decay": 0.0, "lr": 0.1 * rate}
            groups[0]["params"] += self.waves[3:]
            of_sums = {"weight_decay": config.weight_decay, "lr": rate * (0.1 if is_ntk else 1)}
            groups.append({"params": self.waves[2:3], **of_sums})
            groups.append({"params": self.waves[:2], **slow})
        slow_blends = {"weight_decay": 0.0, "lr": rate * config.parametric_activation}
        groups.append({"params": [part for part in self.blends if len(part)], **slow_blends})
        groups.append({"params": [part for part in self.gains if len(part)], "weight_decay": 0.0})
        return {
            "sgd": lambda: torch.optim.SGD(groups, rate),
            "momentum": lambda: torch.optim.SGD(groups, rate, momentum=config.momentum),
            "nesterov": lambda: torch.optim.SGD(groups, rate, momentum=config.momentum, nesterov=True),
            "rmsprop": lambda: torch.optim.RMSprop(groups, rate, alpha=0.99, eps=1e-8),
            "adam": lambda: torch.optim.Adam(groups, rate, betas=betas),
            "adamw": lambda: torch.optim.AdamW(groups, rate, betas=betas),
        }[config.optimizer]()


def test_these_tables_know_everything() -> None:
    assert set(FUNCTIONS) == set(ACTIVATIONS)
    assert set(COSTS) == set(LOSSES)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("loss", "smoothing"),
    [*((loss, 0.0) for loss in LOSSES), ("cross_entropy", 0.1), ("binary_cross_entropy", 0.1)],
)
def test_forward_loss_and_gradient_agree(loss: str, activation: str, smoothing: float) -> None:
    network, (X, y) = some_network(loss, [activation] * 2), some_rows(loss)
    theirs = Theirs(network)
    np.testing.assert_allclose(network.predict(X), theirs.predict(X), rtol=0, atol=EXACT)
    cost = theirs.cost(X, y, smoothing)
    cost.backward()
    ours, gradient = network.loss_and_gradient(X, y, label_smoothing=smoothing)
    assert ours == pytest.approx(cost.item(), rel=0, abs=EXACT)
    np.testing.assert_allclose(gradient, theirs.flat(gradient=True), rtol=0, atol=EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_twenty_steps_with_several_beta2_and_smoothings_agree(loss: str) -> None:
    shapes = [(7, 5), (9,), (8, 8), (7, 5), (16, 3), (10,)]
    betas, smoothings = (0.95, 0.99, 0.999), (0.0, 0.1)
    base = TrainingConfig(epochs=STEPS, batch_size=24, learning_rate=0.01, weight_decay=0.05, patience=None)
    configs = [
        replace(base, optimizer=optimizer, beta2=beta2, label_smoothing=smoothing)
        for optimizer, beta2, smoothing in zip(["adam", "adamw"] * 3, betas * 2, smoothings * 3, strict=True)
    ]
    check_steps(loss, ["tanh"], shapes, configs)


@pytest.mark.slow
def test_twenty_steps_with_decay_on_a_schedule_agree() -> None:
    shapes = [(7, 5), (9,), (8, 8), (7, 5), (16, 3), (10,)]
    base = TrainingConfig(epochs=STEPS, batch_size=24, learning_rate=0.01, weight_decay=0.05, patience=None)
    base = replace(base, regularization_schedule="flat_cosine")
    check_steps("cross_entropy", ["tanh"], shapes, [replace(base, optimizer=name) for name in OPTIMIZERS])
    check_steps("squared_error", ["silu"], shapes[:1], [replace(base, optimizer="adamw")])  # solo


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["mish", "relu", "tanh"])
def test_twenty_steps_with_layer_norm_agree(activation: str) -> None:
    shapes: list[tuple[int, ...]] = [(7, 5), (9, 9, 9), (8, 8), (7, 5), (), (10,), (9, 9, 9), (8, 12)]
    base = TrainingConfig(epochs=STEPS, batch_size=24, learning_rate=0.01, weight_decay=0.05, patience=None)
    configs = [
        replace(base, optimizer=optimizer, parametric_activation=factor * (shape != ()))
        for (optimizer, factor), shape in zip(
            [("adam", 0.1), ("adamw", 0.0), ("momentum", 1.0), ("adam", 0.0)] * 2, shapes, strict=True
        )
    ]
    waves, skips = [(), (1, 2), (0,), (), (1, 2), (), (), ()], [True, True, False, False] * 2
    norms = [True, True, True, False, False, True, True, False]
    check_steps("cross_entropy", [activation], shapes, configs, waves, skips, norms)
    for i in (slice(1, 2), slice(5, 6)):  # solo
        options: dict[str, Any] = {"waves": waves[i], "skips": skips[i], "norms": norms[i]}
        check_steps("squared_error", [activation], shapes[i], configs[i], **options)


@pytest.mark.slow
def test_twenty_steps_at_rates_of_biases_and_of_layers_agree() -> None:
    shapes: list[tuple[int, ...]] = [(7, 5), (9, 9, 9), (8, 8), (7, 5), (), (10,)]
    base = TrainingConfig(epochs=STEPS, batch_size=24, learning_rate=0.01, weight_decay=0.05, patience=None)
    rates: list[tuple[float, Any]] = [(0.1, "standard"), (1.0, "ntk"), (0.1, "ntk")] * 2
    configs = [
        replace(base, optimizer=name, bias_rate=rate, parametrization=parametrization)
        for name, (rate, parametrization) in zip(["adam", "adamw", "adamw"] * 2, rates, strict=True)
    ]
    extras: dict[str, Any] = {"front_scaling": 6.0, "parametric_activation": 0.1}
    configs[1] = replace(configs[1], **extras)
    waves, skips = [(), (1, 2), (0,), (0,), (1, 2), ()], [False, True] * 3
    check_steps("cross_entropy", ["tanh"], shapes, configs, waves, skips)
    check_steps("huber", ["mish"], shapes[1:2], configs[1:2], waves[1:2], skips[1:2])  # solo


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "huber"])
def test_twenty_steps_with_clipped_gradients_agree(loss: str) -> None:
    # PyTorch's optimizers add coupled decay after clipping; ours is part of the norm, hence none here.
    shapes: list[tuple[int, ...]] = [(7, 5), (9, 9, 9), (8, 8), (7, 5), (), (10,)]
    base = TrainingConfig(epochs=STEPS, batch_size=24, learning_rate=0.01, patience=None)
    configs = [
        replace(base, optimizer=name, clip_norm=norm, weight_decay=0.05 * (name == "adamw"))
        for name, norm in zip(OPTIMIZERS, (0.2, 0.4, 0.1, None, 0.2, 0.3), strict=True)
    ]
    extras: dict[str, Any] = {"front_scaling": 6.0, "parametric_activation": 0.1}
    configs[1] = replace(configs[1], **extras)
    waves, skips = [(), (1, 2), (), (0,), (), ()], [False, True] * 3
    check_steps(loss, ["tanh"], shapes, configs, waves, skips)
    check_steps(loss, ["mish"], shapes[1:2], configs[1:2], waves[1:2], skips[1:2])  # solo


@pytest.mark.slow
def test_twenty_steps_with_factors_and_waves_in_front_agree() -> None:
    shapes: list[tuple[int, ...]] = [(7, 5), (9,), (8, 8), (7, 5), (), (10,), (), (8,)]
    base = TrainingConfig(epochs=STEPS, batch_size=24, learning_rate=0.01, weight_decay=0.05, patience=None)
    configs = [
        replace(base, optimizer=optimizer, front_scaling=factor)
        for optimizer, factor in [("adam", 6.0), ("adamw", 0.0), ("momentum", 1.0), ("adam", 6.0)] * 2
    ]
    waves = [(), (1, 2), (0,), (1, 2), (1, 2), (), (), (0, 3)]
    check_steps("cross_entropy", ["tanh"], shapes, configs, waves)
    check_steps("squared_error", ["silu"], shapes[3:4], configs[3:4], waves[3:4])  # solo


EXTRAS = [
    Extras(is_parametric=True),
    Extras(has_skips=True),
    Extras(True, (1, 2), True, True),
    Extras(is_normalized=True),
    Extras(True, (1, 2), True, True, True),
]


@pytest.mark.parametrize("extras", EXTRAS)
@pytest.mark.parametrize("activation", ["selu", "mish", "relu", "softplus"])
def test_parametric_activations_skips_and_layer_norm_agree(activation: str, extras: Extras) -> None:
    network, (X, y) = some_network("huber", [activation] * 3, (7, 5, 6), extras=extras), some_rows("huber")
    theirs = Theirs(network)
    np.testing.assert_allclose(network.predict(X), theirs.predict(X), rtol=0, atol=EXACT)
    theirs.cost(X, y).backward()
    _, gradient = network.loss_and_gradient(X, y)
    np.testing.assert_allclose(gradient, theirs.flat(gradient=True), rtol=0, atol=EXACT)


@pytest.mark.slow
def test_twenty_steps_with_parametric_activations_and_skips_agree() -> None:
    shapes: list[tuple[int, ...]] = [(7, 5), (9, 9, 9), (8, 8), (7, 5), (), (10,), (9, 9, 9), (8, 12)]
    base = TrainingConfig(epochs=STEPS, batch_size=24, learning_rate=0.01, weight_decay=0.05, patience=None)
    configs = [
        replace(base, optimizer=optimizer, parametric_activation=factor * (shape != ()))
        for (optimizer, factor), shape in zip(
            [("adam", 0.1), ("adamw", 0.0), ("momentum", 1.0), ("adam", 0.1)] * 2, shapes, strict=True
        )
    ]
    waves, skips = [(), (1, 2), (0,), (), (1, 2), (), (), ()], [True, True, False, False] * 2
    check_steps("cross_entropy", ["mish"], shapes, configs, waves, skips)
    check_steps("squared_error", ["selu"], shapes[:1], configs[:1], waves[:1], skips[:1])  # solo


@pytest.mark.exhaustive
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
@pytest.mark.parametrize("loss", LOSSES)
def test_twenty_steps_of_every_optimizer_agree(loss: str, activation: str, weight_decay: float) -> None:
    # All of them together in one cohort, with shapes that are padded and stacked.
    shapes = [(7, 5), (9,), (8, 8), (7, 5), (16, 3), (10,)]
    base = TrainingConfig(
        epochs=STEPS, batch_size=24, learning_rate=0.01, weight_decay=weight_decay, patience=None
    )
    check_steps(loss, [activation], shapes, [replace(base, optimizer=name) for name in OPTIMIZERS])


def check_steps(
    loss: str,
    activation: list[str],
    shapes: Sequence[tuple[int, ...]],
    configs: Sequence[TrainingConfig],
    waves: Sequence[tuple[int, ...]] | None = None,
    skips: Sequence[bool] | None = None,
    norms: Sequence[bool] | None = None,
) -> None:
    """Check that a cohort takes PyTorch's steps, each of all rows."""
    n, (X, y) = len(shapes), some_rows(loss)
    networks = [
        some_network(
            loss,
            activation * len(widths),
            widths,
            seed,
            extras=Extras(config.front_scaling > 0, periodic, config.parametric_activation > 0, *others),
        )
        for seed, (widths, config, periodic, *others) in enumerate(
            zip(shapes, configs, waves or [()] * n, skips or [False] * n, norms or [False] * n, strict=True)
        )
    ]
    theirs = [Theirs(network) for network in networks]
    results = train_together(networks, X, y, configs)
    for network, their, config, result in zip(networks, theirs, configs, results, strict=True):
        optimizer, costs, n_clipped = their.optimizer(config), [], 0
        decays = [group["weight_decay"] for group in optimizer.param_groups]
        for step in range(STEPS):
            for group, decay in zip(optimizer.param_groups, decays, strict=True):
                group["weight_decay"] = decay * REGULARIZATIONS[config.regularization_schedule](step / STEPS)
            optimizer.zero_grad()
            cost = their.cost(X, y, config.label_smoothing)
            cost.backward()
            if config.clip_norm:
                # PyTorch's own clipping adds 1e-6 to the norm.
                norm = torch.nn.utils.get_total_norm([part.grad for part in their._all]).item()
                n_clipped += norm > config.clip_norm
                for part in their._all:
                    part.grad *= min(1.0, config.clip_norm / norm)
            optimizer.step()
            costs.append(cost.item())
        np.testing.assert_allclose(network.parameters, their.flat(), rtol=0, atol=EXACT)
        np.testing.assert_allclose(result.train_loss, costs, rtol=0, atol=EXACT)
        assert n_clipped > 0 or not config.clip_norm
