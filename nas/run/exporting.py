"""Exporting the winner of a run, checked on rows of the run's table."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nas.data import load_arguments, load_dataset
from nas.errors import InputError, NASError, RunError
from nas.export.writing import Exported, write_export
from nas.isolation import isolated
from nas.run.member import candidate_network
from nas.runtime import ModelError, Predictor, load_network
from nas.tracking.archive import RunArchive
from nas.tracking.lock import check_is_over

CHECK_ROWS = 500
"""Rows of the run's table on which an export is checked: rare categories are among them, and it takes
milliseconds."""


@isolated()
def export_network(
    model: Predictor | str | os.PathLike[str],
    format: str,  # noqa: A002  # the usual word
    output: str | os.PathLike[str],
    *,
    rows: pd.DataFrame | None = None,
    overwrite: bool = False,
    candidate: int | None = None,
) -> Exported:
    """Write a network in a form that other programs can use, checked against the original.

    Parameters
    ----------
    model : Network, Ensemble or path
        A network or an ensemble, the folder of a saved one, or a run's folder, whose table is then read for
        rows.
    format : str
        A name in `nas.export.formats.FORMATS`, such as "python", a single file that needs only NumPy;
        ``nas export --help`` describes all.
    output : path
        The file or folder to write.
    rows : DataFrame, optional
        Real rows for the check, and for an MLflow model's input example; generated rows, with missing
        values and unseen categories, are checked in any case.
    overwrite : bool
        Whether an existing file or folder may be replaced.
    candidate : int, optional
        The id of a candidate of the run to export in place of the winner, such as a member of a front; it is
        trained first, unless that was done before.

    Returns
    -------
    Exported
        Its path, and how well it agrees with the network on how many rows.

    Raises
    ------
    RunningError
        If the search of the run still runs, which may come to another network.
    InputError
        On an unknown format, a model that cannot be read, an output that exists or cannot be written, or a
        package that the format needs and that is not installed.
    ExportError
        If the export does not compute the same as the network; the output is then not written.
    """
    if not isinstance(model, Predictor):
        for place in (Path(model).absolute(), Path(model).absolute().parent):
            check_is_over(place)
        if rows is None:
            rows = _rows_of(Path(model))
        if candidate is not None:
            model = candidate_network(model, candidate)
    elif candidate is not None:
        raise InputError("candidate: expected none with a network, got one; give the run's folder instead")
    try:
        network = model if isinstance(model, Predictor) else load_network(model)
    except ModelError as error:
        raise InputError(str(error)) from None
    return write_export(network, format, Path(output), rows, overwrite=overwrite)


def _rows_of(path: Path) -> pd.DataFrame | None:
    """Return rows of a run's table; None if there is no run in `path` or above, or no table any more."""
    for folder in (path.absolute(), path.absolute().parent):
        try:
            return first_rows(RunArchive(folder).config["data"], CHECK_ROWS)
        except (RunError, KeyError):
            continue
    return None


def first_rows(table: Mapping[str, Any], n: int) -> pd.DataFrame | None:
    """Return the first `n` rows of a run's data, as ``config.json`` names it; None if it cannot be read."""
    arguments = load_arguments(table)
    try:
        return load_dataset(table["source"], **arguments).table.iloc[:n]
    except NASError:
        return None
