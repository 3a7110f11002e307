"""Search spaces: which structures may be tried, and how many there are."""

from __future__ import annotations

import itertools
import math
import os
import random
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from numbers import Real
from typing import Any

from nas.errors import SpaceError
from nas.genome import GENES, LAYER_GENES, SCALINGS, Genome
from nas.network.activations import ACTIVATIONS
from nas.network.optimizers import OPTIMIZERS
from nas.network.schedules import SCHEDULES

_LARGEST_WIDTH = 65_536
_DEEPEST = 100
"""Hidden layers: a search of deeper networks gives no answer in the time in which one of these gives many."""

_MOST_NUMBERS = 4096
"""Values of a gene that is no whole number: each is rounded to several numbers of digits."""


@dataclass(frozen=True, slots=True)
class Range:
    """Evenly spaced values from `low` towards `high`.

    On the linear scale `step` is added, on the log scale it is multiplied by; `high` itself is a
    value only where the steps meet it. Without a step, whole numbers go by 1 (linear) or 2 (log);
    other numbers are cut into ten equal steps (linear) or four steps a decade (log), both ends
    included. Between the ends they are rounded to three digits, or to as many as keep them apart.
    """

    low: float
    high: float
    scale: str = "linear"
    step: float | None = None

    def values(self, *, whole: bool) -> tuple[float, ...]:
        """The values in rising order, as integers where `whole`; raises `ValueError`."""
        if self.scale not in ("linear", "log"):
            raise ValueError(f"scale: expected 'linear' or 'log', got {self.scale!r}")
        if self.low > self.high:
            raise ValueError(f"expected min <= max, got min = {self.low:g} and max = {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"min: expected more than 0 on the log scale, got {self.low:g}")
        step = self.step
        if step is None and whole:
            step = 1 if self.scale == "linear" else 2
        if step is None:
            return self._readable(self._both_ends())
        if step <= (0 if self.scale == "linear" else 1):
            least = "0 on the linear scale" if self.scale == "linear" else "1 on the log scale"
            raise ValueError(f"step: expected more than {least}, got {step:g}")
        if whole:
            return tuple(sorted({round(value) for value in self._by_step(step, _LARGEST_WIDTH)}))
        return self._readable(self._by_step(step, _MOST_NUMBERS))

    def _by_step(self, step: float, most: int) -> list[float]:
        # A hair beyond `high` is still `high`: 0.1 + 0.1 + 0.1 > 0.3 in floating point.
        span = self.high - self.low if self.scale == "linear" else math.log(self.high / self.low)
        steps = span / (step if self.scale == "linear" else math.log(step)) + 1e-9
        if not steps < most:
            raise ValueError(f"expected at most {most} values, got {steps + 1:.0f}; use a larger step")
        count = int(steps) + 1
        if self.scale == "linear":
            return [self.low + i * step for i in range(count)]
        return [self.low * step**i for i in range(count)]

    def _both_ends(self) -> list[float]:
        if self.low == self.high:
            return [self.low]
        n = 10 if self.scale == "linear" else max(1, round(4 * math.log10(self.high / self.low)))
        shares = [i / n for i in range(1, n)]
        if self.scale == "linear":
            between = [self.low + (self.high - self.low) * share for share in shares]
        else:
            between = [self.low * (self.high / self.low) ** share for share in shares]
        return [self.low, *between, self.high]

    def _readable(self, values: list[float]) -> tuple[float, ...]:
        """The values with as few digits as keep them apart, so that a person can repeat them.

        0.00316227766 is 0.00316; the ends stay what they are, and no value passes them.
        """
        low, high = float(self.low), float(self.high)
        for digits in range(3, 18):
            short = {float(value) if value in (low, high) else _rounded(value, digits) for value in values}
            if len(short) == len(values) and low <= min(short) and max(short) <= high:
                break
        return tuple(sorted({min(value, high) for value in short}))


Values = Sequence[Any] | Range


@dataclass(frozen=True)
class SearchSpace:
    """The structures that a search may try.

    Parameters
    ----------
    depth : (int, int)
        The least and the greatest number of hidden layers, both included; 0 is a linear model.
    widths : sequence of int, or Range
        The widths that each hidden layer may take.
    non_increasing : bool
        Whether no layer may be wider than the one before it (a funnel).
    equal_widths : bool
        Whether all hidden layers of a network are of one width; such a network is a funnel too.
    activation : sequence of str
        Names of hidden activations; empty: the gene is not carried and training uses relu.
    activation_per_layer : bool
        Whether each layer has an activation of its own instead of one for the network.
    learning_rate, batch_size, weight_decay, dropout : sequence of numbers, or Range
        Optional numeric genes; empty: not carried.
    dropout_per_layer : bool
        Whether each layer has a dropout of its own instead of one for the network.
    optimizer, schedule : sequence of str
        Names of optimizers and of learning-rate schedules; empty: not carried.
    scaling : sequence of str
        How numbers of the table become inputs: "standard", "quantile"; empty: not carried, standardized.
    name : str
        What the space is called in messages and reports.

    Every gene is a finite list of values, in rising order where they are numbers, so that a space
    can be counted, a value has neighbours, and equal networks are equal genomes.

    Raises
    ------
    SpaceError
        On an unknown name, an empty list, reversed bounds or a value out of its domain.
    """

    depth: tuple[int, int]
    widths: Values
    non_increasing: bool = False
    equal_widths: bool = False
    activation: Sequence[str] = ()
    activation_per_layer: bool = False
    learning_rate: Values = ()
    batch_size: Values = ()
    weight_decay: Values = ()
    dropout: Values = ()
    dropout_per_layer: bool = False
    optimizer: Sequence[str] = ()
    schedule: Sequence[str] = ()
    scaling: Sequence[str] = ()
    name: str = "custom"

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "depth", _checked_depth(self.name, self.depth))
        for key, check in _CHECKS.items():
            put(self, key, check(self.name, key, getattr(self, key)))
        if self.depth[1] > 0 and not self.widths:
            raise refused(self.name, "widths", "at least one width", "none")
        for key in ("non_increasing", "equal_widths", "activation_per_layer", "dropout_per_layer"):
            if not isinstance(getattr(self, key), bool):
                raise refused(self.name, key, "true or false", reprlib.repr(getattr(self, key)))
        for key in self.per_layer:
            if key not in self.genes:
                noun = "names" if key == "activation" else "numbers"
                raise refused(self.name, key, f"{noun} to choose from for each layer", "none")

    @cached_property
    def genes(self) -> Mapping[str, tuple[Any, ...]]:
        """The optional genes that genomes of this space carry, with their values."""
        return {key: tuple(getattr(self, key)) for key in GENES if getattr(self, key)}

    @cached_property
    def per_layer(self) -> tuple[str, ...]:
        """The genes of which each layer has one of its own."""
        return tuple(key for key in LAYER_GENES if getattr(self, f"{key}_per_layer"))

    @cached_property
    def own_genes(self) -> tuple[str, ...]:
        """The genes that belong to a genome as a whole."""
        return tuple(key for key in self.genes if key not in LAYER_GENES)

    @cached_property
    def steppable_genes(self) -> tuple[str, ...]:
        """The genes, apart from the activation, that have another value to go to."""
        return tuple(key for key, values in self.genes.items() if key != "activation" and len(values) > 1)

    @cached_property
    def shared_by_layers(self) -> tuple[str, ...]:
        """What all layers of a genome have in common."""
        shared = tuple(key for key in LAYER_GENES if key not in self.per_layer)
        return ("width", *shared) if self.equal_widths else shared

    def size(self) -> int:
        """The number of different genomes in this space."""
        shared = math.prod(len(values) for key, values in self.genes.items() if key not in LAYER_GENES)
        return shared * sum(self._size_at(depth) for depth in self.depths)

    def _size_at(self, depth: int) -> int:
        """Different widths, activations and dropouts of `depth` layers."""
        if depth == 0:
            return 1
        n = len(self.widths_tuple)
        if self.equal_widths:
            size = n
        else:
            size = math.comb(n + depth - 1, depth) if self.non_increasing else n**depth
        for key in LAYER_GENES:
            size *= len(self.genes.get(key, (None,))) ** (depth if key in self.per_layer else 1)
        return size

    @property
    def depths(self) -> range:
        """The depths that genomes may have."""
        return range(self.depth[0], self.depth[1] + 1)

    @property
    def widths_tuple(self) -> tuple[int, ...]:
        """The widths in rising order."""
        return tuple(self.widths)  # type: ignore[arg-type]  # __post_init__ made it a tuple of int

    def sample(self, rng: random.Random) -> Genome:
        """One genome: the depth drawn uniformly, then every gene uniformly."""
        depth = rng.randint(*self.depth)
        widths = [rng.choice(self.widths_tuple) for _ in range(depth)]
        if self.equal_widths:
            widths = widths[:1] * depth
        genes = {key: rng.choice(values) for key, values in self.genes.items()}
        for key in self.per_layer:
            genes[key] = tuple(rng.choice(self.genes[key]) for _ in range(depth))
        if self.non_increasing:
            widths.sort(reverse=True)
        return Genome(tuple(widths), **genes)

    def __iter__(self) -> Iterator[Genome]:
        """Every genome once, shallow ones first; `size` tells how many that are."""
        for depth in self.depths:
            genes: dict[str, Any] = dict(self.genes)
            for key in self.per_layer:
                genes[key] = tuple(itertools.product(genes[key], repeat=depth))
            if depth == 0:
                genes = {key: values for key, values in genes.items() if key not in LAYER_GENES}
            for widths in self._widths_at(depth):
                for values in itertools.product(*genes.values()):
                    yield Genome(widths, **dict(zip(genes, values, strict=True)))

    def _widths_at(self, depth: int) -> Iterable[tuple[int, ...]]:
        if self.equal_widths and depth:
            return ((width,) * depth for width in self.widths_tuple)
        if self.non_increasing:
            return itertools.combinations_with_replacement(self.widths_tuple[::-1], depth)
        return itertools.product(self.widths_tuple, repeat=depth)

    def __contains__(self, genome: object) -> bool:
        if not isinstance(genome, Genome) or genome.depth not in self.depths:
            return False
        return self._widths_fit(genome.widths) and all(self._carries(genome, key) for key in GENES)

    def _widths_fit(self, widths: tuple[int, ...]) -> bool:
        different = set(widths)
        if self.equal_widths and len(different) > 1:
            return False
        falling = all(above >= below for above, below in itertools.pairwise(widths))
        return different <= set(self.widths_tuple) and (falling or not self.non_increasing)

    def _carries(self, genome: Genome, key: str) -> bool:
        """Whether the genome's value of an optional gene is one of this space's."""
        value, values = getattr(genome, key), getattr(self, key)
        if not values or (genome.depth == 0 and key in LAYER_GENES):
            return value is None
        if isinstance(value, tuple):
            return key in self.per_layer and set(value) <= set(values)
        return value in values

    def check_fits(self, n_rows: int, n_inputs: int, n_outputs: int) -> None:
        """Raise `SpaceError` if training on such a table cannot work for every genome.

        Parameters
        ----------
        n_rows : int
            Rows to train on.
        n_inputs, n_outputs : int
            Columns of the encoded table, and outputs of the network.
        """
        largest_batch = max(self.genes.get("batch_size", (1,)))
        if largest_batch > n_rows:
            raise refused(
                self.name, "batch_size", f"at most {n_rows}, the rows to train on", str(largest_batch)
            )
        widest = Genome((self.widths_tuple[-1],) * self.depth[1] if self.depth[1] else ())
        # Parameters, gradients, two moments, the best weights and a scratch buffer, in float32.
        needed, available = 6 * 4 * widest.n_parameters(n_inputs, n_outputs), _memory_bytes()
        if needed > available / 2:
            raise refused(
                self.name,
                "widths",
                f"networks that train within half of this machine's {available / 2**30:.1f} GiB",
                f"up to {needed / 2**30:.1f} GiB for {widest.depth} layers of "
                f"{max(widest.widths, default=0)} on {n_inputs} inputs",
            )

    def to_dict(self) -> dict[str, Any]:
        """The space as plain values for JSON, with ranges written out."""
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in record.items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> SearchSpace:
        """The space that `to_dict` wrote."""
        return cls(**{**record, "depth": tuple(record["depth"])})

    def summary(self) -> str:
        """One line: depths, widths, genes and size."""
        low, high = self.depth
        depth = f"{low}" if low == high else f"{low}-{high}"
        widths = "equal widths" if self.equal_widths else "widths"
        if self.non_increasing and not self.equal_widths:
            widths += " funnel of"
        parts = [f"{depth} hidden layers", f"{widths} {_abbreviated(self.widths_tuple)}"]
        for key, values in self.genes.items():
            per_layer = " per layer" if key in self.per_layer else ""
            parts.append(f"{key}{per_layer} {_abbreviated(values)}")
        return "; ".join(parts) + f"; {count_in_words(self.size())} genomes"


