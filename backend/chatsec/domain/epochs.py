"""The session service: makes an epoch's AES key, wraps it for every member, and forgets it (protocol §4).

S_e lives in one buffer of this module while it is wrapped, and is overwritten then, whatever happens. It is given to
no store, log, cache or exception; nothing here can unwrap.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

from chatsec import crypto
from chatsec.domain.models import Bundle, NewEpoch, Wrap
from chatsec.domain.ports import KeyStore, Offload
from chatsec.errors import ChatSecError

KEY_BYTES = 32
SLICE = 40  # wraps between two turns of the loop: about 1.4 ms


class EpochService:
    """`random` makes S_e; it is the system's generator unless a test records."""

    def __init__(
        self, keys: KeyStore, offload: Offload, random: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._keys = keys
        self._offload = offload
        self._random = random

    def open(self, chat: str, number: int, usernames: Iterable[str]) -> NewEpoch:
        """A fresh S_e under everybody's current wrapping key. `member_without_keys` names who has none."""
        wanted = sorted(usernames)
        bundles = self._keys.current(wanted)
        if without := [name for name in wanted if name not in bundles]:
            raise ChatSecError("member_without_keys", usernames=without)
        secret = bytearray(self._random(KEY_BYTES))
        try:
            wraps = self._wrap_all(
                secret, crypto.wrap_label(chat, number), [bundles[name] for name in wanted]
            )
        except ValueError:
            wraps = None
        finally:
            secret[:] = bytes(KEY_BYTES)
        if wraps is None:  # raised out here, where no frame on the way holds S_e
            raise ChatSecError("unavailable", "the epoch's key could not be wrapped")
        return NewEpoch(number, wraps)

    def _wrap_all(self, secret: bytearray, label: bytes, bundles: list[Bundle]) -> dict[str, Wrap]:
        wraps = {}
        for done, bundle in enumerate(bundles):
            if done % SLICE == SLICE - 1:
                self._offload.turn()
            wrapped = crypto.b64u_encode(crypto.wrap_key(bundle.encryption_spki, bytes(secret), label))
            wraps[bundle.username] = Wrap(bundle.encryption_kid, wrapped, bundle.hash, bundle.signing)
        return wraps
