"""An array library as strict as CuPy, over NumPy: for machines without a GPU.

Its arrays do not turn into NumPy's by themselves, do not mix with them, and have no methods but those
that are used of CuPy's; its functions take arguments in the forms that CuPy's take them. Run as a program, it
trains a cohort with itself in place of the engine's library and prints a hash of the parameters; with
the argument "numpy", with NumPy.
"""

from __future__ import annotations

import sys
import types
from functools import partial
from typing import Any

import numpy as np


def bare(x: Any) -> Any:
    """The NumPy array inside; an error for one that was not moved to the device."""
    if isinstance(x, DeviceArray):
        return x.inside
    if isinstance(x, np.ndarray):
        raise TypeError("an array of the host was given to the device")
    return tuple(bare(part) for part in x) if isinstance(x, tuple) else x


def moved(x: Any) -> Any:
    return DeviceArray(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) else x


METHODS = {"all", "any", "astype", "copy", "cumsum", "dot", "max", "mean", "reshape", "sum", "swapaxes"}


class DeviceArray:
    __array_ufunc__ = None

    def __init__(self, inside: Any) -> None:
        self.inside = inside

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TypeError("implicit conversion to an array of the host is not allowed")

    def __getattr__(self, name: str) -> Any:
        if name in {"shape", "dtype", "ndim", "size", "nbytes", "flags"}:
            return getattr(self.inside, name)
        if name == "T":
            return DeviceArray(self.inside.T)
        if name in {
            "all",
            "any",
            "astype",
            "copy",
            "cumsum",
            "dot",
            "max",
            "mean",
            "reshape",
            "sum",
            "swapaxes",
        }:
            return lambda *a, **k: moved(getattr(self.inside, name)(*map(bare, a), **k))
        if name in {"transpose", "view"}:
            return lambda *a: moved(getattr(self.inside, name)(*a))
        raise AttributeError(name)

    def take(self, indices: Any, axis: int | None = None, out: Any = None) -> Any:
        result = self.inside.take(bare(indices), axis)
        if out is None:
            return moved(result)
        bare(out)[...] = result
        return out

    def __len__(self) -> int:
        return len(self.inside)

    def __float__(self) -> float:
        return float(self.inside)

    def __bool__(self) -> bool:
        return bool(self.inside)

    def __getitem__(self, key: Any) -> Any:
        return moved(self.inside[bare(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.inside[bare(key)] = bare(value)

    def __neg__(self) -> DeviceArray:
        return DeviceArray(-self.inside)


def _arithmetic(name: str) -> None:
    def operate(self: DeviceArray, other: Any) -> Any:
        return moved(getattr(self.inside, name)(bare(other)))

    def in_place(self: DeviceArray, other: Any) -> Any:
        getattr(self.inside, name)(bare(other))
        return self

    setattr(DeviceArray, name, in_place if name.startswith("__i") else operate)


for operator in ("add", "sub", "mul", "truediv"):
    for prefix in ("", "r", "i"):
        _arithmetic(f"__{prefix}{operator}__")
for operator in ("eq", "ne", "lt", "le", "gt", "ge"):
    _arithmetic(f"__{operator}__")


class Ufunc:
    def __init__(self, ufunc: Any) -> None:
        self.ufunc = ufunc
        self.__name__ = ufunc.__name__

    def reduce(self, x: Any) -> Any:
        assert self.ufunc is np.add, "CuPy has no other"
        return moved(self.ufunc.reduce(bare(x)))

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind") -> Any:
        n = self.ufunc.nin
        assert n <= len(args) <= n + 1
        out = args[n] if len(args) > n else out
        options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
        result = self.ufunc(
            *map(bare, args[:n]), out=None if out is None else bare(out), casting=casting, **options
        )
        return moved(result) if out is None else out


def made(function: Any, *args: Any, **options: Any) -> Any:
    return moved(function(*map(bare, args), **options))


def dot(a: Any, b: Any, out: Any = None) -> Any:
    result = np.dot(bare(a), bare(b))
    if out is None:
        return moved(result)
    assert out.flags.c_contiguous
    bare(out)[...] = result
    return out


def matmul(a: Any, b: Any, *, out: Any) -> Any:
    np.matmul(bare(a), bare(b), out=bare(out))
    return out


def library() -> Any:
    """The module in place of `xp`."""
    xp: Any = types.ModuleType("strict_device")
    for name in (
        *("abs", "add", "cos", "divide", "exp", "expm1", "greater", "isfinite", "log", "log1p", "maximum"),
        *("minimum", "multiply", "negative", "sin", "sqrt", "square", "subtract", "tanh"),
    ):
        setattr(xp, name, Ufunc(getattr(np, name)))
    xp.dot, xp.matmul = dot, matmul
    xp.clip = lambda a, low, high, out: np.clip(bare(a), low, high, out=bare(out))
    xp.copyto = lambda to, what: np.copyto(bare(to), bare(what))
    for name in ("arange", "empty", "empty_like", "full", "ones", "ones_like", "zeros", "zeros_like"):
        setattr(xp, name, partial(made, getattr(np, name)))
    xp.asarray = lambda x, dtype=None: DeviceArray(np.asarray(getattr(x, "inside", x), dtype))
    for name in ("dtype", "float32", "float64", "int64", "newaxis", "uint8"):
        setattr(xp, name, getattr(np, name))
    return xp


def install() -> None:
    """Put it in the place of NumPy in both rooms, as a second entry of `arrays.py` would."""
    entry = {
        "xp": library(),
        "to_device": lambda array: DeviceArray(np.array(array)),
        "to_host": lambda array: np.array(bare(array)) if isinstance(array, DeviceArray) else array,
        "zeros": lambda shape, dtype: DeviceArray(np.zeros(shape, dtype)),
        "matmul_into": lambda a, b, out: matmul(a, b, out=out),
        "largest": lambda array: array.max(axis=0),
        "sum_rows": lambda array, out: np.add.reduce(bare(array), -2, None, bare(out)),
        "sum_columns": lambda array, out: np.add.reduce(bare(array), -1, None, bare(out)),
        "sum_members": lambda array, out: np.add.reduce(bare(array), 0, None, bare(out)),
        "take_rows": lambda table, rows, out: table.take(rows, 0, out),
    }
    for name, module in list(sys.modules.items()):
        if name.startswith(("nas.network", "nas.training")):
            for what, value in entry.items():
                if hasattr(module, what):
                    setattr(module, what, value)


def train() -> int:
    """Train cohorts of everything that there is; a hash of what became of them."""
    from trainings import train_together

    from nas.network import ACTIVATIONS, LOSSES, MLP, OPTIMIZERS, Architecture, Extras, morph
    from nas.training import TrainingConfig

    rng = np.random.default_rng(0)
    X = rng.normal(size=(41, 5)).astype(np.float32)
    found = []
    for loss in LOSSES:
        y: Any = rng.integers(3, size=41)
        if loss == "binary_cross_entropy":
            y = rng.integers(2, size=(41, 3)).astype(np.float32)
        elif loss != "cross_entropy":
            y = rng.normal(size=(41, 3)).astype(np.float32)
        networks = [
            MLP(
                (5, 9 + i, 3),
                [name],
                loss,
                rng=rng,
                extras=Extras(i in (2, 3), (0, 3) if i in (1, 2) else (), i in (2, 4)),
            )
            for i, name in enumerate(ACTIVATIONS)
        ]
        networks.append(MLP((5, 3), [], loss, rng=rng))
        both = Extras(is_parametric=True, has_skips=True, is_normalized=True)
        networks.append(MLP((5, 9, 7, 3), ["selu", "relu"], loss, rng=rng, extras=both))
        optimizers, smooths = [*OPTIMIZERS] * 3, LOSSES[loss].uniform is not None
        configs = [
            TrainingConfig(
                epochs=3, batch_size=20, optimizer=optimizers[i], dropout=0.1 * (i % 2),
                beta2=0.999 - 0.04 * (i % 2), label_smoothing=0.1 * (i % 2 and smooths),
                weight_decay=0.01 * (i % 3), learning_rate=0.001 * (1 + i),
                clip_norm=1.0 if i == 4 else None, patience=1,
                front_scaling=6.0 * networks[i].extras.has_scales,
                parametric_activation=0.1 * networks[i].extras.is_parametric,
            )
            for i in range(len(networks))
        ]  # fmt: skip
        held_out: dict[str, Any] = {"validation": (X, y), "score": lambda p, *_: float(p.sum())}
        for options in ({}, held_out):
            train_together(networks, X, y, configs, sample_weight=np.linspace(0, 1, 41), **options)
        found += [network.parameters.tobytes() for network in networks]
        results = train_together(networks, X, y, configs, stop_after=1, keep_states=True, **held_out)
        results = train_together(
            networks, X, y, configs, states=[result.last for result in results], keep_states=True
        )
        for network, result in zip(networks, results, strict=True):
            for array in result.last.to_arrays()[0].values() if result.last else ():
                assert type(array) is np.ndarray
                found.append(array.tobytes())
            if result.best and len(network.activations) == 1:
                deeper = Architecture((5, 7, 12, 3), ("relu", *network.activations))
                child = morph(result.best, network.architecture, deeper, [None, 0], rng)
                found.append(child.parameters.tobytes())
        several = [MLP((5, 9 + i, 6, 3), ["tanh"] * 2, loss, rng=rng, members=3) for i in range(2)]
        train_together(several, X, y, configs[:2], sample_weight=np.linspace(0, 1, 41), **held_out)
        found += [network.parameters.tobytes() for network in several]
        found += [networks[0].predict(X).tobytes(), networks[1].hidden(X).tobytes()]
        for network in (networks[2], networks[-1]):
            found.append(network.loss_and_gradient(X, y, row_weights=np.ones(41, np.float32))[1].tobytes())
    return hash(tuple(found))


if __name__ == "__main__":
    import nas.training  # noqa: F401 - what is to be changed

    if sys.argv[1:] != ["numpy"]:
        install()
    print(train())  # noqa: T201
