"""The native format: a folder with JSON and safetensors, which `nas.runtime` reads."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from nas.export.check import Predict, at_work
from nas.files import sync_path, write_synced
from nas.runtime import MODEL_FILE, WEIGHTS_FILE, Predictor, arrays_of, load_network, model_record, sealed


def save_network(network: Predictor, folder: str | os.PathLike[str]) -> Path:
    """Write a network to a folder, atomically, and check that it is read back the same.

    Parameters
    ----------
    network : Network or Ensemble
    folder : path
        Created, or replaced if it exists.

    Returns
    -------
    Path
        The folder.
    """
    folder = Path(folder)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    weights = save(arrays_of(network))
    write_synced(unfinished / WEIGHTS_FILE, weights)
    write_synced(unfinished / MODEL_FILE, record_text(sealed(model_record(network), weights)).encode())
    sync_path(unfinished)
    _check_same(network, load_network(unfinished))
    replaced = folder.with_name(f".{folder.name}.replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if folder.exists():
        folder.rename(replaced)
    unfinished.rename(folder)
    sync_path(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)
    return folder


def record_text(record: Mapping[str, Any]) -> str:
    """The record as JSON for a person to read: indented, with a line for each column.

    Python's encoder with indentation is slow, and gives a line to each number of thousands of columns.
    """
    entries = []
    for key, value in record.items():
        if key == "columns":
            lines = [f"  {json.dumps(column, allow_nan=False)}" for column in value]
            text = "\n".join(["[", ",\n".join(lines), " ]"])
        else:
            text = json.dumps(value, indent=1, allow_nan=False).replace("\n", "\n ")
        entries.append(f" {json.dumps(key)}: {text}")
    return "\n".join(["{", ",\n".join(entries), "}", ""])


def write(network: Predictor, path: Path) -> None:
    """Write a network to a folder; see `save_network`."""
    save_network(network, path)


def load(network: Predictor, path: Path) -> Predict:
    """The predictions of the saved network."""
    return at_work(network, load_network(path))


def _check_same(network: Predictor, read: Predictor) -> None:
    """Raise `RuntimeError` unless the network that was read equals the written one, bit for bit."""
    arrays, read_arrays = arrays_of(network), arrays_of(read)
    same_record = model_record(read) == model_record(network)
    if not same_record or not all(np.array_equal(arrays[name], read_arrays[name]) for name in arrays):
        raise RuntimeError("the saved network reads back differently; this is a bug of nas")
