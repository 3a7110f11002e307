"""Options that are made from the schema of settings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nas.cli.parser import Parser

# The schema is imported when a command declares its options, so that `nas --help` answers at once.
if TYPE_CHECKING:
    from nas.settings import Setting
    from nas.settings.kinds import Kind


def add_groups(parser: Parser, *groups: type[Any]) -> None:
    """Add a group of options for each group of settings; an option not given leaves no attribute."""
    from nas.settings import settings_of

    for group in groups:
        title = str(group.__doc__).rstrip(".")
        add_settings(parser, settings_of(group), parser.add_argument_group(title[0].lower() + title[1:]))


def add_settings(parser: Parser, settings: Iterable[Setting], group: Any = None, **common: Any) -> None:
    """Add an option for each setting.

    Parameters
    ----------
    parser : Parser
    settings : iterable of Setting
    group : argument group, optional
        The group of the parser to add to; by default the parser itself.
    **common
        Further keywords of `add_argument`; by default options that are not given leave no attribute.
    """
    for setting in settings:
        keywords: dict[str, Any] = {"dest": setting.name, "default": argparse.SUPPRESS, **common}
        if setting.kind.is_flag:
            keywords["action"] = argparse.BooleanOptionalAction
        else:
            keywords |= {"type": _type_of(setting.kind), "metavar": setting.metavar}
            if setting.kind.is_repeated:
                keywords["action"] = _Joined
        action = (group or parser).add_argument(setting.flag, help=_help(setting), **keywords)
        if setting.kind.choices is not None:
            parser.complete_help.append(partial(_add_names, action, setting))


class _Joined(argparse.Action):
    """Joins the mappings of an option that is repeated; the last value of a key wins."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        _: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, {**getattr(namespace, self.dest, {}), **values})


def _type_of(kind: Kind) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return kind.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _help(setting: Setting, names: str = "") -> str:
    """The sentence of a setting as a phrase, with its default."""
    phrase = setting.help if setting.help[1].isupper() else setting.help[0].lower() + setting.help[1:]
    return f"{phrase}{names}{setting.kind.hint}; default: {setting.default_text}".replace("%", "%%")


def _add_names(action: argparse.Action, setting: Setting) -> None:
    """Complete the help of an option with the names that it takes, which may need an import."""
    assert setting.kind.choices is not None
    action.help = _help(setting, f": {', '.join(setting.kind.choices.names)}")


def values_from(options: argparse.Namespace, *groups: type[Any]) -> dict[str, Any]:
    """The settings that a command line gave, as keywords of `nas.search`.

    Texts about the table are names of columns and cells: bytes in them that are no text are replaced, but not
    in the name of a file.
    """
    from nas.settings import TableSettings, settings_of, values_of
    from nas.tracking.shown import as_text

    values = values_of(vars(options), *groups)
    for setting in settings_of(TableSettings):
        if isinstance(values.get(setting.name), str) and setting.name != "validation":
            values[setting.name] = as_text(values[setting.name])
    return values


def add_verbosity(parser: Parser) -> None:
    """Add the options for how much is printed."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "-q", "--quiet", action="store_true", help="print the summary and warnings only, no progress"
    )
    group.add_argument(
        "-v", "--verbose", action="store_true", help="print every detail of the result, and what is decided"
    )


def add_places(parser: Parser) -> None:
    """Add the options for the folder of the runs and the store of MLflow."""
    parser.declare.append(_add_places)


def _add_places(parser: Parser) -> None:
    from nas.settings import SETTINGS

    for name in ("runs_dir", "tracking_uri"):
        add_settings(parser, [SETTINGS[name]], default=SETTINGS[name].default)


def by_new_names(arguments: Sequence[str]) -> list[str]:
    """The arguments with former options replaced, each with a note on standard error."""
    if not arguments or arguments[0].startswith("-"):
        return list(arguments)  # no command, such as `nas --help`, which needs no schema
    from nas.settings.former import former_flags

    flags = former_flags()
    renamed = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        now = flags.get(name, name)
        if now != name:
            print(f"nas: {name} is now {now}", file=sys.stderr)
        renamed.append(f"{now}{equals}{value}")
    return renamed
