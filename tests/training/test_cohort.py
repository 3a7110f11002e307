"""Networks that train together: as each would alone, and without harm to each other."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from blas import rows_are_alike
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from trainings import train, train_together

from nas.network import ACTIVATIONS, LOSSES, MLP, OPTIMIZERS, Extras
from nas.network.arrays import Array, Floats
from nas.network.extras import PLAIN
from nas.training import Member, TrainingConfig, TrainingResult
from nas.training.cohort import Cohort
from nas.training.layout import Layout
from nas.training.storage import Storage
from nas.training.views import member_views, waves_of

CONFIG = TrainingConfig(epochs=3, batch_size=16, patience=None)


def build(
    widths: Sequence[int],
    activations: Sequence[str],
    loss: str = "cross_entropy",
    inputs: int = 5,
    seed: int = 0,
    dtype: type[np.floating[Any]] = np.float64,
    *,
    extras: Extras = PLAIN,
) -> MLP:
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {"dtype": dtype, "extras": extras}
    return MLP((inputs, *widths, 3), activations, loss, rng=rng, **options)


def copies(networks: Sequence[MLP]) -> list[MLP]:
    result = []
    for network in networks:
        dtype = network.parameters.dtype
        copy = MLP(network.sizes, network.activations, network.loss.name, dtype=dtype, extras=network.extras)
        copy.parameters[...] = network.parameters
        result.append(copy)
    return result


def some_rows(
    loss: str = "cross_entropy", n: int = 50, inputs: int = 5, seed: int = 1
) -> tuple[Floats, Array]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, inputs))
    if LOSSES[loss].has_class_targets:
        return X, rng.integers(3, size=n)
    if LOSSES[loss].output == "sigmoid":
        return X, rng.integers(2, size=(n, 3)).astype(float)
    return X, rng.normal(scale=2, size=(n, 3))


def check_same(one: TrainingResult, other: TrainingResult, ours: Floats, theirs: Floats) -> None:
    """The same training and the same parameters: to the last bit, where BLAS has that to offer."""
    if rows_are_alike():
        assert one == other
        assert ours.tobytes() == theirs.tobytes()
        return
    assert (one.stopped, len(one.train_loss)) == (other.stopped, len(other.train_loss))
    np.testing.assert_allclose(one.train_loss, other.train_loss, rtol=1e-3)
    distance = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    assert distance < 1e-3, "rounding, and what a few epochs make of it"


def generators(n: int) -> list[np.random.Generator]:
    return [np.random.default_rng([7, i]) for i in range(n)]


VARIED = [
    ((), ()),
    ((9,), ("sigmoid",)),
    ((8, 8), ("softplus", "softplus")),
    ((8, 8), ("softplus", "softplus")),
    ((70, 3), ("gelu", "relu")),
    ((5, 130, 2), ("tanh", "elu", "silu")),
    ((1,), ("identity",)),
    ((16, 16), ("leaky_relu", "leaky_relu")),
    ((16, 16), ("leaky_relu", "leaky_relu")),
    ((33,), ("sigmoid",)),
    ((11, 6), ("selu", "mish")),
]
"""Shapes that share stacks and that do not, with paddings, panels, and every activation."""

EXTRAS = {
    0: Extras(has_scales=True, periodic=(1, 3)),
    2: Extras(is_parametric=True),
    3: Extras(has_scales=True, has_skips=True),
    4: Extras(is_parametric=True, has_skips=True, is_normalized=True),
    5: Extras(periodic=(0, 2, 4), is_normalized=True),
    6: Extras(periodic=(2,), is_parametric=True),
    7: Extras(has_scales=True, is_normalized=True),
    8: Extras(has_scales=True, periodic=(1, 3), has_skips=True, is_normalized=True),
    9: Extras(is_normalized=True),
    10: Extras(has_skips=True),
}
"""What some of them have beside their layers."""


def varied(
    loss: str = "cross_entropy", dtype: type[np.floating[Any]] = np.float64, *, extras: bool = True
) -> list[MLP]:
    return [
        build(w, a, loss, seed=i, dtype=dtype, extras=EXTRAS.get(i, PLAIN) if extras else PLAIN)
        for i, (w, a) in enumerate(VARIED)
    ]


def varied_configs(config: TrainingConfig = CONFIG, loss: str = "cross_entropy") -> list[TrainingConfig]:
    """Each different in all that may differ."""
    has_classes = LOSSES[loss].uniform is not None
    rng, optimizers = np.random.default_rng(3), list(OPTIMIZERS)
    dropouts: dict[int, float | tuple[float, ...]] = {1: 0.3, 4: (0.0, 0.4), 5: (0.3, 0.0, 0.5), 8: 0.2}
    return [
        replace(
            config,
            optimizer=optimizers[i % len(optimizers)],
            learning_rate=float(10 ** rng.uniform(-3, -2)),
            momentum=0.9 if i % 2 else 0.5,
            beta2=0.999 if i < len(optimizers) else 0.95,
            label_smoothing=(0.0, 0.1, 0.3)[i % 3] if has_classes else 0.0,
            weight_decay=0.0 if i % 3 else 0.01 * i,
            dropout=dropouts.get(i, 0.0),
            front_scaling=6.0 * EXTRAS.get(i, PLAIN).has_scales,
            parametric_activation=0.1 * EXTRAS.get(i, PLAIN).is_parametric,
            clip_norm={2: 0.5, 5: 0.0, 7: 0.5}.get(i),
            bias_rate=0.1 if i % 4 == 1 else 1.0,
            parametrization="ntk" if i % 4 > 1 else "standard",
        )
        for i in range(len(VARIED))
    ]


def test_these_shapes_have_every_activation() -> None:
    assert {name for _, activations in VARIED for name in activations} == set(ACTIVATIONS)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_members_train_as_each_would_alone(loss: str, weighted: bool) -> None:
    base = replace(CONFIG, regularization_schedule="flat_cosine" if weighted else "constant")
    together, alone, configs = varied(loss), varied(loss), varied_configs(base, loss)
    X, y = some_rows(loss)
    options: dict[str, Any] = {
        "validation": some_rows(loss, 30, seed=2),
        "score": lambda p, y, weights: float(p[:, 0].sum()),
    }
    if weighted:
        options["sample_weight"] = np.linspace(0, 2, len(X))
        options["validation_weight"] = np.linspace(3, 0, 30)
    results = train_together(together, X, y, configs, rngs=generators(len(together)), **options)
    for network, config, rng, other, result in zip(
        alone, configs, generators(len(alone)), together, results, strict=True
    ):
        expected = train(network, X, y, config, rng=rng, **options)
        # Sums in another order, over twelve steps, in float64; adaptive steps make more of it.
        np.testing.assert_allclose(other.parameters, network.parameters, rtol=0, atol=1e-10)
        assert (result.stopped, result.best_epoch) == (expected.stopped, expected.best_epoch)
        for curve in ("train_loss", "validation_loss", "validation_score"):
            np.testing.assert_allclose(getattr(result, curve), getattr(expected, curve), rtol=1e-9)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_shapes_train_as_each_would_alone(data: st.DataObject) -> None:
    widths = data.draw(st.lists(st.lists(st.integers(1, 80), max_size=4), min_size=1, max_size=8))
    names = st.sampled_from(list(ACTIVATIONS))
    together = [build(w, [data.draw(names) for _ in w], inputs=5, seed=i) for i, w in enumerate(widths)]
    alone = copies(together)
    X, y = some_rows()
    batch_size = data.draw(st.sampled_from([1, 7, 50, 64]))
    config = replace(CONFIG, epochs=1, batch_size=batch_size, optimizer="sgd", learning_rate=0.01)
    train_together(together, X, y, [config] * len(together))
    for one, other in zip(together, alone, strict=True):
        train(other, X, y, config)
        np.testing.assert_allclose(one.parameters, other.parameters, rtol=0, atol=1e-12)


def test_a_cohort_differs_from_its_members_alone_by_rounding_only() -> None:
    # The bound that the documentation of train_cohort states, on a hundred steps in float32.
    X, y = load_digits(return_X_y=True)
    X = (X[:640] / 16).astype(np.float32)
    rng = np.random.default_rng(0)
    together = []
    for _ in range(12):
        widths = [int(width) for width in rng.integers(3, 90, rng.integers(0, 4))]
        activations = [str(name) for name in rng.choice(list(ACTIVATIONS), len(widths))]
        together.append(MLP((64, *widths, 10), activations, "cross_entropy", rng=rng))
    alone = copies(together)
    config = TrainingConfig(epochs=5, batch_size=32, learning_rate=0.002)
    train_together(together, X, y[:640], [config] * 12)
    for one, other in zip(together, alone, strict=True):
        train(other, X, y[:640], config)
        difference = np.sqrt(np.mean((one.parameters - other.parameters) ** 2))
        assert difference <= 1e-5 * np.sqrt(np.mean(other.parameters**2))


def test_what_padding_adds_stays_zero() -> None:
    networks, configs = varied(), varied_configs(replace(CONFIG, batch_size=8))
    members = [
        Member(network, config, rng)
        for network, config, rng in zip(networks, configs, generators(len(networks)), strict=True)
    ]
    cohort = Cohort(members, tiled=True)
    X, y = some_rows()
    for step in range(5):
        rows = np.arange(8) + step
        cohort.step(X, y[rows], rows, None, 1.0)
    layout, rest = cohort.layout, cohort.parameters.copy()
    units = np.zeros_like(rest)
    Storage(layout).set_units(units)
    np.testing.assert_array_equal(rest[units == 1], 1)  # the rows of ones are made as before
    rest[units == 1] = 0
    for i in range(len(members)):
        weights, biases = member_views(layout, rest, i)
        for view in (
            *weights,
            *biases,
            *([rest[layout.scales[i]]] if layout.shapes[i].extras.has_scales else []),
            *(waves_of(layout, rest, i) if layout.shapes[i].extras.periodic else []),
            *units_of(layout, rest, i),
        ):
            assert view.any()
            view[...] = 0
    assert not rest.any()


def units_of(layout: Layout, flat: Floats, member: int) -> list[Floats]:
    """A member's blends and gains of each layer in a buffer, without padding."""
    shape = layout.shapes[member]
    counts = zip(*shape.extras.unit_counts(shape.sizes), strict=True)
    pairs = zip(layout.unit_places[member], counts, strict=True)
    return [flat[part][:n] for place, own in pairs for part, n in zip(place, own, strict=True) if n]


