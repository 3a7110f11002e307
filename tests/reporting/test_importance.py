"""What mattered: planted effects are found, and noise is given nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from nas.evaluation import Candidate, Evaluation
from nas.genome import Genome
from nas.reporting.features import encode_networks
from nas.reporting.importance import importance
from nas.reporting.networks import Network
from nas.space import SearchSpace

SPACE = SearchSpace(
    depth=(1, 4),
    widths=(8, 16, 32, 64, 128, 256),
    activation=("relu", "tanh", "gelu"),
    learning_rate=(0.001, 0.002, 0.004, 0.008),
    weight_decay=(0.0, 0.001, 0.01),
    beta2=(0.95, 0.999),
    members=(1, 8),
    regularization_schedule=("constant", "flat_cosine"),
    clip_norm=(0.0, 1.0),
    bias_rate=(0.1, 1.0),
    parametrization=("standard", "ntk"),
    initialization=("random", "data"),
    layer_norm=(0, 1),
)


def drawn(n: int, fitness: Callable[[Genome, random.Random], float], seed: int = 0) -> list[Network]:
    rng = random.Random(seed)
    genomes = {SPACE.sample(rng) for _ in range(2 * n)}
    return [
        Network(
            Candidate(i, genome, i, 0, "random"),
            Evaluation(i, fitness=fitness(genome, rng), n_parameters=genome.n_parameters(10, 3)),
            epochs=20,
            by_rung={0: 0.0},
        )
        for i, genome in enumerate(sorted(genomes, key=str)[:n])
    ]


def planted(genome: Genome, rng: random.Random) -> float:
    """The first width, how much by the activation; the learning rate a little; nothing else."""
    doublings = math.log2(genome.widths[0] / 8)
    slope = 1.0 if genome.activation == "relu" else -0.4
    return slope * doublings + 0.5 * math.log2(genome.learning_rate or 1) + rng.gauss(0, 0.4)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_effect_and_its_interaction_are_found(seed: int) -> None:
    found = importance(drawn(300, planted, seed), SPACE, seed)
    names = [effect.name for effect in found.genes]
    assert set(names[:2]) == {"width of layer 1", "activation"}
    assert found.predicted > 0.6
    clear = {effect.name for effect in found.genes if effect.is_significant}
    assert {"width of layer 1", "activation", "learning rate"} <= clear
    assert set(found.interactions[0].name.split(" × ")) == {"width of layer 1", "activation"}
    assert found.interactions[0].is_significant
    noise = {effect.name: effect for effect in found.genes if effect.name not in names[:3]}
    assert not any(effect.is_significant for effect in noise.values())
    assert all(abs(effect.share) < 0.02 for effect in noise.values())


@pytest.mark.exhaustive
def test_an_effect_of_depth_is_not_taken_for_one_of_widths() -> None:
    found = importance(drawn(300, lambda genome, rng: genome.depth + rng.gauss(0, 0.3)), SPACE)
    depth, *others = found.genes
    assert depth.name == "depth"
    assert depth.share > 0.5
    assert not any(effect.is_significant for effect in others)
    assert found.interactions == []


@pytest.mark.exhaustive
def test_an_effect_of_a_layer_that_few_have_is_found() -> None:
    def fitness(genome: Genome, rng: random.Random) -> float:
        last = math.log2(genome.widths[2] / 8) if genome.depth > 2 else 2.5
        return last + rng.gauss(0, 0.2)

    found = importance(drawn(400, fitness), SPACE)
    assert found.genes[0].name == "width of layer 3"
    # The depth decides whether there is such a layer: that counts for it, together with the width.
    clear = [effect.name for effect in found.genes if effect.is_significant]
    assert set(clear) <= {"width of layer 3", "depth"}
    assert found.genes[0].share > 2 * found.genes[1].share


@pytest.mark.exhaustive
def test_noise_alone_is_called_noise() -> None:
    said = [importance(drawn(120, lambda _, rng: rng.gauss(0, 1), seed), SPACE, seed) for seed in range(8)]
    assert all(one.genes == [] or not any(e.is_significant for e in one.genes) for one in said)
    assert any("cannot be predicted" in one.refusal for one in said)


def test_of_few_networks_nothing_is_said() -> None:
    found = importance(drawn(20, planted), SPACE)
    assert found.genes == []
    assert "fewer than 30" in found.refusal


@pytest.mark.exhaustive
def test_shares_are_those_of_an_additive_function() -> None:
    # Of two independent parts with variances 3 : 1 the genes have three quarters and one quarter.
    def fitness(genome: Genome, rng: random.Random) -> float:
        activation = {"relu": -1.0, "tanh": 0.0, "gelu": 1.0}[str(genome.activation)]
        rate = math.log2(genome.learning_rate or 1)
        return math.sqrt(3) * activation / math.sqrt(2 / 3) + rate / math.sqrt(1.25)

    found = importance(drawn(600, fitness), SPACE)
    shares = {effect.name: effect.share for effect in found.genes}
    assert shares["activation"] == pytest.approx(0.75, abs=0.12)
    assert shares["learning rate"] == pytest.approx(0.25, abs=0.08)


def test_every_gene_has_columns_of_its_own_and_a_mask_of_networks_with_it() -> None:
    networks = drawn(50, planted)
    X, groups = encode_networks(networks, SPACE)
    assert [group.name for group in groups] == [
        "depth",
        *(f"width of layer {i}" for i in range(1, 5)),
        "activation",
        "learning rate",
        "weight decay",
        "beta2",
        "members",
        "regularization schedule",
        "clip norm",
        "bias rate",
        "parametrization",
        "initialization",
        "layer norm",
    ]
    assert X.shape == (50, sum(len(group.columns) for group in groups) + 2)
    third = groups[3]
    assert third.present.tolist() == [one.genome.depth > 2 for one in networks]
    (column,) = third.columns
    # Who has no third layer is as wide there as is usual.
    assert len(set(X[~third.present, column])) == 1
