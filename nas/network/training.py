"""Training, alone or together: epochs of mini-batches, early stopping, budgets."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from nas.network.arrays import Array, DTypeLike, Floats, host, to_device, to_host, xp
from nas.network.cohort import Cohort, Member
from nas.network.config import SHARED, TrainingConfig, shared
from nas.network.denormals import flush_to_zero
from nas.network.mlp import MLP
from nas.network.optimizers import OPTIMIZERS
from nas.network.rows import check_rows, row_weights
from nas.network.schedules import rate_factor
from nas.network.state import State

Stop = Literal["epochs", "patience", "time", "interrupted", "diverged"]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What became of a training; the curves hold one number for each finished epoch.

    Attributes
    ----------
    stopped : str
        Why it ended: "epochs", "patience", "time", "interrupted" or "diverged".
    best_epoch : int
        The epoch, from 1, whose weights the network now has; 0 if none was finished. Epochs before the
        state from which training went on count too.
    train_loss, validation_loss, validation_score : tuple of float
        The mean loss over the epoch's steps; loss and score on the validation rows after it.
    error : str, optional
        What diverged, and in which epoch.
    best : State, optional
        What belongs to the weights that the network now has, where states are kept.
    last : State, optional
        What to go on from where "epochs" ended it, where states are kept.
    """

    stopped: Stop
    best_epoch: int
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...] = ()
    validation_score: tuple[float, ...] = ()
    error: str | None = None
    best: State | None = field(default=None, repr=False, compare=False)
    last: State | None = field(default=None, repr=False, compare=False)


Score = Callable[[Floats, Array], float]


def train(
    network: MLP,
    X: Floats,
    y: Array,
    config: TrainingConfig,
    *,
    validation: tuple[Floats, Array] | None = None,
    score: Score | None = None,
    sample_weight: Floats | None = None,
    class_weight: Sequence[float] | None = None,
    validation_weight: Floats | None = None,
    batch_seed: int = 0,
    rng: host.random.Generator | None = None,
    stop_after: int | None = None,
    should_stop: Callable[[], bool] | None = None,
    state: State | None = None,
    keep_states: bool = False,
) -> TrainingResult:
    """Train one network in place: a cohort of one; see `train_cohort`.

    `rng` draws the dropout masks; `state` is where it goes on from.
    """
    (result,) = train_cohort(
        [network],
        X,
        y,
        [config],
        validation=validation,
        score=score,
        sample_weight=sample_weight,
        class_weight=class_weight,
        validation_weight=validation_weight,
        batch_seed=batch_seed,
        rngs=None if rng is None else [rng],
        stop_after=stop_after,
        should_stop=should_stop,
        states=None if state is None else [state],
        keep_states=keep_states,
    )
    return result


