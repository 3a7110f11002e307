"""Networks with members in cohorts: they train as the textbook says, and as each would alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import KFold
from trainings import train_together

from nas.network import LOSSES, MLP, OPTIMIZERS
from nas.network.arrays import Array, Floats
from nas.training import Fold, Member, Plan, TrainingConfig, TrainingData, plan, predict, train_cohort
from nas.training.cohort import Cohort
from nas.training.planner import predicted, work
from nas.training.sharing import COPYING, n_shared

CONFIG = TrainingConfig(epochs=3, batch_size=16, patience=None)
SHAPES = [
    ((9, 5), ["tanh", "silu"]),
    ((20,), ["relu"]),
    ((9, 5), ["tanh", "silu"]),
    ((7, 30, 4), ["gelu"] * 3),
]
"""Shapes that are padded and stacked."""


def networks(loss: str = "cross_entropy", members: int = 3, dtype: Any = np.float64) -> list[MLP]:
    return [
        MLP((6, *w, 3), a, loss, rng=np.random.default_rng(i), dtype=dtype, members=members)
        for i, (w, a) in enumerate(SHAPES)
    ]


def some_rows(loss: str = "cross_entropy", n: int = 40) -> tuple[Floats, Array]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 6))
    if loss == "cross_entropy":
        return X, rng.integers(3, size=n)
    if loss == "binary_cross_entropy":
        return X, rng.integers(2, size=(n, 3)).astype(float)
    return X, rng.normal(scale=2, size=(n, 3))


def configs(loss: str = "cross_entropy", **changes: Any) -> list[TrainingConfig]:
    smoothings = [0.0, 0.1, 0.0, 0.2] if LOSSES[loss].uniform else [0.0] * 4
    others = zip(["adam", "sgd", "adamw", "rmsprop"], [0.0, 0.05, 0.05, 0.0], smoothings, strict=True)
    config = replace(CONFIG, learning_rate=0.01, **changes)
    return [
        replace(config, optimizer=name, weight_decay=decay, label_smoothing=smoothing)
        for name, decay, smoothing in others
    ]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_cohort_takes_the_steps_of_the_textbook(loss: str) -> None:
    together, X, y = networks(loss), *some_rows(loss)
    settings = configs(loss, batch_size=len(X), epochs=4)
    settings[1] = replace(settings[1], bias_rate=0.1)
    settings[2] = replace(settings[2], bias_rate=0.5, parametrization="ntk")
    weights = np.random.default_rng(5).uniform(0.5, 2, len(X))
    weights /= weights.mean()
    alone = networks(loss)
    results = train_together(together, X, y, settings, sample_weight=weights)
    for network, config, trained, result in zip(alone, settings, together, results, strict=True):
        gradient = np.empty_like(network.parameters)
        decays = np.zeros_like(network.parameters)
        decays[: network.n_weights] = config.weight_decay
        rates = np.full_like(network.parameters, config.learning_rate)
        of_weights, of_biases = network.views(rates)
        for array in of_biases:
            array *= config.bias_rate
        for array, decay in zip(of_weights, network.views(decays)[0], strict=True):
            root = len(array) ** 0.5 if config.parametrization == "ntk" else 1.0
            array /= root
            decay *= root  # of adamw, which multiplies by the rate
        optimizer = OPTIMIZERS[config.optimizer](network.parameters, gradient, rates=rates, decays=decays)
        for loss_before in result.train_loss:
            mean, gradient[...] = network.loss_and_gradient(
                X, y, row_weights=weights, label_smoothing=config.label_smoothing
            )
            assert mean == pytest.approx(loss_before, abs=1e-12)
            optimizer.step(1.0)
        np.testing.assert_allclose(trained.parameters, network.parameters, rtol=0, atol=1e-10)


def test_networks_train_as_each_would_alone_and_leave_without_a_trace() -> None:
    X, y = (array[:60] for array in some_rows(n=60))
    X = X.astype(np.float32)
    options: dict[str, Any] = {"validation": (X[:20], y[:20])}
    settings = configs(epochs=6, dropout=0.2, patience=2)
    rngs = [np.random.default_rng([3, i]) for i in range(4)]
    together, alone = networks(dtype=np.float32), networks(dtype=np.float32)
    results = train_together(together, X[20:], y[20:], settings, rngs=rngs, **options)
    assert len({len(result.train_loss) for result in results}) > 1, "some leave before others"
    for i, network in enumerate(alone):
        (result,) = train_together(
            [network], X[20:], y[20:], settings[i : i + 1], rngs=[np.random.default_rng([3, i])], **options
        )
        assert len(result.train_loss) == len(results[i].train_loss)
        np.testing.assert_allclose(result.validation_loss, results[i].validation_loss, rtol=1e-4)
        np.testing.assert_allclose(network.parameters, together[i].parameters, rtol=1e-3, atol=1e-4)


def test_folds_train_on_their_own_rows() -> None:
    X, y = some_rows(n=50)
    cuts = [Fold(*pair) for pair in KFold(3, shuffle=True, random_state=0).split(X)]

    def three() -> list[MLP]:
        return [
            MLP(
                (6, 9, 3),
                ["relu"],
                "cross_entropy",
                rng=np.random.default_rng(i),
                dtype=np.float64,
                members=4,
            )
            for i in range(3)
        ]

    together, score = three(), (lambda p, y, weights: float((p.argmax(axis=1) == y).mean()))
    data = TrainingData(X, y, folds=cuts, score=score)
    results = train_cohort([Member(one, CONFIG, fold=i) for i, one in enumerate(together)], data)
    size = data.batch_rows(CONFIG.batch_size)
    for i, (fold, network) in enumerate(zip(cuts, three(), strict=True)):
        mask = np.zeros(len(X))
        mask[fold.train] = 1
        held_out = (X[fold.validation], y[fold.validation])
        own = TrainingData(X, y, validation=held_out, score=score, sample_weight=mask)
        (result,) = train_cohort([Member(network, replace(CONFIG, batch_size=size))], own)
        np.testing.assert_allclose(results[i].validation_loss, result.validation_loss, rtol=1e-10)
        np.testing.assert_allclose(together[i].parameters, network.parameters, atol=1e-10)
        # The loss of held-out rows is that of the mean of the members.
        last = -np.log(network.predict(held_out[0])[np.arange(len(held_out[1])), held_out[1]]).mean()
        assert result.validation_loss[result.best_epoch - 1] == pytest.approx(last, abs=1e-12)


@pytest.mark.parametrize("n", [1, 4])
def test_a_training_in_two_parts_ends_as_one(n: int) -> None:
    X, y = some_rows(n=50)
    X = X.astype(np.float32)
    data = TrainingData(X[10:], y[10:], validation=(X[:10], y[:10]))
    settings = configs(epochs=6)[:n]

    def members(group: Sequence[MLP], states: Sequence[Any]) -> list[Member]:
        return [Member(*entry) for entry in zip(group, settings, [None] * n, states, strict=True)]

    whole, parts = networks(dtype=np.float32)[:n], networks(dtype=np.float32)[:n]
    train_cohort(members(whole, [None] * n), data)
    first = train_cohort(members(parts, [None] * n), data, stop_after=3, keep_states=True)
    train_cohort(members(parts, [result.last for result in first]), data)
    for one, other in zip(whole, parts, strict=True):
        assert one.parameters.tobytes() == other.parameters.tobytes()


def test_dropout_is_drawn_for_each_member_alike_in_any_cohort() -> None:
    X, y = some_rows()
    config = replace(CONFIG, dropout=0.5, optimizer="sgd", learning_rate=0.1)
    trained = []
    for group in (networks()[:1], networks()):
        rngs = [np.random.default_rng([7, i]) for i in range(len(group))]
        train_together(group, X, y, [config] * len(group), rngs=rngs)
        trained.append(group[0].parameters)
    np.testing.assert_allclose(trained[0], trained[1], atol=1e-12)
    np.testing.assert_raises(
        AssertionError, np.testing.assert_allclose, trained[0], networks()[0].parameters, atol=1e-3
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_predictions_are_those_of_validation_and_of_the_network(loss: str) -> None:
    many = np.random.default_rng(0).normal(size=(300, 6))
    for network in networks(loss):
        np.testing.assert_allclose(predict(network, many), network.predict(many), rtol=0, atol=1e-12)
    X, y = some_rows(loss)
    X = np.asarray(X, np.float32)
    seen: list[Floats] = []

    def score(p: Floats, y: Array, weights: Floats | None) -> float:
        seen.append(p.copy())
        return 0.0

    (network, *_) = networks(loss, dtype=np.float32)
    train_together([network], X, y, [replace(CONFIG, epochs=1)], validation=(X, y), score=score)
    assert predict(network, X).tobytes() == seen[0].tobytes()


def test_padding_and_the_factors_of_biases_stay_as_they_are() -> None:
    group = networks(members=4)
    config = replace(CONFIG, optimizer="adam", weight_decay=0.1)
    cohort = Cohort([Member(network, config) for network in group], tiled=True)
    X, y = some_rows()
    before = cohort.parameters.copy()
    for _ in range(3):
        cohort.step(X, y, np.arange(len(X)), None, 1.0)
    used = np.zeros(cohort.parameters.size, bool)
    for i, member in enumerate(cohort.members):
        numbers = np.arange(cohort.parameters.size, dtype=float)
        network, own = member.network, np.empty_like(member.network.parameters)
        cohort._storage.load(network, i, numbers, own)
        assert len(np.unique(own)) == own.size
        used[own.astype(int)] = True
    np.testing.assert_array_equal(cohort.parameters[~used], before[~used])
    assert set(before[~used]) == {0.0, 1.0}
    assert (cohort.parameters[used] != before[used]).mean() > 0.9


def test_networks_of_different_numbers_of_members_are_not_one_cohort() -> None:
    X, y = some_rows()
    pair = [networks(members=2)[0], networks(members=3)[0]]
    with pytest.raises(ValueError, match="expected networks with the same number of members, got 2 and 3"):
        train_together(pair, X, y, [CONFIG] * 2)


# Plans


def one(members: int, widths: tuple[int, ...] = (16,)) -> Plan:
    return Plan((5, *widths, 3), ("relu",) * len(widths), CONFIG, members)


def test_cohorts_have_one_number_of_members_and_not_too_many_of_all() -> None:
    plans = [one(members, (8 + 8 * (i % 3),)) for i in range(12) for members in (1, 4, 32)]
    cohorts = plan(plans)
    assert sorted(i for cohort in cohorts for i in cohort) == list(range(len(plans)))
    for cohort in cohorts:
        (members,) = {plans[i].members for i in cohort}
        assert len(cohort) * members <= 32
    assert max(len(cohort) for cohort in cohorts if plans[cohort[0]].members == 4) > 1


def test_work_is_that_of_the_members_with_the_optimizer_once() -> None:
    plans = [one(4, (20, 9)), one(4, (16,))]
    group = [MLP(p.sizes, p.activations, "cross_entropy", members=4) for p in plans]
    cohort = Cohort([Member(network, CONFIG) for network in group], tiled=True)
    as_networks = work([replace(p, members=1) for p in plans for _ in range(4)])
    found = work(plans)
    assert found["products"] == as_networks["products"]
    calls = len(cohort._before_pass) + len(cohort._after_pass)
    assert found["calls"] == as_networks["calls"] + calls
    assert cohort._storage.size == cohort.parameters.size
    assert sum(n_shared(shape, 4) for shape in cohort.layout.shapes[::4]) == cohort.parameters.size
    assert found["parameters"] == 10 * cohort.parameters.size + COPYING * cohort.layout.size
    large = one(4, (256, 256))
    assert predicted([large]) < predicted([replace(large, members=1)] * 4)


def test_numbers_are_those_of_the_networks_once() -> None:
    for network in networks(members=5):
        sizes = network.sizes
        hidden = sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes[:-1]))
        assert network.parameters.size == hidden + 5 * (sizes[-2] + 1) * sizes[-1] + 5 * sizes[0]
