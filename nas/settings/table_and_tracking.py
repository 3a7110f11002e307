"""The settings beside a search: how its table is read, and what is recorded where."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from nas.settings.kinds import (
    choice,
    columns,
    flag,
    several,
    text,
    text_or_object,
    texts,
)
from nas.settings.setting import setting


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """How the table is read."""

    section: ClassVar[str] = "table"

    target: str | Iterable[str] | None = setting(
        None,
        columns("str or iterable of str"),
        "The column to predict, or several joined by commas",
        otherwise="a column called target, label, class or y, else the last",
        metavar="COL",
        example="price",
    )
    task: str | None = setting(
        None,
        choice("classification", "regression", "multilabel"),
        "What is predicted: classes, numbers or several labels a row",
        more="By default text, booleans and up to 20 different whole numbers are classes.",
        otherwise="by the target",
        metavar="TASK",
        example="regression",
    )
    categorical: str | Collection[str] = setting(
        (),
        columns("str or collection of str"),
        "Columns that hold categories although they look like numbers, joined by commas",
        metavar="COLS",
        example=["postcode"],
    )
    na: str | Collection[str] = setting(
        (),
        texts("str or collection of str", "texts"),
        "Cells that are missing values besides empty cells, joined by commas, such as NA,-999",
        metavar="TEXTS",
        example=["NA", "-999"],
    )
    header: bool | None = setting(
        None,
        flag(),
        "Whether a CSV file begins with a line of names",
        more="Without a header the columns are called column1, column2 and so on.",
        otherwise="yes; a first line that looks like data is refused",
        example=True,
    )
    ignore: str | Collection[str] | None = setting(
        None,
        columns("str or collection of str"),
        "Columns to leave out, joined by commas; '' for none",
        otherwise="an index, such as a column that counts the rows",
        metavar="COLS",
        example=["id"],
    )
    groups: str | None = setting(
        None,
        text("the name of a column"),
        "Column of groups, such as patients: rows of a group are never in two parts; it is no input",
        otherwise="rows are cut one by one",
        metavar="COL",
        example="patient",
    )
    time_order: bool = setting(
        False,
        flag(),
        "Whether rows are in order of time: later rows judge networks that earlier rows have trained",
    )
    weights: str | None = setting(
        None,
        text("the name of a column"),
        "Column of row weights, which count in trainings and validation scores; it is no input",
        otherwise="all rows count alike",
        metavar="COL",
        example="weight",
    )
    validation: str | os.PathLike[str] | None = setting(
        None,
        text_or_object("str or path", "a file", os.PathLike),
        "CSV or Parquet file of the rows that judge candidates, with the columns of the table",
        otherwise="rows of the table",
        metavar="FILE",
        example="validation.csv",
    )


@dataclass(frozen=True, kw_only=True)
class TrackingSettings:
    """What is recorded, and where."""

    section: ClassVar[str] = "tracking"

    name: str | None = setting(
        None,
        text(),
        "Name of the run",
        otherwise="the data's name and the time",
        metavar="NAME",
        example="mine",
    )
    runs_dir: str | os.PathLike[str] = setting(
        "runs", text_or_object("path", "a folder", os.PathLike), "Folder of the runs", metavar="DIR"
    )
    tracking: bool = setting(True, flag(), "Whether the run is tracked in MLflow")
    tracking_uri: str | None = setting(
        None,
        text(),
        "Store of MLflow, sqlite:///FILE or http(s)://HOST",
        otherwise="MLFLOW_TRACKING_URI, else mlflow.db in the folder of the runs",
        metavar="URI",
        example="http://localhost:5000",
    )
    track: str = setting(
        "auto",
        choice("auto", "all", "elites", "best"),
        "Candidates that have MLflow runs of their own",
        more="elites: candidates that were among the ten best when they came; best: candidates that "
        "were the best; auto: all, of more than 1,000 the first 1,000, the ten best and the winner. "
        "The journal and the artifact ``candidates.csv`` hold all candidates.",
        metavar="POLICY",
    )
    register: str | None = setting(
        None,
        text(),
        "Name of the registered model in MLflow of which the winner becomes the next version",
        otherwise="not registered",
        metavar="NAME",
        example="mine",
    )
    export: str | Sequence[str] | None = setting(
        None,
        several(registry="nas.export.formats:FORMATS"),
        "Formats in which the winner is written besides, into the run's folder, joined by commas",
        more="A format that may not have all networks of the space is warned of at the start.",
        otherwise="none but that of the run's folder",
        metavar="FORMATS",
        example=["python"],
    )
    progress: bool = setting(True, flag(), "Whether progress is shown on standard error")
    report: bool = setting(True, flag(), "Whether report.html is written in the run's folder at the end")
