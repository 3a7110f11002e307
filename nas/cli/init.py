"""The command ``nas init``: files to begin with, for a search on a table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.cli.options import add_groups, values_from
from nas.cli.parser import Parser

if TYPE_CHECKING:
    from nas.data import Dataset

SPACE, CONFIG, SCRIPT = "space.toml", "search.toml", "search.py"
"""The files that are written, in the current folder."""


def add_init(commands: Any) -> None:
    """Declare ``nas init``."""
    init = commands.add_parser(
        "init", help="write files to begin with: a space, settings and a script for a table"
    )
    init.set_defaults(command=_init)
    init.add_argument("data", metavar="TABLE", help="a CSV or Parquet file, or a bundled data set")
    init.add_argument(
        "--overwrite",
        "--force",
        action="store_true",
        help=f"replace {SPACE}, {CONFIG} and {SCRIPT} where they exist",
    )
    init.declare.append(_add_table_settings)


def _add_table_settings(init: Parser) -> None:
    from nas.settings import TableSettings

    add_groups(init, TableSettings)


def _init(options: argparse.Namespace) -> int:
    from nas.data import load_dataset
    from nas.settings import TableSettings
    from nas.tracking.shown import command

    table = values_from(options, TableSettings)
    dataset = load_dataset(options.data, **table)
    names = list(dataset.target_names)
    table.setdefault("target", names[0] if len(names) == 1 and "," not in names[0] else names)
    texts = {
        SPACE: space_text(),
        CONFIG: config_text(options.data, dataset, table),
        SCRIPT: script_text(options.data, dataset, table),
    }
    _write(texts, overwrite=options.overwrite)
    print(dataset.summary())
    print(f"{SPACE:12} the networks that may be tried")
    print(f"{CONFIG:12} the settings of the search")
    print(f"{SCRIPT:12} the same search in Python")
    print(f"Next: {command('search', options.data, '--config', CONFIG)}")
    return 0


def _write(texts: Mapping[str, str], *, overwrite: bool) -> None:
    """Write all files, or none: raises `InputError` if one is there, or the folder takes none."""
    from nas.errors import InputError
    from nas.files import replace_synced

    there = [name for name in texts if Path(name).exists()]
    if there and not overwrite:
        raise InputError(
            f"init: expected a folder without {', '.join(there)}, got one that has them; --overwrite "
            "replaces them"
        )
    try:
        for name, text in texts.items():
            replace_synced(Path(name), text.encode("utf-8"))
    except OSError as error:
        raise InputError(f"init: expected a folder to write to, got: {error.strerror}") from None


_SPACE_HEAD = """\
# The networks that a search may try: nas search DATA --space space.toml
#
# Each table lists the values of a gene. These are those of the space "small", the default.
# Fewer values make a smaller space; for a single search there is also --genes depth=1-2.
"""

_FURTHER = """\
# Further genes: remove the leading "# " of both lines to add one. Networks have the usual
# value of a gene that is not listed.
"""


def space_text() -> str:
    """The default space as TOML, with its genes explained, and with all others as comments."""
    from nas.space import DOMAINS, load_space

    space = load_space("small")
    parts = [
        _SPACE_HEAD,
        f"[depth]  # hidden layers; 0 is a linear model\nmin = {space.depth[0]}\nmax = {space.depth[1]}\n",
        f"[widths]  # neurons of a hidden layer\nvalues = {json.dumps(space.widths_tuple)}\n",
    ]
    parts += [_gene(name, values) for name, values in space.genes.items()]
    parts.append(_FURTHER)
    for name in (name for name in DOMAINS if name not in ("widths", *space.genes)):
        parts.append("".join(f"# {line}\n" for line in _gene(name).splitlines()))
    return "\n".join(parts)


def _gene(name: str, values: Sequence[Any] = ()) -> str:
    """The table of a gene, by default with the values of its example, or with all names."""
    from dataclasses import fields

    from nas.space import Names, SearchSpace

    (described,) = (one.metadata for one in fields(SearchSpace) if one.name == name)
    names = list(described["domain"].names) if isinstance(described["domain"], Names) else []
    values = values or described["example"] or names
    others = [each for each in names if each not in values]
    notes = [note for note in (described["meaning"], "also " + ", ".join(others) if others else "") if note]
    comment = f"  # {'; '.join(notes)}" if notes else ""
    return f"[{name}]{comment}\nvalues = {json.dumps(list(values))}\n"


def config_text(data: str, dataset: Dataset, table: Mapping[str, Any]) -> str:
    """The settings of a search for a table as TOML, those that are changed first of all."""
    from nas.tracking.shown import command

    lines = [
        f"# Settings of a search: {_comment(command('search', data, '--config', CONFIG))}",
        "# Options of the command line win over this file; 'nas config' lists all settings.",
        "#",
        f"# {_comment(dataset.summary())}",
        f"# What is read of each column: {_comment(command('describe', data))}",
        "",
        "[table]",
        *(f"{name} = {_toml(value)}" for name, value in table.items()),
        f'# task = "{dataset.task}"  # or classification, regression, multilabel',
        '# ignore = ["id"]  # columns to leave out',
        "",
        "[budget]",
        "n_candidates = 100  # networks to train; more take longer and find better ones",
        '# time_budget = "5m"  # of the whole search; it ends at the first limit that it reaches',
        "",
        "[limits]",
        "# max_parameters = 10_000  # of a network",
        "",
        "[strategy]",
        f"space = {_toml(SPACE)}",
        "seed = 0  # the same seed finds the same network",
        "",
        "[workers]",
        "# n_workers = 4  # processes; by default all cores",
        "",
        "[tracking]",
        '# name = "first"  # of the run in runs/',
        '# export = ["python"]  # formats to write the winner in',
    ]
    return "\n".join(lines) + "\n"


def script_text(data: str, dataset: Dataset, table: Mapping[str, Any]) -> str:
    """A script that searches, shows the result and uses the network."""
    return "\n".join([*_script(data, dataset, table), ""])


def _script(data: str, dataset: Dataset, table: Mapping[str, Any]) -> Iterator[str]:
    predict = "predict_proba" if dataset.task == "classification" else "predict"
    yield f"# {_comment(dataset.summary())}"
    yield "import nas"
    yield ""
    yield ""
    yield "def main():"
    yield "    result = nas.search("
    yield f"        {data!r},"
    yield from (f"        {name}={value!r}," for name, value in table.items())
    yield f"        space={SPACE!r},"
    yield "        n_candidates=100,  # networks to train; more take longer and find better ones"
    yield "        seed=0,  # the same seed finds the same network"
    yield "    )"
    yield "    print(result.summary())"
    yield "    print(result.leaderboard(5).to_string(index=False))"
    yield ""
    yield "    # The winner reads tables with the same columns; its folder is all that it needs."
    yield "    network = nas.load_network(result.model_path)"
    yield f"    rows = nas.load_dataset({data!r}, {_keywords(table)}).table.head()"
    yield f"    print(network.{predict}(rows))"
    yield ""
    yield ""
    yield 'if __name__ == "__main__":  # processes that the search starts import this file'
    yield "    main()"


def _keywords(table: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in table.items())


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """Text for a comment: one line that every parser takes."""
    return "".join(character if character.isprintable() else "?" for character in text)
