"""The front of a search for several objectives as a table for a terminal of 80 columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from nas.reporting.lines import Record, cut, genome_of, metric_name, place, short_genome, shown_score
from nas.tracking.shown import command

_MOST_MEMBERS = 12
"""Members of a front that are named."""


def front_table(record: Record, run_dir: str | os.PathLike[str] | None) -> list[str]:
    """The non-dominated networks of a search for several objectives, with the winner marked."""
    front = record.get("front") or []
    if len(front) < 2:
        return []
    knee = record["best"]["genome"]
    lines = ["", f"Front of {len(front)} networks; * is its knee, the winner"]
    if all(member["genome"] != knee for member in front):
        lines = [
            "",
            f"Front of {len(front)} networks; the winner, better when scored again, is not on it",
        ]
    columns: list[tuple[str, Callable[[Record], str]]] = [
        ("id", lambda member: str(member.get("id", "?"))),
        (metric_name(record), lambda member: shown_score(record, member["fitness"])),
        ("parameters", lambda member: f"{member['n_parameters']:,}"),
    ]
    if all("latency" in member for member in front):
        columns += [
            ("FLOPs", lambda member: f"{member['flops']:,}"),
            ("µs", lambda member: f"{member['latency']:.1f}"),
        ]
    members = _spread(front, _MOST_MEMBERS, keep=lambda member: member["genome"] == knee)
    cells = [[name for name, _ in columns], *([text(member) for _, text in columns] for member in members)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    names = ["network", *(short_genome(genome_of(member)) for member in members)]
    marks = [" ", *("*" if member["genome"] == knee else " " for member in members)]
    for mark, row, name in zip(marks, cells, names, strict=True):
        numbers = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(cut(f"{mark} {numbers}  {name}"))
    if len(members) < len(front):
        lines.append(f"  and {len(front) - len(members)} more between these")
    if run_dir is not None and all("id" in member for member in front):
        lines.append(f"  one of them: {command('show', place(run_dir), '--candidate', 'ID')}")
    return lines


def _spread(front: Sequence[Any], most: int, keep: Callable[[Any], bool]) -> list[Any]:
    """Members of a front at even distances, its ends and what is to be kept among them."""
    if len(front) <= most:
        return list(front)
    positions = {round(i * (len(front) - 1) / (most - 2)) for i in range(most - 1)}
    positions |= {i for i, member in enumerate(front) if keep(member)}
    return [front[i] for i in sorted(positions)]
