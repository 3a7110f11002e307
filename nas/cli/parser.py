"""The parser of the command line: one-sentence errors, and options that are declared when they are needed."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn


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
        while self.declare:
            self.declare.pop(0)(self)
        return super().parse_known_args(args, namespace)

    def format_help(self) -> str:
        """The help with its texts complete."""
        while self.complete_help:
            self.complete_help.pop(0)()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Print one sentence, and exit with code 2."""
        self.exit(complain(f"{message}; see '{self.prog} --help'", 2))


def complain(message: object, code: int) -> int:
    """Print an error as ``nas: MESSAGE``; returns the exit code."""
    with contextlib.suppress(BrokenPipeError):
        print(f"nas: {message}", file=sys.stderr)
    return code
