"""Ray itself: a private one of this machine, or one that runs already, here or on many machines."""

from __future__ import annotations

import logging
import math
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from nas.errors import InputError
from nas.execution.reaper import reaped

# Read by Ray when it is imported or started: no reports sent home, and no copied working directory
# for workers where the program runs under uv.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
# Ray warns at import that a later version will leave accelerators' variables alone.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# A driver that connects waits for the first workers to be up, and holds the interpreter's lock meanwhile
# (measured: 0.9 s, 2.6 s on a busy machine): no signal would be heard. Workers start with the first tasks.
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")

import ray
import ray.exceptions
from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

_log = logging.getLogger(__name__)

_PATIENCE = 10.0
"""Seconds to wait for somebody to answer at an address."""

_SMALLEST_STORE = 128 * 2**20

_LOOPBACK = ("127.0.0.1", "::1")

_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU"}
"""What Ray's nodes call the resources that tasks ask for by another name."""


class Flag(Protocol):
    """What the driver raises to have tasks end, wherever they run."""

    def put_up(self) -> None:
        """Have those tasks end that were given this flag."""

    def is_up(self) -> bool:
        """Whether the task that was given it is to end; for the task to ask."""


class Cluster(Protocol):
    """A Ray to work with, while in the context of `private_ray` or `joined_ray`.

    Attributes
    ----------
    is_private : bool
        Whether no one else uses it, so that a task that is submitted to a free worker starts at once.
    """

    is_private: bool

    def flag(self) -> Flag:
        """A new flag."""

    def shared(self) -> Cluster:
        """The same for another process of ours, which may be sent to it."""


class _File:
    """A flag that the processes of this machine see."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put_up(self) -> None:
        self._path.touch()

    def is_up(self) -> bool:
        return self._path.exists()


class _Private:
    def __init__(self, folder: Path, *, is_private: bool = True) -> None:
        self.is_private = is_private
        self._folder = folder

    def flag(self) -> Flag:
        return _File(self._folder / f"flag-{uuid.uuid4().hex}")

    def shared(self) -> Cluster:
        return _Private(self._folder, is_private=False)


_ending: list[Future[None]] = []
"""What an interrupt has left to be ended in the background."""


def wait_for_the_last(interrupted: Callable[[], bool]) -> None:
    """Wait until a Ray of this process whose search was interrupted is gone: there can be only one."""
    while _ending:
        _wait_for(_ending[0], interrupted)
        _ending.pop(0)


@contextmanager
def _in_a_thread() -> Iterator[tuple[ThreadPoolExecutor, ExitStack]]:
    """A thread to start Ray in, and a stack of what is to be done when Ray is not needed any more.

    The kernel ends Ray's processes with the thread that started them: it has to live. An interrupt does not
    wait for the end, which then comes in that thread: after Ray's start, where that is still under way.
    """
    thread, stack = ThreadPoolExecutor(1, "nas-ray"), ExitStack()
    try:
        yield thread, stack
    except KeyboardInterrupt:
        _ending.append(thread.submit(stack.close))
        raise
    except BaseException:
        stack.close()
        raise
    else:
        stack.close()
    finally:
        thread.shutdown(wait=False)


@contextmanager
def private_ray(
    n_workers: int,
    n_bytes: int,
    resources: Mapping[str, float],
    interrupted: Callable[[], bool] = lambda: False,
) -> Iterator[Cluster]:
    """A local Ray for this process alone, with its files in a folder of its own, and nothing left at the end.

    Other users and other machines have no access: the files are below a folder that only this user can
    enter, the servers listen on the loopback interface, and answer only to a token that is made for this
    Ray. It needs no network and no home folder.

    Parameters
    ----------
    n_workers : int
        How many tasks with these `resources` run at once.
    n_bytes : int
        About what the arrays put into shared memory take.
    resources : mapping of str to float
        Of each task.
    interrupted : callable, optional
        Whether the start is to be abandoned, which raises `KeyboardInterrupt`.

    Raises
    ------
    InputError
        If this machine does not have the resources.
    """
    with _in_a_thread() as (thread, stack):
        # Sockets in this folder must have paths of at most 107 characters: keep it short.
        place = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else None
        folder = Path(tempfile.mkdtemp(prefix="nas-ray-", dir=place))
        stack.enter_context(reaped(folder))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(_own_token())
        stack.callback(ray.shutdown)
        _start(
            thread,
            interrupted,
            _init_on_loopback,
            address="local",
            num_cpus=math.ceil(n_workers * resources.get("num_cpus", 1)),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_SMALLEST_STORE + 2 * n_bytes,
            # Ray opens its folder to all users (mode 0777), but not the folder above it.
            _temp_dir=str(folder / "ray"),
        )
        if (address := ray.util.get_node_ip_address()) not in _LOOPBACK:  # type: ignore[no-untyped-call]
            _log.warning("Ray %s listens on %s, not on 127.0.0.1 alone", ray.__version__, address)
        if lacking := _lacking(resources):
            raise InputError(f"resources: expected what this machine has, got {lacking}")
        yield _Private(folder)


@contextmanager
def _own_token() -> Iterator[None]:
    """While in this context this process, and the Ray that it starts, authenticate with a new token.

    Ray itself would write one into the home folder and leave it there, or, before 2.59, use none. In the
    environment only processes of the same user can read it.
    """
    try:
        with _environment(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32)):
            _read_authentication()
            yield
    finally:
        # The Ray that this process joins next has another token, or none.
        _read_authentication()


def _read_authentication() -> None:
    """Have Ray read the environment's mode and token again, which it caches in this process."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _on_loopback() -> Iterator[None]:
    """While in this context a Ray that is started listens on, and advertises, 127.0.0.1.

    Ray replaces this address, where it is given as the node's, by one that other machines can reach, except
    on systems where it supports a single machine. What says so is a variable that is read at Ray's import.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        with _environment(**{ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"}):
            yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _init_on_loopback(**options: Any) -> None:
    # In the thread that starts Ray: an interrupt that abandons the start must not take this back halfway.
    with _on_loopback():
        ray.init(**options)


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """While in this context the environment has these variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@ray.remote(num_cpus=0)
class _Board:
    """Where tasks on any machine ask whether they are to end."""

    def __init__(self) -> None:
        self._up: set[str] = set()

    def put_up(self, flag: str) -> None:
        self._up.add(flag)

    def is_up(self, flag: str) -> bool:
        return flag in self._up


