"""Estimators for scikit-learn that search a network in `fit`."""

from nas.estimators.estimators import NASClassifier, NASRegressor

__all__ = ["NASClassifier", "NASRegressor"]
