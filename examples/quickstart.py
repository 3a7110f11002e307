"""Search a network for a table, look at what was tried, and use the winner.

Run it with ``python examples/quickstart.py``; it takes about half a minute.
"""

from pathlib import Path

from sklearn.datasets import load_wine

import nas


def main(runs_dir: Path = Path("runs"), n_candidates: int = 40) -> nas.SearchResult:
    """Search, inspect, reuse."""
    wine = load_wine(as_frame=True)
    table = wine.frame.assign(target=wine.target_names[wine.target])

    # A space of one's own: up to three layers, 8 to 64 neurons by doubling, three activations.
    space = nas.SearchSpace(
        depth=(1, 3),
        widths=nas.Range(8, 64, "log"),
        activation=("relu", "tanh", "silu"),
        learning_rate=(0.001, 0.003, 0.01),
        name="wine",
    )
    print(f"searching {space.summary()}")
    result = nas.search(
        table, target="target", space=space, n_candidates=n_candidates, seed=0, runs_dir=runs_dir
    )

    print(f"\nbest network: {result.best.genome}, test accuracy {result.test.score:.3f}")
    print("the five fittest:")
    fittest = result.to_frame().nlargest(5, "fitness")
    print(fittest[["genome", "operator", "fitness", "n_parameters"]].to_string(index=False))

    # The saved network needs only its folder; it reads raw tables and gives back labels.
    network = nas.load_network(result.model_path)
    rows = table.head(3)
    print("\npredictions:", network.predict(rows))
    print("probabilities:", network.predict_proba(rows).round(3).tolist())
    print("features of the last hidden layer:", network.transform(rows).shape)
    return result


if __name__ == "__main__":
    main()
