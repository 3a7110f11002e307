"""The values of a gene: lists and ranges of them, checked and written out in rising order."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

from nas.errors import SpaceError

LARGEST_WIDTH = 65_536
"""Units of a layer, at most: two such layers have 4e9 weights, more than fits the memory of most machines."""

_DEEPEST = 100
"""Hidden layers, at most: training a deeper network takes as long as training many of these."""

_MOST_NUMBERS = 4096
"""Values of a real gene, at most: rounding them tries several numbers of digits for each value."""

_TOLERANCE = 1e-9
"""Steps by which a range may pass its end: 0.1 + 0.1 + 0.1 > 0.3 in floating point."""


@dataclass(frozen=True, slots=True)
class Range:
    """Evenly spaced values from `low` towards `high`.

    Without a step, whole numbers advance by 1 (linear) or double (log); other numbers have ten equal steps
    (linear) or four steps a decade (log), both ends included, and are rounded to three digits between the
    ends, or to as many digits as distinguish them.

    Parameters
    ----------
    low, high : float
        The bounds; `high` itself is a value only where a step meets it.
    scale : str
        "linear": a step is added; "log": a step is a factor.
    step : float, optional
        Above 0 on the linear scale, above 1 on the log scale.

    Examples
    --------
    >>> Range(8, 64, "log").values(whole=True)
    (8, 16, 32, 64)
    """

    low: float
    high: float
    scale: str = "linear"
    step: float | None = None

    def values(self, *, whole: bool) -> tuple[float, ...]:
        """Return the values in rising order, as integers if `whole`.

        Raises
        ------
        ValueError
            On an unknown scale, reversed bounds, a step that does not advance, or too many values.
        """
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
            bound = "0 on the linear scale" if self.scale == "linear" else "1 on the log scale"
            raise ValueError(f"step: expected more than {bound}, got {step:g}")
        if whole:
            return tuple(sorted({round(value) for value in self._by_step(step, LARGEST_WIDTH)}))
        return self._readable(self._by_step(step, _MOST_NUMBERS))

    def _by_step(self, step: float, most: int) -> list[float]:
        """Return the values at each step; raises `ValueError` unless there are fewer than `most` steps."""
        span = self.high - self.low if self.scale == "linear" else math.log(self.high / self.low)
        steps = span / (step if self.scale == "linear" else math.log(step)) + _TOLERANCE
        if not steps < most:
            raise ValueError(f"expected at most {most} values, got {steps + 1:.0f}; use a larger step")
        count = int(steps) + 1
        if self.scale == "linear":
            return [self.low + i * step for i in range(count)]
        return [self.low * step**i for i in range(count)]

    def _both_ends(self) -> list[float]:
        """Return values in equal steps of a default size, both ends included."""
        if self.low == self.high:
            return [self.low]
        n = 10 if self.scale == "linear" else max(1, round(4 * math.log10(self.high / self.low)))
        shares = [i / n for i in range(1, n)]
        if self.scale == "linear":
            inner = [self.low + (self.high - self.low) * share for share in shares]
        else:
            inner = [self.low * (self.high / self.low) ** share for share in shares]
        return [self.low, *inner, self.high]

    def _readable(self, values: list[float]) -> tuple[float, ...]:
        """Round values to as few digits as distinguish them, so that they can be typed.

        0.00316227766 becomes 0.00316; the ends are not rounded, and no value passes them.
        """
        low, high = float(self.low), float(self.high)
        for digits in range(3, 18):
            short = {float(value) if value in (low, high) else _rounded(value, digits) for value in values}
            if len(short) == len(values) and low <= min(short) and max(short) <= high:
                break
        return tuple(sorted({min(value, high) for value in short}))


Values = Sequence[Any] | Range


def refused(space: str, key: str, expected: str, got: str) -> SpaceError:
    """Return the error for a key of a space; its message has the space, the key, and both texts."""
    return SpaceError(f"search space {space}: {key}: expected {expected}, got {got}")


def checked_depth(space: str, depth: Any) -> tuple[int, int]:
    """Return (min, max) as integers; raises `SpaceError`, which names the space."""
    try:
        low, high = depth
    except (TypeError, ValueError):
        raise refused(space, "depth", "a pair (min, max)", reprlib.repr(depth)) from None
    for key, value in (("depth.min", low), ("depth.max", high)):
        if not _is_whole(value) or not 0 <= value <= _DEEPEST:
            raise refused(space, key, f"a whole number from 0 to {_DEEPEST}", reprlib.repr(value))
    if low > high:
        raise refused(space, "depth", "min <= max", f"min = {low} and max = {high}")
    return int(low), int(high)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers between two bounds, both included; whole numbers if `whole`."""

    low: float
    high: float
    whole: bool = False
    ordered: ClassVar[bool] = True
    """Whether a value has neighbours."""

    toml_keys: ClassVar[frozenset[str]] = frozenset({"values", "min", "max", "scale", "step"})
    """Keys of a gene's table in a space's file."""

    @property
    def noun(self) -> str:
        """What the values are, in messages."""
        return "whole numbers" if self.whole else "numbers"

    def checked(self, space: str, key: str, values: Values) -> tuple[Any, ...]:
        """Turn values or a range into a rising tuple.

        Parameters
        ----------
        space, key : str
            Names of the space and of the gene, for the message.
        values : sequence or Range

        Raises
        ------
        SpaceError
            On a value that is out of bounds or no number, or a range that has no such values.
        """
        if isinstance(values, Range):
            ends: tuple[Any, ...] = (values.low, values.high)
        else:
            values = ends = _listed(values)
        for value in ends:
            valid = _is_whole(value) if self.whole else is_number(value)
            if not (valid and self.low <= value <= self.high):
                expected = f"{self.noun} from {self.low:g} to {self.high:g}"
                raise refused(space, key, expected, reprlib.repr(value))
        if isinstance(values, Range):
            if values.step is not None and not is_number(values.step):
                raise refused(space, f"{key}.step", "a number", reprlib.repr(values.step))
            try:
                return values.values(whole=self.whole)
            except ValueError as error:
                raise SpaceError(f"search space {space}: {key}: {error}") from None
        return tuple(sorted({int(value) if self.whole else float(value) for value in values}))


