"""Data sets for benchmarks: by name, as tables, or as arrays in .npz files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import nas
from nas.data import Dataset


def load(data: str) -> Dataset:
    """What `nas.load_dataset` takes, or an archive of `X`, `y`, `task` (clf or reg), and maybe more.

    `feature_names` and `cat_mask`, where there are any, name the columns and tell which are categories.
    """
    if not data.endswith(".npz"):
        return nas.load_dataset(data)
    with np.load(data, allow_pickle=False) as arrays:
        found = dict(arrays)
    n_columns = found["X"].shape[1]
    names = found.get("feature_names", [f"x{i}" for i in range(n_columns)])
    table = pd.DataFrame(found["X"], columns=[str(name) for name in names])
    categorical = table.columns[found.get("cat_mask", np.zeros(n_columns, bool))]
    task = "regression" if str(found["task"]) == "reg" else "classification"
    dataset = nas.load_dataset(
        table.assign(**{"the target": found["y"]}),
        target="the target",
        task=task,
        categorical=tuple(categorical),
    )
    return replace(dataset, name=Path(data).stem)
