from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from nas.network import ACTIVATIONS, LOSSES, MLP, Extras
from nas.network.arrays import Array, Floats
from nas.network.folding import beside_waves, folded
from nas.network.gradient_check import gradient_error, numeric_gradient
from nas.network.mlp import PREDICTION_ROWS

EXACT_GRADIENT = 1e-6
"""Of the largest entry: central differences in float64 err by 1e-10 or so, a wrong formula by 1e-2."""


def some_network(
    loss: str = "cross_entropy",
    activations: tuple[str, ...] = ("tanh", "sigmoid"),
    sizes: tuple[int, ...] = (3, 5, 4, 2),
    seed: int = 0,
) -> MLP:
    """A network in float64 with random weights and, unlike a fresh one, random biases."""
    rng = np.random.default_rng(seed)
    network = MLP(sizes, activations, loss, rng=rng, dtype=np.float64)
    network.parameters += rng.normal(scale=0.3, size=network.parameters.size)
    return network


def some_rows(network: MLP, n_rows: int = 6, seed: int = 1) -> tuple[Floats, Array]:
    rng = np.random.default_rng(seed)
    X, outputs = rng.normal(size=(n_rows, network.sizes[0])), network.sizes[-1]
    if network.loss.has_class_targets:
        return X, rng.integers(outputs, size=n_rows)
    if network.loss.output == "sigmoid":
        return X, rng.integers(2, size=(n_rows, outputs)).astype(float)
    return X, rng.normal(scale=2, size=(n_rows, outputs))  # on both sides of Huber's delta


def test_a_layer_worked_out_by_hand() -> None:
    # sigma([[1, -2], [-1, 1]] · [1, -1] + [1, 0]) = sigma([4, -2]) = [0.98, 0.12], for W of shape
    # (outputs, inputs) and a column of inputs; here examples are rows, and W is the transposed.
    network = MLP((2, 2, 1), ["sigmoid"], "squared_error", dtype=np.float64)
    network.weights[0][...] = [[1, -1], [-2, 1]]
    network.biases[0][...] = [1, 0]
    X = np.array([[1.0, -1.0]])
    np.testing.assert_allclose(network.hidden(X), [[0.98, 0.12]], atol=0.005)  # two digits by hand
    # A second layer of weights 2 and 3 and bias 0.5: 2 · 0.98 + 3 · 0.12 + 0.5.
    network.weights[1][...] = [[2], [3]]
    network.biases[1][...] = 0.5
    np.testing.assert_allclose(network.predict(X), [[2.82]], atol=0.025)  # 0.005 · (2 + 3)


def test_a_gradient_worked_out_by_hand() -> None:
    # p = 3 relu(2 x + 1) - 1 at x = 1 is 8, and y is 6: the loss is 2, and dL/dp = 2.
    network = MLP((1, 1, 1), ["relu"], "squared_error", dtype=np.float64)
    network.parameters[...] = [2, 3, 1, -1]  # both weights, then both biases
    loss, gradient = network.loss_and_gradient(np.array([[1.0]]), np.array([[6.0]]))
    assert loss == 2
    np.testing.assert_array_equal(gradient, [2 * 3 * 1, 2 * 3, 2 * 3, 2])
    # Decay of 0.1 adds 0.1 / 2 · (4 + 9) to the loss, and 0.1 W to the weights' gradient alone.
    loss, gradient = network.loss_and_gradient(np.array([[1.0]]), np.array([[6.0]]), weight_decay=0.1)
    assert loss == pytest.approx(2.65, rel=1e-14)
    np.testing.assert_allclose(gradient, [6.2, 6.3, 6, 2], rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "row_weights"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1], ids=["no_decay", "decay"])
