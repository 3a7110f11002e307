"""A report as one self-contained HTML file, or as one PNG picture."""

from __future__ import annotations

import html
import io
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas._version import __version__
from nas.errors import InputError, RunError
from nas.isolation import isolated
from nas.reporting.history import History, read_history
from nas.reporting.panel import Panel, Table
from nas.reporting.panels import panels
from nas.tracking.shown import as_text

_WIDTH = 5.2
"""Inches of a picture: its text of 9 points is as large as the page's on a screen, and legible on a phone."""

_PNG_WIDTH = 8.0
"""Inches of the PNG."""

_TITLE, _LINE = 0.5, 0.17
"""Inches that a title and a line of text take in the PNG."""

_DPI = 110
"""Pixels per inch: the PNG is 880 pixels wide, which a screen shows whole."""

_LETTERS = 125
"""Characters of a line of the PNG: at 8 points, as many fit into its width."""

_MONOSPACED = 108
"""Characters of a line of a table in the PNG."""

_SIDES = {"gains": (0.25, 0.75), "importance": (0.3, 0.95), "columns": (0.3, 0.95), "confusion": (0.2, 0.95)}
"""Left and right borders, as shares of the width, of pictures with long labels at their sides."""

_CSS = """
:root { color-scheme: light dark; --ink: #1f2933; --paper: #fff; --line: #d9dfe4;
  --pale: #b5c0ca; --grey: #7b8794; --accent: #0b6e99; --second: #d9480f; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --paper: #16191d; --line: #3a424b;
    --pale: #5b6773; --grey: #93a0ad; --accent: #4fb3dd; --second: #ff8a4c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 52rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; } h2 { font-size: 1.2rem; margin: 0 0 .4rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem .9rem; font-size: .9rem; padding: .6rem 0; }
a { color: inherit; }
section { border-top: 1px solid var(--line); padding: 1rem 0; }
p { margin: .3rem 0 .7rem; max-width: 46rem; }
.picture { max-width: 40rem; }
.picture svg { display: block; width: 100%; height: auto; }
.picture use:hover { stroke: var(--second) !important; stroke-width: 4px; }
.rows { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin-top: .6rem; overflow-wrap: normal; }
td, th { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; white-space: nowrap; } ul { padding-left: 1.2rem; }
.facts td { overflow-wrap: anywhere; } .facts th { white-space: normal; }
#summary { border-top: 0; padding-top: .2rem; } #summary table { font-size: 1rem; margin-top: 0; }
#summary th, #summary td:nth-child(2):not([colspan]) { white-space: nowrap; }
footer { font-size: .8rem; opacity: .7; padding: 1rem 0; }
@media (max-width: 40rem) {
  .facts tr { display: block; border-bottom: 1px solid var(--line); padding: .3rem 0; }
  .facts th, .facts td { display: block; border: 0; padding: 0; }
  .rows td, .rows th { padding-right: .5rem; font-size: .8rem; } }
@page { margin: 1.5cm; }
@media print {
  nav { display: none; } body { max-width: none; padding: 0; font-size: 11pt; }
  section { padding: .6rem 0; }
  .picture { margin: 0 auto; max-width: 12.5cm; } .picture svg { max-height: 19cm; }
  .whole, tr, li, #summary { break-inside: avoid; } .rows { overflow: visible; } }
"""


@isolated()
def report(run: str | os.PathLike[str], output: str | os.PathLike[str] | None = None) -> Path:
    """Write a report on a run and its winner, as a page or a picture.

    Parameters
    ----------
    run : path
        The run's folder; its search may still run.
    output : path, optional
        A file that ends in ``.html`` or ``.png``; by default ``report.html`` in the run's folder, and its
        pictures in ``plots`` beside it.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    InputError
        If there is no such run, it has no trained network yet, or the file cannot be written.
    """
    file = Path(output) if output is not None else Path(run) / "report.html"
    if file.suffix not in (".html", ".png"):
        raise RunError(f"--output {file}: expected a file that ends in .html or .png, got another")
    history = read_history(Path(run))
    report_panels = panels(history)
    if file.suffix == ".png":
        return _written(file, _picture(history, report_panels))
    pictures = {panel.name: _svg(panel) for panel in report_panels if panel.plots}
    if output is None:
        for name, svg in pictures.items():
            _written(Path(run, "plots", f"{name}.svg"), svg.encode(), make_folder=True)
    return _written(file, as_text(_page(history, report_panels, pictures)).encode())


