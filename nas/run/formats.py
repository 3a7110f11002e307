"""The formats that a search was asked for, and what of its space or its table they may not have."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from nas.export.formats import FORMATS, Format, format_named
from nas.run.context import SearchContext
from nas.space import SearchSpace

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
