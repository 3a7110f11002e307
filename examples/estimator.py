"""The search as a scikit-learn estimator: a frame with categories, cross-validation, a pipeline.

Run it with ``python examples/estimator.py``; it takes about a quarter of a minute.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer

import nas


def flats(n: int = 600, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Rents of flats that nobody lives in: numbers with gaps, categories, an effect of both together."""
    rng = np.random.default_rng(seed)
    district = rng.choice(["harbour", "old town", "hill"], n)
    size = rng.normal(70, 20, n).clip(20)
    balcony = rng.random(n) < 0.4
    price = np.select([district == "old town", district == "hill"], [16, 13], 10)
    rent = price * size + 60 * balcony + rng.normal(0, 40, n)
    X = pd.DataFrame({"district": district, "size": size, "balcony": balcony})
    X.loc[rng.random(n) < 0.05, "size"] = np.nan
    return X, pd.Series(rent, name="rent")


def main(n_candidates: int = 20, epochs: int = 60) -> None:
    """A table of one's own, then cross-validation, then the network's features in a pipeline."""
    X, y = flats()
    quick: dict[str, Any] = {
        "space": "tiny",
        "n_candidates": n_candidates,
        "epochs": epochs,
        "n_finalists": 2,
        "random_state": 0,
    }
    regressor = nas.NASRegressor(**quick).fit(X[:500], y[:500])
    print(f"hidden layers {regressor.hidden_layer_sizes_}, R² {regressor.score(X[500:], y[500:]):.3f}")

    features, labels = load_breast_cancer(return_X_y=True)
    classifier = nas.NASClassifier(**quick, scoring="roc_auc", class_weight="balanced")
    scores = cross_val_score(classifier, features, labels, cv=3)
    print(f"accuracy over 3 folds: {scores.mean():.3f} ± {scores.std():.3f}")

    # The last hidden layer as features for another model.
    pipeline = make_pipeline(PowerTransformer(), classifier, LogisticRegression())
    pipeline.fit(features[:400], labels[:400])
    print(f"its features in a logistic regression: {pipeline.score(features[400:], labels[400:]):.3f}")


if __name__ == "__main__":
    main()