@dataclass(frozen=True, slots=True)
class Names:
    """Names of a table."""

    names: Collection[str]
    ordered: ClassVar[bool] = False
    """See `Numbers`."""

    toml_keys: ClassVar[frozenset[str]] = frozenset({"values"})
    """See `Numbers`."""

    noun: ClassVar[str] = "names"
    """See `Numbers`."""

    def checked(self, space: str, key: str, values: Values) -> tuple[Any, ...]:
        """Turn names into a tuple without repeats; see `Numbers.checked`."""
        names = _listed(values)
        for name in names:
            if name not in tuple(self.names):
                expected = f"names among {', '.join(self.names)}"
                raise refused(space, key, expected, reprlib.repr(name))
        return tuple(dict.fromkeys(names))


Domain = Numbers | Names
"""The values that a gene may have."""


def gene(domain: Domain, meaning: str = "", example: Sequence[float] = ()) -> Any:
    """Declare a field of `SearchSpace` for values of an optional gene of `nas.genome.Genome`.

    Parameters
    ----------
    domain : Domain
    meaning : str
        A phrase for files that explain a space.
    example : sequence of numbers
        Values for such a file; of names, all are listed there.
    """
    return field(default=(), metadata={"domain": domain, "meaning": meaning, "example": example})


def _listed(values: Any) -> tuple[Any, ...]:
    """Return the values as a tuple; a single value becomes a tuple of length 1."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return (values,)
    return tuple(values)


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, and not a boolean."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of float
        return False


def _is_whole(value: Any) -> bool:
    return is_number(value) and bool(value % 1 == 0)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
