"""Reads what strace wrote: when messages arrived, when the disk had them, when they were acknowledged."""

from __future__ import annotations

import re
from pathlib import Path

STRACE = (
    "strace",
    "--follow-forks",
    "--seccomp-bpf",
    "--decode-fds=path",
    "--string-limit=20000",
    "--quiet=attach,exit,path-resolution,personality,thread-execve",
    "--trace=recvfrom,recvmsg,read,sendto,sendmsg,write,writev,fdatasync,fsync",
)


def unsynced(trace: Path, messages: dict[str, str]) -> tuple[list[str], int]:
    """`messages`: id → its signature. (ids acknowledged before the disk had them, how many were acknowledged).

    An ack is right if between its message's arrival and its own start a sync of the database's log began and ended.
    """
    arrived: dict[str, int] = {}
    acked: dict[str, int] = {}
    syncs: list[tuple[int, int]] = []
    begun: dict[str, int] = {}
    by_signature = {signature[:60]: message_id for message_id, signature in messages.items()}
    for at, line in enumerate(trace.read_text("utf-8", errors="replace").splitlines()):
        pid = line.split(" ", 1)[0]
        if re.search(r"\bf(?:data)?sync\(\d+<[^>]*\.db(?:-wal)?>", line):
            begun[pid] = at
            if "unfinished" not in line and line.rstrip().endswith("= 0"):
                syncs.append((at, at))
        elif re.search(r"f(?:data)?sync resumed>", line) and line.rstrip().endswith("= 0"):
            syncs.append((begun[pid], at))
        elif re.search(r"\b(?:recvfrom|recvmsg|read)\b", line):
            for found in re.finditer(r'signature\\": ?\\"([\w-]{60})', line):
                arrived.setdefault(by_signature[found[1]], at)
        elif re.search(r"\b(?:sendto|sendmsg|writev?)\(", line):
            for found in re.finditer(r'\\"id\\": ?\\"([0-9a-f-]{36})\\"[^}]*?\\"seq\\"', line):
                if found[1] in messages:
                    acked.setdefault(found[1], at)
    wrong = [
        message_id
        for message_id, at in acked.items()
        if not any(arrived[message_id] < start and end < at for start, end in syncs)
    ]
    return wrong, len(acked)
