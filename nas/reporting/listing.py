"""The searches in a folder, and the state of one of them, as text for a terminal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nas.errors import InputError, RunError, RunningError
from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.metric_names import shown_metric
from nas.reporting import result_text
from nas.reporting.lines import WIDTH, place, short_genome
from nas.tracking.archive import RunArchive
from nas.tracking.folder import CONFIG
from nas.tracking.lock import check_is_over
from nas.tracking.shown import as_text, command

_COLUMNS = ("name", "status", "test score", "date", "data", "network")


@dataclass(frozen=True)
class ListedRun:
    """A search as a row of a list.

    Attributes
    ----------
    name : str
        Of its folder.
    status : str
        "finished", "interrupted", "running", "unfinished" (stopped without a result; it can be resumed) or
        "damaged".
    data : str
        The table's name.
    date : datetime
        When it was started.
    metric : str
    score : float, optional
        The winner's test score; None where there is none yet.
    network : str
        The winner's widths and activation; empty where there is none yet.
    """

    name: str
    status: str
    data: str
    date: datetime
    metric: str = ""
    score: float | None = None
    network: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**vars(self), "date": self.date.isoformat(timespec="seconds")}


def list_runs(folder: str | os.PathLike[str] = "runs") -> list[ListedRun]:
    """The searches in a folder, the latest first.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    runs = Path(folder)
    try:
        paths = [path for path in runs.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: expected a folder of searches, got: {error.strerror}") from None
    listed = [_listed(path) for path in paths if (path / CONFIG).is_file()]
    if not listed and (runs / CONFIG).is_file():
        listed = [_listed(runs)]
    return sorted(listed, key=lambda run: (run.date, run.name), reverse=True)


def list_text(runs: list[ListedRun]) -> str:
    """The list as a table for a terminal; data and networks are cut where the lines are too long."""
    rows = [
        (
            as_text(run.name),
            run.status,
            "" if run.score is None else _named_score(run.metric, run.score),
            f"{run.date:%Y-%m-%d}",
            as_text(run.data),
            run.network,
        )
        for run in runs
    ]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (_COLUMNS, *rows)
    ]
    # Names are never cut, so that they can be pasted.
    most = max(shutil.get_terminal_size((WIDTH, 24)).columns, widths[0])
    return "\n".join(line if len(line) <= most else f"{line[: most - 1]}…" for line in lines)


def show_run(run: str | os.PathLike[str]) -> str:
    """The summary and the details of a finished search; of any other, how far it has come.

    Raises
    ------
    RunError
        If the folder is not that of a run, or damaged.
    """
    archive = _archive(run)
    path = archive.folder.path
    record = _with_metric(archive)
    if record:
        lines = [result_text.summary(record, path), "", result_text.details(record, path)]
        if archive.config["tracking"] is not None:
            lines.append(f"browse            {command('ui', place(path))}")
        return "\n".join(lines)
    is_running = _status(path, record) == "running"
    lines = [
        f"{as_text(path.name)} {'is still running' if is_running else 'has not finished'}",
        *_progress(archive),
    ]
    if not is_running:
        lines.append(f"to go on          {command('resume', place(path))}")
    return "\n".join(lines)


def show_candidate(run: str | os.PathLike[str], candidate_id: int) -> str:
    """One candidate of a search: genome, score, size and origin, and whether it is on the front.

    Raises
    ------
    InputError
        If the run has no such candidate.
    RunError
        If the folder is not that of a run, or damaged.
    """
    archive = _archive(run)
    candidate, evaluation = candidate_of(archive, candidate_id)
    metric = str(archive.identity["metric"])
    lines = [
        f"candidate         {candidate.id}: {candidate.genome}{_place_in_result(archive, candidate)}",
        f"validation        {_score(metric, evaluation)}",
    ]
    if not evaluation.failed:
        n_epochs = candidate.epochs_done + evaluation.n_epochs
        lines += [
            f"size              {evaluation.n_parameters:,} parameters",
            f"training          {n_epochs} epochs, best at {evaluation.best_epoch}, "
            f"loss {evaluation.validation_loss:.4g}, {evaluation.seconds:.1f} s",
        ]
    parents = ", ".join(map(str, candidate.parents)) or "none"
    lines.append(
        f"made by           {candidate.operator} in generation {candidate.generation}, parents: {parents}"
    )
    if not evaluation.failed and archive.result:
        run = place(archive.folder.path)
        lines.append(f"predict           {command('predict', run, 'DATA.csv', '--candidate', candidate.id)}")
    return "\n".join(lines)