def refused(where: str, key: str, expected: str, got: str) -> SpaceError:
    """What is wrong with a key of a space, in one sentence."""
    return SpaceError(f"search space {where}: {key}: expected {expected}, got {got}")


def _checked_depth(where: str, depth: Any) -> tuple[int, int]:
    try:
        low, high = depth
    except (TypeError, ValueError):
        raise refused(where, "depth", "a pair (min, max)", reprlib.repr(depth)) from None
    for key, value in (("depth.min", low), ("depth.max", high)):
        if not _is_whole(value) or not 0 <= value <= _DEEPEST:
            raise refused(where, key, f"a whole number from 0 to {_DEEPEST}", reprlib.repr(value))
    if low > high:
        raise refused(where, "depth", "min <= max", f"min = {low} and max = {high}")
    return int(low), int(high)


def _checked_numbers(low: float, high: float, *, whole: bool = False) -> Any:
    """A check that turns values or a range into a rising tuple of numbers between the bounds."""
    kind = "whole numbers" if whole else "numbers"

    def check(where: str, key: str, values: Values) -> tuple[float, ...]:
        if isinstance(values, Range):
            ends: tuple[Any, ...] = (values.low, values.high)
        else:
            values = ends = _listed(values)
        for value in ends:
            good = _is_whole(value) if whole else is_number(value)
            if not (good and low <= value <= high):
                raise refused(where, key, f"{kind} from {low:g} to {high:g}", reprlib.repr(value))
        if isinstance(values, Range):
            if values.step is not None and not is_number(values.step):
                raise refused(where, f"{key}.step", "a number", reprlib.repr(values.step))
            try:
                return values.values(whole=whole)
            except ValueError as error:
                raise SpaceError(f"search space {where}: {key}: {error}") from None
        return tuple(sorted({int(value) if whole else float(value) for value in values}))

    return check


