"""A Ray of several nodes on this machine, for the tests beside this file; run as a program.

It prints its address, then does what each line of its standard input says: "add NAME=AMOUNT,...", a node
with these resources; "kill", the last node, at once. It answers each with a line.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster


def main() -> None:
    """Start a head with no processor, and obey."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = []
    _say(cluster.address)
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "add":
            amounts = dict(part.split("=") for part in rest)
            resources = {name: float(amount) for name, amount in amounts.items() if name != "num_cpus"}
            nodes.append(cluster.add_node(num_cpus=int(amounts["num_cpus"]), resources=resources))
        else:
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        _say(len(nodes))
    cluster.shutdown()  # type: ignore[no-untyped-call]


def _say(answer: object) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
