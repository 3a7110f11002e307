"""Keys that were renamed, so that files of earlier versions can be read.

Checksums cover the files as they were written; keys are renamed after the checksums were verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETTINGS = {"racing": "halving", "screening": "surrogate", "lag": "batches_in_flight"}
"""Settings and keys of the recipe; also keywords of `nas.search`, and command-line options without dashes."""

_GENERATION = {"spread": "std"}

_RESULT = {"optimism": "selection_bias"}


def config_by_new_names(record: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys of ``config.json``."""
    return _within(record, "settings", SETTINGS)


def identity_by_new_names(record: dict[str, Any]) -> dict[str, Any]:
    """Rename the keys of a journal's first entry."""
    return _within(record, "recipe", SETTINGS)


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
    """Rename keys in their order; a record that has both names keeps both, and its check refuses it."""
    return {key if names.get(key, key) in record else names.get(key, key): record[key] for key in record}
