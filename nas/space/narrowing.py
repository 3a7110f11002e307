"""Narrowing a space: genes with some of the values that it has, given as texts or as values."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from nas.errors import SpaceError, did_you_mean
from nas.genome import GENES
from nas.space.space import DOMAINS, SearchSpace, abbreviated
from nas.space.values import Names, Range, is_number

_NUMBER = r"[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?"
_RANGE = re.compile(rf"({_NUMBER})-({_NUMBER})", re.IGNORECASE)


def narrowed(space: SearchSpace, genes: Mapping[str, Any]) -> SearchSpace:
    """A space with some of the values of its genes; its name says which.

    Parameters
    ----------
    space : SearchSpace
    genes : mapping of str to values
        By the name of a gene, ``depth`` and ``widths`` among them, the values to keep: a value, several, a
        `Range`, of which both ends are included, or a text of values and ranges such as ``"16,32,64-128"``.
        The depth is a number or a range; a pair of numbers is taken as its ends, as in `SearchSpace`.

    Raises
    ------
    SpaceError
        On a gene that the space does not have, or a value that it does not allow.

    Examples
    --------
    >>> space = SearchSpace(depth=(1, 3), widths=(4, 8, 16, 32))
    >>> narrowed(space, {"depth": 1, "widths": "8-32"}).summary()
    '1 hidden layers; widths 8, 16, 32; 3 genomes'
    """
    if not genes:
        return space
    kept = {name: _kept(space, name, values) for name, values in genes.items()}
    changes: dict[str, Any] = dict(kept)
    if "depth" in kept:
        changes["depth"] = (min(kept["depth"]), max(kept["depth"]))
    shown = " ".join(f"{name}={_shown(name, values)}" for name, values in kept.items())
    return replace(space, **changes, name=f"{space.name}[{shown}]")


def _shown(name: str, values: tuple[Any, ...]) -> str:
    if name == "depth":
        return "-".join(map(str, dict.fromkeys((min(values), max(values)))))
    return abbreviated(values).replace(", ", ",")


def _kept(space: SearchSpace, name: str, values: Any) -> tuple[Any, ...]:
    """The values of a gene that were asked for, in the order of the space."""
    allowed = _allowed(space, name)
    chosen: set[Any] = set()
    for item in _items(name, values):
        found = _between(allowed, item) if isinstance(item, Range) else {item} & set(allowed)
        if not found:
            raise _refused(space, name, allowed, item)
        chosen |= found
    kept = tuple(value for value in allowed if value in chosen)
    if name == "depth" and kept != tuple(range(kept[0], kept[-1] + 1)):
        raise SpaceError(f"genes: depth: expected a number or a range such as 1-3, got {values!r}")
    return kept


def _allowed(space: SearchSpace, name: str) -> tuple[Any, ...]:
    """The values of a gene in a space; raises `SpaceError` if it has none."""
    if name == "depth":
        return tuple(space.depths)
    if name == "widths":
        return space.widths_tuple
    if name in space.genes:
        return space.genes[name]
    has = f"genes of space {space.name} ({', '.join(['depth', 'widths', *space.genes])})"
    if name in GENES:
        raise SpaceError(
            f"genes: expected {has}, got {name}, which it leaves at its default; a space of your own "
            "(--space FILE) may vary it"
        )
    raise SpaceError(
        f"genes: expected {has}, got {name!r}{did_you_mean(name, ['depth', 'widths', *space.genes])}"
    )


def _items(name: str, values: Any) -> list[Any]:
    """The values and ranges that stand for the values of a gene."""
    if isinstance(values, str):
        items = [_parsed(name, part.strip()) for part in values.split(",")]
    elif name == "depth" and isinstance(values, tuple) and len(values) == 2:
        items = [Range(*values)]
    else:
        items = list(values) if isinstance(values, Iterable) else [values]
    is_named = isinstance(DOMAINS.get(name), Names)
    ends = [end for item in items for end in ((item.low, item.high) if isinstance(item, Range) else (item,))]
    if not ends or not all(isinstance(end, str) if is_named else is_number(end) for end in ends):
        raise SpaceError(f"genes: {name}: expected {_expected(name)}, got {reprlib.repr(values)}")
    return items


def _expected(name: str) -> str:
    return "names" if isinstance(DOMAINS.get(name), Names) else "numbers, or ranges such as 1-3"


def _parsed(name: str, part: str) -> Any:
    """A value or a range of a text; what is neither stays text."""
    if isinstance(DOMAINS.get(name), Names):
        return part
    if ends := _RANGE.fullmatch(part):
        return Range(float(ends[1]), float(ends[2]))
    try:
        return float(part)
    except ValueError:
        return part


def _between(allowed: tuple[Any, ...], ends: Range) -> set[Any]:
    """The values of a range; none if the range is beyond what is allowed on either side."""
    if ends.low < allowed[0] or ends.high > allowed[-1]:
        return set()
    return {value for value in allowed if ends.low <= value <= ends.high}


def _refused(space: SearchSpace, name: str, allowed: tuple[Any, ...], item: Any) -> SpaceError:
    values = f"{allowed[0]} to {allowed[-1]}" if name == "depth" else abbreviated(allowed)
    if isinstance(item, Range):
        got = f"{item.low:g}-{item.high:g}"
    else:
        got = item if isinstance(item, str) else f"{item:g}"
    meant = did_you_mean(got, [str(value) for value in allowed]) if isinstance(item, str) else ""
    way_out = meant or "; a space of your own (--space FILE) may have others"
    return SpaceError(f"genes: {name}: expected values of space {space.name} ({values}), got {got}{way_out}")
