"""What other users of this machine, and the network, can do to a private Ray: nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
import ray

from nas.execution.ray import RayExecutor
from nas.execution.reaper import _users

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="sockets are looked for in /proc"),
]

INTRUDER = """
import json, os, socket, sys

os.setgroups([]), os.setgid(65534), os.setuid(65534)
attempts = {
    "list": os.listdir,
    "read": lambda path: open(path, "rb").read(1),
    "write": lambda path: open(path, "ab").close(),
    "remove": os.unlink,
    "remove folder": os.rmdir,
    "link": lambda path: os.symlink("/etc/hostname", path + "/link"),
    "rename": lambda path: os.rename(path, path + "-renamed"),
    "open to all": lambda path: os.chmod(path, 0o777),
    "connect": lambda path: socket.socket(socket.AF_UNIX).connect(path),
}
done = []
for path in json.load(sys.stdin):
    for name, attempt in attempts.items():
        try:
            attempt(path)
        except OSError:
            continue
        done.append([name, path])
print(json.dumps(done))
"""
"""Tries everything with each path that it is given, as the user nobody, and prints what it could do."""

CLIENT = """
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError

try:
    GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None, timeout=5)
except AuthenticationError:
    print("refused")
"""


@dataclass(frozen=True)
class Private:
    """A running private Ray.

    Attributes
    ----------
    folder : Path
    before : mapping of str to str
        The environment before it started.
    """

    folder: Path
    before: dict[str, str]


@pytest.fixture(scope="module")
def private() -> Iterator[Private]:
    before = dict(os.environ)
    with RayExecutor(1) as executor:
        executor.flag().set()
        session = Path(ray._private.worker._global_node.get_session_dir_path())  # type: ignore[attr-defined]
        yield Private(session.parents[1], before)


def sockets_of(pid: int | str) -> list[tuple[str, str]]:
    """Inode and address of each TCP socket that listens in the network namespace of a process."""
    found = []
    for name, kind in (("tcp", IPv4Address), ("tcp6", IPv6Address)):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A":
                words = bytes.fromhex(columns[1].split(":")[0])
                # Words of four bytes in this machine's order, which is taken to be little-endian.
                address = kind(b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4)))
                found.append((columns[9], str(getattr(address, "ipv4_mapped", None) or address)))
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_reaches_nothing_of_a_private_ray(private: Private) -> None:
    inside = [private.folder, *private.folder.rglob("*")]
    assert sum(path.is_socket() for path in inside) >= 2
    assert any(path.name.startswith("flag-") for path in inside)
    processes = [Path(f"/proc/{pid}") for pid in _users(private.folder)]
    assert processes
    inside += [process / name for process in processes for name in ("environ", "mem", "fd", "cwd")]
    opened = Path(tempfile.mkdtemp())
    try:
        opened.chmod(0o777)
        assert ["list", str(opened)] in attempted(opened)
    finally:
        shutil.rmtree(opened)
    assert attempted(*inside) == []


def attempted(*paths: Path) -> list[list[str]]:
    """What another user has done with these paths."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", INTRUDER],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_a_private_ray_listens_on_loopback_alone(private: Private) -> None:
    theirs = set()
    for pid in (os.getpid(), *_users(private.folder)):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                theirs.add(str(descriptor.readlink()))
    addresses = [address for inode, address in sockets_of("self") if f"socket:[{inode}]" in theirs]
    assert len(addresses) >= 5  # of the GCS, the raylet, its agent, a worker and the driver
    assert set(addresses) == {"127.0.0.1"}


@pytest.mark.parametrize("given", [{}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "b" * 64}])
def test_a_private_ray_answers_only_to_its_own_token(private: Private, given: dict[str, str]) -> None:
    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-c", CLIENT, address]
    assert os.environ["RAY_AUTH_TOKEN"] not in private.before.values()
    environment = {**private.before, "RAY_AUTH_MODE": "disabled", **given}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


VETH = ["ip", "link", "add", "outside", "type", "veth", "peer", "name", "peer"]

IN_A_NETWORK = f"""
ip link set lo up
{" ".join(VETH)}
ip address add 192.0.2.2/24 dev outside
ip link set outside up && ip link set peer up
ip route add default via 192.0.2.1 || exit 77
"$@" & search=$!
echo $search
read -r word
ip link delete outside
echo removed
wait $search
"""
"""Runs a command in a network namespace that loses its network when a line comes."""


@pytest.mark.exhaustive
@pytest.mark.slow  # starts a search in a process of its own
def test_a_search_goes_on_when_the_network_goes_away(tmp_path: Path) -> None:
    apart = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    tools = shutil.which("unshare") and shutil.which("ip")
    if not tools or subprocess.run([*apart, *VETH], capture_output=True).returncode:
        pytest.skip("a network namespace needs unshare, ip and the right to make one")
    search = [sys.executable, "-m", "nas", "search", "wine", "--workers", "1", "--candidates", "40"]
    search += ["--epochs", "40", "--no-halving", "--finalists", "1"]
    search += ["--no-tracking", "--no-report", "--no-baseline"]
    # A home that cannot be written, as in many containers.
    environment = {**os.environ, "HOME": "/proc"}
    process = subprocess.Popen(
        [*apart, "sh", "-c", IN_A_NETWORK, "sh", *search, "--name", "cut", "--runs-dir", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        assert process.stdin
        assert process.stdout
        driver = process.stdout.readline().strip()
        assert driver, process.communicate()
        journal = tmp_path / "cut" / "journal.jsonl"
        while not journal.exists() or journal.read_bytes().count(b"\n") < 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        listening = sockets_of(driver)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "removed\n"
        before = journal.read_bytes().count(b"\n")
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
        assert before < journal.read_bytes().count(b"\n") == 41
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert {address for _, address in listening} == {"127.0.0.1"}
    assert "Ray" not in error