@isolated()
def plot(run: str | os.PathLike[str], name: str) -> Any:
    """Draw one picture of a run's report as a matplotlib figure, which notebooks show.

    Parameters
    ----------
    run : path
        The run's folder.
    name : str
        The part of the report: "history", "depth_width", "importance", "lineage", "confusion", ...

    Raises
    ------
    InputError
        If the report of this run has no such picture.
    RunError
        If there is no such run, or nothing in it.
    """
    from nas.reporting.figures import drawn

    panels_by_name = {panel.name: panel for panel in panels(read_history(Path(run))) if panel.plots}
    name = _FORMER_NAMES.get(name, name)
    if name not in panels_by_name:
        raise InputError(f"plot: expected one of {', '.join(panels_by_name)}, got {name!r}")
    panel = panels_by_name[name]
    return drawn(panel.draw, _WIDTH, panel.height, _DPI)


_FORMER_NAMES = {
    "progress": "history",
    "map": "depth_width",
    "deep-or-wide": "deep_or_wide",
    "curves": "loss_curves",
}
"""Names of pictures in earlier versions."""


def _written(file: Path, content: bytes, *, make_folder: bool = False) -> Path:
    """Write a file atomically and return it."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        if make_folder:
            file.parent.mkdir(exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise RunError(f"{file}: expected a file to write to, got: {error.strerror}") from None
    return file


def _page(history: History, report_panels: Sequence[Panel], pictures: Mapping[str, str]) -> str:
    """Return the page as HTML."""
    name = html.escape(history.name)
    links = "".join(f'<a href="#{panel.name}">{html.escape(panel.title)}</a>' for panel in report_panels[1:])
    first, *others = (_section(panel, pictures.get(panel.name)) for panel in report_panels)
    sections = "\n".join([first, f"<nav>{links}</nav>", *others])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{name}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n"
        f"<header><h1>Search of {name}</h1></header>\n<main>\n{sections}\n</main>\n"
        f"<footer>Made by nas {html.escape(__version__)} from the run’s journal.</footer>\n</body>\n</html>\n"
    )


def _section(panel: Panel, picture: str | None) -> str:
    """Return a panel as an HTML section."""
    # What a page break must not part: no heading stays without its picture.
    parts = [f'<section id="{panel.name}"><div class="whole"><h2>{html.escape(panel.title)}</h2>']
    if panel.text:
        parts.append(f"<p>{html.escape(panel.text)}</p>")
    if picture is not None:
        parts.append(f'<div class="picture">{_inline(picture, panel)}</div>')
    parts.append("</div>")
    if panel.table is not None:
        parts.append(_table(panel.table))
    if panel.notes:
        parts.append("<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in panel.notes) + "</ul>")
    return "\n".join([*parts, "</section>"])


def _table(table: Table) -> str:
    """Return a table as HTML; the first cell of each row is its heading. Without a head, rows are facts."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.head)
    rows = "".join(
        "<tr>"
        + f"<th>{html.escape(first)}</th>"
        + "".join(_cell(cell, rest) for cell in rest if cell or any(table.head))
        + "</tr>"
        for first, *rest in table.rows
    )
    if any(table.head):
        return f'<div class="rows"><table><tr>{head}</tr>{rows}</table></div>'
    return f'<table class="facts">{rows}</table>'


