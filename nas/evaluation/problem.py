"""The problem of a search: its data and settings, and the networks that candidates describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from nas.evaluation.codes import Codes
from nas.genome import STANDARD_ENCODING, TRAINING_GENES, Encoding, Genome
from nas.network import MLP, Architecture, Extras, InputChange
from nas.network.activations import DEFAULT_ACTIVATION
from nas.network.arrays import Array, Floats
from nas.network.waves import N_WAVES
from nas.scoring import Metric
from nas.training import Fold, TrainingConfig, TrainingData


class JudgingPart(NamedTuple):
    """Rows by which a candidate is judged: inputs, targets and weights."""

    X: Floats
    y: Array
    weights: Floats | None


@dataclass(frozen=True, eq=False)
class Problem:
    """The data and the settings that all candidates of a search share.

    Attributes
    ----------
    X_train, X_validation : float32 arrays of shape (rows, inputs)
    y_train, y_validation : arrays as `loss` asks for; see `nas.network.losses`
    n_outputs : int
    loss : str
        See `nas.network.LOSSES`.
    metric : Metric
        The score of predictions, to be maximized.
    training : TrainingConfig
        The settings for everything that a genome carries no gene for.
    batch_seed : int
        Decides the order of the batches, the same for all candidates.
    weights_train, weights_validation : arrays of shape (rows,), optional
        The weight of each row in the loss and in the score.
    encoded : mapping
        `X_train` and `X_validation` for genomes with another encoding of inputs, by that.
    codes : mapping
        The codes among the inputs of each encoding that has some.
    numbers : tuple of int
        The positions of scaled numbers among the inputs of encodings without codes.
    columns : mapping
        For each encoding the column's number of each input, int array of shape (inputs,).
    folds : sequence of Fold
        Cuts of the training rows by which candidates are cross-validated; there are no validation rows then.
    by_fold : sequence of Problem
        The same cuts as problems of their own, with training and validation rows each, where inputs are
        encoded by the targets: inputs then differ from fold to fold.
    """

    X_train: Floats
    y_train: Array
    X_validation: Floats
    y_validation: Array
    n_outputs: int
    loss: str
    metric: Metric
    training: TrainingConfig
    batch_seed: int
    weights_train: Floats | None = None
    weights_validation: Floats | None = None
    encoded: Mapping[Encoding, tuple[Floats, Floats]] = field(default_factory=dict)
    codes: Mapping[Encoding, Codes] = field(default_factory=dict)
    numbers: tuple[int, ...] = ()
    columns: Mapping[Encoding, Array] = field(default_factory=dict)
    folds: Sequence[Fold] = ()
    by_fold: Sequence[Problem] = ()

    @property
    def n_folds(self) -> int:
        """The trainings of each candidate: 1 without cross-validation."""
        return max(1, len(self.folds))

    def of(self, genome: Genome) -> Problem:
        """The problem with the inputs in the encoding of a genome."""
        encoding = genome.encoding
        if encoding == STANDARD_ENCODING:
            return self
        X_train, X_validation = self.encoded[encoding]
        return replace(self, X_train=X_train, X_validation=X_validation)

    @property
    def n_inputs(self) -> int:
        """Columns of the inputs in the standard encoding."""
        return int(self.X_train.shape[1])

    @property
    def n_inputs_by_encoding(self) -> dict[Encoding, int]:
        """Inputs of the first layers of trained networks of each encoding, waves among them."""
        return {encoding: self._n_read(encoding) for encoding in (STANDARD_ENCODING, *self.encoded)}

    def n_inputs_of(self, genome: Genome) -> int:
        """Inputs of the first layer of a genome's trained network, waves among them."""
        return self._n_read(genome.encoding)

    def _n_read(self, encoding: Encoding) -> int:
        waves = N_WAVES * len(self.numbers) if encoding.numeric_encoding == "periodic" else 0
        return self.n_columns_of(encoding) + waves

    def n_columns_of(self, encoding: Encoding) -> int:
        """Columns of the inputs in an encoding."""
        return self.n_inputs if encoding == STANDARD_ENCODING else int(self.encoded[encoding][0].shape[1])

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch, for genomes without a gene for the batch size."""
        return -(-len(self.X_train) // self.training.batch_size)

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays, in bytes."""
        arrays = (self.X_train, self.y_train, self.X_validation, self.y_validation)
        weights = (self.weights_train, self.weights_validation)
        encoded = (array for pair in self.encoded.values() for array in pair)
        # Encodings that differ by waves alone share their arrays.
        different = {id(array): array for array in (*arrays, *weights, *encoded) if array is not None}
        own = sum(array.nbytes for array in different.values())
        return own + sum(problem.n_bytes for problem in self.by_fold)

    def judging_parts(self, genome: Genome) -> list[JudgingPart]:
        """The rows by which a genome is judged: the validation rows, or those of each fold."""
        if not self.folds:
            problems: Sequence[Problem] = [self.of(genome)]
        else:
            problems = [problem.of(genome) for problem in self.by_fold]
        if problems:
            return [
                JudgingPart(problem.X_validation, problem.y_validation, problem.weights_validation)
                for problem in problems
            ]
        X, y, weights = self.of(genome).X_train, self.y_train, self.weights_train
        return [
            JudgingPart(X[rows], y[rows], None if weights is None else weights[rows])
            for rows in (fold.validation for fold in self.folds)
        ]

    def data(self, *, validate: bool) -> TrainingData:
        """The rows in the form that training takes; without `validate` there are none to validate on."""
        if self.folds:
            return TrainingData(
                self.X_train,
                self.y_train,
                folds=self.folds,
                validates=validate,
                score=self.metric,
                sample_weight=self.weights_train,
            )
        return TrainingData(
            self.X_train,
            self.y_train,
            validation=(self.X_validation, self.y_validation) if validate else None,
            score=self.metric,
            sample_weight=self.weights_train,
            validation_weight=self.weights_validation if validate else None,
        )