EXTRAS_OF_LEAVERS = {
    1: Extras(True, (0, 3), True, True),
    2: Extras(True, (0, 3), True, True),
    5: Extras(True, has_skips=True, is_normalized=True),
    6: Extras(False, (1,), has_skips=True, is_normalized=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("n_inputs", [5, 784])
@pytest.mark.parametrize("batch_size", [16, 128])
@pytest.mark.parametrize("reason", ["diverged", "patience"])
def test_members_that_leave_change_no_other_member(n_inputs: int, batch_size: int, reason: str) -> None:
    # To the last bit: in float32, with widths that share panels and stacks with the one who leaves.
    widths = [(24,), (30, 9), (30, 9), (64, 12), (100,), (8, 8, 8), (30, 9)]
    X, y = some_rows(n=300, inputs=n_inputs)
    X = X.astype(np.float32)
    config = replace(CONFIG, epochs=12, batch_size=batch_size, patience=6, optimizer="momentum", momentum=0.5)
    calm = replace(config, learning_rate=1e-4)
    # A rate that moves nothing makes nothing better.
    odd_rate = 900.0 if reason == "diverged" else 1e-12
    wild = replace(config, learning_rate=odd_rate)
    outcomes = []
    for odd in (calm, wild):
        networks = [
            build(
                w, ["tanh", "relu", "identity"][: len(w)], inputs=n_inputs, seed=i, dtype=np.float32,
                extras=EXTRAS_OF_LEAVERS.get(i, PLAIN),
            )
            for i, w in enumerate(widths)
        ]  # fmt: skip
        configs = [
            replace(
                odd if i == 2 else calm,
                front_scaling=6.0 * extras.has_scales,
                parametric_activation=0.1 * extras.is_parametric,
            )
            for i in range(len(widths))
            for extras in [EXTRAS_OF_LEAVERS.get(i, PLAIN)]
        ]
        results = train_together(networks, X, y, configs, validation=(X[:60], y[:60]))
        outcomes.append(([n.parameters.copy() for n in networks], results))
    (stayed, one), (left, other) = outcomes
    assert one[2].stopped == "epochs"
    assert other[2].stopped == reason
    assert len(other[2].validation_loss) < 12
    if reason == "diverged":
        assert other[2].error is not None
        assert f"in epoch {len(other[2].train_loss) + 1}" in other[2].error
    for i in range(len(widths)):
        if i != 2:
            check_same(one[i], other[i], stayed[i], left[i])


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(40))
def test_leaving_members_change_no_other_member_of_any_cohort(seed: int) -> None:
    # Members that leave in the first epoch, as their weights are no numbers, up to all but one; stacks
    # that shrink to one, last batches of one row, every rule with its moments, its decay and its masks.
    rng = np.random.default_rng(seed)
    loss, inputs, n = (
        str(rng.choice(list(LOSSES))),
        int(rng.choice([2, 20, 64, 784])),
        int(rng.choice([129, 260])),
    )
    pool = [
        [int(w) for w in rng.choice([1, 7, 8, 16, 33, 65, 130, 200, 256], rng.integers(0, 4))]
        for _ in range(3)
    ]
    widths = [pool[i] for i in rng.integers(3, size=rng.integers(2, 7))]
    base = replace(CONFIG, batch_size=int(rng.choice([16, 32, 64, 128])), patience=2, epochs=5)
    base = replace(base, regularization_schedule=("constant", "flat_cosine", "coslog4")[seed % 3])
    configs = [
        replace(
            base,
            optimizer=str(rng.choice(list(OPTIMIZERS))) if seed % 2 else "adam",
            learning_rate=float(10 ** rng.uniform(-4, -2)),
            beta2=float(rng.choice([0.95, 0.999])),
            label_smoothing=float(rng.choice([0, 0.1])) if LOSSES[loss].uniform else 0.0,
            weight_decay=float(rng.choice([0, 0.01])),
            dropout=tuple(float(share) for share in rng.choice([0, 0.2], len(w))),
            clip_norm=[None, 0.1][rng.integers(2)],
            bias_rate=[1.0, 0.1][rng.integers(2)],
            parametrization=["standard", "ntk"][rng.integers(2)],
            front_scaling=float(rng.choice([0, 6])) if seed % 4 == 1 else 0.0,
            parametric_activation=float(rng.choice([0, 0.1])) if seed % 4 == 3 else 0.0,
        )
        for w in widths
    ]
    leaving = set(rng.choice(len(widths), rng.integers(1, len(widths)), replace=False).tolist())
    X, y = some_rows(loss, n, inputs)
    held_out = some_rows(loss, 30, inputs, seed=2) if seed % 3 else None
    outcomes = []
    for there in (True, False):
        networks = [
            build(
                w,
                ["tanh", "relu", "silu"][: len(w)],
                loss,
                inputs,
                i,
                np.float32,
                extras=Extras(
                    configs[i].front_scaling > 0,
                    (0, 1) if seed % 4 == 1 and i % 2 else (),
                    configs[i].parametric_activation > 0,
                    seed % 4 == 3 and i % 2 == 0,
                    seed % 4 > 1 and i % 3 == 0,
                ),
            )
            for i, w in enumerate(widths)
        ]
        for i in leaving:
            networks[i].parameters[...] = networks[i].parameters if there else np.nan
        results = train_together(networks, X, y, configs, validation=held_out, rngs=generators(len(networks)))
        outcomes.append([(results[i], networks[i].parameters.copy()) for i in range(len(networks))])
    whole, rest = outcomes
    assert all(rest[i][0].stopped == "diverged" for i in leaving)
    for i in set(range(len(widths))) - leaving:
        check_same(whole[i][0], rest[i][0], whole[i][1], rest[i][1])


def test_the_best_epoch_is_kept_when_others_leave() -> None:
    # One is best in its first epoch, and goes on after another has left.
    X, y = some_rows(n=60)
    held_out = some_rows(n=30, seed=2)
    config = replace(CONFIG, epochs=15, batch_size=8, patience=12)
    networks = [build((40,), ("tanh",), seed=i) for i in range(3)]
    configs = [replace(config, learning_rate=rate) for rate in (0.05, 0.001, 0.002)]
    networks[1].parameters[...] = np.nan
    results = train_together(networks, X, y, configs, validation=held_out)
    assert results[1].stopped == "diverged"
    assert 0 < results[0].best_epoch < len(results[0].validation_loss)
    for i in (0, 2):
        p = np.ascontiguousarray(networks[i].predict(held_out[0]).T)
        loss = float(networks[i].loss.per_row(p, held_out[1]).mean())
        assert loss == pytest.approx(min(results[i].validation_loss), rel=1e-12)


def test_the_time_of_a_cohort_is_that_of_all_its_members() -> None:
    X, y = np.zeros((200_000, 5), np.float32), np.zeros(200_000, int)
    config = replace(CONFIG, epochs=1, batch_size=1, time_limit=0.2)
    networks = [build((4,), ("tanh",), seed=i, dtype=np.float32) for i in range(4)]
    since = time.perf_counter()
    results = train_together(networks, X, y, [config] * 4)
    assert {result.stopped for result in results} == {"time"}
    assert time.perf_counter() - since >= 0.8


def test_the_order_of_members_does_not_matter() -> None:
    X, y = some_rows()
    forwards, backwards = varied(dtype=np.float32), varied(dtype=np.float32)[::-1]
    configs = [replace(config, dropout=0.0) for config in varied_configs()]
    first = train_together(forwards, X, y, configs)
    second = train_together(backwards, X, y, configs[::-1])
    assert first == second[::-1]
    for one, other in zip(forwards, backwards[::-1], strict=True):
        np.testing.assert_array_equal(one.parameters, other.parameters)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize(
    "changed",
    [
        {"beta2": 0.95},
        {"label_smoothing": 0.2},
        {"beta2": 0.9, "label_smoothing": 0.1},
        {"clip_norm": 0.05},
        {"bias_rate": 0.1},
        {"parametrization": "ntk"},
    ],
)
def test_members_with_the_defaults_keep_every_bit_beside_others_without(
    loss: str, changed: dict[str, Any]
) -> None:
    if not rows_are_alike():
        pytest.skip("this BLAS rounds a row by its position")
    X, y = some_rows(loss)
    plain, mixed = varied(loss, np.float32, extras=False), varied(loss, np.float32, extras=False)
    config = replace(CONFIG, weight_decay=0.01)
    odd = [replace(config, **changed) if i % 2 else config for i in range(len(plain))]
    validation = some_rows(loss, 30, seed=2)
    results = train_together(plain, X, y, [config] * len(plain), validation=validation)
    others = train_together(mixed, X, y, odd, validation=validation)
    for i, (network, other) in enumerate(zip(plain, mixed, strict=True)):
        is_same = network.parameters.tobytes() == other.parameters.tobytes()
        assert is_same == (results[i] == others[i]) == (i % 2 == 0), i


def test_plain_members_keep_every_bit_beside_others() -> None:
    if not rows_are_alike():
        pytest.skip("this BLAS rounds a row by its position")
    X, y = some_rows()
    outcomes = []
    for fronts in (False, True):
        networks = varied(dtype=np.float32, extras=fronts)
        configs = [
            replace(
                CONFIG,
                weight_decay=0.01,
                front_scaling=6.0 * network.extras.has_scales,
                parametric_activation=0.1 * network.extras.is_parametric,
            )
            for network in networks
        ]
        outcomes.append((networks, train_together(networks, X, y, configs, validation=some_rows(seed=2))))
    (plain, results), (mixed, others) = outcomes
    for i, (network, other) in enumerate(zip(plain, mixed, strict=True)):
        is_same = network.parameters.tobytes() == other.parameters.tobytes()
        assert is_same == (results[i] == others[i]) == (i not in EXTRAS), i


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_validation_sees_the_labels_as_they_are(loss: str) -> None:
    # A rate that moves nothing: losses are those of the initial weights.
    X, y = some_rows(loss)
    one, other = build((9,), ("relu",), loss), build((9,), ("relu",), loss)
    config = replace(CONFIG, epochs=1, learning_rate=1e-12)
    plain = train(one, X, y, config, validation=(X, y))
    smoothed = train(other, X, y, replace(config, label_smoothing=0.3), validation=(X, y))
    assert smoothed.validation_loss == pytest.approx(plain.validation_loss, rel=1e-9)
    assert smoothed.train_loss[0] != pytest.approx(plain.train_loss[0], rel=1e-3)
    expected, _ = one.loss_and_gradient(X, y, label_smoothing=0.3)
    assert smoothed.train_loss[0] == pytest.approx(expected, rel=1e-9)


def test_a_cohort_repeats_itself_to_the_last_bit() -> None:
    def trained() -> list[bytes]:
        networks = varied(dtype=np.float32)
        X, y = some_rows()
        train_together(networks, X, y, varied_configs(), rngs=generators(len(networks)))
        return [network.parameters.tobytes() for network in networks]

    assert trained() == trained()


def test_all_members_of_a_stopped_cohort_are_stopped() -> None:
    X, y = some_rows()
    results = train_together(varied(), X, y, varied_configs(), should_stop=lambda: True)
    assert {result.stopped for result in results} == {"interrupted"}
    results = train_together(varied(), X, y, varied_configs(replace(CONFIG, time_limit=0.0)))
    assert {result.stopped for result in results} == {"time"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": []}, "members: expected at least one, got none"),
        (
            {"other": build((4,), ("relu",), inputs=6)},
            "members: .* networks with the same inputs, got 5 and 6",
        ),
        (
            {"other": MLP((5, 4), (), "cross_entropy")},
            "networks with the same outputs, got 3 and 4",
        ),
        ({"other": build((4,), ("relu",), "huber")}, "the same loss, got cross_entropy and huber"),
        ({"other": build((), (), dtype=np.float32)}, "the same dtype, got float64 and float32"),
        (
            {"config": replace(CONFIG, batch_size=8)},
            "members: .* configs with the same batch_size, got 16 and 8",
        ),
        ({"config": replace(CONFIG, epochs=9)}, "configs with the same epochs, got 3 and 9"),
        ({"config": replace(CONFIG, schedule="step")}, "the same schedule, got constant and step"),
        (
            {"config": replace(CONFIG, dropout=(0.1, 0.2))},
            "dropout: expected one rate, or one for each of 1 hidden layers, got 2",
        ),
        (
            {
                "networks": [build((4,), ("relu",), "huber")],
                "configs": [replace(CONFIG, label_smoothing=0.1)],
            },
            "label_smoothing: expected 0 for huber, a loss without class targets, got 0.1",
        ),
        (
            {"config": replace(CONFIG, front_scaling=6.0)},
            "front_scaling: expected a network with factors .* above 0, got 6 and a network without them",
        ),
        ({"rngs": generators(1) * 2}, "members: expected a generator of its own for each network"),
    ],
)
def test_what_cannot_train_together_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    first = build((4,), ("relu",))
    networks = changes.pop("networks", [first, changes.pop("other", build((8,), ("tanh",)))])
    configs = changes.pop("configs", [CONFIG, changes.pop("config", CONFIG)][: len(networks)])
    before = first.parameters.copy()
    with pytest.raises(ValueError, match=message):
        train_together(networks, *some_rows(), configs, **changes)
    np.testing.assert_array_equal(first.parameters, before)


