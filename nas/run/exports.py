"""The winner in the formats that a search was asked for, and what of the space they may not have."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import NASError
from nas.export.formats import FORMATS, Format, format_named
from nas.export.writing import write_export
from nas.reporting.lines import place as shown_place
from nas.run.exporting import CHECK_ROWS
from nas.runtime import Predictor
from nas.space import SearchSpace
from nas.tracking.shown import command

if TYPE_CHECKING:
    from nas.run.context import SearchContext
    from nas.run.start import Session

_log = logging.getLogger(__name__)


def formats_in(listed: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names of formats, given in a text with commas or one by one; raises `InputError` on another name."""
    names = listed.split(",") if isinstance(listed, str) else listed or ()
    for name in names:
        format_named(name)
    return tuple(names)


def check_formats(context: SearchContext) -> None:
    """Warn of formats that may not have the winner; raise `InputError` where a package is missing."""
    for name in context.observers.formats:
        form = FORMATS[name]
        form.check_installed()
        if not form.has_dates and (dates := _dates(context)):
            _log.warning(
                "export %s: this format reads no dates, as in column %s; --ignore leaves columns out",
                name,
                dates[0],
            )
        lacking = list(_lacking(form, context.settings.space))
        if lacking:
            options = " ".join(f"--genes {gene}={','.join(has)}" for gene, _, has in lacking if has)
            way_out = f"; {options} keeps to what it has" if options else ""
            texts = ", ".join(f"{gene} {text}" for gene, text, _ in lacking)
            _log.warning(
                "export %s: the winner may have %s, which this format does not have%s", name, texts, way_out
            )


def _dates(context: SearchContext) -> list[str]:
    return [name for name, reading in context.dataset.readings.items() if reading.kind == "date"]


def _lacking(form: Format, space: SearchSpace) -> Iterator[tuple[str, str, list[str]]]:
    """Genes with values that a format does not have: the gene, these values in words, and the others."""
    for gene, known in form.genes.items():
        values = space.genes.get(gene, ())
        unknown = [value for value in values if value not in known]
        if unknown:
            yield gene, " or ".join(unknown), [value for value in values if value in known]
        elif form.is_uniform and gene in space.per_layer and len(values) > 1:
            yield gene, "that differs between layers", []


def write_exports(session: Session, network: Predictor) -> None:
    """Write the winner in the formats that were asked for; what fails is said, and changes no result."""
    context = session.context
    for name in context.observers.formats:
        place = place_of(context.folder.path, name)
        if session.interruption.requested() or session.is_late():
            later = command(
                "export", shown_place(context.folder.path), "--format", name, "--output", shown_place(place)
            )
            _log.warning("export %s: no time left; to write it: %s", name, later)
            continue
        context.observers.phase(f"export {name}")
        rows = context.dataset.table.iloc[:CHECK_ROWS]
        try:
            exported = write_export(network, name, place, rows, overwrite=True)
        except NASError as error:
            _log.warning("export %s: not written: %s", name, error)
        else:
            agreement = exported.agreement
            _log.info(
                "export %s: %s, largest difference %.2g on %d rows",
                *(name, shown_place(place), agreement.difference, agreement.n_rows),
            )


def place_of(run_dir: Path, name: str) -> Path:
    """Where a search writes its winner in a format: ``best.py``, or ``best-torch`` for a folder."""
    suffix = FORMATS[name].suffix
    return run_dir / (f"best{suffix}" if suffix else f"best-{name}")