@pytest.mark.parametrize(("activation", "loss"), list(product(ACTIVATIONS, LOSSES)))
def test_gradients_follow_finite_differences(
    activation: str, loss: str, weight_decay: float, weighted: bool
) -> None:
    network = some_network(loss, (activation, activation))
    X, y = some_rows(network)
    # As of a mini-batch, whose weights need not be 1 on average.
    row_weights = np.array([0.0, 0.5, 1, 1, 2, 3]) if weighted else None
    error = gradient_error(network, X, y, row_weights=row_weights, weight_decay=weight_decay)
    assert error <= EXACT_GRADIENT


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_gradients_of_smoothed_labels_follow_finite_differences(loss: str, smoothing: float) -> None:
    network = some_network(loss, ("tanh", "silu"))
    X, y = some_rows(network)
    row_weights = np.array([0.0, 0.5, 1, 1, 2, 3])
    error = gradient_error(network, X, y, row_weights=row_weights, label_smoothing=smoothing)
    assert error <= EXACT_GRADIENT
    # The least loss is that of the smoothed targets themselves.
    assert network.loss_and_gradient(X, y, label_smoothing=smoothing)[0] > 0.3 * smoothing


EXTRAS = [
    Extras(has_scales=True),
    Extras(periodic=(1,)),
    Extras(True, (0, 2)),
    Extras(is_parametric=True),
    Extras(has_skips=True),
    Extras(True, (1,), True, True),
    Extras(is_normalized=True),
    Extras(True, (1,), True, True, True),
]


@pytest.mark.parametrize("extras", EXTRAS)
@pytest.mark.parametrize("widths", [(), (5, 4, 6)])
def test_gradients_of_extras_follow_finite_differences(widths: tuple[int, ...], extras: Extras) -> None:
    rng = np.random.default_rng(0)
    options: dict[str, Any] = {"rng": rng, "dtype": np.float64, "extras": extras}
    network = MLP((3, *widths, 2), ["tanh", "silu", "mish"][: len(widths)], "cross_entropy", **options)
    for numbers in (network.scales, *network.units.blends, *network.units.gains):
        np.testing.assert_array_equal(numbers, 1)
    network.parameters += rng.normal(scale=0.3, size=network.parameters.size)
    X, y = some_rows(network)
    assert gradient_error(network, X, y, weight_decay=0.1) <= EXACT_GRADIENT
    plain = folded(network)
    assert plain.sizes[0] == 3 + 16 * len(extras.periodic)
    np.testing.assert_allclose(plain.predict(beside_waves(network, X)), network.predict(X), rtol=1e-12)
    assert folded(plain) is plain


def test_a_hidden_layer_worked_out_by_hand() -> None:
    options: dict[str, Any] = {"dtype": np.float64, "extras": Extras(is_parametric=True, has_skips=True)}
    network = MLP((1, 2, 3, 1), ["relu", "relu"], "squared_error", **options)
    network.weights[0][...], network.weights[1][...], network.weights[2][...] = (
        [[1, -1]],
        1,
        [[1], [10], [100]],
    )
    network.units.blends[0][...], network.units.blends[1][...] = [1, 0.5], [0, 1, 1]
    network.units.gains[1][...] = [2, -1]
    assert [array.size for array in network.units.gains] == [0, 2]
    # Units of the first layer: relu(3) = 3, and half of -3 with half of relu(-3) = 0. The next layer's sum is
    # 1.5 in each unit, to which 2 · 3 and -1 · -1.5 are added; the third unit has nothing to add.
    np.testing.assert_allclose(network.predict(np.array([[3.0]])), [[7.5 + 30 + 150]])
    np.testing.assert_allclose(network.hidden(np.array([[3.0]])), [[7.5, 3, 1.5]])


@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    n_rows=st.integers(1, 7),
    loss=st.sampled_from(["cross_entropy", "binary_cross_entropy", "squared_error"]),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_gradients_are_exact_for_any_structure(
    sizes: list[int], n_rows: int, loss: str, data: st.DataObject
) -> None:
    # Without kinks, which a random structure would sooner or later put an input on.
    smooth = st.sampled_from(["identity", "sigmoid", "tanh", "gelu", "silu", "mish", "softplus"])
    activations = tuple(data.draw(smooth) for _ in sizes[1:-1])
    network = some_network(loss, activations, tuple(sizes), data.draw(st.integers(0, 1000)))
    X, y = some_rows(network, n_rows)
    _, analytic = network.loss_and_gradient(X, y)
    # Absolute here, as a softmax over one class has no gradient at all; entries are around 0.1.
    np.testing.assert_allclose(analytic, numeric_gradient(network, X, y), rtol=1e-6, atol=1e-7)


