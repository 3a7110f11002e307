"""Record a search where you like: a tracker of your own, here a CSV file.

Run it with ``python examples/tracker.py``; it takes about ten seconds.
"""

import csv
from pathlib import Path

import nas
from nas.evaluation import Candidate, Evaluation
from nas.evolution import Generation
from nas.tracking import Outcome, RunInfo


class CsvTracker:
    """Writes a line for each evaluation; any object with these four methods is a tracker.

    Parameters
    ----------
    path : Path
        The file, which is written anew: a resumed search calls its trackers with everything again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def started(self, run: RunInfo) -> None:
        """Open the file, and write its header."""
        self.file = self.path.open("w", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file)
        self.writer.writerow(["candidate", "genome", run.metric, "epochs", "error"])

    def evaluated(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Write a line: the evaluations come in the order of the journal."""
        score = "" if evaluation.failed else evaluation.fitness
        self.writer.writerow([candidate.id, candidate.genome, score, evaluation.n_epochs, evaluation.error])

    def generation(self, generation: Generation) -> None:
        """Write what was buffered, so that the file can be read while the search goes on."""
        self.file.flush()

    def finished(self, outcome: Outcome) -> None:
        """Close the file: called at any end, also after an error or an interrupt."""
        self.file.close()
        print(f"{outcome.status}: {self.path}, scores {dict(outcome.scores)}")


def main(runs_dir: Path = Path("runs"), n_candidates: int = 40) -> nas.SearchResult:
    """Search, and record every evaluation."""
    runs_dir.mkdir(parents=True, exist_ok=True)
    return nas.search(
        "wine",
        n_candidates=n_candidates,
        trackers=[CsvTracker(runs_dir / "evaluations.csv")],
        runs_dir=runs_dir,
        tracking=False,
    )


if __name__ == "__main__":
    main()
