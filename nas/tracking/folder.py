"""A run's folder: the paths of its files, and the creation of new folders.

`nas.tracking.archive.RunArchive` reads the files.

::

    runs/<name>/
      .lock              locked by the process that searches; see `nas.tracking.lock`
      config.json        everything that `nas resume` needs to continue
      journal.jsonl      all candidates and their evaluations; the other files follow from it
      weights/           checkpoints from which children may start
      generations.jsonl  the curves of the search
      best/              the winner's network, once the search has ended
      best.py, best.onnx, best-torch/, ...  the winner in the formats that `export` names
      best-<n>/          an earlier winner of a resumed search, after n candidates
      candidates/<id>/   networks of other candidates that were asked for, see `nas.run.member`
      result.json        how the search ended
      column_importance.csv  which columns matter, if that was measured
      predictions.npz    what the winner predicts for rows that it was not trained on; see `nas.run.kept`
      report.html        a report, with its pictures in plots/

A run of several parts has the journal and the weights of each part in a folder of their own; see
`nas.tracking.parts`.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import RunError
from nas.files import replace_synced, sync_path, write_synced
from nas.tracking.checksums import sealed
from nas.tracking.lock import RunLock
from nas.tracking.parts import existing_parts, new_parts
from nas.tracking.shown import command

CONFIG = "config.json"
JOURNAL = "journal.jsonl"
WEIGHTS = "weights"
BEST = "best"
RESULT = "result.json"
COLUMNS = "column_importance.csv"
PREDICTIONS = "predictions.npz"


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run's files, and writing the files that no tracker writes.

    Parameters
    ----------
    path : Path
        The run's folder, which need not exist yet.
    """

    path: Path

    @property
    def journal(self) -> Path:
        """The journal, of a run with a single part."""
        return self.path / JOURNAL

    @property
    def weights(self) -> Path:
        """The folder of checkpoints, of a run with a single part."""
        return self.path / WEIGHTS

    @property
    def best(self) -> Path:
        """The folder of the winner's network."""
        return self.path / BEST

    @property
    def parts(self) -> list[RunFolder]:
        """The folders with a journal and weights: one for each part of the run, or this folder itself."""
        return [RunFolder(path) for path in existing_parts(self.path)]

    def artifacts(self) -> list[Path]:
        """Return the existing files that MLflow shows: journals, report, pictures, the table of columns."""
        others = itertools.chain(self.path.glob("plots/*.svg"), self.path.glob(COLUMNS))
        return sorted([*self.path.rglob(JOURNAL), *self.path.glob("report.*"), *others])

    def create(
        self,
        config: dict[str, Any],
        n_parts: int = 1,
    ) -> RunLock:
        """Create the folder with its configuration and empty journals atomically, and return its lock.

        Raises `RunError` if it cannot be created.
        """
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            unfinished.mkdir(parents=True)
            write_synced(unfinished / CONFIG, sealed(config))
            for part in new_parts(unfinished, n_parts):
                part.mkdir(parents=True, exist_ok=True)
                (part / JOURNAL).touch()
            sync_path(unfinished)
            lock = RunLock(unfinished)
            unfinished.rename(self.path)
            sync_path(self.path.parent)
        except RunError:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            if self.path.exists():
                raise _name_is_taken(self.path) from None
            raise RunError(
                f"{self.path}: expected a folder that can be made, got: {error.strerror}"
            ) from None
        return lock

    def keep_result(self, result: Mapping[str, Any], run_id: str) -> None:
        """Write ``result.json`` atomically."""
        replace_synced(self.path / RESULT, sealed({"run_id": run_id, **result}))

    def keep_columns(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write ``column_importance.csv`` atomically: a row for each column."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        content = text.getvalue().encode("utf-8", "surrogateescape")
        self._put(COLUMNS, content)

    def keep_predictions(self, arrays: Mapping[str, Any] | None, run_id: str) -> None:
        """Write ``predictions.npz`` atomically, or remove that of an earlier winner if there is nothing."""
        if arrays is None:
            (self.path / PREDICTIONS).unlink(missing_ok=True)
            return
        content = io.BytesIO()
        np.savez_compressed(content, run_id=np.array(run_id), **arrays)
        self._put(PREDICTIONS, content.getvalue())

    def _put(self, name: str, content: bytes) -> None:
        unfinished = self.path / f".{name}"
        unfinished.write_bytes(content)
        unfinished.replace(self.path / name)


def new_run_folder(runs_dir: str | os.PathLike[str], name: str | None, data_name: str) -> RunFolder:
    """Return a folder for a new run; only `runs_dir` is created yet.

    Raises
    ------
    RunError
        If the name is in use or is not a folder's name, or `runs_dir` cannot be written to.
    """
    runs = Path(runs_dir).absolute()
    if name is not None and (Path(name).name != name or name in (".", "..")):
        raise RunError(f"--name {name}: expected a name without slashes, got a path")
    if name is not None and (not name.strip() or not name.isprintable() or len(name.encode()) > 200):
        raise RunError(f"--name: expected 1 to 200 printable characters, got {name[:50]!r}")
    if name is not None and (runs / name).exists():
        raise _name_is_taken(runs / name)
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=runs):
            pass
    except OSError as error:
        raise RunError(
            f"--runs-dir {runs_dir}: expected a folder to write to, got: {error.strerror}"
        ) from None
    return RunFolder(runs / (name or _free_name(runs, data_name)))


def next_run_folder(folder: RunFolder) -> RunFolder:
    """Return a folder beside a run's for its successor, such as ``night-2``; nothing is created yet."""
    places = (folder.path.with_name(f"{folder.path.name}-{i}") for i in itertools.count(2))
    return RunFolder(next(path for path in places if not path.exists()))


def _free_name(runs: Path, data_name: str) -> str:
    """Make a name from the data's name and the time that no run has."""
    # The process id distinguishes searches that start in the same second.
    stem = f"{data_name[:100]}-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    names = [stem, *(f"{stem}-{i}" for i in range(2, 1000))]
    return next(name for name in names if not (runs / name).exists())


def _name_is_taken(path: Path) -> RunError:
    """Make the `RunError` for a name in use."""
    return RunError(
        f"--name {path.name}: expected a name that is not in {path.parent} yet, got one that is; "
        f"choose another, or go on with: {command('resume', path)}"
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> dict[str, str]:
    """Return the differences of two records, as descriptions by dotted names; empty if they are equal."""
    descriptions: dict[str, str] = {}
    for key in dict.fromkeys([*before, *now]):
        name, old, new = f"{within}{key}", before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            descriptions |= differences(old, new, f"{name}.")
        elif old != new:
            descriptions[name] = f"{name} was {_short(old)}, now {_short(new)}"
    return descriptions


def _short(value: object) -> str:
    """Return a value as JSON of at most 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
