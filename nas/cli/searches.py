"""The commands ``nas search``, ``describe``, ``resume``, ``debug``, ``spaces`` and ``config``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import screen
from nas.cli.options import add_groups, add_settings, add_verbosity, values_from
from nas.cli.parser import Parser
from nas.cli.terminal import wrapped

# Modules that take long to import are imported by the command that needs them, so that `nas --help`
# answers at once.
if TYPE_CHECKING:
    from nas.run.result import SearchResult

_BUNDLED = "digits, iris, wine, breast_cancer, diabetes"


def add_search(commands: Any) -> None:
    """Add ``nas search``."""
    search = commands.add_parser("search", help="search a network for a table")
    search.set_defaults(command=_search)
    search.add_argument("data", metavar="DATA", help=f"a CSV or Parquet file, or one of {_BUNDLED}")
    search.add_argument(
        "--config",
        metavar="FILE",
        help="a TOML file of settings, as 'nas config' writes it; options win over it",
    )
    search.add_argument("--json", action="store_true", help="print the result as one JSON object")
    add_verbosity(search)
    search.declare.append(_add_all_settings)


def _add_all_settings(search: Parser) -> None:
    from nas.settings import GROUPS

    add_groups(search, *GROUPS)


def add_describe(commands: Any) -> None:
    """Add ``nas describe``."""
    describe = commands.add_parser(
        "describe", help="describe a table, and what a search makes of each column"
    )
    describe.set_defaults(command=_describe)
    describe.add_argument("data", metavar="DATA", help=f"a CSV or Parquet file, or one of {_BUNDLED}")
    describe.add_argument("--json", action="store_true", help="print the description as one JSON object")
    describe.declare.append(_add_table_settings)


def _add_table_settings(describe: Parser) -> None:
    from nas.settings import TableSettings

    add_groups(describe, TableSettings)


def add_resume(commands: Any) -> None:
    """Add ``nas resume``."""
    resume = commands.add_parser("resume", help="continue a search that was stopped")
    resume.set_defaults(command=_resume)
    resume.add_argument("run", metavar="RUN", help="the run's folder, such as runs/digits-20260101-120000")
    resume.add_argument(
        "--force",
        action="store_true",
        help="continue although data, space, settings or version have changed: as a new run that begins "
        "with the best networks so far, unless the version alone has changed",
    )
    resume.add_argument("--json", action="store_true", help="print the result as one JSON object")
    add_verbosity(resume)
    resume.declare.append(_add_resumable_settings)


def _add_resumable_settings(resume: Parser) -> None:
    from nas.settings import SETTINGS

    title = "settings to change; default: those of the run"
    add_settings(
        resume,
        (setting for setting in SETTINGS.values() if setting.resumable),
        resume.add_argument_group(title),
    )
    add_settings(resume, (SETTINGS[name] for name in ("progress", "report")))


def add_debug(commands: Any) -> None:
    """Add ``nas debug``."""
    debug = commands.add_parser("debug", help="train a candidate of a search again, in this process")
    debug.set_defaults(command=_debug)
    debug.add_argument("run", metavar="RUN", help="the run's folder")
    debug.add_argument("candidate", type=int, metavar="CANDIDATE", help="its id, from 0")


def add_spaces(commands: Any) -> None:
    """Add ``nas spaces``."""
    spaces = commands.add_parser("spaces", help="list the search spaces that come with the package")
    spaces.set_defaults(command=_spaces)


def add_config(commands: Any) -> None:
    """Add ``nas config``."""
    config = commands.add_parser(
        "config", help="write a TOML file that explains every setting, for 'nas search --config'"
    )
    config.set_defaults(command=_config)
    config.add_argument("--output", metavar="FILE", help="the file to write; default: standard output")
    config.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def _search(options: argparse.Namespace) -> int:
    _show_start(options)
    from nas.settings import GROUPS

    values = {}
    if options.config is not None:
        from nas.settings.config_file import read_config

        values = read_config(options.config)
    values |= values_from(options, *GROUPS) | _progress(options)
    from nas.run import search
    from nas.run.deadline import counting_from

    with counting_from(options.since):
        code = _report(search(options.data, **values), options)
    _mention_loops(options)
    return code


def _mention_loops(options: argparse.Namespace) -> None:
    """What an accelerator that is not installed would bring, on the terminal of a person."""
    from nas import kernels

    is_wanted = not options.json and not options.quiet and getattr(options, "progress", True) is not False
    if is_wanted and sys.stderr is not None and sys.stderr.isatty() and kernels.is_missing():
        print(f"Faster  {kernels.PROSPECT}", file=sys.stderr)


def _progress(options: argparse.Namespace) -> dict[str, Any]:
    """The setting that ``--quiet`` stands for."""
    return {"progress": False} if options.quiet else {}


def _show_start(options: argparse.Namespace) -> None:
    """Something on the screen while the libraries are imported."""
    if not options.quiet and getattr(options, "progress", True) is not False and sys.stderr is not None:
        screen.begin(sys.stderr, "nas: starting", options.since)


def _describe(options: argparse.Namespace) -> int:
    from nas.data.description import describe
    from nas.settings import TableSettings

    described = describe(options.data, **values_from(options, TableSettings))
    print(json.dumps(described.to_dict()) if options.json else described)
    return 0


def _resume(options: argparse.Namespace) -> int:
    _show_start(options)
    if not options.force and (record := _finished(options)):
        return _report_finished(record, options)
    from nas.run import resume
    from nas.run.deadline import counting_from
    from nas.settings import GROUPS

    with counting_from(options.since):
        values = values_from(options, *GROUPS) | _progress(options)
        result = resume(options.run, force=options.force, **values)
    return _report(result, options)


def _finished(options: argparse.Namespace) -> dict[str, Any] | None:
    """The result of a search that has ended by itself, if no more candidates are asked for; else None."""
    from nas.errors import RunError
    from nas.tracking.archive import RunArchive
    from nas.tracking.lock import check_is_over

    archive = RunArchive(options.run)
    check_is_over(archive.folder.path)
    try:
        record = dict(archive.result)
        archive.check_complete()
    except RunError:
        return None  # what is missing or damaged is for the search to mend, or to refuse
    ended = record.get("stopped") in ("candidates", "epochs", "target", "patience", "exhausted")
    asked = getattr(options, "n_candidates", None)
    is_done = ended and archive.folder.best.is_dir() and asked in (None, record["candidates"])
    return record if is_done else None


def _report_finished(record: dict[str, Any], options: argparse.Namespace) -> int:
    from nas.reporting import result_text
    from nas.reporting.lines import place
    from nas.tracking.shown import command

    screen.end()
    n, run = record["candidates"], place(options.run)
    more = command("resume", run, "--candidates", 2 * n)
    print(f"nas: this search is finished, with {n} candidates; for more of them: {more}", file=sys.stderr)
    if options.json:
        places = {"run_dir": str(Path(options.run).absolute())}
        print(json.dumps({**places, **record}, allow_nan=False))
    else:
        print(result_text.summary(record, options.run))
        if options.verbose:
            print(f"\n{result_text.details(record, options.run)}")
    return 0


def _debug(options: argparse.Namespace) -> int:
    from nas.run import debug

    print(debug(options.run, options.candidate))
    return 0


def _spaces(options: argparse.Namespace) -> int:
    from nas.space import available_spaces, load_space

    for name in available_spaces():
        print(wrapped(f"{name:8} {load_space(name).summary()}", indent=9))
    return 0


def _config(options: argparse.Namespace) -> int:
    from nas.cli.terminal import make_data
    from nas.errors import InputError
    from nas.settings.config_file import config_text
    from nas.tracking.shown import command

    if options.output is None:
        make_data(sys.stdout)
        print(config_text(), end="")
        return 0
    try:
        with Path(options.output).open("w" if options.overwrite else "x", encoding="utf-8") as file:
            file.write(config_text())
    except FileExistsError:
        raise InputError(
            f"--output {options.output}: expected a file that does not exist, or --overwrite, got a file"
        ) from None
    except OSError as error:
        raise InputError(
            f"--output {options.output}: expected a file to write, got: {error.strerror}"
        ) from None
    print(f"Next: {command('search', 'DATA', '--config', options.output)}")
    return 0


def _report(result: SearchResult, options: argparse.Namespace) -> int:
    if options.json:
        print(json.dumps(result.to_dict(), allow_nan=False))
    else:
        print(result.summary(verbose=options.verbose))
    return 130 if result.interrupted else 0


RUNS = (_search, _resume)
"""Commands that end by themselves in an orderly way when they are interrupted."""