def _cell(cell: str, row: Sequence[str]) -> str:
    """Return a cell, which is as wide as the row where the others are empty."""
    span = (
        f' colspan="{len(row)}"' if len(row) > 1 and not any(other for other in row if other != cell) else ""
    )
    return f"<td{span}>{html.escape(cell)}</td>"


def _svg(panel: Panel) -> str:
    """Draw the panel's picture as a complete SVG file."""
    from nas.reporting.figures import drawn

    return drawn(panel.draw, _WIDTH, panel.height, _DPI).svg()


def _inline(picture: str, panel: Panel) -> str:
    """Return a picture as part of a page; the panel's name makes its ids unique on the page."""
    from nas.reporting.figures import themed

    svg = themed(picture[picture.index("<svg") :])
    svg = re.sub(r'\b(id=")|(url\(#)|(href="#)', lambda m: f"{m[0]}{panel.name}-", svg)
    title = html.escape(panel.title)
    return svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)


def _picture(history: History, report_panels: Sequence[Panel]) -> bytes:
    """Draw all panels below each other in one PNG, with the texts and tables of the page."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from nas.reporting.figures import STYLE

    blocks = [(panel, _lines(panel), panel.height if panel.plots else 0.0) for panel in report_panels]
    heights = [0.5, *(_LINE * len(lines) + _TITLE + height for _, lines, height in blocks)]
    with rc_context(STYLE):
        figure = Figure(figsize=(_PNG_WIDTH, sum(heights)))
        parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights, hspace=0)
        parts[0].text(
            0.03, 0.4, f"Search of {history.name}", fontsize=15, fontweight="bold", parse_math=False
        )
        for part, (panel, lines, height) in zip(parts[1:], blocks, strict=True):
            _block(part, panel, lines, height)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=_DPI)
    return content.getvalue()


def _block(part: Any, panel: Panel, lines: Sequence[str], height: float) -> None:
    """Draw a panel into a part of the PNG: its title, its lines of text, its picture."""
    text = _LINE * len(lines) + _TITLE
    upper, lower = part.subfigures(2, 1, height_ratios=[text, height]) if height else (part, None)
    # Names may hold dollar signs, between which matplotlib would typeset formulas.
    plain: dict[str, Any] = {"va": "center", "parse_math": False}
    upper.text(0.03, 1 - 0.22 / text, panel.title, fontsize=12, fontweight="bold", **plain)
    for i, line in enumerate(lines):
        # Columns of a table line up in a monospaced font only.
        family = "monospace" if "   " in line else "sans-serif"
        upper.text(0.03, 1 - (0.5 + _LINE * i) / text, line, family=family, fontsize=8, **plain)
    if panel.plots and lower is not None:
        panel.draw(lower)
        start, end = _SIDES.get(panel.name, (0.12, 0.95))
        # Two lines of a legend fit above the axes.
        top, space = 1 - min(0.3, 0.45 / height), 0.55 if len(lower.axes) > 1 else None
        lower.subplots_adjust(left=start, right=end, bottom=min(0.45, 0.55 / height), top=top, hspace=space)


def _lines(panel: Panel) -> list[str]:
    """Return a panel's text, table and notes as lines of the PNG."""
    lines = textwrap.wrap(panel.text, _LETTERS)
    if panel.table is not None:
        lines += ["", *_table_lines(panel.table)]
    for note in panel.notes:
        lines += textwrap.wrap(f"• {note}", _LETTERS)
    return [as_text(line) for line in lines]


def _table_lines(table: Table) -> list[str]:
    """Return a table as lines in which columns line up; facts, which are sentences, are wrapped."""
    if any(table.head):
        rows = [table.head, *table.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return ["   ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    width = max(len(first) for first, *_ in table.rows)
    lines = []
    for first, *rest in table.rows:
        text, start = "; ".join(filter(None, rest)), first.ljust(width) + "   "
        lines += textwrap.wrap(text, _MONOSPACED, initial_indent=start, subsequent_indent=" " * len(start))
    return lines
