"""Settings in a TOML file: reading one, and writing one that explains every setting."""

from __future__ import annotations

import difflib
import json
import os
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.errors import InputError
from nas.settings.explanation import description
from nas.settings.former import FORMER_NAMES
from nas.settings.schema import GROUPS, SETTINGS, settings_of
from nas.settings.setting import Setting

_LARGEST = 2**20
"""Bytes of a file: a hundred times what `config_text` needs, and too few for a table given by mistake."""

_N_NEAREST = 3
"""Known names in an error: as many as fit into a sentence."""

_WIDTH = 100
"""Columns of a comment, as wide as most editors show."""


def read_config(file: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings in a TOML file, by their names.

    Raises
    ------
    InputError
        If it cannot be read, is no TOML, or holds an unknown table, an unknown key or a value that its
        setting does not take; the message names the key.
    """
    values: dict[str, Any] = {}
    for section, table in _parsed(Path(file)).items():
        if section not in _SECTIONS:
            raise InputError(f"{file}: {section}: expected {_listed_sections()}{_place_of(section)}")
        if not isinstance(table, dict):
            raise InputError(f"{file}: {section}: expected a table [{section}], got {table!r}")
        for key, value in table.items():
            values[key] = _checked(file, section, key, value)
    return values


def _parsed(file: Path) -> dict[str, Any]:
    try:
        if (n_bytes := file.stat().st_size) > _LARGEST:
            raise ValueError(f"{n_bytes} bytes, more than {_LARGEST}")
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise InputError(f"{file}: expected a TOML file of settings, got: {reason}") from None


_SECTIONS = {group.section: group for group in GROUPS}


def _listed_sections() -> str:
    return f"a table among {', '.join(f'[{section}]' for section in _SECTIONS)}"


def _place_of(name: str) -> str:
    """What came instead of a section: perhaps a setting without its table."""
    if name in SETTINGS:
        return f", got a setting of [{SETTINGS[name].group}] outside of it"
    nearest = difflib.get_close_matches(name, _SECTIONS, 1)
    return f"; the nearest is [{nearest[0]}]" if nearest else ", got another"


def _checked(file: str | os.PathLike[str], section: str, key: str, value: Any) -> Any:
    setting = SETTINGS.get(key)
    if setting is None or setting.group != section:
        raise InputError(f"{file}: {section}.{key}: expected a setting of [{section}], got {_nearest(key)}")
    try:
        setting.check_in_file(value)
    except InputError as error:
        raise InputError(f"{file}: {section}.{error}") from None
    return value


def _nearest(key: str) -> str:
    """What a key is that its table does not have."""
    if key in SETTINGS:
        return f"a setting of [{SETTINGS[key].group}]"
    if key in FORMER_NAMES:
        return f"the former name of {FORMER_NAMES[key]}"
    options = {setting.flag[2:].replace("-", "_"): setting.name for setting in SETTINGS.values()}
    matches = difflib.get_close_matches(key, {**dict.fromkeys(SETTINGS), **options}, _N_NEAREST)
    names = dict.fromkeys(options.get(match, match) for match in matches)
    nearest = ", ".join(f"{SETTINGS[name].group}.{name}" for name in names)
    return f"an unknown key; the nearest known: {nearest}" if nearest else "an unknown key"


def config_text() -> str:
    """A TOML file with every setting as a comment: its meaning, bounds, unit and default, and a value.

    Without the marks of comments in front of the values the file is read by `read_config`.
    """
    return "\n".join([_HEAD, *map(_section, GROUPS)])


_HEAD = """\
# Settings of a search: nas search DATA --config FILE.toml
#
# Remove the leading "# " of a line such as "# seed = 0" to give a value. Options of the command line win over
# this file. Paths are relative to the folder in which nas is started.
"""


def _section(group: type[Any]) -> str:
    lines = [f"# {group.__doc__}", f"[{group.section}]", ""]
    for setting in settings_of(group):
        lines += [*_comments(setting), f"# {setting.name} = {_toml(_value_of(setting))}", ""]
    return "\n".join(lines)


def _comments(setting: Setting) -> list[str]:
    facts = [f"unit: {setting.unit}"] if setting.unit else []
    facts.append(f"default: {setting.default_text}")
    text = description(setting).replace(f" Default: {setting.otherwise}.", "")
    return textwrap.wrap(
        f"{text} ({'; '.join(facts)})",
        _WIDTH,
        initial_indent="## ",
        subsequent_indent="## ",
        break_on_hyphens=False,
    )


def _value_of(setting: Setting) -> Any:
    """The default where TOML has it, otherwise an example."""
    return setting.default if setting.example is None else setting.example


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_toml(amount)}' for key, amount in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)