def train_cohort(
    networks: Sequence[MLP],
    X: Floats,
    y: Array,
    configs: Sequence[TrainingConfig],
    *,
    validation: tuple[Floats, Array] | None = None,
    score: Score | None = None,
    sample_weight: Floats | None = None,
    class_weight: Sequence[float] | None = None,
    validation_weight: Floats | None = None,
    batch_seed: int = 0,
    rngs: Sequence[host.random.Generator] | None = None,
    stop_after: int | None = None,
    should_stop: Callable[[], bool] | None = None,
    states: Sequence[State | None] | None = None,
    keep_states: bool = False,
) -> list[TrainingResult]:
    """Train networks of any shapes together, in place, by mini-batch gradient descent.

    All see the same batches: the order of the rows follows from `batch_seed` and the epoch alone. With
    validation rows each network ends with the weights of its best epoch there, by the score if there is
    one, then by the loss; otherwise with those of the last one. One that stops early or diverges leaves
    the cohort, and the others go on as if it were still there: bit for bit in float32 where BLAS gives a
    row of a product the same value wherever it stands, as OpenBLAS does with AVX-512, elsewhere up to
    rounding.

    Alone, a network takes the same steps up to rounding: BLAS may add up the terms of a product in
    another order where its matrix is a part of a larger one. In float32 that moves the parameters by
    less than 1e-5 of their size (root mean square) in a hundred steps; at the end of a long training,
    by what chaos makes of it.

    Training that goes on from the last states of the same members ends, bit for bit, where it would
    have without the break; so does, in float32 and with such a BLAS, that of two or more of them. Only
    dropout masks are drawn anew.

    Parameters
    ----------
    networks : sequence of MLP
        With the same inputs, outputs, loss and type.
    X : float array of shape (rows, inputs)
    y : array of shape (rows,) or (rows, outputs), as the networks' loss asks for
    configs : sequence of TrainingConfig
        One a network. They may differ in optimizer, momentum, learning rate, weight decay, dropout and
        `clip_norm`, and must agree in the rest. The time limit holds for each member on average.
    validation : (X, y), optional
        Rows that decide about early stopping.
    score : callable, optional
        ``score(predictions, y)``, recorded for the validation rows after each epoch.
    sample_weight : array of shape (rows,), optional
    class_weight : sequence of float, optional
        One factor for each class. The products of both weights are scaled to 1 on average.
    validation_weight : array of shape (rows,), optional
        Of the validation rows' losses; a `score` has to know its own.
    rngs : sequence of numpy.random.Generator, optional
        Draw each network's dropout masks; a network alone needs the same one for the same masks.
    stop_after : int, optional
        Epochs to train if fewer than ``epochs``, on the same schedule; those before a state count.
    should_stop : callable, optional
        Asked after every batch whether to end at once.
    states : sequence of State or None, optional
        What each network goes on from in place of its own parameters, after the same number of epochs.
        The optimizer's memory is of use to the same rule only; another begins without.
    keep_states : bool
        Whether results get their states, at the price of copies.

    Returns
    -------
    list of TrainingResult
        One a network, in their order.

    Raises
    ------
    ValueError
        Before the first step, if networks cannot train together, shapes do not fit, numbers are not
        finite, classes are unknown, or dropouts are not one a hidden layer.
    """
    _check_together(networks, configs)
    if batch_seed < 0:
        raise ValueError(f"batch_seed: expected a number >= 0, got {batch_seed}")
    rngs = _generators(rngs, len(networks), batch_seed)
    starts = _starts(networks, states, judged=validation is not None)
    first, config = networks[0], configs[0]
    check_rows(first, X, y, "training")
    judging = None
    if validation is not None:
        check_rows(first, *validation, "validation")
        judging = row_weights(first, validation[1], validation_weight, None)
    if stop_after is not None and stop_after < 1:
        raise ValueError(f"stop_after: expected at least 1 epoch, or None, got {stop_after}")
    weights = row_weights(first, y, sample_weight, class_weight)
    members = [
        Member(network, its_config, rng, network.shape(len(networks)), start)
        for network, its_config, rng, start in zip(networks, configs, rngs, starts, strict=True)
    ]
    done = 0 if starts[0] is None else starts[0].epochs
    limit = None if config.time_limit is None else config.time_limit * len(networks)
    watch = _Watch(limit, should_stop)
    # Divergence is looked for once an epoch, and reported.
    with host.errstate(all="ignore"), flush_to_zero():
        rows = _Rows(first, X, y, weights)
        held_out = None if validation is None else _Rows(first, *validation, judging)
        training = _Training(members, rows, held_out, score, batch_seed, keep_states=keep_states)
        for epoch in range(done + 1, min(config.epochs, stop_after or config.epochs) + 1):
            if not training.run_epoch(epoch, watch):
                break
        training.end(watch.stopped or "epochs")
    return [training.results[id(network)] for network in networks]


class _Watch:
    """Says whether training has to end in the middle of an epoch, and why."""

    def __init__(self, time_limit: float | None, should_stop: Callable[[], bool] | None) -> None:
        self._deadline = None if time_limit is None else time.perf_counter() + time_limit
        self._should_stop = should_stop
        self.stopped: Stop | None = None

    def look(self) -> bool:
        if self._deadline is not None and time.perf_counter() > self._deadline:
            self.stopped = "time"
        elif self._should_stop is not None and self._should_stop():
            self.stopped = "interrupted"
        return self.stopped is not None


