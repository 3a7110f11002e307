"""Genomes that lack genes of a space, and what keeps a genome out of it."""

from __future__ import annotations

import random

from nas.genome import Genome
from nas.space import SearchSpace, completed, load_space, misfits


def test_a_genome_without_genes_is_completed() -> None:
    space = load_space("small")
    genome = completed(Genome((64, 32), activation="relu"), space)
    assert genome in space
    assert (genome.widths, genome.activation) == ((64, 32), "relu")


def test_a_genome_of_the_space_stays_as_it_is(space: SearchSpace) -> None:
    rng = random.Random(0)
    for _ in range(50):
        genome = space.sample(rng)
        assert completed(genome, space) == genome
        assert not list(misfits(genome, space))


def test_what_does_not_fit_is_named() -> None:
    space = SearchSpace(depth=(1, 2), widths=(4, 8), activation=("relu",), non_increasing=True)
    genome = Genome((4, 5, 8), activation="tanh", learning_rate=0.1)
    assert list(misfits(genome, space)) == [
        "depth 3 is not between 1 and 2",
        "width 5 is not among 4, 8",
        "its widths grow",
        "activation tanh is not among relu",
        "the space has no learning_rate",
    ]
