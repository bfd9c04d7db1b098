"""Epoch keys of `combined` chats: the client share's wrap and commitment, and the key of both shares (protocol §4).

One recipient opens `wrapped` of `share` with `private_key` under `label` to `secret` (C), which fits `commit`; with
`server_secret` (S_e) and the share's `hash` that gives `epoch_key` and `kc`.
"""

from typing import Any

from tests.support.combined import CHAT
from tests.support.encoding import H, b64u
from tests.support.envelopes import commitment
from tests.support.keys import ED25519, WRAPPING, pool
from tests.support.signed import (
    author,
    commit,
    epoch_key,
    share_fields,
    share_label,
    sign_object,
    signed_hash,
)
from tests.vectors.fixed import oaep, stream

AT = "2026-11-24T18:00:00.123Z"
KEYS = H(b"a bundle of bob")
SPKI = pool(1).spki(WRAPPING)


def cases() -> list[dict[str, Any]]:
    """All cases of the file."""
    label = share_label(CHAT, 7)
    secret = stream("C 7", 32)
    return [
        _case("first epoch", 1),
        _case("a later epoch", 7),
        _case("an epoch of many digits", 2**53 - 1),
        _case("wrapped with the server share's label", 7, "wrong_recipient_key", label[:-6] + b"server"),
        _case("wrapped for another epoch", 7, "wrong_recipient_key", share_label(CHAT, 8)),
        _case("a C of 31 bytes", 7, "wrong_recipient_key", secret=secret[:31]),
        _case("a C of 33 bytes", 7, "wrong_recipient_key", secret=secret + b"?"),
        _case("another commitment", 7, "wrong_recipient_key", committed=commit(CHAT, 8, secret)),
        _case("for another key", 7, "wrong_recipient_key", spki=pool(2).spki(WRAPPING)),
        _case("not the wrap that was signed", 7, "bad_share", exchanged=True),
        _case("an S_e of 31 bytes", 7, "undecryptable", server=stream("S 7", 31)),
    ]


def _case(
    name: str,
    epoch: int,
    failure: str = "",
    label: bytes = b"",
    secret: bytes = b"",
    server: bytes = b"",
    committed: str = "",
    spki: bytes = SPKI,
    exchanged: bool = False,
) -> dict[str, Any]:
    label, secret = label or share_label(CHAT, epoch), secret or stream(f"C {epoch}", 32)
    server = server or stream(f"S {epoch}", 32)
    fields, wraps, _ = share_fields(
        CHAT,
        epoch,
        H(b"entry"),
        {"bob": (KEYS, spki)},
        (),
        secret,
        lambda key, made, _: oaep(key, made, label),
    )
    fields |= {"at": AT} | ({"commit": committed} if committed else {})
    share = sign_object(
        pool(0), "share", ED25519, author(pool(0), CHAT, "alice", H(b"a bundle of alice")) | fields
    )
    wrapped = b64u(oaep(spki, stream("another C", 32), label)) if exchanged else wraps["bob"]
    made = {
        "name": name,
        "valid": not failure,
        **({"failure": failure} if failure else {}),
        "chat": CHAT,
        "epoch": epoch,
        "username": "bob",
        "keys": KEYS,
        "private_key": pool(1).pkcs8[WRAPPING],
        "label": b64u(label),
        "share": share,
        "hash": signed_hash(share),
        "wrapped": wrapped,
        "server_secret": b64u(server),
    }
    if failure:
        return made
    key = epoch_key(server, secret, CHAT, epoch, made["hash"])
    opened = {"secret": b64u(secret), "commit": fields["commit"]}
    return made | opened | {"epoch_key": b64u(key), "kc": commitment(key)}
