"""Rows of measurements in files of JSON lines, so that a long benchmark can be run in pieces.

A row is appended as soon as it is measured. A benchmark that is given the file of an earlier run measures
what is not in it; a line that was cut off when a run was killed is measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
"""What one contestant came to on one data set with one seed."""


class Rows:
    """Rows by their keys, kept in a file where one is named.

    Parameters
    ----------
    keys : sequence of str
        The columns by which a row is recognized.
    file : path, optional
        A file of earlier rows, to which new ones are appended; created where there is none.
    """

    def __init__(self, keys: Sequence[str], file: str | None = None) -> None:
        self._keys, self._file = tuple(keys), Path(file) if file else None
        self._rows: dict[tuple[Any, ...], Row] = {}
        if self._file is not None and self._file.exists():
            self.merge(read_rows(self._file))
            text = self._file.read_text()
            if text and not text.endswith("\n"):
                # The next row begins on a line of its own.
                self._file.write_text("".join(json.dumps(row) + "\n" for row in self.all))

    @property
    def all(self) -> list[Row]:
        """All rows in the order in which they were measured."""
        return list(self._rows.values())

    def get(self, **key: Any) -> Row | None:
        """The row of this key; None where there is none."""
        return self._rows.get(tuple(key[name] for name in self._keys))

    def merge(self, rows: Iterable[Row]) -> None:
        """Take rows that were measured elsewhere; later rows replace earlier ones of the same key."""
        for row in rows:
            self._rows[tuple(row[name] for name in self._keys)] = row

    def add(self, row: Row) -> None:
        """Take a new row, and append it to the file."""
        self.merge([row])
        if self._file is not None:
            with self._file.open("a") as file:
                file.write(json.dumps(row) + "\n")


def read_rows(file: str | Path) -> list[Row]:
    """The rows of a file of JSON lines, or of what `harness.report` has written as JSON.

    A last line that is no JSON was cut off, and is left out; raises `SystemExit` for another.
    """
    text = Path(file).read_text()
    try:
        record = json.loads(text)
    except ValueError:
        return _read_lines(str(file), text.splitlines())
    return [record] if "rows" not in record else list(record["rows"])


def _read_lines(file: str, lines: Sequence[str]) -> list[Row]:
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except ValueError:
            if number < len(lines):
                raise SystemExit(
                    f"{file}: line {number}: expected a row as JSON, got {line[:40]!r}"
                ) from None
            print(f"{file}: line {number} was cut off; its row is measured again", file=sys.stderr)
    return rows


def add_options(parser: argparse.ArgumentParser, *, seeds: int = 0) -> None:
    """Add the options of a benchmark that can be run in pieces; without `seeds`, none about seeds."""
    if seeds:
        parser.add_argument("--seeds", type=int, metavar="N", help=f"default: {seeds}, quick: 1")
        parser.add_argument(
            "--first-seed", type=int, default=0, metavar="N", help="of --seeds in a row; default: 0"
        )
    parser.add_argument(
        "--rows", metavar="FILE", help="append each row to this file, and measure only what is not in it"
    )
    parser.add_argument("--merge", nargs="+", metavar="FILE", help="rows of earlier runs, instead of a run")
    parser.add_argument("--json", metavar="FILE", help="write figures, rows and machine")


def add_table_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a benchmark that trains networks of its own on tables of any size."""
    parser.add_argument(
        "files", nargs="*", metavar="DATA", default=["wine", "diabetes"], help="default: wine, diabetes"
    )
    parser.add_argument("--data", metavar="DIR", help="the folder of .npz files")
    parser.add_argument("--most-rows", type=int, default=3000, metavar="N", help="of a table; default: 3000")
    parser.add_argument("--quick", action="store_true", help="one seed")


def same_seconds(rows: Sequence[Row]) -> float:
    """The seconds that all rows were measured with; raises `SystemExit` if there are several or none."""
    if not rows:
        raise SystemExit("rows: expected some, got none; the lines above say why")
    if len(seconds := sorted({row["seconds"] for row in rows})) > 1:
        raise SystemExit(f"rows: expected one number of seconds in all, got {', '.join(map(str, seconds))}")
    return float(seconds[0])
