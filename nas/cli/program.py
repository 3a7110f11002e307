"""The entry point of the command line.

Exit codes: 0 success, 1 the search failed, 2 wrong input, 130 interrupted. Results go to standard output,
progress and errors to standard error.
"""

from __future__ import annotations

import argparse
import errno
import logging
import sys
import time
from collections.abc import Callable, Sequence

from nas import screen
from nas._version import __version__
from nas.cli.clock import process_start
from nas.cli.completion import add_completion
from nas.cli.init import add_init
from nas.cli.models import add_evaluate, add_export, add_predict
from nas.cli.options import by_new_names
from nas.cli.parser import Parser, complain
from nas.cli.searches import RUNS, add_config, add_debug, add_describe, add_resume, add_search, add_spaces
from nas.cli.signals import Signals
from nas.cli.terminal import discard_output, flush_output, make_legible
from nas.cli.views import add_compare, add_list, add_report, add_show, add_sync, add_ui
from nas.errors import InputError, NASError

_COMMANDS = (
    add_search,
    add_init,
    add_describe,
    add_resume,
    add_list,
    add_show,
    add_predict,
    add_evaluate,
    add_export,
    add_report,
    add_compare,
    add_ui,
    add_sync,
    add_debug,
    add_spaces,
    add_config,
    add_completion,
)


_FIRST_COMMANDS = """\
To begin:
  nas search digits         a network for a bundled data set: about a minute
  nas init mine.csv         files to begin with, for a table of your own
  nas search mine.csv --target price

"""
"""What `nas` prints without arguments before its help."""


def run(arguments: Sequence[str] | None, signals: Signals) -> int:
    """Run a command and return its exit code; raises `KeyboardInterrupt`."""
    make_legible()
    try:
        try:
            return _run(arguments, signals)
        finally:
            flush_output()
    except BrokenPipeError:
        discard_output()
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        discard_output()
        return complain(f"expected room to write, got: {error}", 1)


def _run(arguments: Sequence[str] | None, signals: Signals) -> int:
    since = process_start() if arguments is None else time.monotonic()
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    if not arguments:
        print(_FIRST_COMMANDS, end="")
        parser.print_help()
        return 0
    options = parser.parse_args(by_new_names(arguments))
    options.since = since
    if options.command not in RUNS:
        signals.raise_on_signal()
    elif "run" in options:
        from nas.tracking.shown import command as shell_command

        signals.hint = f"; to go on: {shell_command('resume', options.run)}"
    _log_to_standard_error(options)
    try:
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except InputError as error:
        screen.end()
        return complain(error, 2)
    except NASError as error:
        screen.end()
        return complain(error, 1)
    finally:
        screen.end()


def _log_to_standard_error(options: argparse.Namespace) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="nas: %(message)s", force=True)
    is_quiet, is_verbose = getattr(options, "quiet", False), getattr(options, "verbose", False)
    logging.getLogger("nas").setLevel(logging.INFO if is_verbose else logging.NOTSET)
    # The lines that describe the data, the exports, and the training of a candidate.
    for module in ("execute", "exports", "member"):
        logging.getLogger(f"nas.run.{module}").setLevel(logging.NOTSET if is_quiet else logging.INFO)


def _parser() -> Parser:
    parser = Parser(
        prog="nas",
        description="Evolve the structure of a neural network for a table: how many layers, how many "
        "neurons in each.",
    )
    parser.add_argument("--version", action="version", version=f"nas {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in _COMMANDS:
        add(commands)
    return parser
