"""Predictions for a file: what ``nas predict`` writes."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from nas.data import read_table
from nas.errors import InputError
from nas.runtime import ModelError, Predictor, TableError, load_network


def write_predictions(
    model: str, data: str, output: str | None = None, *, probabilities: bool = False
) -> None:
    """Predict for the rows of a CSV or Parquet file, and write a CSV with one row for each.

    Parameters
    ----------
    model : path
        A saved network's folder, or the run's folder around it.
    data : path
        The table; further columns than the network's do no harm.
    output : path, optional
        The file to write; standard output if not given.
    probabilities : bool
        Whether to add a column of probabilities for each class.

    Raises
    ------
    InputError
        If the model or the table cannot be read, they do not fit, or nothing can be written.
    """
    try:
        network = load_network(model)
        texts = [column.name for column in network.columns if column.kind == "category"]
        frame = predictions(network, read_table(data, texts), probabilities=probabilities)
    except (ModelError, TableError) as error:
        raise InputError(str(error)) from None
    if output is None:
        frame.to_csv(sys.stdout, index=False)
        return
    try:
        frame.to_csv(Path(output), index=False)
    except OSError as error:
        raise InputError(
            f"--output {output}: expected a file to write to, got: {error.strerror or error}"
        ) from None


def predictions(network: Predictor, table: pd.DataFrame, *, probabilities: bool = False) -> pd.DataFrame:
    """A frame with the predictions, and the probabilities where they are asked for."""
    if probabilities and network.task == "regression":
        raise InputError("--proba: expected a network for classes, got one for regression")
    predicted = network.predict(table)
    names = network.target.names
    if predicted.ndim == 1:
        columns = {f"predicted_{names[0]}": predicted}
    else:
        columns = {f"predicted_{name}": predicted[:, i] for i, name in enumerate(names)}
    if probabilities:
        chances = network.predict_proba(table)
        labels = network.target.classes if network.task == "classification" else names
        columns |= {f"probability_{label}": chances[:, i] for i, label in enumerate(labels)}
    return pd.DataFrame(columns)
