"""Keys that were renamed, so that files of earlier versions can be read.

Checksums cover the files as they were written; keys are renamed after the checksums were verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.settings.former import FORMER_NAMES

_GENERATION = {"spread": "std"}

_RESULT = {"optimism": "selection_bias"}


def config_by_new_names(record: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys of ``config.json``."""
    return _within(record, "settings", FORMER_NAMES)


def identity_by_new_names(record: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys of a journal's first entry."""
    return _within(record, "recipe", FORMER_NAMES)


def result_by_new_names(record: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys of ``result.json``."""
    return _renamed(record, _RESULT)


def generation_by_new_names(record: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys of an entry of ``generations.jsonl``."""
    return _renamed(record, _GENERATION)


def _within(record: dict[str, Any], key: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Rename the keys of an object within a record."""
    part = record.get(key)
    return {**record, key: _renamed(part, names)} if isinstance(part, dict) else record


def _renamed(record: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the record in its order; raises `ValueError` if a key is there by both names."""
    for former, name in names.items():
        if former in record and name in record:
            raise ValueError(f"{former}: expected {name} alone, which is its name now, got both")
    return {names.get(key, key): value for key, value in record.items()}
