"""Training, solo or in a cohort: epochs of mini-batches, validation, early stopping, budgets."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from nas import kernels
from nas.network.arrays import DTypeLike, Floats, Ints, host, to_device, to_host, xp
from nas.network.schedules import rate_factor
from nas.network.state import State
from nas.training.checks import checked
from nas.training.cohort import Cohort
from nas.training.data import Rows, TrainingData
from nas.training.denormals import flush_to_zero
from nas.training.member import Member
from nas.training.records import Record, TrainingResult, TrainingStop


def train_cohort(
    members: Sequence[Member],
    data: TrainingData,
    *,
    batch_seed: int = 0,
    stop_after: int | None = None,
    should_stop: Callable[[], bool] | None = None,
    keep_states: bool = False,
) -> list[TrainingResult]:
    """Train networks of any shapes together, in place, by mini-batch gradient descent.

    All get the same batches: the order of the rows follows from `batch_seed` and the epoch. With folds, a
    member gives the rows that its fold does not train on a weight of 0. With
    validation rows each network ends with the weights of its best epoch there, by the score if there is
    one, then by the loss; otherwise with those of the last epoch. A network that stops early or diverges
    leaves the cohort, and the rest continue as if it had stayed: bit for bit in float32 if BLAS gives a
    row of a product the same value at every position, as OpenBLAS does with AVX-512, otherwise up to
    rounding.

    Solo, a network takes the same steps up to rounding: BLAS may add up the terms of a product in
    another order if its matrix is a part of a larger matrix. In float32 that moves the parameters by
    less than 1e-5 of their size (root mean square) in a hundred steps; over a long training the
    difference grows as in any chaotic system.

    Training that continues from the last states of the same members ends, bit for bit, at the result
    without the break; two or more of these members do so too, in float32 and with such a BLAS. Only
    dropout masks are drawn anew.

    Parameters
    ----------
    members : sequence of Member
        Networks with the same inputs, outputs, loss, type and number of members of their own. Their
        configs may differ in optimizer, momentum, beta2, learning rate, weight decay, label smoothing,
        dropout and `clip_norm`, and must agree in the rest. The time limit holds for each member on average.
        States must be of the same number of epochs.
    data : TrainingData
    batch_seed : int
        Decides the order of the rows, and the dropout masks of members without a generator.
    stop_after : int, optional
        Epochs to train if fewer than ``epochs``, on the same schedule; epochs before a state count.
    should_stop : callable, optional
        Called after every batch; training ends at once if it returns true.
    keep_states : bool
        Whether results get their states, which takes copies.

    Returns
    -------
    list of TrainingResult
        One for each member, in their order.

    Raises
    ------
    ValueError
        Before the first step, if networks cannot train together, shapes do not fit, numbers are not
        finite, classes are unknown, dropouts are not one a hidden layer, or labels that are values are
        smoothed.

    Examples
    --------
    >>> from nas.network import MLP
    >>> from nas.training import TrainingConfig
    >>> rng = host.random.default_rng(0)
    >>> network = MLP((4, 8, 2), ["relu"], "cross_entropy", rng=rng)
    >>> data = TrainingData(rng.normal(size=(50, 4)), rng.integers(2, size=50))
    >>> (result,) = train_cohort([Member(network, TrainingConfig(epochs=5))], data)
    >>> str(result.stopped), len(result.train_loss)
    ('epochs', 5)
    """
    if batch_seed < 0:
        raise ValueError(f"batch_seed: expected a number >= 0, got {batch_seed}")
    if stop_after is not None and stop_after < 1:
        raise ValueError(f"stop_after: expected at least 1 epoch, or None, got {stop_after}")
    kernels.load()
    members = checked(members, batch_seed, validated=data.is_validated, n_folds=len(data.folds))
    network, config, state = members[0].network, members[0].config, members[0].state
    # Rows are checked once: all networks of a cohort have the same inputs and outputs.
    rows, parts = data.training_rows(network), data.validation_parts(network)
    start = 0 if state is None else state.epochs
    limit = None if config.time_limit is None else config.time_limit * len(members)
    watch = _Watch(limit, should_stop)
    # Records look for divergence once an epoch: warnings at each overflow would repeat that.
    with host.errstate(all="ignore"), flush_to_zero():
        training = _Training(members, rows, parts, data, keep_states=keep_states)
        for epoch in range(start + 1, min(config.epochs, stop_after or config.epochs) + 1):
            if not training.run_epoch(epoch, _row_order(len(rows), batch_seed, epoch), watch):
                break
        training.end(watch.stopped or TrainingStop.EPOCHS)
    return [training.results[id(member.network)] for member in members]


class _Watch:
    """Decides whether training has to end in the middle of an epoch; `stopped` is the reason."""

    def __init__(self, time_limit: float | None, should_stop: Callable[[], bool] | None) -> None:
        self._deadline = None if time_limit is None else time.perf_counter() + time_limit
        self._should_stop = should_stop
        self.stopped: TrainingStop | None = None

    def check(self) -> bool:
        if self._deadline is not None and time.perf_counter() > self._deadline:
            self.stopped = TrainingStop.TIME
        elif self._should_stop is not None and self._should_stop():
            self.stopped = TrainingStop.INTERRUPTED
        return self.stopped is not None


class _Training:
    """A cohort in training: its epochs, the records of its members, and their departures.

    `results` holds those of the members that have left, by their networks' identity.
    """

    def __init__(
        self,
        members: Sequence[Member],
        rows: Rows,
        parts: list[Rows],
        data: TrainingData,
        *,
        keep_states: bool,
    ) -> None:
        self._cohort = Cohort(members, tiled=len(members) > 1 or members[0].network.members > 1)
        self._records = [Record(member.state) for member in self._cohort.members]
        for member in members:
            if member.state is not None:
                # Should no epoch be better, the network has the weights of the best epoch before.
                member.network.parameters[...] = (member.state.best or member.state).parameters
        self._keep_states = keep_states
        self._rows, self._parts, self._score = rows, parts, data.score
        self._has_folds = bool(data.folds)
        self._config = members[0].config
        self._batch_size = data.batch_rows(self._config.batch_size)
        self._steps_per_epoch = math.ceil(len(rows) / self._batch_size)
        self.results: dict[int, TrainingResult] = {}

    def run_epoch(self, epoch: int, order: Ints, watch: _Watch) -> bool:
        """Train on every row once, in this order, and validate; returns whether members remain."""
        # An epoch that is cut short is not recorded: its losses would be means over fewer rows.
        losses = self._train(epoch, order, watch)
        if watch.stopped:
            return False
        self._record(epoch, losses)
        patience = self._config.patience if self._parts else None
        leaving: dict[int, TrainingStop] = {}
        for i, record in enumerate(self._records):
            if record.error:
                leaving[i] = TrainingStop.DIVERGED
            elif patience and epoch - record.improved >= patience:
                leaving[i] = TrainingStop.PATIENCE
        self._leave(leaving)
        return bool(self._records)

    def _train(self, epoch: int, order: Ints, watch: _Watch) -> Floats:
        """One epoch; returns each member's mean loss over rows, before each batch's step."""
        rows, size, config, step = self._rows, self._batch_size, self._config, self._cohort.step
        # Sums by position in the batch, in float64: one addition a step, and one mean an epoch.
        totals = xp.zeros((len(self._records), size))
        n_before, n_total = (epoch - 1) * self._steps_per_epoch, config.epochs * self._steps_per_epoch
        factor, steady = 1.0, config.schedule == "constant" and not config.warmup
        folds = xp.asarray([member.fold for member in self._cohort.members])
        for i in range(self._steps_per_epoch):
            batch = order[i * size : (i + 1) * size]
            if not steady:
                factor = rate_factor(config.schedule, n_before + i, n_total, config.warmup)
            # The last batch of an epoch may be shorter; it has its own workspace.
            weights = None if rows.weights is None else rows.weights.take(batch, -1)
            if weights is not None and self._has_folds:
                weights = weights[folds]
            regularization = rate_factor(config.regularization_schedule, n_before + i, n_total)
            losses = step(rows.X, rows.y.take(batch, -1), batch, weights, factor, regularization)
            sums = totals if len(batch) == size else totals[:, : len(batch)]
            xp.add(sums, losses, out=sums)
            if watch.check():
                break
        return to_host(totals.sum(axis=1) / len(rows))

    def _record(self, epoch: int, train_losses: Floats) -> None:
        """Validate, and add a finished epoch to each member's record."""
        cohort, parts = self._cohort, self._parts
        if not parts:
            for i, (record, loss) in enumerate(zip(self._records, train_losses, strict=True)):
                record.add_training(epoch, float(loss), finite=cohort.is_finite(i))
            return
        keep = self._score is not None
        losses, predictions = cohort.validate(parts, keep=keep)
        for i, (record, loss) in enumerate(zip(self._records, train_losses, strict=True)):
            score = None
            # A score of predictions that are not finite may raise: the loss reports them.
            if self._score and math.isfinite(losses[i]):
                part = parts[cohort.members[i].fold]
                score = self._score(to_host(predictions[i]), part.truth, part.score_weights)
            if record.add(epoch, float(loss), float(losses[i]), score):
                cohort.write_back(i)
                if self._keep_states:
                    record.best = record.stamp(cohort.state(i, epoch))

    def _leave(self, leaving: Mapping[int, TrainingStop]) -> None:
        """Make the results of these members, and go on with a smaller cohort."""
        if not leaving:
            return
        for i, stopped in leaving.items():
            record = self._records[i]
            if not self._parts:
                self._cohort.write_back(i)  # with validation rows it was written back at its best epoch
                if self._keep_states:
                    diverged = stopped is TrainingStop.DIVERGED
                    record.best = None if diverged else self._cohort.state(i, record.epochs)
            result = record.result(stopped)
            if self._keep_states:
                last = self._last_state(i) if stopped is TrainingStop.EPOCHS else None
                result = replace(result, best=record.best, last=last)
            # By network: a cohort has its members in an order of its own.
            self.results[id(self._cohort.members[i].network)] = result
        self._records = [record for i, record in enumerate(self._records) if i not in leaving]
        if self._records:
            self._cohort = self._cohort.without(set(leaving))

    def _last_state(self, i: int) -> State:
        record = self._records[i]
        if record.best is not None and record.best.epochs == record.epochs:
            return record.best  # the same arrays, not a second copy
        return replace(record.stamp(self._cohort.state(i, record.epochs)), best=record.best)

    def end(self, stopped: TrainingStop) -> None:
        """Make the results of all remaining members."""
        self._leave(dict.fromkeys(range(len(self._records)), stopped))


def _row_order(n_rows: int, batch_seed: int, epoch: int) -> Ints:
    """The order of the rows in an epoch, on the device.

    A generator of its own for each epoch: training that continues needs no generator's state.
    """
    order = host.arange(n_rows, dtype=_index_type(n_rows))
    host.random.default_rng([batch_seed, epoch]).shuffle(order)
    return to_device(order)


def _index_type(n_rows: int) -> DTypeLike:
    """The smallest type for row numbers: for a narrow table their order is a large share of all memory."""
    return host.int32 if n_rows <= host.iinfo(host.int32).max else host.int64
