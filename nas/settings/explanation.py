"""The schema as text: parameters of docstrings, and the table of ``docs/settings.md``."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from nas.settings.schema import GROUPS, settings_of
from nas.settings.setting import Setting

T = TypeVar("T", bound=Callable[..., Any])

_WIDTH = 110
"""Columns of a docstring's line, as in the source."""

_PLACEHOLDER = re.compile(r"^\.\.\.\n(?: {4}.*\n)*", re.MULTILINE)
"""The entry ``...`` of a section of parameters, with its text."""


def explained(entries: str) -> Callable[[T], T]:
    """Decorate a function or class: the first entry ``...`` of its docstring becomes these entries.

    The docstring is made once, when the module is imported; see `parameters`.
    """

    def decorate(function: T) -> T:
        if function.__doc__:  # Python removes docstrings with -OO
            # Without indentation, which Python 3.13 removes by itself.
            text = inspect.cleandoc(function.__doc__) + "\n"
            function.__doc__ = _PLACEHOLDER.sub(lambda _: textwrap.dedent(entries), text, count=1)
        return function

    return decorate


def parameters(settings: Iterable[Setting]) -> str:
    """The entries of settings in a section of parameters, indented as in a function's docstring."""
    return "".join(
        f"    {setting.name} : {setting.type_name}\n"
        + textwrap.fill(description(setting), _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
        + "\n"
        for setting in settings
    )


def description(setting: Setting) -> str:
    """Sentences about a setting: its help, bounds, names and the meaning of a default of None."""
    sentences = [f"{setting.help}{setting.kind.hint}."]
    if setting.kind.choices is not None:
        sentences.append(f"{setting.kind.expected.capitalize()}.")
    if setting.kind.bounds:
        sentences.append(f"{setting.kind.bounds.capitalize()}.")
    if setting.default is None and setting.otherwise:
        sentences.append(f"Default: {setting.otherwise}.")
    return " ".join([*sentences, setting.more]).strip()


def document() -> str:
    """The text of ``docs/settings.md``."""
    return "\n".join([_HEAD, *map(_section, GROUPS)])


_HEAD = """\
# Settings

<!-- Written by `python -m nas.settings > docs/settings.md` from the schema in nas/settings; do not edit. -->

Every setting of a search by its name in `nas.search()` and in a file for `nas search --config FILE`, in which
each section below is a table such as `[budget]`. `nas config` writes such a file. The option of a setting is
its name with dashes, and without a leading `n_`. Options of `nas search` win over the file.
"""


def _section(group: type[Any]) -> str:
    lines = [f"## [{group.section}] {group.__doc__}", "", f"| {' | '.join(_COLUMNS)} |"]
    lines.append("|---" * len(_COLUMNS) + "|")
    lines += [f"| {' | '.join(map(_cell, _row(setting)))} |" for setting in settings_of(group)]
    return "\n".join([*lines, ""])


_COLUMNS = ("setting", "option", "type", "default", "bounds", "unit", "meaning")


def _row(setting: Setting) -> tuple[str, ...]:
    names = "" if setting.kind.choices is None else setting.kind.expected
    option = f"`{setting.flag}`" + (f", `--no-{setting.flag[2:]}`" if setting.kind.is_flag else "")
    former = f" Former name: `{setting.former}`." if setting.former else ""
    meaning = f"{setting.help}{setting.kind.hint}. {setting.more}".strip() + former
    bounds = setting.kind.bounds or names
    kind = setting.kind.type_name
    return (
        f"`{setting.name}`",
        option,
        kind,
        setting.default_text,
        bounds,
        setting.unit,
        meaning,
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
