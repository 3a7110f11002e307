"""A toy landscape, a driver of engines over it, and search spaces of every kind."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nas.evaluation import Candidate, Evaluation
from nas.evolution import Engine, Individual
from nas.evolution.ranking import ByFitness
from nas.genome import Genome
from nas.space import SearchSpace

TARGET = (16, 8, 4)
RUNGS = (3, 9, 27)


def fitness(genome: Genome) -> float:
    """Best at 16-8-4 with tanh, worse by every step away from it."""
    depth = abs(genome.depth - len(TARGET))
    widths = sum(abs(np.log2(width / target)) for width, target in zip(genome.widths, TARGET, strict=False))
    return float(1 - 0.2 * depth - 0.05 * widths - 0.1 * (genome.activation != "tanh"))


def judge(candidate: Candidate, failing: int = 0) -> Evaluation:
    """Every `failing`-th candidate fails; more epochs are better, and every seventh stops early."""
    if failing and candidate.id % failing == 0:
        return Evaluation(candidate.id, error="it failed")
    epochs = candidate.epochs or RUNGS[-1]
    value = fitness(candidate.genome) - 0.1 / epochs
    return Evaluation(
        candidate.id,
        fitness=value,
        validation_loss=1 - value,
        best_epoch=epochs,
        stopped="patience" if candidate.id % 7 == 3 else "epochs",
        train_losses=(1.0,) * (epochs - candidate.epochs_done),
    )


def ask_all(engine: Engine) -> list[Candidate]:
    """Ask for as many batches as may be in flight, as the search loop does."""
    candidates: list[Candidate] = []
    while engine.can_ask and (batch := engine.ask()):
        candidates += batch
    return candidates


def drive(
    engine: Engine, n: int, failing: int = 0, *, judge: Callable[[Candidate, int], Evaluation] = judge
) -> list[Candidate]:
    """Ask and tell from the start of a search until `n` evaluations, or until the space is exhausted."""
    waiting, evaluated = deque(ask_all(engine)), list[Candidate]()
    while waiting and len(evaluated) < n:
        candidate = waiting.popleft()
        engine.tell(judge(candidate, failing))
        evaluated.append(candidate)
        if not waiting or waiting[0].generation != candidate.generation:
            waiting += ask_all(engine)
    return evaluated


def individual(
    number: int, genome: Genome, value: float, *, epochs: int | None = None, stopped: str = "epochs"
) -> Individual:
    """Make an individual of this fitness."""
    evaluation = Evaluation(number, fitness=value, validation_loss=1.0, stopped=stopped)
    return Individual(Candidate(number, genome, 0, 0, "random", epochs=epochs), evaluation)


def ranking(individuals: Iterable[Individual]) -> ByFitness:
    """Rank individuals by fitness."""
    ordered = ByFitness()
    for individual in individuals:
        ordered.add(individual)
    return ordered


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Funnels, equal widths, genes for the net or the layer, any genes, linear models."""
    low = draw(st.integers(0, 3))
    activation = draw(st.sampled_from([(), ("relu",), ("relu", "tanh"), ("relu", "tanh", "elu")]))
    dropout = draw(st.sampled_from([(), (0.0, 0.2), (0.0, 0.1, 0.2)]))
    genes: dict[str, Any] = {
        "learning_rate": draw(st.sampled_from([(), (0.01,), (0.001, 0.01, 0.1)])),
        "batch_size": draw(st.sampled_from([(), (8, 16)])),
        "weight_decay": draw(st.sampled_from([(), (0.0, 0.1)])),
        "optimizer": draw(st.sampled_from([(), ("adam", "sgd")])),
        "schedule": draw(st.sampled_from([(), ("constant", "step", "cosine")])),
        "scaling": draw(st.sampled_from([(), ("standard", "quantile")])),
    }
    return SearchSpace(
        depth=(low, low + draw(st.integers(0, 4))),
        widths=draw(st.lists(st.sampled_from((2, 4, 6, 8, 16, 32)), min_size=1, unique=True)),
        non_increasing=draw(st.booleans()),
        equal_widths=draw(st.booleans()),
        activation=activation,
        activation_per_layer=bool(activation) and draw(st.booleans()),
        dropout=dropout,
        dropout_per_layer=bool(dropout) and draw(st.booleans()),
        **genes,
    )


randoms = st.integers(0, 2**32).map(random.Random)
