"""Search spaces in TOML files: the spaces that come with the package, and those of its users."""

from __future__ import annotations

import os
import re
import reprlib
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.errors import SpaceError
from nas.genome import GENES, LAYER_GENES, Genome
from nas.space.fitting import completed, misfits
from nas.space.space import DOMAINS, SearchSpace, per_layer_flag
from nas.space.values import Range, Values, is_number, refused

_LARGEST = 64 * 2**10
"""Bytes of a TOML file, at most: the largest shipped space has some 400."""

_MOST_PARTS = 100
"""Parts of a dotted key, at most: time and memory of `tomllib` grow with their square."""


def load_space(name_or_path: str | os.PathLike[str]) -> SearchSpace:
    """Load the shipped space of this name, or the TOML file at this path.

    Raises
    ------
    SpaceError
        If there is no such space or file, or if its contents describe no space; the message names the
        file, the key, what was expected and what came.
    """
    path = _find(name_or_path)
    try:
        if (n_bytes := path.stat().st_size) > _LARGEST:
            raise ValueError(f"{n_bytes} bytes, more than {_LARGEST}")
        record = _parsed(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise SpaceError(f"search space {path}: expected a readable TOML file, got: {error}") from None
    return _space_from_toml(record, str(path), path.stem)


def _parsed(text: str) -> dict[str, Any]:
    """Parse TOML; raises `ValueError` on text that would take the parser long."""
    # Text between two of these characters holds a dotted key at most; TOML allows blanks around its dots.
    pieces = re.split(r"[\n,=\[\]#]", text.replace(" ", "").replace("\t", ""))
    if max(piece.count(".") for piece in pieces) > _MOST_PARTS:
        raise ValueError(f"a key of more than {_MOST_PARTS} parts")
    return tomllib.loads(text)


def available_spaces() -> dict[str, Path]:
    """Return the names and files of the spaces that come with the package, sorted by name."""
    return {path.stem: path for path in sorted(_shipped_folder().glob("*.toml"))}


def _find(name_or_path: str | os.PathLike[str]) -> Path:
    shipped = available_spaces()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    path = Path(name_or_path)
    if not os.path.isfile(path):  # noqa: PTH113 # False for text that no file can have as its name, where Path.is_file raises
        raise SpaceError(
            f"search space {name_or_path!s}: expected one of {', '.join(shipped)} or a TOML file, got neither"
        )
    return path


def _shipped_folder() -> Path:
    # In a wheel the folder lies inside the package; in a checkout beside it.
    package = Path(__file__).parent.parent
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


_TABLES = {"depth": {"min", "max"}} | {key: set(domain.toml_keys) for key, domain in DOMAINS.items()}
_TABLES["widths"] |= {"non_increasing", "equal"}
for _key in LAYER_GENES:
    _TABLES[_key].add("per_layer")

_STARTS = "starts"
"""The key of the genomes to start with, an array of tables."""


def _space_from_toml(record: dict[str, Any], file: str, name: str) -> SearchSpace:
    """Build the space that a TOML document describes; each error names the file and the key."""
    _refuse_unknown(file, "", record, {*_TABLES, "description", _STARTS})
    for key, valid_keys in _TABLES.items():
        table = record.get(key, {})
        if not isinstance(table, dict):
            raise refused(file, key, f"a table [{key}]", reprlib.repr(table))
        _refuse_unknown(file, f"{key}.", table, valid_keys)
    for key in ("depth", "widths"):
        if key not in record:
            raise refused(file, key, f"a table [{key}]", "none")
    for key in ("min", "max"):
        if key not in record["depth"]:
            raise refused(file, f"depth.{key}", "a whole number", "none")
    arguments: dict[str, Any] = {
        key: _values_from_toml(file, key, record[key]) for key in DOMAINS if key in record
    }
    arguments |= {per_layer_flag(key): record.get(key, {}).get("per_layer", False) for key in LAYER_GENES}
    space = SearchSpace(
        depth=(record["depth"]["min"], record["depth"]["max"]),
        non_increasing=record["widths"].get("non_increasing", False),
        equal_widths=record["widths"].get("equal", False),
        name=file,
        **arguments,
    )
    starts = _starts_from_toml(file, record.get(_STARTS, []), space)
    return replace(space, name=name, starts=starts)


def _starts_from_toml(file: str, tables: Any, space: SearchSpace) -> tuple[Genome, ...]:
    """Read the genomes to start with; raises `SpaceError` on those that the space does not hold."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise refused(file, _STARTS, "tables [[starts]]", reprlib.repr(tables))
    found = []
    for i, table in enumerate(tables, start=1):
        key = f"{_STARTS} {i}"
        _refuse_unknown(file, f"{key}.", table, {"widths", *GENES})
        widths = table.get("widths")
        if not isinstance(widths, list) or not all(type(width) is int for width in widths):
            raise refused(file, f"{key}.widths", "a list of whole numbers", reprlib.repr(widths))
        try:
            genome = completed(Genome.from_dict(table), space)
        except (TypeError, ValueError) as error:
            raise refused(file, key, "a genome", str(error)) from None
        if genome not in space:
            reasons = ", ".join(misfits(genome, space)) or reprlib.repr(table)
            raise refused(file, key, "a genome of the space", reasons)
        found.append(genome)
    return tuple(found)


def _values_from_toml(file: str, key: str, table: dict[str, Any]) -> Values:
    """Read the values or the range of one gene; raises `SpaceError` on both, or neither."""
    if "values" in table:
        extra = sorted(set(table) & {"min", "max", "scale", "step"})
        if extra:
            raise refused(file, key, "either values or a range", f"values and {', '.join(extra)}")
        if not isinstance(table["values"], list) or not table["values"]:
            raise refused(
                file, f"{key}.values", "a list with at least one value", reprlib.repr(table["values"])
            )
        return tuple(table["values"])
    for bound in ("min", "max"):
        if bound not in table:
            raise refused(file, key, "values, or min and max", f"no {bound}")
    for number in ("min", "max", "step"):
        if number in table and not is_number(table[number]):
            raise refused(file, f"{key}.{number}", "a number", reprlib.repr(table[number]))
    return Range(table["min"], table["max"], table.get("scale", "linear"), table.get("step"))


def _refuse_unknown(file: str, prefix: str, table: Mapping[str, Any], valid_keys: set[str]) -> None:
    """Raise `SpaceError` on a key that is not valid; `prefix` is the table's name with a dot."""
    for key in table:
        if key not in valid_keys:
            name = key if key.isidentifier() and len(key) < 50 else reprlib.repr(key)
            raise refused(
                file, f"{prefix}{name}", f"one of {', '.join(sorted(valid_keys))}", "an unknown key"
            )
