"""All settings, in the order in which documents, help texts and files show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.settings.groups import (
    BudgetSettings,
    LimitSettings,
    SelectionSettings,
    StrategySettings,
    WorkerSettings,
)
from nas.settings.setting import Setting, settings_in
from nas.settings.table_and_tracking import TableSettings, TrackingSettings

GROUPS: tuple[type[Any], ...] = (
    TableSettings,
    BudgetSettings,
    LimitSettings,
    StrategySettings,
    WorkerSettings,
    SelectionSettings,
    TrackingSettings,
)
"""All groups, in the order of documents and files."""

SETTINGS: dict[str, Setting] = {setting.name: setting for group in GROUPS for setting in settings_in(group)}
"""All settings by name."""


def settings_of(*groups: type[Any]) -> list[Setting]:
    """The settings of some groups, in their order."""
    return [setting for group in groups for setting in settings_in(group)]


def check_values(arguments: Mapping[str, Any], *groups: type[Any]) -> None:
    """Raise `InputError` on an argument that the setting of its name does not take."""
    for setting in settings_of(*groups):
        setting.check(arguments[setting.name])


def values_of(arguments: Mapping[str, Any], *groups: type[Any]) -> dict[str, Any]:
    """The arguments that are settings of some groups."""
    return {
        setting.name: arguments[setting.name] for setting in settings_of(*groups) if setting.name in arguments
    }
