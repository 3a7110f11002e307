"""Lines of a result for a terminal of 80 columns: labels with values and notes, numbers, names and paths."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.genome import Genome
from nas.metric_names import shown_metric

Record = Mapping[str, Any]
"""A result as plain values; see `nas.run.SearchResult.record`."""

WIDTH = 80
"""Columns of a terminal that lines fit, but for paths, commands and addresses, which are not broken."""

LABEL_WIDTH, _VALUE_WIDTH = 21, 18
"""Widths of the first two columns of the summary."""

DETAIL_WIDTH = 18
"""Width of the first column of the details."""


def metric_name(record: Record) -> str:
    """The name of the score that was maximized, as it is shown."""
    return shown_metric(str(record.get("metric", "score"))).name


def shown_score(record: Record, value: float, error: float | None = None, *, sign: str = "-") -> str:
    """A score, or a difference of scores, in the metric's own sign, with its standard error if known."""
    return with_error(shown_metric(str(record.get("metric", "score")))(value), error, sign=sign)


def short_genome(genome: Genome) -> str:
    """Widths and activation, such as ``64-32 relu``."""
    return str(Genome(genome.widths, activation=genome.activation))


def units(genome: Genome) -> str:
    """Widths for the middle of a sentence, such as "64-32 units"."""
    return f"{'-'.join(map(str, genome.widths))} units" if genome.depth else "no hidden layer"


def place(path: str | os.PathLike[str]) -> str:
    """A path as it is typed from the working directory, if it is within that."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def quantity(value: float) -> str:
    """A number of any size with four significant digits or more, such as ``41,200`` or ``0.03127``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = 3 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, decimals)}f}" if decimals <= 9 else f"{value:.3e}"


def genome_of(entry: Record) -> Genome:
    """The genome of a candidate in a record."""
    return Genome.from_dict(entry["genome"])


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number with its noun, such as "1 row" or "2,000 rows"."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def listed(names: Sequence[str], most: int) -> str:
    """Names with commas, the first of them if there are more than `most`."""
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")


def with_error(value: float, error: float | None, *, sign: str = "-") -> str:
    """A score and its standard error, where that is known; with `sign` "+" also positive scores have one."""
    text = score_text(value, sign=sign)
    return text if error is None else f"{text} ± {score_text(error, neighbour=value)}"


def score_text(value: float, *, neighbour: float = 0.0, sign: str = "-") -> str:
    """A score with four decimals, or fewer where it, or the number that it stands beside, is large."""
    size = max(abs(value), abs(neighbour))
    decimals = 4 if size < 100 else 2 if size < 10_000 else 0
    return f"{value:{sign},.{decimals}f}"


def verdict(difference: float, error: float | None) -> str:
    """Whether a difference is more than chance: at about 5 %, if it exceeds two standard errors."""
    if error is None:
        return "of unknown error"
    if abs(difference) <= 2 * error:
        return "not significant"
    return "significantly better" if difference > 0 else "significantly worse"


def row(label: str, value: str, note: str = "") -> str:
    """A line of the summary; a long note continues below itself."""
    start = label.ljust(LABEL_WIDTH - 1) + " "
    if not note:
        return _wrapped(start, value, LABEL_WIDTH)
    start += value.ljust(_VALUE_WIDTH - 1) + " "
    # A part of a note that begins after a semicolon is not torn apart if it fits on a line.
    if len(start) + len(note) > WIDTH and "; " in note:
        first, rest = note.split("; ", 1)
        return f"{_wrapped(start, first + ';', len(start))}\n{_wrapped(' ' * len(start), rest, len(start))}"
    return _wrapped(start, note, len(start))


def detail(label: str, text: str) -> str:
    """A line of the details."""
    return _wrapped(label.ljust(DETAIL_WIDTH - 1) + " ", text, DETAIL_WIDTH)


def unbroken(label: str, text: str, width: int) -> str:
    """A line with a path or a command, which is not broken, so that it can be pasted."""
    return f"{label.ljust(width - 1)} {text}"


def cut(line: str) -> str:
    """A line that fits, with a mark where it was longer."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _wrapped(start: str, text: str, indent: int) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
