"""Key bundles: taking a new one in, and giving out everybody's.

A bundle is judged off the loop, keys before proofs (protocol §2), and stored with the backup and the client state that
go with it or not at all. Refused: `wrong_password`, `keys_conflict` with the current `version` and `hash`,
`malformed_key`, `weak_key`, `unsupported_algorithm`, `invalid_proof`, `backup_conflict`, `state_conflict`,
`rate_limited`; `not_found` for who is unknown or has no bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chatsec import crypto
from chatsec.domain.credentials import Credentials
from chatsec.domain.limits import Limits
from chatsec.domain.models import Bundle, Json
from chatsec.domain.ports import Clock, Offload, Publisher, Storage
from chatsec.errors import ChatSecError

History = tuple[Bundle, list[Bundle]]
"""A current bundle, and the older ones, newest first."""


class KeyService:
    """`on_new_bundle(username)` opens the epochs that the bundle is due; the caller gets no answer before it is done."""

    def __init__(
        self,
        *,
        storage: Storage,
        credentials: Credentials,
        publisher: Publisher,
        limits: Limits,
        clock: Clock,
        offload: Offload,
        on_new_bundle: Callable[[str], None],
    ) -> None:
        self._storage = storage
        self._credentials = credentials
        self._publisher = publisher
        self._limits = limits
        self._clock = clock
        self._offload = offload
        self._on_new_bundle = on_new_bundle

    def add(
        self, username: str, body: Json, backup: Json | None, state: Json | None, password: str
    ) -> Bundle:
        """The caller's next bundle, judged and stored; the current one again answers as it did."""
        self._credentials.confirm(username, password)
        bundle = self.judge_next(username, body)
        if bundle is None:
            bundle = self._current(username)
        else:
            try:
                self._storage.accounts.add_bundle(bundle, backup, state)
            except ChatSecError as error:
                # The same upload a moment before this one is no conflict.
                if error.code != "keys_conflict" or self._current(username).body != body:
                    raise
        self.announce(bundle)
        return bundle

    def judge_next(self, username: str, body: Json) -> Bundle | None:
        """The upload as a judged bundle, or None if it is the current one again."""
        current = self._storage.keys.current([username]).get(username)
        if current is not None and current.body == body:
            return None
        self._limits.take("epoch", username)
        return self.judge(username, body, current)

    def judge(self, username: str, body: Json, current: Bundle | None) -> Bundle:
        """The upload as what follows `current`."""
        judged = self._offload.run(crypto.judge_bundle, username, body, current.body if current else None)
        return Bundle(
            username=username,
            version=judged.version,
            hash=judged.hash,
            created_at=self._clock.now(),
            encryption_kid=judged.encryption_kid,
            encryption_spki=judged.encryption_spki,
            signing={kid: alg for kid, (alg, _) in judged.signing.items()},
            body=body,
        )

    def announce(self, bundle: Bundle) -> None:
        """Tells everyone concerned and opens the epochs due; again after a crash in between does no harm."""
        username = bundle.username
        self._storage.log.keys_changed(username)
        self._publisher.keys(username, bundle.version, self._storage.chats.peers(username) | {username})
        self._on_new_bundle(username)

    def history(self, username: str, after: int = 0) -> History:
        """The current bundle and those between it and version `after`."""
        current = self._current(username)
        older = [
            bundle
            for bundle in self._storage.keys.history(username, after)
            if bundle.version < current.version
        ]
        return current, older

    def histories(self, usernames: Iterable[str]) -> list[History]:
        """Of everyone who has a bundle, by username; the others are left out."""
        found = self._storage.keys.current(usernames)
        return [
            (bundle, self.history(username)[1] if bundle.version > 1 else [])
            for username, bundle in sorted(found.items())
        ]

    def _current(self, username: str) -> Bundle:
        bundle = self._storage.keys.current([username]).get(username)
        if bundle is None:
            raise ChatSecError("not_found")
        return bundle