class _OnBoard:
    """A flag that is seen wherever Ray is."""

    def __init__(self, board: Any, name: str) -> None:
        self._board, self._name = board, name

    def put_up(self) -> None:
        ray.get(self._board.put_up.remote(self._name))

    def is_up(self) -> bool:
        try:
            return bool(ray.get(self._board.is_up.remote(self._name)))
        except ray.exceptions.RayActorError:
            return False  # with its node, perhaps; whoever wanted the task to end has then other worries


class _Joined:
    is_private = False

    def __init__(self, board: Any = None) -> None:
        # With the driver, so that it is there as long as somebody may put up a flag.
        self._board = _Board.options(scheduling_strategy=here()).remote() if board is None else board  # type: ignore[attr-defined]

    def flag(self) -> Flag:
        return _OnBoard(self._board, uuid.uuid4().hex)

    def shared(self) -> Cluster:
        return _Joined(self._board)


def here() -> NodeAffinitySchedulingStrategy:
    """Where this process runs, for what is to run beside it."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


@contextmanager
def joined_ray(
    address: str | None, resources: Mapping[str, float], interrupted: Callable[[], bool] = lambda: False
) -> Iterator[Cluster]:
    """A Ray that runs already, and is left running.

    Parameters
    ----------
    address : str, optional
        As `ray.init` takes it: ``HOST:PORT``, or "auto" for the one of this machine; None: the one that
        this process has joined before.
    resources : mapping of str to float
        Of each task; where no node has them yet, tasks wait for one that does.
    interrupted : callable, optional
        See `private_ray`.

    Raises
    ------
    InputError
        If nothing answers there, or not to us.
    """
    with _in_a_thread() as (thread, stack):
        if address is not None:
            stack.callback(ray.shutdown)
            options = {"log_to_driver": False, "logging_level": logging.ERROR}
            try:
                _start(thread, interrupted, _knock, address)
                _start(thread, interrupted, ray.init, address=address, **options)
            except (OSError, RuntimeError, ValueError, ray.exceptions.AuthenticationError) as error:
                why = str(error).strip().split("\n")[0].rstrip(".")
                raise InputError(
                    f"ray_address: expected a Ray that can be joined at {address}, got: {why} "
                    "(one that was started with a token asks for RAY_AUTH_MODE=token and the same token)"
                ) from error
        if lacking := _lacking(resources):
            _log.warning("resources: waiting for a node of the cluster with more than %s", lacking)
        yield _Joined()


def _knock(address: str) -> None:
    """Raise `OSError` or `ValueError` if nobody listens there; Ray itself would try for minutes."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError("no HOST:PORT")
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=_PATIENCE).close()


def _lacking(resources: Mapping[str, float]) -> str:
    """What the node that has most of what is asked for has too little of; empty if there is enough."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    lacks = sorted((_lacks(node["Resources"], resources) for node in nodes if node["Alive"]), key=len)
    return ", ".join(lacks[0]) if lacks else ""


def _lacks(has: Mapping[str, float], asked: Mapping[str, float]) -> list[str]:
    amounts = [(name, has.get(_NAMES.get(name, name), 0), wanted) for name, wanted in asked.items()]
    return [f"{name} {there:g} of {wanted:g}" for name, there, wanted in amounts if there < wanted]


def _start(
    thread: ThreadPoolExecutor,
    interrupted: Callable[[], bool],
    function: Callable[..., Any],
    *arguments: Any,
    **options: Any,
) -> None:
    """Call a function of Ray's start in its thread, where no signal interrupts it; see `_wait_for`.

    Interrupted in the middle, Ray leaves processes behind, or crashes. In another thread than the main one it
    does not install its handler of SIGTERM either, which just exits; the one that its core installs somewhere
    in between is replaced by the program's again within a millisecond.
    """
    handler = signal.getsignal(signal.SIGTERM)
    # None: not Python's own, and so not Python's to put back; other threads may not set handlers.
    ours = handler is not None and threading.current_thread() is threading.main_thread()

    def put_back() -> None:
        if ours:
            signal.signal(signal.SIGTERM, handler)

    try:
        future = thread.submit(function, *arguments, **options)
        _wait_for(future, interrupted, put_back)
        future.result()
    finally:
        put_back()


def _wait_for(
    future: Future[Any], interrupted: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Wait until something in another thread is over; raises `KeyboardInterrupt` once `interrupted`."""
    # Whoever is interrupted while it asks the future may keep the future's lock, and then waits for ever.
    done: list[object] = []
    future.add_done_callback(done.append)
    while not done:
        if interrupted():
            raise KeyboardInterrupt
        time.sleep(0.001)
        meanwhile()
