"""Ports of loopback for what the tests start.

They lie below those that the kernel hands to whoever connects (32768 on Linux), so that nobody takes one between its being
found and its being listened on, or while its server is down; and each process of a test run looks in a range of its own.
"""

import itertools
import os
import random
import socket

SPAN = 5_000
FIRST = 10_000 + SPAN * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4)

_places = itertools.count(random.randrange(SPAN))


def free_port() -> int:
    """A port that nobody listens on."""
    while True:
        port = FIRST + next(_places) % SPAN
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def free_ports(count: int) -> int:
    """The first of so many in a row."""
    while True:
        row = [free_port() for _ in range(count)]
        if row == list(range(row[0], row[0] + count)):
            return row[0]