def build_network(
    genome: Genome, seed: int | Sequence[int], problem: Problem, *, initialize: bool = True
) -> MLP:
    """The network that a genome describes, with the initial weights that the seed draws, or zeros."""
    structure = architecture(genome, problem)
    network = MLP(
        structure.sizes,
        structure.activations,
        problem.loss,
        extras=structure.extras,
        members=structure.members,
    )
    if initialize:
        network.initialize(np.random.default_rng(seed), problem.columns.get(genome.encoding))
    return network


def architecture(genome: Genome, problem: Problem) -> Architecture:
    """The architecture of a genome's network."""
    sizes, activations = network_sizes(genome, problem), network_activations(genome)
    return Architecture(sizes, activations, extras_of(genome, problem), genome.n_members)


def network_sizes(genome: Genome, problem: Problem) -> tuple[int, ...]:
    """Columns of inputs, hidden widths and outputs of a genome's network."""
    return (problem.n_columns_of(genome.encoding), *genome.widths, problem.n_outputs)


def extras_of(genome: Genome, problem: Problem) -> Extras:
    """What a genome's network has beside its layers."""
    periodic = problem.numbers if genome.encoding.numeric_encoding == "periodic" else ()
    config = training_config(genome, problem.training)
    return Extras(
        config.front_scaling > 0,
        periodic,
        config.parametric_activation > 0,
        genome.has_skips,
        genome.is_normalized,
    )


def input_change(parent: Genome, genome: Genome, problem: Problem) -> InputChange | None:
    """How a child's inputs follow from its parent's, of the same scaling; None where they are the same."""
    if parent.encoding.of_table == genome.encoding.of_table:
        return None
    if genome.encoding in problem.codes:
        return problem.codes[genome.encoding].added()
    return problem.codes[parent.encoding].removed()


def network_activations(genome: Genome) -> tuple[str, ...]:
    """The activation of each hidden layer of a genome's network."""
    return tuple(name or DEFAULT_ACTIVATION for name in genome.activations)


def training_config(genome: Genome, defaults: TrainingConfig) -> TrainingConfig:
    """The defaults, with the genes that the genome carries in their place."""
    config = _with_genes(defaults, *_training_genes(genome))
    if genome.n_members > 1 and config.front_scaling:
        config = replace(config, front_scaling=0.0)  # members have factors of the inputs already
    if config.parametric_activation and not genome.is_parametric:
        config = replace(config, parametric_activation=0.0)
    return config


_training_genes = attrgetter(*TRAINING_GENES)


@lru_cache(maxsize=1024)
def _with_genes(defaults: TrainingConfig, *values: Any) -> TrainingConfig:
    # Planning cohorts asks again and again for the same genes: most children have those of a parent.
    genes = zip(TRAINING_GENES, values, strict=True)
    return replace(defaults, **{key: value for key, value in genes if value is not None})
