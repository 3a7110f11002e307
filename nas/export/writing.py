"""Writing an export, which is checked against the original network before it is put in place."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nas.errors import InputError
from nas.export.check import Agreement, check
from nas.export.formats import format_named
from nas.export.usage import readme, usage
from nas.isolation import isolated
from nas.runtime import Predictor


@dataclass(frozen=True)
class Exported:
    """The path of an export, how well it agrees with the network, and how it is used."""

    path: Path
    agreement: Agreement
    example: str = ""


@isolated()
def write_export(
    network: Predictor,
    name: str,
    place: Path,
    rows: pd.DataFrame | None = None,
    *,
    overwrite: bool = False,
) -> Exported:
    """Write a network in the format called `name`; see `nas.export_network` for parameters and errors."""
    form = format_named(name)
    if form.suffix and place.suffix != form.suffix:
        raise InputError(f"output: expected a name that ends in {form.suffix}, got {place.name}")
    if place.exists() and (not overwrite or place.is_dir() != (not form.suffix)):
        raise InputError(f"output {place}: expected a place that is free, got one that is taken")
    try:
        with tempfile.TemporaryDirectory(dir=place.absolute().parent, prefix=".nas-export-") as folder:
            unchecked = Path(folder, place.name)
            form.write(network, unchecked, rows)
            agreement = check(network, form.load(network, unchecked), rows)
            form.check_use(network, unchecked, rows)
            example = usage(form.example, place)
            if not form.suffix:
                (unchecked / "README.md").write_text(readme(network, example, form.needs), encoding="utf-8")
            if place.is_dir():
                shutil.rmtree(place)
            unchecked.replace(place)
    except OSError as error:
        raise InputError(f"output {place}: expected a place to write to, got: {error.strerror}") from None
    return Exported(place, agreement, example)
