"""Tracking: the run's folder with the journal that a search is resumed from, MLflow, and the screen."""

from nas.tracking.tracker import Outcome, OutcomeStatus, RunInfo, Tracker

__all__ = ["Outcome", "OutcomeStatus", "RunInfo", "Tracker"]
