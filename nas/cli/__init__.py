"""The command line."""

from nas.cli.program import main

__all__ = ["main"]
