"""scikit-learn's estimators over the search."""

from nas.estimators.estimators import NASClassifier, NASRegressor

__all__ = ["NASClassifier", "NASRegressor"]
