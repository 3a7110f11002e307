"""Ensembles: who is picked, and what a search with one saves and measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from searches import resume, search
from sklearn.datasets import load_diabetes

import nas
from nas.errors import InputError
from nas.evaluation import Candidate, Evaluation, Problem, build_network
from nas.evolution import Individual
from nas.export.native import save_network
from nas.genome import Genome
from nas.network import State
from nas.run.ensemble import select_members
from nas.run.preparation import prepare
from nas.runtime import Ensemble, ModelError

pytestmark = pytest.mark.slow  # whole searches

DATA = nas.load_dataset("wine")


def individuals(widths: list[int]) -> list[Individual]:
    return [
        Individual(Candidate(i, Genome((width,)), i, 0, "random"), Evaluation(i, fitness=0.0))
        for i, width in enumerate(widths)
    ]


def states(pool: list[Individual], problem: Problem) -> dict[int, tuple[State]]:
    """Of untrained networks."""
    networks = {one.id: build_network(one.candidate.genome, one.candidate.seed, problem) for one in pool}
    return {i: (State(one.parameters.copy(), (), ("sgd", 0.0), 0, 0),) for i, one in networks.items()}


def test_each_pick_is_the_one_that_helps_most() -> None:
    problem = prepare(DATA, 0, n_folds=1).problem
    pool = individuals([3, 8, 5, 13, 7, 4])
    kept = states(pool, problem)
    members = select_members(pool[2], pool, kept.__getitem__, problem, 4)
    assert members[0][0] is pool[2]
    assert sum(n for _, n in members) == 4

    def outputs(one: Individual) -> Any:
        network = build_network(one.candidate.genome, 0, problem, initialize=False)
        network.parameters[...] = kept[one.id][0].parameters
        return network.predict(problem.X_validation)

    # By hand: no other last pick would have been better than what there is.
    total = sum(n * outputs(one) for one, n in members)
    score = problem.metric(total / 4, problem.y_validation)
    alone = problem.metric(outputs(pool[2]), problem.y_validation)
    assert score >= alone
    again = select_members(pool[2], pool, kept.__getitem__, problem, 4)
    assert [(one.id, n) for one, n in again] == [(one.id, n) for one, n in members]
    second = [problem.metric((outputs(pool[2]) + outputs(one)) / 2, problem.y_validation) for one in pool]
    picked = select_members(pool[2], pool, kept.__getitem__, problem, 2)[-1][0]
    assert second[picked.id] == max(second)


def test_one_pick_is_the_winner_alone() -> None:
    problem = prepare(DATA, 0, n_folds=1).problem
    pool = individuals([3, 8])
    kept = states(pool, problem)
    assert select_members(pool[1], pool, kept.__getitem__, problem, 1) == [(pool[1], 1)]


@pytest.mark.slow
@pytest.mark.parametrize("refit", [True, False])
def test_a_search_saves_and_tests_its_ensemble(tmp_path: Path, refit: bool) -> None:
    result = search("diabetes", tmp_path, ensemble=5, n_candidates=30, refit=refit)
    network = result.network
    assert isinstance(network, Ensemble)
    # Without a refit each pick is the network of its best fold.
    assert 2 <= len(network.members) <= 5
    assert sum(network.member_weights) == pytest.approx(1)
    assert network.members[0].sizes[1:-1] == result.best.genome.widths
    table = nas.load_dataset("diabetes").table
    mean = sum(
        share * member.predict(table)
        for share, member in zip(network.member_weights, network.members, strict=True)
    )
    np.testing.assert_allclose(network.predict(table), mean, rtol=1e-5)
    saved = nas.load_network(result.run_dir)
    assert np.array_equal(saved.predict(table), network.predict(table))
    parts = saved.provenance["members"]
    assert [one["share"] for one in parts] == pytest.approx(network.member_weights)
    assert parts[0]["candidate"]["id"] == result.best.id
    assert [tuple(one["widths"]) for one in result.to_dict()["ensemble"]] == [
        member.sizes[1:-1] for member in network.members
    ]
    assert network.transform(table).shape == (len(table), sum(one.sizes[-2] for one in network.members))


def test_an_ensemble_is_the_same_again_and_after_a_resume(tmp_path: Path) -> None:
    one = search("wine", tmp_path / "a", ensemble=4, n_candidates=20)
    short = search("wine", tmp_path / "b", ensemble=4, n_candidates=10)
    other = resume(short.run_dir, n_candidates=20)
    content = [(run.model_path / "weights.safetensors").read_bytes() for run in (one, other)]
    assert content[0] == content[1]


def test_no_more_than_the_winner_by_default(tmp_path: Path) -> None:
    assert isinstance(search("wine", tmp_path, n_candidates=6).network, nas.Network)
    with pytest.raises(InputError, match="ensemble: expected a whole number of at least 1"):
        search("wine", tmp_path, ensemble=0)


def test_members_have_to_fit_each_other(tmp_path: Path) -> None:
    one = search("wine", tmp_path / "wine", n_candidates=2).network
    other = search("iris", tmp_path / "iris", n_candidates=2).network
    assert isinstance(one, nas.Network)
    assert isinstance(other, nas.Network)
    with pytest.raises(ModelError, match="members for different tables"):
        nas.Ensemble([one, other], [1, 1])
    with pytest.raises(ModelError, match="1 shares for 2 members"):
        nas.Ensemble([one, one], [1])
    with pytest.raises(ModelError, match="shares"):
        nas.Ensemble([one, one], [1, 0])


@pytest.mark.parametrize("n", [3, 7, 10, 49])
def test_shares_are_written_and_read_to_the_last_bit(tmp_path: Path, n: int) -> None:
    one = search("wine", tmp_path, n_candidates=2).network
    assert isinstance(one, nas.Network)
    for picks in ([1] * n, [n, 2, 1, 1], [1, 6, 3, 5, n]):
        ensemble = Ensemble([one] * len(picks), picks)
        assert sum(ensemble.member_weights) == pytest.approx(1)
        assert Ensemble(ensemble.members, ensemble.member_weights).member_weights == ensemble.member_weights
        assert (
            nas.load_network(save_network(ensemble, tmp_path / "saved")).member_weights
            == ensemble.member_weights
        )


@pytest.mark.exhaustive
def test_estimators_predict_by_their_ensembles() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    how: dict[str, Any] = {"space": "tiny", "n_candidates": 12, "ensemble": 4, "random_state": 0}
    for model in (
        nas.NASRegressor(**how).fit(X, y),
        nas.NASClassifier(**how).fit(X, np.where(y > y.median(), "much", "little")),
    ):
        network = model.network_
        assert len(network.members) > 1
        predicted = model.predict(X)
        if isinstance(model, nas.NASRegressor):
            np.testing.assert_allclose(predicted, network.predict(X), rtol=1e-4)
        else:
            assert predicted.tolist() == network.predict(X).tolist()
        assert model.transform(X).shape[1] == len(model.get_feature_names_out())
        assert model._repr_html_().count("<svg") >= len(network.members)
