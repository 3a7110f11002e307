"""Names that files of earlier versions have for what is called otherwise now.

The checksums are those of the files as they were written; renaming comes after checking them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.settings.former import FORMER_NAMES

_GENERATION = {"spread": "std"}

_RESULT = {"optimism": "selection_bias"}


def config_by_new_names(record: dict[str, Any]) -> dict[str, Any]:
    """What ``config.json`` holds."""
    return _within(record, "settings", FORMER_NAMES)


def identity_by_new_names(record: dict[str, Any]) -> dict[str, Any]:
    """The first entry of a journal."""
    return _within(record, "recipe", FORMER_NAMES)


def result_by_new_names(record: dict[str, Any]) -> dict[str, Any]:
    """What ``result.json`` holds."""
    return _renamed(record, _RESULT)


def generation_by_new_names(record: dict[str, Any]) -> dict[str, Any]:
    """An entry of ``generations.jsonl``."""
    return _renamed(record, _GENERATION)


def _within(record: dict[str, Any], key: str, names: Mapping[str, str]) -> dict[str, Any]:
    part = record.get(key)
    return {**record, key: _renamed(part, names)} if isinstance(part, dict) else record


def _renamed(record: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The record in its order; a key that is there by both names is left for its check to refuse."""
    return {key if names.get(key, key) in record else names.get(key, key): record[key] for key in record}