class _Rows:
    """Rows to train or to be judged on, where and as the engine wants them."""

    def __init__(self, network: MLP, X: Floats, y: Array, weights: Floats | None = None) -> None:
        dtype = network.parameters.dtype
        # Taking batches from rows of another type goes through copies, or is refused. What does not fit
        # becomes infinite, and is found as divergence.
        self.X = to_device(X.astype(dtype, copy=False))
        self.y = to_device(y if network.loss.has_class_targets else y.T[:, host.newaxis])
        self.truth = y
        self.weights = None if weights is None else to_device(weights)

    def __len__(self) -> int:
        return len(self.X)


class _Training:
    """A cohort under way: its epochs, the records of its members, and who leaves when.

    `results` holds those of the networks that have left, by the networks' identity.
    """

    def __init__(
        self,
        members: Sequence[Member],
        rows: _Rows,
        held_out: _Rows | None,
        score: Score | None,
        batch_seed: int,
        *,
        keep_states: bool,
    ) -> None:
        self._cohort = Cohort(members, in_tiles=len(members) > 1)
        self._records = [_Record(member.state) for member in self._cohort.members]
        for member in members:
            if member.state is not None:
                member.network.parameters[...] = (member.state.best or member.state).parameters
        self._keeps = keep_states
        self._rows, self._batch_seed = rows, batch_seed
        self._config = members[0].config
        self._size = min(self._config.batch_size, len(rows))
        self._per_epoch = math.ceil(len(rows) / self._size)
        self._held_out = held_out
        self._score = score
        self.results: dict[int, TrainingResult] = {}

    def run_epoch(self, epoch: int, watch: _Watch) -> bool:
        """Train on every row once, and look how good everyone is; False if nobody goes on."""
        losses = self._train(epoch, watch)
        if watch.stopped:
            return False
        self._look(epoch, losses)
        patience = self._config.patience if self._held_out is not None else None
        leaving: dict[int, Stop] = {}
        for i, record in enumerate(self._records):
            if record.error:
                leaving[i] = "diverged"
            elif patience and epoch - record.improved >= patience:
                leaving[i] = "patience"
        self._leave(leaving)
        return bool(self._records)

    def _train(self, epoch: int, watch: _Watch) -> Floats:
        """One epoch; returns each member's mean loss over rows, before each batch's step."""
        rows, size, config, step = self._rows, self._size, self._config, self._cohort.step
        order = host.arange(len(rows), dtype=_index_type(len(rows)))
        host.random.default_rng([self._batch_seed, epoch]).shuffle(order)
        order = to_device(order)
        totals = xp.zeros((len(self._records), size))
        done, total = (epoch - 1) * self._per_epoch, config.epochs * self._per_epoch
        factor, steady = 1.0, config.schedule == "constant" and not config.warmup
        for i in range(self._per_epoch):
            batch = order[i * size : (i + 1) * size]
            if not steady:
                factor = rate_factor(config.schedule, done + i, total, config.warmup)
            weights = None if rows.weights is None else rows.weights[batch]
            losses = step(rows.X, rows.y.take(batch, -1), batch, weights, factor)
            sums = totals if len(batch) == size else totals[:, : len(batch)]
            xp.add(sums, losses, out=sums)
            if watch.look():
                break
        return to_host(totals.sum(axis=1) / len(rows))

    def _look(self, epoch: int, train_losses: Floats) -> None:
        """Take down a finished epoch in each member's record."""
        cohort, held_out = self._cohort, self._held_out
        if held_out is None:
            for i, (record, loss) in enumerate(zip(self._records, train_losses, strict=True)):
                record.add_training(epoch, float(loss), finite=cohort.is_finite(i))
            return
        keep = self._score is not None
        losses, predictions = cohort.validate(held_out.X, held_out.y, held_out.weights, keep=keep)
        losses = to_host(losses)
        for i, (record, loss) in enumerate(zip(self._records, train_losses, strict=True)):
            score = None
            if self._score and predictions is not None and math.isfinite(losses[i]):
                score = self._score(to_host(predictions[i]), held_out.truth)
            if record.add(epoch, float(loss), float(losses[i]), score):
                cohort.hand_back(i)
                if self._keeps:
                    record.best = record.stamp(cohort.state(i, epoch))

    def _leave(self, leaving: Mapping[int, Stop]) -> None:
        if not leaving:
            return
        for i, stopped in leaving.items():
            record = self._records[i]
            if self._held_out is None:
                self._cohort.hand_back(i)  # otherwise it was in its best epoch
                if self._keeps:
                    diverged = stopped == "diverged"
                    record.best = None if diverged else self._cohort.state(i, record.epochs)
            result = record.result(stopped)
            if self._keeps:
                last = self._last(i) if stopped == "epochs" else None
                result = replace(result, best=record.best, last=last)
            self.results[id(self._cohort.members[i].network)] = result
        self._records = [record for i, record in enumerate(self._records) if i not in leaving]
        if self._records:
            self._cohort = self._cohort.without(set(leaving))

    def _last(self, i: int) -> State:
        record = self._records[i]
        if record.best is not None and record.best.epochs == record.epochs:
            return record.best
        return replace(record.stamp(self._cohort.state(i, record.epochs)), best=record.best)

    def end(self, stopped: Stop) -> None:
        """Everyone who is left leaves."""
        self._leave(dict.fromkeys(range(len(self._records)), stopped))


