"""The reader of a run's folder: `RunArchive`, for resume, report, sync, compare, export, ui and debug."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nas.errors import RunError
from nas.evaluation import Candidate
from nas.runtime import ModelError, Predictor, load_network
from nas.tracking.checksums import read_record
from nas.tracking.folder import CONFIG, PREDICTIONS, RESULT, RunFolder
from nas.tracking.generations import FILE as GENERATIONS
from nas.tracking.generations import Paced, read_generations
from nas.tracking.journal import Pair, Record, read_journal
from nas.tracking.parts import pair_of, recorded_evaluations, search_identity
from nas.tracking.records import CONFIG as CONFIG_RECORD
from nas.tracking.records import IDENTITY, PROVENANCE, check_result
from nas.tracking.renamed import config_by_new_names, result_by_new_names
from nas.tracking.shown import command


class Winner(NamedTuple):
    """The saved winner: its network, and its candidate where the network's provenance names it."""

    network: Predictor
    candidate: Candidate | None


class RunArchive:
    """What a run's folder holds, each file read and checked once, when it is first needed.

    ::

        archive = RunArchive("runs/night")
        archive.config["settings"]      # what the run was started with
        archive.identity["seed"]        # what decides every result of the search
        archive.evaluations[0]          # the first candidate and its evaluation, curves included
        archive.pair(17)                # the same by the candidate's global id
        archive.generations             # the curves of the search
        archive.result.get("stopped")   # how the search ended; {} while it has not
        archive.winner                  # the saved network and its candidate, or None

    Candidates have global ids, however many parts the run has (see `nas.tracking.parts`). Files of earlier
    versions are read by today's keys (see `nas.tracking.renamed`). Files are neither locked nor changed: an
    archive is a snapshot that may be taken while the search runs, and writing is up to
    `nas.tracking.folder.RunFolder` and the trackers.

    Parameters
    ----------
    run : RunFolder or path
        The run's folder.
    records : sequence of Record, optional
        The contents of the journals, where a lock holder has read them.

    Raises
    ------
    RunError
        From any attribute, if its file is missing, damaged, or belongs to another run.
    """

    def __init__(
        self, run: RunFolder | str | os.PathLike[str], records: Sequence[Record] | None = None
    ) -> None:
        self.folder = run if isinstance(run, RunFolder) else RunFolder(Path(run).absolute())
        self._given_records = records

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration: ``run_id``, ``data``, ``settings`` and ``tracking``."""
        try:
            return read_record(self.folder.path / CONFIG, CONFIG_RECORD, config_by_new_names)
        except OSError:
            raise RunError(
                f"{self.folder.path}: expected the folder of a run, got no {CONFIG} in it"
            ) from None

    @property
    def run_id(self) -> str:
        """The id that is unique among all runs."""
        return str(self.config["run_id"])

    @cached_property
    def records(self) -> Sequence[Record]:
        """The contents of the journals, one for each part."""
        if self._given_records is not None:
            return self._given_records
        return [read_journal(part.journal) for part in self.folder.parts]

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """What decides the results of the search, from its journal; empty where nothing was written yet."""
        identity = search_identity(self.records[0].identity)
        if not identity:
            return {}
        try:
            IDENTITY(identity)
        except ValueError as error:
            raise RunError(f"{self.folder.journal}: line 1: {error}") from None
        settings = self.config["settings"]
        for key in ("seed", "space"):
            if settings.get(key) != identity[key]:
                raise RunError(
                    f"{self.folder.path}: expected a journal of the {key} that {CONFIG} has, "
                    "got that of another"
                )
        return identity

    @cached_property
    def evaluations(self) -> Sequence[Pair]:
        """All candidates and evaluations in the order of global ids; curves are read on access."""
        return recorded_evaluations([record.evaluations for record in self.records])

    def pair(self, candidate_id: int) -> Pair:
        """Return a candidate and its evaluation by its global id; raises `IndexError` if there is none."""
        return pair_of([record.evaluations for record in self.records], candidate_id)

    @cached_property
    def generations(self) -> list[Paced]:
        """The curves of the search, as far as they were written."""
        return read_generations(self.folder.path / GENERATIONS, self.run_id)

    @cached_property
    def result(self) -> Mapping[str, Any]:
        """How the search ended; empty where it has not."""
        file = self.folder.path / RESULT
        try:
            result = read_record(file, check_result, result_by_new_names)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise RunError(f"{file}: expected a file that can be read, got: {error.strerror}") from None
        # Earlier versions did not write the run's id.
        if "run_id" in result and result.pop("run_id") != self.run_id:
            raise RunError(f"{file}: expected the result of this run, got that of another")
        return result

    @cached_property
    def predictions(self) -> Mapping[str, Any]:
        """The arrays of ``predictions.npz``, see `nas.run.kept`; empty where there are none."""
        file = self.folder.path / PREDICTIONS
        try:
            with np.load(file, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise RunError(f"{file}: expected arrays as a search writes them, got: {error}") from None
        if str(arrays.pop("run_id", "")) != self.run_id:
            raise RunError(f"{file}: expected the predictions of this run, got those of another")
        return arrays

    @cached_property
    def winner(self) -> Winner | None:
        """The saved network and its candidate; None where none is saved."""
        best = self.folder.best
        if not best.exists():
            return None
        try:
            network = load_network(best)
            if "candidate" not in network.provenance:
                return Winner(network, None)
            PROVENANCE(network.provenance)
            return Winner(network, Candidate.from_dict(network.provenance["candidate"]))
        except ModelError as error:
            raise RunError(str(error)) from None
        except (ValueError, TypeError) as error:
            raise RunError(f"{best}: provenance: {error}") from None

    def check_is_run(self) -> None:
        """Raise `RunError` unless the folder is that of a run, with settings that can be read."""
        _ = self.config

    def check_complete(self) -> None:
        """Raise `RunError` if the journals hold fewer candidates than ``result.json`` counts."""
        n = sum(record.n_candidates for record in self.records)
        expected = self.result.get("candidates", 0)
        if n < expected:
            raise RunError(
                f"{self.folder.path}: expected a journal of the {expected} candidates that {RESULT} counts, "
                f"got {n}; to try the rest again: {command('resume', self.folder.path)}"
            )
