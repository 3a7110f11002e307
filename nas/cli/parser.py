"""The parser of the command line: one-sentence errors, and options that are declared when they are needed."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from nas.errors import did_you_mean


class Parser(argparse.ArgumentParser):
    """A parser with options that may be declared late.

    ``nas --help`` needs only the names of the commands: `declare` and `complete_help` leave the imports for
    options and their texts to the command that needs them.

    Attributes
    ----------
    declare : list of callable
        Functions that add options to this parser; called before it parses.
    complete_help : list of callable
        Functions that complete the texts of options; called before help is printed.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.declare: list[Callable[[Parser], None]] = []
        self.complete_help: list[Callable[[], None]] = []

    def parse_known_args(  # type: ignore[override] # argparse has overloads for types of the namespace
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse as argparse does, with all options declared."""
        self.declare_all()
        parsed, unknown = super().parse_known_args(args, namespace)
        option = next((text for text in unknown if text.startswith("-") and text != "-"), None)
        if option is not None:
            self._refuse(option.partition("=")[0])
        assert parsed is not None, "it is made where none is given"
        return parsed, unknown

    def _refuse(self, option: str) -> NoReturn:
        """Exit over an option that this parser does not have."""
        options = [name for action in self._actions for name in action.option_strings]
        if option in options:
            self.error(
                f"unrecognized arguments: {option} after '--', where only names stand; options come first"
            )
        self.error(f"unrecognized arguments: {option}{did_you_mean(option, options)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Exit over a command that does not exist; other choices are checked as argparse does."""
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            names = ", ".join(action.choices)
            meant = did_you_mean(value, list(action.choices))
            self.error(f"invalid choice: expected a command ({names}), got {value!r}{meant}")
        super()._check_value(action, value)

    def declare_all(self) -> None:
        """Add the options that were left for later."""
        while self.declare:
            self.declare.pop(0)(self)

    def format_help(self) -> str:
        """The help with its texts complete."""
        while self.complete_help:
            self.complete_help.pop(0)()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Print one sentence, and exit with code 2."""
        separator = " See" if message.endswith("?") else "; see"
        self.exit(complain(f"{message}{separator} '{self.prog} --help'", 2))


def complain(message: object, code: int) -> int:
    """Print an error as ``nas: MESSAGE``; returns the exit code."""
    with contextlib.suppress(BrokenPipeError):
        print(f"nas: {message}", file=sys.stderr)
    return code
