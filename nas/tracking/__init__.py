"""Watching a search: the journal it can be resumed from, MLflow, and progress on the screen."""

from nas.tracking.tracker import Outcome, RunInfo, Tracker

__all__ = ["Outcome", "RunInfo", "Tracker"]