def test_the_gradient_check_notices_a_wrong_gradient() -> None:
    class Wrong(MLP):
        def loss_and_gradient(self, X: Floats, y: Array, **options: Any) -> tuple[float, Floats]:
            loss, gradient = super().loss_and_gradient(X, y, **options)
            gradient[-1] *= 1.01
            return loss, gradient

    network = Wrong((3, 4, 2), ["tanh"], "cross_entropy", rng=np.random.default_rng(0), dtype=np.float64)
    X, y = some_rows(network)
    assert gradient_error(network, X, y) > 100 * EXACT_GRADIENT


def test_the_gradient_check_leaves_the_parameters_as_they_were() -> None:
    network = some_network()
    before = network.parameters.copy()
    gradient_error(network, *some_rows(network))
    np.testing.assert_array_equal(network.parameters, before)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_the_mean_over_rows(loss: str) -> None:
    network = some_network(loss)
    X, y = some_rows(network, 20)
    each = [network.loss_and_gradient(X[i : i + 1], y[i : i + 1]) for i in range(20)]
    total, gradient = network.loss_and_gradient(X, y)
    # Summation in another order.
    assert total == pytest.approx(np.mean([loss for loss, _ in each]), rel=1e-12)
    np.testing.assert_allclose(gradient, np.mean([g for _, g in each], axis=0), rtol=1e-10, atol=1e-14)


def test_row_weights_weigh_as_in_scikit_learn() -> None:
    network = some_network()
    X, y = some_rows(network, 50)
    weights = np.random.default_rng(3).uniform(0, 2, size=50)
    expected = log_loss(y, network.predict(X), sample_weight=weights, labels=[0, 1])
    loss, _ = network.loss_and_gradient(X, y, row_weights=weights / weights.mean())
    # Summation in another order.
    assert loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("activations", [("relu",), ("gelu", "tanh")])