class _Record:
    """The curves of a network so far, from the state on that it began in.

    Attributes
    ----------
    epochs : int
        Epochs that were finished, those before that state included.
    improved : int
        The last of them in which the score or the loss on the validation rows was the best so far.
    best : State, optional
        The best one that was kept.
    """

    def __init__(self, start: State | None) -> None:
        self._train: list[float] = []
        self._losses: list[float] = []
        self._scores: list[float] = []
        self.epochs = 0 if start is None else start.epochs
        self.best = (start.best or start) if start is not None and start.epochs else None
        self.best_epoch = 0 if self.best is None else self.best.epochs
        self._least = (math.inf, 0) if start is None or start.least is None else start.least
        self._best = _quality(None, None) if self.best is None else _quality(self.best.score, self.best.loss)
        self.error: str | None = None

    def add_training(self, epoch: int, train_loss: float, *, finite: bool) -> None:
        """Take down an epoch that nothing was held out for; `error` is set if it diverged."""
        if not math.isfinite(train_loss):
            self.error = f"the training loss became {train_loss} in epoch {epoch}"
        elif not finite:
            # No loss is taken after the last step; it may be the one that overflowed.
            self.error = f"the weights became infinite or NaN in epoch {epoch}"
        else:
            self._train.append(train_loss)
            self.epochs = self.best_epoch = epoch

    def add(self, epoch: int, train_loss: float, loss: float, score: float | None) -> bool:
        """Take down an epoch, and say whether it is the best so far; `error` is set if it diverged."""
        for name, value in (("training", train_loss), ("validation", loss)):
            if not math.isfinite(value):
                self.error = f"the {name} loss became {value} in epoch {epoch}"
                return False
        self._train.append(train_loss)
        self._losses.append(loss)
        self.epochs = epoch
        if score is not None:
            self._scores.append(score)
        self._least = min(self._least, (loss, epoch))
        quality = _quality(score, loss)
        if quality <= self._best:
            return False
        self._best, self.best_epoch = quality, epoch
        return True

    @property
    def improved(self) -> int:
        """See the class."""
        return max(self.best_epoch, self._least[1])

    def stamp(self, state: State) -> State:
        """A state after these epochs, with what they came to."""
        score = self._scores[-1] if self._scores else None
        return replace(state, loss=self._losses[-1], score=score, least=self._least)

    def result(self, stopped: Stop) -> TrainingResult:
        """The curves."""
        return TrainingResult(
            stopped,
            self.best_epoch,
            tuple(self._train),
            tuple(self._losses),
            tuple(self._scores),
            self.error,
        )