def test_a_network_cannot_be_in_a_cohort_twice() -> None:
    network = build((4,), ("relu",))
    with pytest.raises(ValueError, match="members: expected each network once"):
        train_together([network, network], *some_rows(), [CONFIG, CONFIG])


@pytest.mark.exhaustive
@pytest.mark.parametrize("validated", [False, True])
def test_training_needs_little_memory_beyond_what_it_must_have(*, validated: bool) -> None:
    # The promise: at most 1.2 times the data, six buffers of parameters, one batch of activations.
    rng, widths = np.random.default_rng(0), (512, 512)
    X, y = rng.normal(size=(8000, 200)).astype(np.float32), rng.integers(3, size=8000)
    config = replace(CONFIG, epochs=1, batch_size=128)
    # A process keeps a table of zeros as large as its largest layer: not this training's.
    warm = build(widths, ["relu", "relu"], inputs=200, dtype=np.float32)
    train(warm, X[:128], y[:128], config, validation=(X[:500], y[:500]))
    tracemalloc.start()
    try:
        network = build(widths, ["relu", "relu"], inputs=200, dtype=np.float32)
        train(network, X, y, config, validation=(X[:500], y[:500]) if validated else None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    necessary = X.nbytes + 6 * network.parameters.nbytes + 4 * 128 * (200 + sum(widths) + 3)
    assert X.nbytes + peak <= 1.2 * necessary
