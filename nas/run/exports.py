"""The winner in the formats that a search was asked for, written at its end."""

from __future__ import annotations

import logging
from pathlib import Path

from nas.errors import NASError
from nas.export.formats import FORMATS
from nas.export.writing import write_export
from nas.reporting.lines import place as shown_place
from nas.run.exporting import CHECK_ROWS
from nas.run.start import Session
from nas.runtime import Predictor
from nas.tracking.shown import command

_log = logging.getLogger(__name__)


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
