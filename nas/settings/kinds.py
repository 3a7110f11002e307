"""Kinds of values that settings take: what is expected of a value, and how it is read from a command line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

_BELOW = 2**32
"""Upper bound of numbers: NumPy takes seeds of 32 bits, and no larger number is of use elsewhere."""


@dataclass(frozen=True)
class Choices:
    """Names that a setting takes.

    Parameters
    ----------
    fixed : tuple of str
        Names that are always there.
    registry : str
        ``MODULE:ATTRIBUTE`` of further names, such as ``nas.evolution:ALGORITHMS``. The module is imported
        when the names are needed, so that a new algorithm is named in no second place, and the command
        line starts without NumPy.
    """

    fixed: tuple[str, ...] = ()
    registry: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All names; imports the registry's module."""
        if not self.registry:
            return self.fixed
        module, _, attribute = self.registry.partition(":")
        return (*self.fixed, *getattr(import_module(module), attribute))


@dataclass(frozen=True)
class Kind:
    """The values of a setting.

    Attributes
    ----------
    type_name : str
        The type as docstrings name it.
    expectation : str
        Completes "expected ..." in an error; the names of `choices` follow it.
    holds : callable
        Whether a value of Python is of this kind.
    parse : callable
        A value from a text of the command line; raises `ValueError` with a sentence.
    bounds : str
        The bounds as a table shows them, such as "at least 1".
    choices : Choices, optional
    holds_in_file : callable, optional
        Whether a value of a TOML file is of this kind; by default `holds` decides.
    or_objects : str
        The values that only Python has; they follow the names.
    hint : str
        Other forms of a value, for help and documents.
    is_repeated : bool
        Whether an option may be repeated, each time with more keys of a mapping.
    """

    type_name: str
    expectation: str
    holds: Callable[[Any], bool]
    parse: Callable[[str], Any] = str
    bounds: str = ""
    choices: Choices | None = None
    holds_in_file: Callable[[Any], bool] | None = None
    or_objects: str = ""
    hint: str = ""
    is_repeated: bool = False

    @property
    def expected(self) -> str:
        """What is expected of a value of Python, in words."""
        return self.expected_in_file + self.or_objects

    @property
    def expected_in_file(self) -> str:
        """What is expected of a value of a file or of the command line, in words."""
        if self.choices is None:
            return self.expectation
        return f"{self.expectation} {', '.join(self.choices.names)}"

    @property
    def is_flag(self) -> bool:
        """Whether a value is true or false."""
        return self.type_name == "bool"


def whole(least: int, most: int | None = None) -> Kind:
    """Whole numbers from a least number, up to a greatest one if it is given."""

    def holds(value: Any) -> bool:
        below = _BELOW if most is None else most + 1
        return isinstance(value, int) and not isinstance(value, bool) and least <= value < below

    if most is not None:
        expectation = f"a whole number from {least} to {most}"
        return Kind("int", expectation, holds, _parser(int, expectation), f"{least} to {most}")
    expectation = f"a whole number of at least {least}, below 2**32"
    return Kind("int", expectation, holds, _parser(int, expectation), f"at least {least}")


def number(least: float) -> Kind:
    """Finite numbers from a least number."""

    def holds(value: Any) -> bool:
        return is_number(value) and least <= value < _BELOW

    expectation = f"a number of at least {least}, below 2**32"
    return Kind("float", expectation, holds, _parser(float, expectation), f"at least {least}")


_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
"""Seconds of the units that a duration may be written with."""

