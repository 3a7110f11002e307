"""Names of settings in earlier versions, which keywords, options and recorded files may still use.

The schema holds them as `Setting.former`; `nas.tracking.renamed` reads recorded files with the same table.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from nas.errors import InputError
from nas.settings.schema import SETTINGS

P = ParamSpec("P")
T = TypeVar("T")

FORMER_NAMES = {setting.former: setting.name for setting in SETTINGS.values() if setting.former}
"""Names of today by the former name."""


def former_flags() -> dict[str, str]:
    """Options of today by the former option, those that begin with ``--no-`` included."""
    flags = {}
    for setting in SETTINGS.values():
        for former in setting.former_flags:
            flags[former] = setting.flag
            if setting.kind.is_flag:
                flags[f"--no-{former[2:]}"] = f"--no-{setting.flag[2:]}"
    return flags


def by_new_keywords(function: Callable[P, T]) -> Callable[P, T]:
    """A function that takes former keywords too, with a FutureWarning."""

    @functools.wraps(function)
    def renaming(*arguments: P.args, **keywords: P.kwargs) -> T:
        for name in FORMER_NAMES.keys() & keywords.keys():
            now = FORMER_NAMES[name]
            if now in keywords:
                raise InputError(f"{name}: expected {now} alone, which is its name now, got both")
            warnings.warn(f"{name} is now {now}", FutureWarning, stacklevel=2)
            keywords[now] = keywords.pop(name)
        return function(*arguments, **keywords)

    return renaming
