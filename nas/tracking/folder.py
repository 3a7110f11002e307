"""A run's folder: its name, its configuration, its journal, its best network.

`RunFolder` is the one reader of these files: what it gives is as it was written, checked key by key.

::

    runs/<name>/
      .lock           locked by the process that searches; see `nas.tracking.lock`
      config.json     everything that `nas resume` needs to go on
      journal.jsonl   the truth: every candidate and its evaluation
      weights/        trained weights that children may inherit
      generations.jsonl  the curves of the search
      best/           the winner, once the search is over
      result.json     how it ended
      report.html     why, with its pictures in plots/

A run of several islands has a journal and weights of each instead, in ``islands/0/`` and so on.
"""

from __future__ import annotations

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

from nas.errors import RunError
from nas.evaluation import Candidate
from nas.files import replace_synced, sync_path, write_synced
from nas.runtime import ModelError, Predictor, load_network
from nas.tracking.generations import FILE as GENERATIONS
from nas.tracking.generations import Paced, read_generations
from nas.tracking.journal import Record, read_journal
from nas.tracking.lock import RunLock
from nas.tracking.records import CONFIG as CONFIG_RECORD
from nas.tracking.records import IDENTITY, PROVENANCE, check_result, read_record, sealed
from nas.tracking.renamed import config_by_new_names, result_by_new_names
from nas.tracking.shown import command

CONFIG = "config.json"
JOURNAL = "journal.jsonl"
WEIGHTS = "weights"
BEST = "best"
RESULT = "result.json"
ISLANDS = "islands"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.path / JOURNAL

    @property
    def weights(self) -> Path:
        """The folder of trained weights."""
        return self.path / WEIGHTS

    @property
    def best(self) -> Path:
        """The folder of the saved winner."""
        return self.path / BEST

    def island(self, number: int) -> RunFolder:
        """The folder with the journal and the weights of one island, where there are several."""
        return RunFolder(self.path / ISLANDS / str(number))

    @property
    def parts(self) -> list[RunFolder]:
        """The folders with journals: each island's, or this one itself."""
        n = sum(place.name.isdecimal() for place in self.path.glob(f"{ISLANDS}/*"))
        return [self.island(i) for i in range(n)] or [self]

    def create(
        self,
        config: dict[str, Any],
        n_islands: int = 1,
    ) -> RunLock:
        """Make the folder with its configuration and empty journals, all at once, and locked.

        Raises `RunError` if it cannot be made.
        """
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            unfinished.mkdir(parents=True)
            write_synced(unfinished / CONFIG, sealed(config))
            parts = (
                [unfinished / ISLANDS / str(i) for i in range(n_islands)] if n_islands > 1 else [unfinished]
            )
            for part in parts:
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
        """Write how the search ended, all at once."""
        replace_synced(self.path / RESULT, sealed({"run_id": run_id, **result}))

    def config(self) -> dict[str, Any]:
        """The configuration that `create` wrote; raises `RunError`."""
        try:
            return read_record(self.path / CONFIG, CONFIG_RECORD, config_by_new_names)
        except OSError:
            raise RunError(f"{self.path}: expected the folder of a run, got no {CONFIG} in it") from None

    def result(self) -> dict[str, Any]:
        """How the search ended; empty where it has not.

        Raises
        ------
        RunError
            If the file cannot be read, or tells of another run.
        """
        file = self.path / RESULT
        try:
            result = read_record(file, check_result, result_by_new_names)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise RunError(f"{file}: expected a file that can be read, got: {error.strerror}") from None
        # Earlier versions did not say of which run it is.
        if "run_id" in result and result.pop("run_id") != self.config()["run_id"]:
            raise RunError(f"{file}: expected the result of this run, got that of another")
        return result

    def records(self) -> list[Record]:
        """What the journals hold, one for each island; raises `RunError`."""
        return [read_journal(part.journal) for part in self.parts]

    def identity(self, record: Record) -> dict[str, Any]:
        """What decides the search, as a journal says it; empty where nothing was written yet.

        Raises
        ------
        RunError
            If it is not what a search writes, or that of another search than the configuration's.
        """
        # What an island's journal says of itself is not the search's.
        identity = {key: value for key, value in record.identity.items() if key != "island"}
        if not identity:
            return {}
        try:
            IDENTITY(identity)
        except ValueError as error:
            raise RunError(f"{self.journal}: line 1: {error}") from None
        settings = self.config()["settings"]
        for key in ("seed", "space"):
            if settings.get(key) != identity[key]:
                raise RunError(
                    f"{self.path}: expected a journal of the {key} that {CONFIG} has, got that of another"
                )
        return identity

    def check_whole(self, records: Sequence[Record]) -> None:
        """Raise `RunError` if the journals hold fewer candidates than ``result.json`` says were tried."""
        n, tried = sum(record.n_candidates for record in records), self.result().get("candidates", 0)
        if n < tried:
            raise RunError(
                f"{self.path}: expected a journal of the {tried} candidates that {RESULT} tells of, got {n}; "
                f"to try the rest again: {command('resume', self.path)}"
            )

    def generations(self) -> list[Paced]:
        """The curves of the search, as far as they were written; raises `RunError`."""
        return read_generations(self.path / GENERATIONS, self.config()["run_id"])

    def winner(self) -> tuple[Predictor, Candidate | None] | None:
        """The saved network, and the candidate that it says it was; None where none is saved.

        Raises
        ------
        RunError
            If what is there is damaged.
        """
        if not self.best.exists():
            return None
        try:
            network = load_network(self.best)
            if "candidate" not in network.provenance:
                return network, None
            PROVENANCE(network.provenance)
            return network, Candidate.from_dict(network.provenance["candidate"])
        except ModelError as error:
            raise RunError(str(error)) from None
        except (ValueError, TypeError) as error:
            raise RunError(f"{self.best}: provenance: {error}") from None


def new_run_folder(runs_dir: str | os.PathLike[str], name: str | None, data_name: str) -> RunFolder:
    """A folder that is free and can be written to; nothing is made yet but `runs_dir`.

    Raises
    ------
    RunError
        If the name is taken or not a folder's name, or `runs_dir` cannot be written to.
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
    """The folder beside a run's for one that comes after it, such as ``night-2``; nothing is made yet."""
    places = (folder.path.with_name(f"{folder.path.name}-{i}") for i in itertools.count(2))
    return RunFolder(next(path for path in places if not path.exists()))


def _free_name(runs: Path, data_name: str) -> str:
    # The process makes it differ from that of a search which starts in the same second.
    stem = f"{data_name[:100]}-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    names = [stem, *(f"{stem}-{i}" for i in range(2, 1000))]
    return next(name for name in names if not (runs / name).exists())


def _name_is_taken(path: Path) -> RunError:
    return RunError(
        f"--name {path.name}: expected a name that is not in {path.parent} yet, got one that is; "
        f"choose another, or go on with: {command('resume', path)}"
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> dict[str, str]:
    """What two records differ in: by dotted names, each in a few words; empty if they are alike."""
    found: dict[str, str] = {}
    for key in dict.fromkeys([*before, *now]):
        name, old, new = f"{within}{key}", before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found |= differences(old, new, f"{name}.")
        elif old != new:
            found[name] = f"{name} was {_short(old)}, now {_short(new)}"
    return found


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
