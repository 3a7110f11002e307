"""Training that goes on from a state: as if there had been no break."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from trainings import train, train_together

from nas.network import MLP, OPTIMIZERS, Extras, State
from nas.network.arrays import Array, Floats
from nas.network.extras import PLAIN
from nas.network.optimizers import BETA2_BOUNDS, Optimizer
from nas.network.state import SETTLED
from nas.training import TrainingConfig, TrainingResult
from nas.training.updates import lay_out_optimizers

CONFIG = TrainingConfig(epochs=8, batch_size=16, learning_rate=0.01, patience=None)
WIDTHS = [(24,), (30, 9), (64, 12), (30, 9), (8, 8, 8)]


def some_rows(n: int = 100, seed: int = 1) -> tuple[Floats, Array]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    return X, (X[:, 0] * X[:, 1] + rng.normal(scale=0.5, size=n) > 0).astype(np.int64)


def some_networks(widths: Sequence[tuple[int, ...]] = WIDTHS, *, scaled: Collection[int] = ()) -> list[MLP]:
    """Networks of these widths; those at the positions `scaled` have factors, waves, blends and gains."""
    return [
        MLP(
            (5, *w, 2), ["tanh", "relu", "silu"][: len(w)], "cross_entropy", rng=np.random.default_rng(i),
            extras=Extras(True, (0, 2), True, True, i > 0) if i in scaled else PLAIN,
        )
        for i, w in enumerate(widths)
    ]  # fmt: skip


def lasts(results: Sequence[TrainingResult]) -> list[State]:
    found = [result.last for result in results]
    assert all(found)
    return [state for state in found if state]


def assert_same(one: State | None, other: State | None) -> None:
    if one is None or other is None:
        assert one is other
        return
    arrays, facts = one.to_arrays()
    other_arrays, other_facts = other.to_arrays()
    assert facts == other_facts
    assert list(arrays) == list(other_arrays)
    for name, array in arrays.items():
        assert array.tobytes() == other_arrays[name].tobytes(), name


# Going on


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("judged", [False, True])
@pytest.mark.parametrize("n", [1, 5])
def test_a_break_changes_nothing(optimizer: str, judged: bool, n: int) -> None:
    X, y = some_rows()
    options: dict[str, Any] = {"validation": some_rows(40, seed=2)} if judged else {}
    config = replace(CONFIG, optimizer=optimizer, schedule="coslog4", warmup=0.2, weight_decay=0.01)
    config = replace(config, regularization_schedule="flat_cosine")
    scaled = (0, 3) if judged else ()
    configs = [
        replace(
            config,
            clip_norm=0.5 if i == 1 else None,
            beta2=(0.95, 0.999)[i % 2],
            label_smoothing=(0.1, 0.0, 0.3)[i % 3],
            front_scaling=6.0 if i in scaled else 0.0,
            parametric_activation=0.1 if i in scaled else 0.0,
        )
        for i in range(n)
    ]
    whole, parts = (some_networks(WIDTHS[:n], scaled=scaled) for _ in range(2))
    expected = train_together(whole, X, y, configs, keep_states=True, **options)
    results, states = [], None
    curves: list[tuple[float, ...]] = [()] * n
    for stop_after in (3, 4, 8):
        results = train_together(
            parts, X, y, configs, stop_after=stop_after, states=states, keep_states=True, **options
        )
        states = lasts(results)
        curves = [curve + result.train_loss for curve, result in zip(curves, results, strict=True)]
        # All that goes on is in the states.
        parts = some_networks(WIDTHS[:n], scaled=scaled) if stop_after < 8 else parts
    for i in range(n):
        assert parts[i].parameters.tobytes() == whole[i].parameters.tobytes()
        assert results[i].best_epoch == expected[i].best_epoch
        assert curves[i] == expected[i].train_loss
        assert results[i].validation_loss == expected[i].validation_loss[4:]
        assert_same(results[i].last, expected[i].last)
        assert_same(results[i].best, expected[i].best)


def test_keeping_states_changes_nothing() -> None:
    X, y = some_rows()
    kept, plain = some_networks(), some_networks()
    results = train_together(kept, X, y, [CONFIG] * 5, validation=(X, y), keep_states=True)
    expected = train_together(plain, X, y, [CONFIG] * 5, validation=(X, y))
    assert results == expected
    assert all(result.best is result.last is None for result in expected)
    for one, other in zip(kept, plain, strict=True):
        np.testing.assert_array_equal(one.parameters, other.parameters)


def test_the_best_state_is_what_the_network_has() -> None:
    X, y = some_rows()
    config = replace(CONFIG, epochs=40, learning_rate=0.05, patience=4)
    networks = some_networks()
    results = train_together(networks, X, y, [config] * 5, validation=some_rows(40, seed=2), keep_states=True)
    assert "patience" in {result.stopped for result in results}
    for network, result in zip(networks, results, strict=True):
        assert result.best is not None
        np.testing.assert_array_equal(result.best.parameters, network.parameters)
        assert result.best.epochs == result.best_epoch
        assert result.best.loss == min(result.validation_loss)
        assert result.best.steps == 7 * result.best_epoch
        assert (result.last is None) == (result.stopped != "epochs")


def test_patience_goes_on_counting() -> None:
    # At a rate that moves nothing the first epoch remains the best.
    (network,), (X, y) = some_networks(WIDTHS[:1]), some_rows()
    config = replace(CONFIG, learning_rate=1e-12, patience=5)
    first = train(network, X, y, config, validation=(X, y), stop_after=3, keep_states=True)
    assert (first.stopped, first.best_epoch, len(first.train_loss)) == ("epochs", 1, 3)
    second = train(network, X, y, config, validation=(X, y), state=first.last, keep_states=True)
    assert (second.stopped, second.best_epoch, len(second.train_loss)) == ("patience", 1, 3)
    assert_same(second.best, first.best)


def test_the_best_score_before_the_break_is_not_forgotten() -> None:
    (network,), (X, y) = some_networks(WIDTHS[:1]), some_rows()
    told = iter([0.2, 0.8, 0.5, 0.6, 0.7, 0.8])

    def score(p: Floats, truth: Array, weights: Floats | None) -> float:
        return next(told)

    config = replace(CONFIG, epochs=6, learning_rate=1e-3)
    options: dict[str, Any] = {"validation": (X, y), "score": score, "keep_states": True}
    first = train(network, X, y, config, stop_after=3, **options)
    assert first.last is not None
    assert first.last.best is not None
    assert (first.last.score, first.last.best.score, first.last.best.epochs) == (0.5, 0.8, 2)
    assert first.last.least == (min(first.validation_loss), 3)
    second = train(network, X, y, config, state=first.last, stop_after=5, **options)
    assert second.best_epoch == 2
    assert_same(second.best, first.last.best)
    assert second.last is not None
    # As good a score with a lower loss is better.
    third = train(network, X, y, config, state=second.last, **options)
    assert third.best_epoch == 6


def test_continued_members_do_not_depend_on_members_that_ended() -> None:
    # Successive halving: of five, three are promoted, and then two. In float32 to the last bit.
    X, y = some_rows()
    held_out = some_rows(40, seed=2)
    whole = some_networks()
    expected = train_together(whole, X, y, [CONFIG] * 5, validation=held_out, keep_states=True)
    networks, ids, states = some_networks(), list(range(5)), None
    for stop_after, kept in ((2, [0, 1, 3]), (5, [1, 3]), (8, [1, 3])):
        cohort = [networks[i] for i in ids]
        results = train_together(
            cohort, X, y, [CONFIG] * len(ids), validation=held_out, stop_after=stop_after, states=states,
            keep_states=True,
        )  # fmt: skip
        of = dict(zip(ids, results, strict=True))
        ids, states = kept, lasts([of[i] for i in kept])
    for i in ids:
        np.testing.assert_array_equal(networks[i].parameters, whole[i].parameters)
        assert_same(of[i].last, expected[i].last)


@pytest.mark.parametrize("leaver", [0, 1, 2])
def test_members_of_different_steps_keep_their_own_when_others_leave(leaver: int) -> None:
    # After as many epochs, but with memories of 12, 40,000 and no steps, under one rule.
    X, y = some_rows()
    network = some_networks(WIDTHS[:1])[0]
    moments = (np.full_like(network.parameters, 0.01), np.full_like(network.parameters, 1.0))
    states = [
        State(network.parameters, moments if n else (), ("adam", 0.999), n, 2) for n in (12, SETTLED, 0)
    ]
    outcomes = []
    for wild in (False, True):
        networks = [some_networks(WIDTHS[:1])[0] for _ in states]
        calm = replace(CONFIG, learning_rate=1e-3)
        rates = [1e-12 if wild and i == leaver else 1e-3 for i in range(3)]
        configs = [replace(calm, epochs=9, patience=2, learning_rate=rate) for rate in rates]
        results = train_together(networks, X, y, configs, validation=(X, y), states=states, keep_states=True)
        outcomes.append((networks, results))
    (one, first), (other, second) = outcomes
    assert second[leaver].stopped == "patience"
    for i, n in enumerate((12, SETTLED, 0)):
        if i != leaver:
            np.testing.assert_array_equal(one[i].parameters, other[i].parameters)
            for result in (first[i], second[i]):
                assert result.last is not None
                assert result.last.steps == n + 7 * 7


def test_without_validation_rows_the_last_state_is_the_best() -> None:
    X, y = some_rows()
    (last,) = lasts(
        [
            train(
                some_networks()[0],
                X,
                y,
                replace(CONFIG, learning_rate=1.0),
                validation=(X, y),
                keep_states=True,
            )
        ]
    )
    assert last.best is not None
    network = some_networks()[0]
    config = replace(CONFIG, epochs=12)
    result = train(network, X, y, config, state=last, keep_states=True, should_stop=lambda: True)
    assert (result.stopped, result.best_epoch) == ("interrupted", 8)
    assert result.best is not None
    assert (result.best.epochs, result.best.loss, result.best.best) == (8, None, None)
    np.testing.assert_array_equal(network.parameters, result.best.parameters)


def test_new_members_train_beside_continued_members() -> None:
    # Each as it would in a cohort of its kind.
    X, y = some_rows()
    states = [state and replace(state, epochs=0, best=None, loss=None) for state in _after(3)]
    mixed, fresh, old = some_networks(), some_networks(), some_networks()
    some = [state if i % 2 else None for i, state in enumerate(states)]
    train_together(mixed, X, y, [CONFIG] * 5, states=some)
    train_together(fresh, X, y, [CONFIG] * 5)
    train_together(old, X, y, [CONFIG] * 5, states=states)
    for i, network in enumerate(mixed):
        expected = old[i] if i % 2 else fresh[i]
        np.testing.assert_array_equal(network.parameters, expected.parameters)


def _after(epochs: int, config: TrainingConfig = CONFIG) -> list[State]:
    X, y = some_rows()
    return lasts(train_together(some_networks(), X, y, [config] * 5, stop_after=epochs, keep_states=True))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adamw"])
def test_the_memory_of_another_rule_is_dropped(optimizer: str) -> None:
    X, y = some_rows()
    states, config = _after(2), replace(CONFIG, optimizer=optimizer)
    one, other = some_networks(), some_networks()
    results = train_together(one, X, y, [config] * 5, states=states, keep_states=True)
    bare = [replace(state, moments=(), steps=0) for state in states]
    train_together(other, X, y, [config] * 5, states=bare)
    for network, expected, result in zip(one, other, results, strict=True):
        np.testing.assert_array_equal(network.parameters, expected.parameters)
        assert result.last is not None
        assert result.last.steps == (0 if optimizer == "sgd" else 6 * 7)


def test_another_momentum_is_another_rule() -> None:
    config = replace(CONFIG, optimizer="momentum", momentum=0.5)
    assert {state.rule for state in _after(1, config)} == {("momentum", 0.5)}
    assert {state.rule for state in _after(1)} == {("adam", 0.999)}


def test_settled_steps_leave_no_correction() -> None:
    for name, kind in OPTIMIZERS.items():
        for coefficient in (kind.usual, max(BETA2_BOUNDS)):
            assert all(1 - kept**SETTLED == 1 for kept in kind.corrected(coefficient)), name


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_the_memory_of_another_beta2_is_converted(optimizer: str) -> None:
    # After many steps, a first step at a rate that moves nothing: the state has m and v of both.
    X, y = some_rows()
    (network,) = some_networks(WIDTHS[:1])
    rng = np.random.default_rng(0)
    m, v = (rng.uniform(0.5, 1, network.parameters.size).astype(np.float32) for _ in range(2))
    state = State(network.parameters.copy(), (m, v), (optimizer, 0.999), SETTLED, 7)
    config = replace(
        CONFIG, optimizer=optimizer, beta2=0.95, epochs=8, batch_size=len(X), learning_rate=1e-12
    )
    result = train(network, X, y, config, state=state, keep_states=True)
    assert result.last is not None
    assert (result.last.rule, result.last.steps) == ((optimizer, 0.95), SETTLED + 1)
    gradient = result.last.moments[0] - np.float32(0.9) * m
    expected = 0.95 * v * (1 - 0.999) / (1 - 0.95) + gradient**2
    np.testing.assert_allclose(result.last.moments[1], expected, rtol=1e-3)


def test_states_of_earlier_versions_have_the_beta2_that_these_trained_with() -> None:
    (state, *_) = _after(1)
    arrays, facts = state.to_arrays()
    assert facts["rule"] == ["adam", 0.999]
    assert_same(State.from_arrays(arrays, {**facts, "rule": ["adam", 0.0]}), state)
    plain = replace(state, rule=("momentum", 0.0), moments=state.moments[:1])
    assert State.from_arrays(*plain.to_arrays()).rule == ("momentum", 0.0)


def test_a_network_that_is_done_stays_as_it_is() -> None:
    X, y = some_rows()
    networks = some_networks()
    first = train_together(networks, X, y, [CONFIG] * 5, validation=(X, y), keep_states=True)
    before = [network.parameters.copy() for network in networks]
    again = train_together(
        networks, X, y, [CONFIG] * 5, validation=(X, y), states=lasts(first), keep_states=True
    )
    for network, parameters, one, other in zip(networks, before, first, again, strict=True):
        np.testing.assert_array_equal(network.parameters, parameters)
        assert (other.stopped, other.best_epoch, other.train_loss) == ("epochs", one.best_epoch, ())
        assert_same(one.last, other.last)


def test_a_member_that_diverges_without_validation_leaves_no_state() -> None:
    (network,), (X, y) = some_networks(WIDTHS[:1]), some_rows()
    config = replace(CONFIG, optimizer="sgd", learning_rate=1000.0, weight_decay=1000.0)
    result = train(network, X, y, config, keep_states=True)
    assert (result.stopped, result.best, result.last) == ("diverged", None, None)


def test_cohorts_without_states_have_one_optimizer_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(*arguments: Any) -> list[Optimizer]:
        optimizers = lay_out_optimizers(*arguments)
        seen.append(len(optimizers))
        return optimizers

    monkeypatch.setattr("nas.training.cohort.lay_out_optimizers", counted)
    X, y = some_rows()
    configs = [replace(CONFIG, optimizer="sgd" if i % 2 else "adam", epochs=1) for i in range(5)]
    train_together(some_networks(), X, y, configs)
    assert seen == [2]


# Written down


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_a_state_comes_back_as_it_was(optimizer: str) -> None:
    X, y = some_rows()
    config = replace(CONFIG, optimizer=optimizer, learning_rate=0.1, momentum=0.7)
    results = train_together(
        some_networks(), X, y, [config] * 5, validation=some_rows(40, seed=2), keep_states=True
    )
    states = lasts(results)
    assert any(state.best for state in states)
    for state in [*states, *(result.best for result in results if result.best)]:
        arrays, facts = state.to_arrays()
        assert all(type(array) is np.ndarray for array in arrays.values())
        assert_same(State.from_arrays(arrays, json.loads(json.dumps(facts, allow_nan=False))), state)


# What is refused


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (
            lambda a: [a[0], None],
            r"members: expected states after the same epochs .*, got \[0, 2\]",
        ),
        (
            lambda a: a[::-1],
            r"members: expected 194 numbers in a state, .* got shape \(479,\)",
        ),
        (
            lambda a: [a[0], replace(a[1], moments=a[1].moments[:1])],
            "members: expected 2 moments of adam in a state, or none, got 1",
        ),
        (
            lambda a: [a[0], replace(a[1], moments=(a[1].moments[0], np.zeros(3)))],
            r"members: expected 479 numbers in a state, as in its network, got shape \(3,\)",
        ),
    ],
)
def test_states_that_do_not_fit_are_refused(states: Any, message: str) -> None:
    networks, (X, y) = some_networks(WIDTHS[:2]), some_rows()
    before = [network.parameters.copy() for network in networks]
    with pytest.raises(ValueError, match=f"^{message}$"):
        train_together(networks, X, y, [CONFIG] * 2, states=states(_after(2)[:2]))
    for network, parameters in zip(networks, before, strict=True):
        np.testing.assert_array_equal(network.parameters, parameters)