def test_predictions_are_nested_matrix_products(activations: tuple[str, ...]) -> None:
    formulas: dict[str, Any] = {
        "relu": lambda z: z * (z > 0),
        "tanh": np.tanh,
        "gelu": lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    }
    network = some_network("cross_entropy", activations, (3, *[6, 5][: len(activations)], 4))
    X, _ = some_rows(network, 10)
    a = X
    for name, W, b in zip(activations, network.weights, network.biases, strict=False):
        a = formulas[name](np.einsum("ri,io->ro", a, W) + b)
    z = np.einsum("ri,io->ro", a, network.weights[-1]) + network.biases[-1]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    # Summation in another order.
    np.testing.assert_allclose(network.hidden(X), a, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(network.predict(X), p, rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_few_rows_are_predicted_as_among_many(loss: str, activation: str) -> None:
    network = MLP(
        (5, 7, 6, 3), (activation, activation), loss, rng=np.random.default_rng(0), dtype=np.float64
    )
    X = np.random.default_rng(1).normal(size=(100, 5))
    before = X.copy()
    whole = network.predict(X)
    for n in (1, 2, 33):
        np.testing.assert_allclose(network.predict(X[:n]), whole[:n], rtol=1e-12)
    assert np.array_equal(X, before)


@pytest.mark.parametrize("extra", [0, 1, 77])
def test_predicting_in_blocks_is_predicting_at_once(extra: int) -> None:
    network = some_network(activations=("relu", "gelu"))
    X, _ = some_rows(network, 2 * PREDICTION_ROWS + extra)
    one_by_one = [network.predict(X[i : i + 1]) for i in range(len(X))]
    # BLAS may add up in another order for another number of rows.
    np.testing.assert_allclose(network.predict(X), np.concatenate(one_by_one), rtol=1e-12)


def test_a_row_is_predicted_alike_wherever_in_the_table_it_stands() -> None:
    network = some_network()
    X, _ = some_rows(network, PREDICTION_ROWS + 300)
    backwards = network.predict(X[::-1])
    # BLAS may add up in another order for another number of rows.
    np.testing.assert_allclose(backwards[::-1], network.predict(X), rtol=1e-12)


def test_no_rows_give_no_predictions() -> None:
    network = some_network()
    assert network.predict(np.empty((0, 3))).shape == (0, 2)
    assert network.hidden(np.empty((0, 3))).shape == (0, 4)


def test_a_network_without_hidden_layers_passes_its_inputs_on() -> None:
    network = some_network("squared_error", (), (3, 2))
    X, _ = some_rows(network)
    np.testing.assert_array_equal(network.hidden(X), X)
    expected = X @ network.weights[0] + network.biases[0]
    np.testing.assert_allclose(network.predict(X), expected, rtol=1e-14, atol=1e-15)  # rounding


def test_predictions_come_in_the_networks_own_type() -> None:
    network = MLP((3, 4, 2), ["relu"], "cross_entropy", rng=np.random.default_rng(0))
    X = np.random.default_rng(1).normal(size=(5, 3))
    assert network.predict(X).dtype == network.hidden(X).dtype == np.float32
    np.testing.assert_array_equal(network.predict(X), network.predict(X.astype(np.float32)))


def test_predicting_changes_neither_parameters_nor_inputs() -> None:
    network = some_network("squared_error", ("identity",), (3, 4, 2))
    X, _ = some_rows(network)
    parameters, rows = network.parameters.copy(), X.copy()
    network.predict(X)
    network.hidden(X)
    np.testing.assert_array_equal(network.parameters, parameters)
    np.testing.assert_array_equal(X, rows)


@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_all_weights_come_before_all_biases_in_one_buffer(sizes: list[int]) -> None:
    network = MLP(sizes, ["relu"] * (len(sizes) - 2), "squared_error")
    network.parameters[...] = np.arange(network.parameters.size)
    flat = np.concatenate([view.ravel() for view in (*network.weights, *network.biases)])
    np.testing.assert_array_equal(flat, network.parameters)
    assert [W.shape for W in network.weights] == list(pairwise(sizes))
    assert [b.shape for b in network.biases] == [(size,) for size in sizes[1:]]
    assert network.n_weights == sum(W.size for W in network.weights)


def test_views_write_through_to_the_parameters() -> None:
    network = MLP((2, 3, 1), ["relu"], "squared_error")
    network.weights[1][2, 0], network.biases[0][1] = 5, 7
    assert network.parameters[8] == 5  # the last of 6 + 3 weights
    assert network.parameters[10] == 7  # the second bias


def test_without_a_generator_all_parameters_are_0() -> None:
    assert not MLP((4, 3, 2), ["relu"], "cross_entropy").parameters.any()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_initial_weights_have_the_variance_that_suits_the_activation(activation: str) -> None:
    network = MLP((200, 300, 100), [activation], "cross_entropy", rng=np.random.default_rng(0))
    hidden, output = network.weights
    he = activation in ("relu", "leaky_relu", "elu", "gelu", "silu", "mish")
    lecun = activation == "selu"
    # The variance of 60,000 and 30,000 draws is known to about 1 %; He's is 2 / fan_in, LeCun's
    # 1 / fan_in, Glorot's 2 / (fan_in + fan_out), a uniform one within ±sqrt(6 / (fan_in + fan_out)).
    assert hidden.var() == pytest.approx(2 / 200 if he else 1 / 200 if lecun else 2 / 500, rel=0.05)
    assert output.var() == pytest.approx(2 / 400, rel=0.05)
    assert np.abs(output).max() <= np.float32(np.sqrt(6 / 400))
    assert he or lecun or np.abs(hidden).max() <= np.float32(np.sqrt(6 / 500))
    assert not np.concatenate(network.biases).any()
    assert network.parameters.dtype == np.float32


def test_initial_weights_follow_from_the_generator_alone() -> None:
    def parameters(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        return MLP((4, 5, 2), ["relu"], "cross_entropy", rng=rng).parameters.tobytes()

    assert parameters(1) == parameters(1)
    assert parameters(1) != parameters(2)


def test_the_worst_possible_logits_still_give_a_finite_gradient() -> None:
    network = MLP((1, 2), [], "cross_entropy")
    network.weights[0][...] = [[1e4, -1e4]]
    loss, gradient = network.loss_and_gradient(np.ones((1, 1), np.float32), np.array([1]))
    assert loss == pytest.approx(-np.log(np.finfo(np.float32).tiny), rel=1e-6)
    np.testing.assert_array_equal(gradient, [1, -1, 1, -1])


@pytest.mark.parametrize(
    ("sizes", "activations", "loss", "message"),
    [
        ((3,), [], "huber", r"sizes: expected inputs.* got \(3,\)"),
        ((3, 0, 1), ["relu"], "huber", r"sizes: .*whole number >= 1, got \(3, 0, 1\)"),
        ((3, -2, 1), ["relu"], "huber", r"sizes: .*got \(3, -2, 1\)"),
        ((3, 2.5, 1), ["relu"], "huber", r"sizes: .*got \(3, 2\.5, 1\)"),
        # Regressions: these two came as int()'s own OverflowError, or without the argument's name.
        ((3, np.inf, 1), ["relu"], "huber", r"sizes: .*got \(3, inf, 1\)"),
        ((3, np.nan, 1), ["relu"], "huber", r"sizes: .*got \(3, nan, 1\)"),
        ((3, "four", 1), ["relu"], "huber", r"sizes: .*got \(3, 'four', 1\)"),
        ((3, 4, 1), [], "huber", "activations: expected 1, one a hidden layer, got 0"),
        ((3, 1), ["relu"], "huber", "activations: expected 0, one a hidden layer, got 1"),
        ((3, 4, 1), ["swoosh"], "huber", "activations: expected names among identity, .* got 'swoosh'"),
        ((3, 4, 1), ["relu"], "hinge", "loss: expected one of cross_entropy, .* got 'hinge'"),
    ],
)
def test_what_makes_no_network_is_refused_by_name(
    sizes: Any, activations: list[str], loss: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        MLP(sizes, activations, loss)


def test_sizes_may_be_numpy_numbers() -> None:
    network = MLP(np.array([3, 4, 1]), ["relu"], "huber")  # type: ignore[arg-type]  # an array, as from a draw
    assert network.sizes == (3, 4, 1)
    assert all(type(size) is int for size in network.sizes)


def test_waves_by_their_formula() -> None:
    options: dict[str, Any] = {"dtype": np.float64, "extras": Extras(periodic=(1,))}
    network = MLP((2, 1), [], "squared_error", rng=np.random.default_rng(0), **options)
    w, b, sums, weights = network.waves
    assert (w.shape, b.shape, sums.shape, weights.shape) == ((1, 16), (1, 16), (1, 3, 16), (3, 1))
    assert w.std() < 0.2
    assert b.std() > 1
    x = 0.7
    u = sums[0] @ np.cos(2 * np.pi * w[0] * x + b[0])
    expected = 0.3 * network.weights[0][0] + x * network.weights[0][1] + u @ weights
    np.testing.assert_allclose(network.predict(np.array([[0.3, x]]))[0], expected, rtol=1e-12)
    # Lines of waves are those of least squares over normal numbers.
    normal = np.random.default_rng(1).normal(size=(100_000, 1))
    slopes, heights = network.waves.lines()
    fitted = np.polyfit(normal[:, 0], network.waves.read(network.waves.angles(normal)), 1)
    np.testing.assert_allclose([slopes[0], heights[0]], fitted, atol=0.01)
