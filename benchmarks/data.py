"""Data sets for benchmarks: by name, as tables, or as arrays in .npz files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import nas
from nas.data import BUNDLED, Dataset, split
from nas.network.arrays import Array, Ints

TARGET = "the target"
"""The name of the target's column in files that benchmarks write."""


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
        table.assign(**{TARGET: found["y"]}), target=TARGET, task=task, categorical=tuple(categorical)
    )
    return replace(dataset, name=Path(data).stem)


@dataclass(frozen=True, eq=False)
class Table:
    """A table as any library can read it.

    Attributes
    ----------
    name : str
    X : DataFrame of shape (rows, columns)
        Numbers, and categories as text; what is missing is NaN or None.
    y : array of shape (rows,)
        Numbers, or class numbers from 0 on.
    regression : bool
    test_rows : list of int arrays
        Published test rows, one array for each split; empty where there are none.
    """

    name: str
    X: pd.DataFrame
    y: Array
    regression: bool
    test_rows: Sequence[Ints] = ()

    @property
    def task(self) -> str:
        """The task as nas names it."""
        return "regression" if self.regression else "classification"

    @property
    def categorical(self) -> list[str]:
        """Names of the columns of text."""
        return [name for name in self.X.columns if not pd.api.types.is_numeric_dtype(self.X[name])]

    def write(self, file: Path) -> None:
        """Write a CSV file in which the target is the column `TARGET`."""
        self.X.assign(**{TARGET: self.y}).to_csv(file, index=False)


def load_table(data: str) -> Table:
    """The table of a name or file, as described at `load`, with a single target.

    `test_idx` (splits × rows), where the file has it, holds the test rows of published splits.
    """
    if not data.endswith(".npz"):
        dataset = load(data)
        if len(dataset.target_names) > 1:
            raise SystemExit(f"{data}: expected a single target, got {', '.join(dataset.target_names)}")
        y = dataset.y if dataset.task == "classification" else dataset.y[:, 0]
        return Table(dataset.name, dataset.table, y, dataset.task == "regression")
    with np.load(data, allow_pickle=False) as arrays:
        found = dict(arrays)
    n_columns = found["X"].shape[1]
    names = found.get("feature_names", [f"x{i}" for i in range(n_columns)])
    X = pd.DataFrame(found["X"], columns=[str(name) for name in names])
    for column in X.columns[found.get("cat_mask", np.zeros(n_columns, bool))]:
        codes = X[column]
        X[column] = codes.map("code {:g}".format).where(codes.notna(), None)
    test_rows = [np.asarray(rows, int) for rows in found.get("test_idx", ())]
    regression = str(found["task"]) == "reg"
    y = found["y"] if regression else np.unique(found["y"], return_inverse=True)[1]
    return Table(Path(data).stem, X, y, regression, test_rows)


def read_command_table(file: Path, task: str) -> Dataset:
    """A file that `Table.write` has written, as the command line reads it by `COMMAND_READING`."""
    return nas.load_dataset(str(file), target=TARGET, task=task, ignore="")


COMMAND_READING = ("--target", TARGET, "--ignore", "")
"""Options of ``nas search`` beside ``--task`` by which it reads such a file."""


def command_split(file: Path, task: str, seed: int) -> tuple[Dataset, Ints, Ints, Ints]:
    """The file's data set, with the rows for training, validation and test of ``nas search --seed``."""
    dataset = read_command_table(file, task)
    parts = split(dataset, seed)
    return dataset, parts.train, parts.validation, parts.test


def resolve(names: Sequence[str], folder: str | None) -> list[str]:
    """Names of bundled sets and paths of files; other names mean .npz files in the folder.

    Raises `SystemExit` with the names there are, if there is neither such a set nor such a file.
    """
    files = {path.stem: str(path) for path in sorted(Path(folder).glob("*.npz"))} if folder else {}
    found = []
    for name in names:
        if name in BUNDLED or Path(name).is_file():
            found.append(name)
        elif name in files:
            found.append(files[name])
        else:
            known = ", ".join([*BUNDLED, *files])
            raise SystemExit(f"DATA: expected a file that exists or one of {known}, got {name}")
    return found