def candidate_of(archive: RunArchive, candidate_id: int) -> tuple[Candidate, Evaluation]:
    """A candidate by its id, and its evaluation; raises `InputError` if the run has none such."""
    try:
        return archive.pair(candidate_id)
    except IndexError:
        raise InputError(
            f"--candidate {candidate_id}: expected the id of a candidate that the run has evaluated, got "
            f"none of its {len(archive.evaluations)} evaluations"
        ) from None


def _archive(run: str | os.PathLike[str]) -> RunArchive:
    archive = RunArchive(run)
    archive.check_is_run()
    return archive


def _listed(path: Path) -> ListedRun:
    date = datetime.fromtimestamp((path / CONFIG).stat().st_mtime)
    archive = RunArchive(path)
    try:
        source, record = archive.config["data"]["source"], archive.result
    except RunError:
        return ListedRun(path.name, "damaged", "", date)
    data = "from memory" if source is None else Path(source).name.split(".")[0]
    status = _status(path, record)
    if not record:
        return ListedRun(path.name, status, data, date)
    return ListedRun(
        path.name,
        status,
        data,
        date,
        str(record.get("metric", "")),
        record["test_score"],
        short_genome(Genome.from_dict(record["best"]["genome"])),
    )


def _status(path: Path, record: Mapping[str, Any]) -> str:
    try:
        check_is_over(path)
    except RunningError:
        return "running"
    if not record:
        return "unfinished"
    return "interrupted" if record["stopped"] == "interrupted" else "finished"


def _with_metric(archive: RunArchive) -> dict[str, Any]:
    """The result; the name of the metric, which earlier versions left out, is that of the journal."""
    record = dict(archive.result)
    if record and "metric" not in record and archive.identity:
        record["metric"] = archive.identity["metric"]
    return record


def _progress(archive: RunArchive) -> list[str]:
    """How many candidates were tried, and the best so far."""
    n = sum(record.n_candidates for record in archive.records)
    trained = [pair for pair in archive.evaluations if not pair[1].failed]
    lines = [f"tried             {n} candidate{'' if n == 1 else 's'} so far"]
    if trained:
        candidate, evaluation = max(trained, key=lambda pair: pair[1].fitness)
        score = _named_score(str(archive.identity["metric"]), evaluation.fitness)
        lines += [
            f"best so far       {score}, the search's own score",
            f"genome            {candidate.genome}",
        ]
    return lines


def _place_in_result(archive: RunArchive, candidate: Candidate) -> str:
    """Whether a candidate is the winner, or on the front of several objectives."""
    record, genome = archive.result, candidate.genome.to_dict()
    if not record:
        return ""
    if record["best"]["genome"] == genome:
        return " (the winner)"
    front = record.get("front") or []
    is_on_front = len(front) > 1 and any(member["genome"] == genome for member in front)
    return " (on the front)" if is_on_front else ""


def _score(metric: str, evaluation: Evaluation) -> str:
    if evaluation.failed:
        return f"failed: {evaluation.error}"
    n = len(evaluation.fold_scores)
    error = f" ± {evaluation.standard_error:.4f} on {n} folds" if n > 1 else ""
    return f"{_named_score(metric, evaluation.fitness)}{error}, the search's own score: optimistic"


def _named_score(metric: str, fitness: float) -> str:
    """A metric's name with a score in its own sign."""
    shown = shown_metric(metric)
    return f"{shown.name} {shown.text(fitness)}"
