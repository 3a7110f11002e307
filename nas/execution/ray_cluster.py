"""Starting a private Ray on this machine, and joining one that runs already, here or on many machines."""

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
from nas.execution.executor import StopFlag
from nas.execution.reaper import reaped

# Read by Ray when it is imported or started: no reports sent home, and no copied working directory
# for workers where the program runs under uv.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
# Ray warns at import that a later version will not touch accelerators' variables.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# A driver that connects waits for the first workers to be up, and holds the interpreter's lock meanwhile
# (measured: 0.9 s, 2.6 s on a busy machine): no signal would be handled. Workers start with the first tasks.
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
# In a notebook Ray tells at import that it would draw with ipywidgets.
logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)

import ray
import ray.exceptions
from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from nas.execution.ray_flags import BoardFlag, FileFlag, new_board

_log = logging.getLogger(__name__)

_PATIENCE = 10.0
"""Seconds to wait for an answer at an address: longer than a lost packet takes to be sent again."""

_SMALLEST_STORE = 128 * 2**20
"""Bytes of shared memory beside the problems: for tasks and results; Ray takes no less than 75 MiB."""

_LOOPBACK = ("127.0.0.1", "::1")

_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU"}
"""What Ray's nodes call the resources that tasks ask for by another name."""


class Cluster(Protocol):
    """A Ray that is connected, while in the context of `private_ray` or `joined_ray`.

    Attributes
    ----------
    is_private : bool
        Whether no other program uses it, so that a task that is submitted to a free worker starts at once.
    """

    is_private: bool

    def flag(self) -> StopFlag:
        """A new flag."""

    def shared(self) -> Cluster:
        """The same cluster for another process of this search, in a form that can be sent there."""


class _Private:
    """A cluster in which the processes share a folder of this machine."""

    def __init__(self, folder: Path, *, is_private: bool = True) -> None:
        self.is_private = is_private
        self._folder = folder

    def flag(self) -> StopFlag:
        return FileFlag(self._folder / f"flag-{uuid.uuid4().hex}")

    def shared(self) -> Cluster:
        return _Private(self._folder, is_private=False)


_shutdowns: list[Future[None]] = []
"""Shutdowns of Ray that go on in the background after an interrupt."""


def wait_for_shutdown(interrupted: Callable[[], bool]) -> None:
    """Wait until the Ray of an interrupted search is shut down: a process has one Ray at most."""
    while _shutdowns:
        _wait_for(_shutdowns[0], interrupted)
        _shutdowns.pop(0)