def _quality(score: float | None, loss: float | None) -> tuple[float, float]:
    """What epochs are compared by: the score where there is one, then the loss."""
    known = score if score is not None and math.isfinite(score) else -math.inf
    return known, -math.inf if loss is None else -loss


def _check_together(networks: Sequence[MLP], configs: Sequence[TrainingConfig]) -> None:
    """Raise `ValueError` unless the networks can be a cohort."""
    if not networks or len(configs) != len(networks):
        raise ValueError(
            f"networks, configs: expected one config a network, and at least one, got {len(networks)} "
            f"networks and {len(configs)} configs"
        )
    if len({id(network) for network in networks}) < len(networks):
        raise ValueError("networks: expected each once, got one that is there twice")
    first = networks[0]
    for network, config in zip(networks, configs, strict=True):
        config.dropouts(len(network.activations))  # raises where they are not one a layer
        for what, one, other in (
            ("inputs", first.sizes[0], network.sizes[0]),
            ("outputs", first.sizes[-1], network.sizes[-1]),
            ("loss", first.loss.name, network.loss.name),
            ("dtype", first.parameters.dtype, network.parameters.dtype),
        ):
            if one != other:
                raise ValueError(
                    f"networks: expected the same {what} in all of a cohort, got {one} and {other}"
                )
        for name, mine, its in zip(SHARED, shared(configs[0]), shared(config), strict=True):
            if mine != its:
                raise ValueError(
                    f"configs: expected the same {name} in all of a cohort, got {mine} and {its}"
                )


def _generators(
    rngs: Sequence[host.random.Generator] | None, n: int, seed: int
) -> Sequence[host.random.Generator]:
    """One generator a network; `ValueError` where they are not."""
    if rngs is None:
        return [host.random.default_rng(seed) for _ in range(n)]
    if len(rngs) != n:
        raise ValueError(f"rngs: expected {n}, one a network, got {len(rngs)}")
    if len({id(rng) for rng in rngs}) < n:
        raise ValueError("rngs: expected a generator of its own for each network, got one twice")
    return rngs


def _starts(
    networks: Sequence[MLP], states: Sequence[State | None] | None, *, judged: bool
) -> Sequence[State | None]:
    """One state a network, or None; `ValueError` where networks cannot go on from them together."""
    if states is None:
        return [None] * len(networks)
    if len(states) != len(networks):
        raise ValueError(f"states: expected {len(networks)}, one a network, got {len(states)}")
    epochs = {0 if state is None else state.epochs for state in states}
    if len(epochs) > 1:
        raise ValueError(f"states: expected the same epochs in all of a cohort, got {sorted(epochs)}")
    for network, state in zip(networks, states, strict=True):
        if state is None:
            continue
        arrays = [state.parameters, *state.moments, *(() if state.best is None else (state.best.parameters,))]
        for array in arrays:
            if array.shape != network.parameters.shape:
                raise ValueError(
                    f"states: expected {network.parameters.size} numbers, those of the network, "
                    f"got shape {array.shape}"
                )
        n_moments = OPTIMIZERS[state.rule[0]].n_moments
        if len(state.moments) not in (0, n_moments):
            raise ValueError(
                f"states: expected {n_moments} moments of {state.rule[0]}, or none, got {len(state.moments)}"
            )
    if judged:
        return states
    # Nothing says which epoch is the best: the last one is.
    return [None if state is None else replace(state, loss=None, best=None) for state in states]


def _index_type(n_rows: int) -> DTypeLike:
    """The smallest type for row numbers: of a narrow table, their order is a good part of all memory."""
    return host.int32 if n_rows <= host.iinfo(host.int32).max else host.int64
