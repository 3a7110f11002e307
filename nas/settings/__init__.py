"""The settings of a search: a schema from which checks, options, docstrings, documents and files are made.

This package imports neither NumPy nor any other room than `nas.errors`, so that the command line starts fast;
`nas.settings.search_settings`, which needs search spaces and genomes, is imported by its full name.
"""

from nas.settings.groups import (
    BudgetSettings,
    LimitSettings,
    SelectionSettings,
    StrategySettings,
    WorkerSettings,
)
from nas.settings.schema import GROUPS, SETTINGS, settings_of, values_of
from nas.settings.setting import Setting
from nas.settings.table_and_tracking import TableSettings, TrackingSettings

__all__ = [
    "GROUPS",
    "SETTINGS",
    "BudgetSettings",
    "LimitSettings",
    "SelectionSettings",
    "Setting",
    "StrategySettings",
    "TableSettings",
    "TrackingSettings",
    "WorkerSettings",
    "settings_of",
    "values_of",
]
