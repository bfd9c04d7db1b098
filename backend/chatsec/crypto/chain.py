"""Hashes of a chat's items and the chain over them (protocol §4, §5).

Everything here takes texts that were checked already and answers 32 raw bytes; H of the page is their b64u.
"""

import hashlib
from collections.abc import Iterable

CHAIN_START = bytes(32)  # c_0
MAX_HEADER = 4 * 1024  # bytes of header JSON
MAX_CIPHERTEXT = 64 * 1024  # bytes, tag included


def envelope_hash(protected: str, iv: str, ciphertext: str, signature: str) -> bytes:
    """Raw h of an envelope, over its b64u texts as they travelled."""
    return hashlib.sha256(f"{protected}.{iv}.{ciphertext}.{signature}".encode("ascii")).digest()


def event_hash(
    chat: str,
    kind: str,
    by: str,
    usernames: Iterable[str],
    epoch: int,
    log: str = "",
    share: str = "",
    keys: str = "",
) -> bytes:
    """Raw hash of an event item; `epoch` is the one that holds from it on."""
    names = ",".join(sorted(usernames))
    text = f"chatsec/event/v1\n{chat}\n{kind}\n{by}\n{names}\n{epoch}\n{log}\n{share}\n{keys}"
    return hashlib.sha256(text.encode()).digest()


def chain_step(before: bytes, item_hash: bytes) -> bytes:
    """c_s from c_{s-1} and the raw hash of item s."""
    return hashlib.sha256(b"chatsec/chain/v1\n" + before + item_hash).digest()
