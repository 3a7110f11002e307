"""Networks with members that share hidden layers: what they compute, their gradient, and their children."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nas.network import LOSSES, MLP, InputChange, Lines, State, morph, with_inputs
from nas.network.arrays import Array, Floats
from nas.network.gradient_check import gradient_error
from nas.network.members import SPREAD
from nas.network.state import SETTLED

INPUTS, OUTPUTS = 4, 3


def network(
    members: int = 3, loss: str = "cross_entropy", widths: Sequence[int] = (7, 5), seed: int = 0
) -> MLP:
    rng = np.random.default_rng(seed)
    sizes, names = (INPUTS, *widths, OUTPUTS), ["tanh", "silu"][: len(widths)]
    one = MLP(sizes, names, loss, rng=rng, dtype=np.float64, members=members)
    one.parameters += rng.normal(scale=0.1, size=one.parameters.size)
    return one


def some_rows(loss: str, n: int = 20) -> tuple[Floats, Array]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, INPUTS))
    if loss == "cross_entropy":
        return X, rng.integers(OUTPUTS, size=n)
    if loss == "binary_cross_entropy":
        return X, rng.integers(2, size=(n, OUTPUTS)).astype(float)
    return X, rng.normal(scale=2, size=(n, OUTPUTS))


def state_of(one: MLP, rule: tuple[str, float] = ("adam", 0.999)) -> State:
    rng = np.random.default_rng(3)
    moments = tuple(rng.uniform(0.1, 1, one.parameters.size) for _ in range(2))
    return State(one.parameters.copy(), moments, rule, SETTLED, 4)


def child_of(
    parent: MLP,
    members: int,
    widths: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    origins: Sequence[int | None] | None = None,
) -> tuple[MLP, State]:
    sizes = parent.sizes if widths is None else (INPUTS, *widths, OUTPUTS)
    names = parent.activations if names is None else names
    origins = range(len(names)) if origins is None else origins
    child = MLP(sizes, names, parent.loss.name, dtype=np.float64, members=members)
    its = morph(state_of(parent), parent.architecture, child.architecture, origins, np.random.default_rng(2))
    assert all(np.isfinite(array).all() for array in (its.parameters, *its.moments))
    assert [array.size for array in its.moments] == [child.parameters.size] * 2
    child.parameters[...] = its.parameters
    return child, its


# What they compute


def test_two_members_by_hand() -> None:
    # relu(2 s x + 1), twice, with the factors 1 and -1, and the outputs h and 3 h + 1.
    one = MLP((1, 1, 1), ["relu"], "squared_error", dtype=np.float64, members=2)
    one.parameters[...] = [2, 1, 3, 1, 0, 1, 1, -1]
    assert one.weights[0].tolist() == [[2.0]]
    assert one.weights[1].tolist() == [[1.0, 3.0]]
    assert one.biases[1].tolist() == [0.0, 1.0]
    assert one.factors.tolist() == [[1.0], [-1.0]]
    # At x = 1: 3, and relu(-1) = 0, so 1; at -1: 0, and 3, so 10.
    assert one.predict(np.array([[1.0], [-1.0]])).ravel().tolist() == [2.0, 5.0]
    loss, _ = one.loss_and_gradient(np.array([[1.0]]), np.array([[1.0]]))
    assert loss == 0.5 * (0.5 * 2**2 + 0)


def test_inputs_of_a_column_have_one_sign_at_first() -> None:
    columns = np.array([0, 0, 1, 1, 1, 2])
    sizes, rng = (6, 5, 2), np.random.default_rng(0)
    one = MLP(sizes, ["relu"], "squared_error", members=8)
    one.initialize(rng, columns)
    assert set(one.factors.ravel()) == {-1.0, 1.0}
    assert (one.factors[:, [0, 2, 2]] == one.factors[:, [1, 3, 4]]).all()
    assert len(np.unique(one.factors, axis=0)) > 3
    # Outputs have the scale of a network of their own, and the members' are different.
    assert len(np.unique(np.abs(one.weights[-1]))) == one.weights[-1].size


def test_a_network_without_members_is_as_it_was() -> None:
    plain, one = (MLP((4, 5, 3), ["relu"], "cross_entropy", rng=np.random.default_rng(0)), network(1))
    again = MLP((4, 5, 3), ["relu"], "cross_entropy")
    again.initialize(np.random.default_rng(0), np.zeros(4, int))
    assert plain.parameters.tobytes() == again.parameters.tobytes()
    assert one.plain_networks() == [one]
    assert one.factors.shape == (0, INPUTS)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_that_of_finite_differences(loss: str) -> None:
    X, y = some_rows(loss)
    one, weights = network(loss=loss), np.random.default_rng(5).uniform(0.5, 2, len(X))
    smoothing = 0.1 if LOSSES[loss].uniform else 0.0
    assert gradient_error(one, X, y, row_weights=weights, weight_decay=0.1, label_smoothing=smoothing) < 1e-7


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "squared_error"])
def test_predictions_are_the_mean_of_the_members(loss: str) -> None:
    one, (X, y) = network(loss=loss), some_rows(loss)
    members = one.plain_networks()
    assert {member.members for member in members} == {1}
    np.testing.assert_allclose(one.predict(X), np.mean([m.predict(X) for m in members], axis=0), atol=1e-14)
    of_each = [member.loss_and_gradient(X, y)[0] for member in members]
    assert one.loss_and_gradient(X, y)[0] == pytest.approx(np.mean(of_each), abs=1e-14)
    assert one.hidden(X).shape == (len(X), 3 * 5)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "squared_error"])
def test_pytorch_agrees(loss: str) -> None:
    torch: Any = pytest.importorskip("torch", reason="PyTorch is not here; .ci/run installs it")
    one, (X, y) = network(loss=loss), some_rows(loss)
    k = one.members
    weights, biases = (
        [torch.tensor(np.array(part), requires_grad=True) for part in parts]
        for parts in (one.weights, one.biases)
    )
    factors = torch.tensor(np.array(one.factors), requires_grad=True)
    A = torch.from_numpy(X) * factors[:, None]
    A = torch.tanh(A @ weights[0] + biases[0])
    A = torch.nn.functional.silu(A @ weights[1] + biases[1])
    heads = weights[2].reshape(-1, k, OUTPUTS).movedim(1, 0)
    z = A @ heads + biases[2].reshape(k, 1, OUTPUTS)
    target = torch.from_numpy(y)
    if loss == "cross_entropy":
        cost = torch.nn.functional.cross_entropy(z.reshape(-1, OUTPUTS), target.repeat(k))
        p = torch.softmax(z, dim=-1).mean(0)
    elif loss == "binary_cross_entropy":
        targets = target.expand_as(z)
        cost = (
            torch.nn.functional.binary_cross_entropy_with_logits(z, targets, reduction="none").sum(-1).mean()
        )
        p = torch.sigmoid(z).mean(0)
    else:
        cost = 0.5 * torch.square(z - target).sum(-1).mean()
        p = z.mean(0)
    cost.backward()
    ours, gradient = one.loss_and_gradient(X, y)
    assert ours == pytest.approx(cost.item(), rel=0, abs=1e-10)
    np.testing.assert_allclose(one.predict(X), p.detach().numpy(), rtol=0, atol=1e-10)
    theirs = np.concatenate([part.grad.numpy().ravel() for part in (*weights, *biases, factors)])
    np.testing.assert_allclose(gradient, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("widths", "members", "most"), [((), 2, 1), ((5,), 0, 32), ((5,), 33, 32)])
def test_members_without_a_layer_to_share_are_refused(
    widths: tuple[int, ...], members: int, most: int
) -> None:
    message = (
        f"members: expected a whole number from 1 to {most} for {len(widths)} hidden layers, got {members}"
    )
    with pytest.raises(ValueError, match=message):
        MLP((4, *widths, 3), ["relu"] * len(widths), "cross_entropy", members=members)


# Children


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 8), (3, 4), (8, 4), (4, 1), (4, 4)])
def test_members_that_stay_compute_what_they_did(before: int, after: int) -> None:
    X, parent = some_rows("cross_entropy")[0], network(before)
    child, _ = child_of(parent, after)
    for one, other in zip(parent.plain_networks(), child.plain_networks(), strict=False):
        np.testing.assert_allclose(other.predict(X), one.predict(X), rtol=0, atol=1e-12)


def test_new_members_are_copies_that_differ_a_little() -> None:
    X, parent = some_rows("cross_entropy")[0], network(2)
    child, its = child_of(parent, 6)
    for j, member in enumerate(child.plain_networks()):
        difference = np.abs(member.predict(X) - parent.plain_networks()[j % 2].predict(X)).max()
        assert difference < 1e-12 if j < 2 else 1e-3 < difference < 0.3
    ratios = child.factors[2:] / child.factors[[0, 1, 0, 1]]
    assert 0.5 * SPREAD < ratios.std() < 2 * SPREAD
    # So that they do not stay alike.
    _, gradient = child.loss_and_gradient(X, np.zeros(len(X), int))
    rows = child.factors_of(gradient)
    assert len(np.unique(rows.round(9), axis=0)) == 6
    assert its.moments[0].size == child.parameters.size


def test_a_single_member_is_a_plain_network_and_back() -> None:
    X, parent = some_rows("cross_entropy")[0], network(4)
    single, its = child_of(parent, 1)
    np.testing.assert_allclose(single.predict(X), parent.plain_networks()[0].predict(X), atol=1e-12)
    assert its.parameters.size == single.parameters.size == network(1).parameters.size
    again, _ = child_of(network(1), 2)
    np.testing.assert_array_equal(again.factors[0], 1)


def test_moments_of_members_follow_their_share_of_the_loss() -> None:
    parent = network(2)
    child, its = child_of(parent, 4)
    before, after = state_of(parent).moments, its.moments
    for moment, of_child, power in zip(before, after, (1, 2), strict=True):
        of_outputs, expected = child.views(of_child)[0][-1], parent.views(moment)[0][-1] / 2**power
        np.testing.assert_allclose(of_outputs, np.hstack([expected, expected]), rtol=1e-12)
        np.testing.assert_array_equal(child.views(of_child)[0][0], parent.views(moment)[0][0])


@pytest.mark.parametrize(
    ("widths", "origins"), [((9, 5), (0, 1)), ((7, 30, 5), (0, None, 1)), ((14, 7, 5), (None, 0, 1))]
)
def test_layers_change_beside_members(widths: tuple[int, ...], origins: tuple[int | None, ...]) -> None:
    X, rng = some_rows("cross_entropy")[0], np.random.default_rng(0)
    parent = MLP(
        (INPUTS, 7, 5, OUTPUTS), ["relu", "relu"], "cross_entropy", rng=rng, dtype=np.float64, members=3
    )
    child, _ = child_of(parent, 3, widths, ["relu"] * len(widths), origins)
    np.testing.assert_allclose(child.predict(X), parent.predict(X), rtol=0, atol=1e-10)
    fewer, _ = child_of(parent, 2, widths, ["relu"] * len(widths), origins)
    for one, other in zip(fewer.plain_networks(), parent.plain_networks(), strict=False):
        np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=0, atol=1e-10)


def test_a_linear_child_has_no_members() -> None:
    rng = np.random.default_rng(0)
    parent = MLP((INPUTS, 6, OUTPUTS), ["identity"], "cross_entropy", rng=rng, dtype=np.float64, members=3)
    child, _ = child_of(parent, 1, (), (), ())
    X = some_rows("cross_entropy")[0]
    np.testing.assert_allclose(child.predict(X), parent.plain_networks()[0].predict(X), atol=1e-12)


def test_inputs_are_added_and_removed_beside_members() -> None:
    parent = network(3, "squared_error")
    factors, inputs = parent.factors, np.array([0, -1, -1, 1, 2, 3])
    its = with_inputs(state_of(parent), parent.architecture, InputChange(inputs))
    child = MLP((6, *parent.sizes[1:]), parent.activations, "squared_error", dtype=np.float64, members=3)
    child.parameters[...] = its.parameters
    X = np.random.default_rng(4).normal(size=(20, 6))
    np.testing.assert_allclose(child.predict(X), parent.predict(X[:, inputs >= 0]), rtol=0, atol=1e-12)
    # Codes beside a number have its factors.
    np.testing.assert_array_equal(child.factors, factors[:, [0, 0, 0, 1, 2, 3]])
    # Inputs that lie on lines over others, with the same factors; heights would be shared by the members.
    child.weights[0][1] = 0.3
    lines = Lines(np.array([1, 2]), np.array([0, 0]), np.array([0.5, 2.0]), np.zeros(2))
    state = State(child.parameters.copy(), (), ("adam", 0.999), 0, 1)
    kept = with_inputs(state, child.architecture, InputChange(np.array([0, 3, 4, 5]), lines))
    X[:, 1], X[:, 2] = 0.5 * X[:, 0], 2 * X[:, 0]
    expected = child.predict(X)
    parent.parameters[...] = kept.parameters
    np.testing.assert_allclose(parent.predict(X[:, [0, 3, 4, 5]]), expected, rtol=0, atol=1e-12)