def _checked_names(known: Iterable[str]) -> Any:
    """A check that turns names into a tuple without repeats."""

    def check(where: str, key: str, values: Any) -> tuple[str, ...]:
        names = _listed(values)
        for name in names:
            if name not in tuple(known):
                raise refused(where, key, f"names among {', '.join(known)}", reprlib.repr(name))
        return tuple(dict.fromkeys(names))

    return check


def _listed(values: Any) -> tuple[Any, ...]:
    """The values as a tuple; a single value is a list of one."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return (values,)
    return tuple(values)


# What a space may ask for, training must accept: see the bounds of `TrainingConfig`.
_CHECKS = {
    "widths": _checked_numbers(1, _LARGEST_WIDTH, whole=True),
    "activation": _checked_names(ACTIVATIONS),
    "learning_rate": _checked_numbers(1e-12, 10),
    "batch_size": _checked_numbers(1, 1_000_000, whole=True),
    "weight_decay": _checked_numbers(0, 10),
    "dropout": _checked_numbers(0, 0.99),
    "optimizer": _checked_names(OPTIMIZERS),
    "schedule": _checked_names(SCHEDULES),
    "scaling": _checked_names(SCALINGS),
}


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and not a truth value."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def _is_whole(value: Any) -> bool:
    return is_number(value) and bool(value % 1 == 0)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def count_in_words(count: int) -> str:
    """The count with separators, or as a power of ten where it has more than nine digits."""
    if count < 10**9:
        return f"{count:,}"
    # Python refuses to write numbers of thousands of digits out.
    exponent = int(math.log10(count))
    first = count // 10 ** (exponent - 1)
    if not 10 <= first < 100:
        exponent += 1 if first >= 100 else -1
        first = count // 10 ** (exponent - 1)
    return f"about {first // 10}.{first % 10}e{exponent}"


def _abbreviated(values: Sequence[Any]) -> str:
    shown = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return ", ".join(shown if len(shown) <= 9 else [*shown[:3], "…", shown[-1]])


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
