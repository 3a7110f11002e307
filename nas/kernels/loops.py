"""Loops that do several operations on each number at once, as plain Python that numba compiles.

Each does, bit for bit, what the NumPy line in its docstring does, for float32 and float64, denormals,
infinities and NaN included (of NaN only the payload may differ). Therefore a loop has only + - * /, square
roots, comparisons and copies, in the order of that line: the compiler neither reorders nor contracts them.
Exponentials, logarithms and tanh stay NumPy's. Numbers such as 0 and 1 are read from memory (`c`): the
compiler would drop a multiplication by a known 1, which flushes denormals to zero while a network trains.

An argument of type `Reals` is the address of numbers of the loop's type, `Places` of 64-bit whole numbers,
and an ``int`` is a count. No two arrays of a call overlap: a loop over overlapping arrays would be correct,
but would work on one number at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

from numpy import float32, float64, int64
from numpy.typing import NDArray

Reals = NDArray[float32] | NDArray[float64]
Places = NDArray[int64]
Real = Any
Step = tuple[Real, Real, Real]
Rule = Callable[..., Step]


# Activations, of n numbers: `z` are linear outputs, `a` activations, or linear outputs that become
# activations, and `da` gradients.


def relu(a: Reals, c: Reals, n: int) -> None:
    """``maximum(a, 0, out=a)``; c: 0."""
    zero = c[0]
    for i in range(n):
        x = a[i]
        a[i] = zero if x <= zero else x


def leaky_relu(a: Reals, c: Reals, n: int) -> None:
    """``maximum(a, a * slope, out=a)``; c: slope."""
    slope = c[0]
    for i in range(n):
        x = a[i]
        y = x * slope
        a[i] = y if x <= y else x


def leaky_relu_backward(da: Reals, a: Reals, c: Reals, n: int) -> None:
    """``da *= maximum(a > 0, slope)``; c: slope, 0, 1. A slope of 0 for relu."""
    slope, zero, unit = c[0], c[1], c[2]
    for i in range(n):
        da[i] *= unit if a[i] > zero else slope


def tanh_backward(da: Reals, a: Reals, c: Reals, n: int) -> None:
    """``da *= 1 - a * a``; c: 1."""
    unit = c[0]
    for i in range(n):
        da[i] *= unit - a[i] * a[i]


def sigmoid_after_tanh(a: Reals, c: Reals, n: int) -> None:
    """``a += 1; a *= 0.5``; c: 1, 0.5."""
    unit, half = c[0], c[1]
    for i in range(n):
        a[i] = (a[i] + unit) * half


def sigmoid_backward(da: Reals, a: Reals, c: Reals, n: int) -> None:
    """``da *= a; da *= 1 - a``; c: 1."""
    unit = c[0]
    for i in range(n):
        da[i] = da[i] * a[i] * (unit - a[i])


def minimum(z: Reals, low: Reals, c: Reals, n: int) -> None:
    """``minimum(z, most, out=low)``; c: most, 0 for elu and selu."""
    most = c[0]
    for i in range(n):
        x = z[i]
        low[i] = most if x >= most else x


def rectified_plus(a: Reals, term: Reals, c: Reals, n: int) -> None:
    """``maximum(a, 0, out=a); a += term``; c: 0."""
    zero = c[0]
    for i in range(n):
        x = a[i]
        a[i] = (zero if x <= zero else x) + term[i]


def elu_backward(da: Reals, a: Reals, c: Reals, n: int) -> None:
    """``da *= where(a > 0, slope, a + low)``; c: 0, low, slope. 1 and 1 for elu: ``minimum(a, 0) + 1``."""
    zero, low, slope = c[0], c[1], c[2]
    for i in range(n):
        x = a[i]
        da[i] *= slope if x > zero else x + low


def gelu_before_tanh(z: Reals, gate: Reals, c: Reals, n: int) -> None:
    """``gate = (z * z * cubic + 1) * z * scale``; c: cubic, 1, scale."""
    cubic, unit, scale = c[0], c[1], c[2]
    for i in range(n):
        x = z[i]
        gate[i] = (x * x * cubic + unit) * x * scale


def gated(z: Reals, gate: Reals, a: Reals, c: Reals, n: int) -> None:
    """``a = z * ((gate + 1) * 0.5)``, of a tanh in `gate`; c: 1, 0.5."""
    unit, half = c[0], c[1]
    for i in range(n):
        a[i] = z[i] * ((gate[i] + unit) * half)


def gelu_backward(da: Reals, z: Reals, gate: Reals, c: Reals, n: int) -> None:
    """``da *= (z * z * cubic + 1) * scale * z * g * (1 - g) + g``; c: 1, 0.5, cubic, scale.

    Here `g` is ``(gate + 1) * 0.5``, of a tanh in `gate`.
    """
    unit, half, cubic, scale = c[0], c[1], c[2], c[3]
    for i in range(n):
        x = z[i]
        g = (gate[i] + unit) * half
        da[i] *= (x * x * cubic + unit) * scale * x * g * (unit - g) + g


def silu_backward(da: Reals, a: Reals, gate: Reals, c: Reals, n: int) -> None:
    """``da *= (1 - g) * a + g``, with ``g = (gate + 1) * 0.5`` of a tanh in `gate`; c: 1, 0.5."""
    unit, half = c[0], c[1]
    for i in range(n):
        g = (gate[i] + unit) * half
        da[i] *= (unit - g) * a[i] + g


def mish(z: Reals, gate: Reals, a: Reals, c: Reals, n: int) -> None:
    """``a = z * (m / (m + 2))``, with ``m = (gate + 2) * gate`` of an exp in `gate`; c: 2."""
    two = c[0]
    for i in range(n):
        m = (gate[i] + two) * gate[i]
        a[i] = z[i] * (m / (m + two))


def fill_rows(a: Reals, rows: Places, values: Reals, n_rows: int, width: int) -> None:
    """``a[rows] = values[:, newaxis]``, of an array with rows of `width` numbers."""
    for i in range(n_rows):
        start = rows[i] * width
        for j in range(width):
            a[start + j] = values[i]


def dropout_mask(draws: Reals, mask: Reals, c: Reals, n: int) -> None:
    """``multiply(draws >= share, 1 / (1 - share), out=mask)``; c: share, 1 / (1 - share), 0."""
    share, retained, zero = c[0], c[1], c[2]
    for i in range(n):
        mask[i] = retained if draws[i] >= share else zero


# Batches.


def gather(X: Reals, rows: Places, batch: Reals, n_rows: int, width: int) -> None:
    """``X.take(rows, 0, out=batch[:, :-1])``."""
    for i in range(n_rows):
        start, out = rows[i] * width, i * (width + 1)
        for j in range(width):
            batch[out + j] = X[start + j]


def transpose(A: Reals, out: Reals, n_matrices: int, step: int, n_rows: int, n_columns: int) -> None:
    """``copyto(out, A.swapaxes(1, 2))``, of matrices that start every `step` numbers."""
    for k in range(n_matrices):
        start, target = k * step, k * n_rows * n_columns
        for j in range(n_columns):
            for i in range(n_rows):
                out[target + j * n_rows + i] = A[start + i * n_columns + j]


# Softmax and its loss: `z` has n_classes rows of n numbers, `row` has n numbers.


def softmax_before_exp(z: Reals, row: Reals, n_classes: int, n: int) -> None:
    """``z -= z.max(axis=0)``."""
    for j in range(n):
        row[j] = z[j]
    for k in range(1, n_classes):
        for j in range(n):
            x, most = z[k * n + j], row[j]
            # NaN wins, as in NumPy's maximum.
            row[j] = most if most >= x or most != most else x
    for i in range(n_classes):
        for j in range(n):
            z[i * n + j] -= row[j]


def softmax_after_exp(z: Reals, row: Reals, n_classes: int, n: int) -> None:
    """``z /= z.sum(axis=0)``, which adds one class after the other."""
    for j in range(n):
        row[j] = z[j]
    for k in range(1, n_classes):
        for j in range(n):
            row[j] += z[k * n + j]
    for i in range(n_classes):
        for j in range(n):
            z[i * n + j] /= row[j]


def cross_entropy_gradient(
    p: Reals, classes: Places, picked: Reals, c: Reals, n_members: int, n_rows: int
) -> None:
    """``picked = p[y]; p[y] = picked - 1; picked = maximum(picked, tiny)``; c: 1, tiny.

    Here ``p[y]`` are the predictions of the true classes, of shape (members, rows).
    """
    unit, tiny = c[0], c[1]
    for i in range(n_members):
        for j in range(n_rows):
            place = (classes[j] * n_members + i) * n_rows + j
            x = p[place]
            p[place] = x - unit
            picked[i * n_rows + j] = tiny if x <= tiny else x


# Losses of values: `p` are predictions, of shape (outputs, members, rows), and become gradients; `y` are
# targets, of shape (outputs, rows); `terms` are what each output adds to a loss.


def log_loss_gradient(
    p: Reals, y: Reals, terms: Reals, c: Reals, n_outputs: int, n_members: int, n_rows: int
) -> None:
    """``terms = maximum(1 - abs(y - p), eps); p -= y``; c: 1, eps, 0."""
    unit, eps, zero = c[0], c[1], c[2]
    for i in range(n_outputs):
        for j in range(n_members):
            start = (i * n_members + j) * n_rows
            for k in range(n_rows):
                x, target = p[start + k], y[i * n_rows + k]
                difference = target - x
                truth = unit - (difference if difference >= zero else -difference)
                terms[start + k] = eps if truth <= eps else truth
                p[start + k] = x - target


def squared_error_gradient(
    p: Reals, y: Reals, terms: Reals, c: Reals, n_outputs: int, n_members: int, n_rows: int
) -> None:
    """``terms = square(p - y); p -= y``."""
    for i in range(n_outputs):
        for j in range(n_members):
            start = (i * n_members + j) * n_rows
            for k in range(n_rows):
                residual = p[start + k] - y[i * n_rows + k]
                terms[start + k] = residual * residual
                p[start + k] = residual


def huber_gradient(
    p: Reals, y: Reals, terms: Reals, c: Reals, n_outputs: int, n_members: int, n_rows: int
) -> None:
    """``p -= y; near = minimum(abs(p), delta); terms = near * (abs(p) - 0.5 * near)``, then clipped.

    ``clip(p, -delta, delta, out=p)`` follows; c: delta, 0.5, 0.
    """
    delta, half, zero = c[0], c[1], c[2]
    for i in range(n_outputs):
        for j in range(n_members):
            start = (i * n_members + j) * n_rows
            for k in range(n_rows):
                residual = p[start + k] - y[i * n_rows + k]
                size = residual if residual >= zero else -residual
                near = delta if size >= delta else size
                terms[start + k] = near * (size - half * near)
                low = -delta if residual < -delta else residual
                p[start + k] = delta if low > delta else low


# Optimizers: `p` are parameters, `g` their gradient, `m` and `v` moments. c: factors of the rate without and
# with the bias correction, and then three numbers of the rule.

NO_DECAY, COUPLED, DECOUPLED = 0, 1, 2
"""Weight decay: none; ``g += p * decay``; or ``p -= p * decay * (rate * c[0])``."""


def _stepped(rule: Rule, n_moments: int, decay: int, *, many_rates: bool) -> Callable[..., None]:
    """A loop of a rule over all numbers, with a decay of each, and a rate of each or of all."""

    def step(p: Reals, g: Reals, m: Reals, v: Reals, rates: Reals, decays: Reals, c: Reals, n: int) -> None:
        share, factor, numbers = c[0], c[1], (c[2], c[3], c[4])
        rate = rates[0]
        for i in range(n):
            x, slope = p[i], g[i]
            if many_rates:
                rate = rates[i]
            if decay == COUPLED:
                slope = slope + x * decays[i]
            if decay == DECOUPLED:
                x = x - x * decays[i] * (rate * share)
            if n_moments == 0:
                p[i] = rule(x, slope, slope, slope, rate * factor, numbers)[0]
            elif n_moments == 1:
                p[i], m[i], _ = rule(x, slope, m[i], slope, rate * factor, numbers)
            else:
                p[i], m[i], v[i] = rule(x, slope, m[i], v[i], rate * factor, numbers)

    return step


def _sgd(p: Real, g: Real, m: Real, v: Real, rate: Real, _numbers: Step) -> Step:
    """``p -= g * rate``."""
    return p - g * rate, m, v


def _momentum(p: Real, g: Real, m: Real, v: Real, rate: Real, numbers: Step) -> Step:
    """``m = m * b + g; p -= m * rate``."""
    b, _, _ = numbers
    m = m * b + g
    return p - m * rate, m, v


def _nesterov(p: Real, g: Real, m: Real, v: Real, rate: Real, numbers: Step) -> Step:
    """``m = m * b + g; p -= (m * b + g) * rate``."""
    b, _, _ = numbers
    m = m * b + g
    return p - (m * b + g) * rate, m, v


def _rmsprop(p: Real, g: Real, m: Real, v: Real, rate: Real, numbers: Step) -> Step:
    """``m = m * b + g * g * rest; p -= g / (sqrt(m) + eps) * rate``."""
    b, rest, eps = numbers
    m = m * b + g * g * rest
    return p - g / (sqrt(m) + eps) * rate, m, v


def _adam(p: Real, g: Real, m: Real, v: Real, rate: Real, numbers: Step) -> Step:
    """``m = m * b1 + g; v = v * b2 + g * g; p -= m / (sqrt(v) + eps) * rate``."""
    b1, b2, eps = numbers
    m = m * b1 + g
    v = v * b2 + g * g
    return p - m / (sqrt(v) + eps) * rate, m, v


_RULES: dict[str, tuple[Rule, int]] = {
    "sgd": (_sgd, 0),
    "momentum": (_momentum, 1),
    "nesterov": (_nesterov, 1),
    "rmsprop": (_rmsprop, 1),
    "adam": (_adam, 2),
}
"""The rules of optimizers on one number: the new p, m and v. And how many moments there are."""


def step_name(rule: str, decay: int, *, many_rates: bool) -> str:
    """The name of an optimizer's loop; only Adam has decoupled decay."""
    return f"step_{rule}_{decay}{'_rates' if many_rates else ''}"


def loops(compiled: Callable[[Rule], Rule]) -> dict[str, Callable[..., None]]:
    """Every loop by its name; `compiled` prepares the rules that the loops call."""
    result: dict[str, Callable[..., None]] = {loop.__name__: loop for loop in _PLAIN}
    for name, (rule, n_moments) in _RULES.items():
        prepared = compiled(rule)
        for decay in (NO_DECAY, COUPLED, *([DECOUPLED] if name == "adam" else [])):
            for many_rates in (False, True):
                step = _stepped(prepared, n_moments, decay, many_rates=many_rates)
                result[step_name(name, decay, many_rates=many_rates)] = step
    return result


_PLAIN = (
    relu,
    leaky_relu,
    leaky_relu_backward,
    tanh_backward,
    sigmoid_after_tanh,
    sigmoid_backward,
    minimum,
    elu_backward,
    rectified_plus,
    gelu_before_tanh,
    gelu_backward,
    gated,
    silu_backward,
    mish,
    fill_rows,
    dropout_mask,
    gather,
    transpose,
    softmax_before_exp,
    softmax_after_exp,
    cross_entropy_gradient,
    log_loss_gradient,
    squared_error_gradient,
    huber_gradient,
)
