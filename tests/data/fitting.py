"""A single preprocessor for a table, where a search fits one for each encoding of inputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from nas.data.preprocessing import Table, fit_preprocessors
from nas.data.reading import Reading
from nas.genome import encoding_of
from nas.network.arrays import Floats
from nas.runtime import Preprocessor


def fit_preprocessor(
    table: Table,
    categorical: Collection[str] = (),
    targets: Floats | None = None,
    scaling: str = "standard",
    numeric_encoding: str = "none",
    readings: Mapping[str, Reading] | None = None,
) -> Preprocessor:
    """The preprocessor with which a search makes the inputs of genomes of this encoding."""
    encodings = [encoding_of((scaling, numeric_encoding))]
    (fitted,) = fit_preprocessors(table, categorical, targets, encodings, readings).values()
    return fitted