@contextmanager
def _in_a_thread() -> Iterator[tuple[ThreadPoolExecutor, ExitStack]]:
    """A thread to start Ray in, and a stack of what is to be done when Ray is not needed any more.

    The kernel ends Ray's processes when the thread that started them ends, so the thread has to go on. An
    interrupt does not wait for the shutdown, which then happens in that thread, after Ray's start where that
    has not completed.
    """
    thread, stack = ThreadPoolExecutor(1, "nas-ray"), ExitStack()
    try:
        yield thread, stack
    except KeyboardInterrupt:
        _shutdowns.append(thread.submit(stack.close))
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
    """A local Ray for this process only, with its files in a folder of its own, and nothing left at the end.

    Other users and other machines have no access: the files are below a folder that only this user can
    enter, and the servers listen on the loopback interface and answer only to a token that is made for this
    Ray. It needs no network and no home folder.

    Parameters
    ----------
    n_workers : int
        Concurrent tasks with these `resources`.
    n_bytes : int
        About the size of the arrays that are put into shared memory.
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
            # Ray gives all users access to its folder (mode 0777), but not to the folder above it.
            _temp_dir=str(folder / "ray"),
        )
        if (address := ray.util.get_node_ip_address()) not in _LOOPBACK:  # type: ignore[no-untyped-call]
            _log.warning("Ray %s listens on %s, not on 127.0.0.1 alone", ray.__version__, address)
        if lacking := _lacking(resources):
            raise InputError(f"resources: expected what this machine has, got {lacking}")
        yield _Private(folder)


@contextmanager
def _own_token() -> Iterator[None]:
    """Within this context, this process and the Ray that it starts authenticate with a new token.

    Ray itself would write a token into the home folder and leave it there, or, before 2.59, use none. The
    environment can be read only by processes of the same user.
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
    """Within this context, a Ray that is started listens on, and advertises, 127.0.0.1.

    Ray replaces this address, where it is given as the node's, by an address that other machines can reach,
    except on systems where it supports a single machine. A variable that Ray reads at import decides that.
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
    """Within this context, the environment has these variables."""
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


class _Joined:
    """A cluster on any number of machines, with an actor for its flags."""

    is_private = False

    def __init__(self, board: Any = None) -> None:
        self._board = new_board() if board is None else board

    def flag(self) -> StopFlag:
        return BoardFlag(self._board, uuid.uuid4().hex)

    def shared(self) -> Cluster:
        return _Joined(self._board)


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
        Of each task; while no node has them, tasks wait for a node that does.
    interrupted : callable, optional
        See `private_ray`.

    Raises
    ------
    InputError
        If nothing answers there, or it refuses this process.
    """
    with _in_a_thread() as (thread, stack):
        if address is not None:
            stack.callback(ray.shutdown)
            options = {"log_to_driver": False, "logging_level": logging.ERROR}
            try:
                _start(thread, interrupted, _ping, address)
                _start(thread, interrupted, ray.init, address=address, **options)
            except (OSError, RuntimeError, ValueError, ray.exceptions.AuthenticationError) as error:
                reason = str(error).strip().split("\n")[0].rstrip(".")
                raise InputError(
                    f"ray_address: expected a Ray that can be joined at {address}, got: {reason} "
                    "(one that was started with a token asks for RAY_AUTH_MODE=token and the same token)"
                ) from error
        if lacking := _lacking(resources):
            _log.warning("resources: waiting for a node of the cluster with more than %s", lacking)
        yield _Joined()


def _ping(address: str) -> None:
    """Raise `OSError` or `ValueError` if no process listens there; Ray itself would try for minutes."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError("no HOST:PORT")
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=_PATIENCE).close()


def _lacking(resources: Mapping[str, float]) -> str:
    """The resources that the best suited node has too little of; empty if some node has enough."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    shortages = sorted((_shortages(node["Resources"], resources) for node in nodes if node["Alive"]), key=len)
    return ", ".join(shortages[0]) if shortages else ""


def _shortages(available: Mapping[str, float], required: Mapping[str, float]) -> list[str]:
    amounts = [(name, available.get(_NAMES.get(name, name), 0), amount) for name, amount in required.items()]
    return [f"{name} {has:g} of {amount:g}" for name, has, amount in amounts if has < amount]


def _start(
    thread: ThreadPoolExecutor,
    interrupted: Callable[[], bool],
    function: Callable[..., Any],
    *arguments: Any,
    **options: Any,
) -> None:
    """Call a function of Ray's start in its thread, where no signal interrupts it; see `_wait_for`.

    Interrupted in the middle, Ray leaves processes behind, or crashes. Outside of the main thread it does not
    install its handler of SIGTERM either, which just exits; the handler that its core installs meanwhile is
    replaced by the program's within a millisecond.
    """
    handler = signal.getsignal(signal.SIGTERM)
    # None: the handler is not Python's, and cannot be restored; only the main thread may set handlers.
    can_restore = handler is not None and threading.current_thread() is threading.main_thread()

    def restore() -> None:
        if can_restore:
            signal.signal(signal.SIGTERM, handler)

    try:
        future = thread.submit(function, *arguments, **options)
        _wait_for(future, interrupted, restore)
        future.result()
    finally:
        restore()


def _wait_for(
    future: Future[Any], interrupted: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Wait for a future of another thread; raises `KeyboardInterrupt` once `interrupted`."""
    # An interrupt in the middle of a method of the future could leave the future's lock held for ever.
    completed: list[object] = []
    future.add_done_callback(completed.append)
    while not completed:
        if interrupted():
            raise KeyboardInterrupt
        time.sleep(0.001)
        meanwhile()