_DURATION = re.compile(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*(s|m|min|h|d)\s*", re.IGNORECASE)


def seconds(least: float) -> Kind:
    """Durations in seconds from a shortest one; also texts with a unit, such as 90s, 5m, 1h."""
    numbers = number(least)

    def holds(value: Any) -> bool:
        try:
            return numbers.holds(duration(value) if isinstance(value, str) else value)
        except ValueError:
            return False

    return replace(numbers, holds=holds, parse=duration, hint=" (or with a unit: 90s, 5m, 1h)")


def duration(written: str) -> float:
    """The seconds of a text such as 90, 90s, 5m or 1h; raises `ValueError` with a sentence."""
    match = _DURATION.fullmatch(written)
    value, unit = match.groups() if match else (written, "s")
    try:
        return float(value) * _UNITS[unit.lower()]
    except ValueError:
        raise ValueError(
            f"expected a number of seconds or a duration such as 90s, 5m or 1h, got {written!r}"
        ) from None


def positive() -> Kind:
    """Finite numbers above 0."""
    parse = _parser(float, "a number above 0")
    return Kind("float", "a number above 0", lambda value: is_number(value) and value > 0, parse, "above 0")


def finite() -> Kind:
    """Finite numbers."""
    return Kind("float", "a number", is_number, _parser(float, "a number"))


def flag() -> Kind:
    """True or false."""
    return Kind("bool", "true or false", lambda value: isinstance(value, bool))


def choice(*fixed: str, registry: str = "") -> Kind:
    """A name among some; see `Choices`."""
    choices = Choices(fixed, registry)
    return Kind("str", "one of", _is_among(choices), choices=choices)


def choice_or_object(*fixed: str, registry: str, base: str) -> Kind:
    """A name among some, or in Python a class or an object of the class ``MODULE:CLASS``."""
    choices = Choices(fixed, registry)
    module, _, name = base.partition(":")
    is_among = _is_among(choices)

    def holds(value: Any) -> bool:
        if isinstance(value, str):
            return is_among(value)
        required = _class(base)
        return issubclass(value, required) if isinstance(value, type) else isinstance(value, required)

    objects = f", or a class or object of {module}.{name}"
    return Kind(
        f"str, or {name}", "one of", holds, choices=choices, holds_in_file=is_among, or_objects=objects
    )


def text(expectation: str = "text", type_name: str = "str") -> Kind:
    """Text that is not blank."""
    return Kind(type_name, expectation, lambda value: _is_text(value) and bool(value.strip()))


def columns(type_name: str) -> Kind:
    """Names of columns, as a text in which commas join them or as several names.

    Names may be any objects in Python, such as numbers: which are right is for the table to decide.
    """
    return Kind(type_name, "names of columns", lambda value: True, holds_in_file=_is_texts)


def texts(type_name: str, expectation: str) -> Kind:
    """Texts, as a text in which commas join them or as several texts or numbers."""

    def holds(value: Any) -> bool:
        return _is_text(value) or (isinstance(value, Collection) and not isinstance(value, (bytes, Mapping)))

    return Kind(type_name, expectation, holds, holds_in_file=_is_texts)


def several(*fixed: str, registry: str = "") -> Kind:
    """Several of some names; `nas.settings.search_settings.SearchSettings` checks their combination."""
    choices = Choices(fixed, registry)

    def holds(value: Any) -> bool:
        listed = _split(value) if _is_text(value) else value
        is_listed = isinstance(listed, Sequence) and all(map(_is_text, listed)) and len(listed) > 0
        return is_listed and len(set(listed)) == len(listed) and set(listed) <= set(choices.names)

    return Kind("sequence of str", "some of", holds, _split, "", choices, _is_texts)


def text_or_object(type_name: str, expectation: str, *classes: type | str, or_objects: str = "") -> Kind:
    """A text, or in Python an object of some classes, given as classes or as ``MODULE:CLASS``."""

    def holds(value: Any) -> bool:
        return _is_text(value) or isinstance(value, tuple(map(_class, classes)))

    return Kind(type_name, expectation, holds, holds_in_file=_is_text, or_objects=or_objects)


def amounts() -> Kind:
    """Names with numbers from 0."""

    def holds(value: Any) -> bool:
        return isinstance(value, Mapping) and all(
            _is_text(name) and name.strip() and is_number(amount) and amount >= 0
            for name, amount in value.items()
        )

    return Kind("mapping of str to float", "names with numbers from 0", holds, _amounts)


def values_by_name() -> Kind:
    """Names with values, which may be texts."""

    def holds(value: Any) -> bool:
        return isinstance(value, Mapping) and all(_is_text(name) and name.strip() for name in value)

    return Kind("mapping of str to values", "names with values", holds, _named_value, is_repeated=True)


def is_number(value: object) -> bool:
    """Whether a value is a finite number, and no boolean."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_among(choices: Choices) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in choices.names


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return _is_text(value) or (isinstance(value, list) and all(map(_is_text, value)))


def _class(named: type | str) -> Any:
    """A class, which is given itself or as ``MODULE:CLASS``."""
    if isinstance(named, type):
        return named
    module, _, name = named.partition(":")
    return getattr(import_module(module), name)


def _split(listed: str) -> list[str]:
    return listed.split(",")


def _parser(convert: Callable[[str], Any], expectation: str) -> Callable[[str], Any]:
    """A conversion of text that says what it expected."""

    def parse(written: str) -> Any:
        try:
            return convert(written)
        except ValueError:
            raise ValueError(f"expected {expectation}, got {written!r}") from None

    return parse


def _amounts(listed: str) -> dict[str, float]:
    """The amounts of a text such as ``num_cpus=2,memory=4e9``."""
    return dict(map(_parser(_amount, "NAME=NUMBER,..."), listed.split(",")))


def _named_value(written: str) -> dict[str, str]:
    name, equals, values = written.partition("=")
    if not (equals and name.strip() and values.strip()):
        raise ValueError(f"expected NAME=VALUES, got {written!r}")
    return {name.strip(): values.strip()}


def _amount(part: str) -> tuple[str, float]:
    name, _, amount = part.partition("=")
    return name.strip(), float(amount)
