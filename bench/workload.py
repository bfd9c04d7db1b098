"""What the relay bench sends: pairs of people with keys, a chat each, and envelopes sealed as a client seals them.

Made once on a fresh store, which every measured run then gets a copy of: so the epoch keys are the same, and every run
sends the same bytes. `seen` stands at the item that opened the epoch, the lanes' `n` and `prev` are chained.
"""

from __future__ import annotations

import json
import string
import uuid
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import requests

from tests.support import protocol

PASSWORD = "correct horse battery staple 42"
TEXT = (string.ascii_letters + string.digits + " .,") * 16
TEXT_BYTES = 1024


@dataclass(frozen=True)
class Pair:
    """Two people and their chat; `key` is K_1, `opened` the hash of the chain at the item that opened epoch 1."""

    sender: str
    receiver: str
    chat: str
    key: bytes
    opened: str
    keys: int  # the sender's key set in the pool


class Api:
    """The few REST calls that are needed."""

    def __init__(self, base: str) -> None:
        self._base = f"{base}/api/v1"
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, method: str, path: str, token: str = "", **body: Any) -> Any:
        answer = self._session.request(
            method,
            self._base + path,
            json=body or None,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=60,
        )
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def log_in(self, username: str) -> str:
        """An access token."""
        token: str = self.call("POST", "/auth/login", username=username, password=PASSWORD)["access_token"]
        return token


def make_pairs(api: Api, count: int) -> list[Pair]:
    return [_make_pair(api, number) for number in range(count)]


def _make_pair(api: Api, number: int) -> Pair:
    names = f"sender{number}", f"receiver{number}"
    tokens = []
    for offset, name in enumerate(names):
        bundle = protocol.make_bundle(name, protocol.pool(2 * number + offset))
        made = api.call("POST", "/auth/register", username=name, password=PASSWORD, keys=bundle)
        tokens.append(made["access_token"])
    chat = api.call("POST", "/chats", tokens[0], members=[names[1]])
    page = api.call("GET", f"/chats/{chat['id']}/messages", tokens[0])
    key = protocol.open_wrap(protocol.pool(2 * number), chat["epoch"]["wrapped"], chat["id"], 1)
    opened = protocol.b64u(protocol.chain(page["items"]))
    return Pair(*names, chat["id"], key, opened, 2 * number)


def seal_all(pairs: list[Pair], lanes: int, messages: int) -> list[list[list[dict[str, str]]]]:
    """pair → lane → envelopes; on all cores, since a signature takes more than a millisecond."""
    with ProcessPoolExecutor() as pool:
        jobs = [[pool.submit(_seal_lane, pair, messages) for _ in range(lanes)] for pair in pairs]
        return [[job.result() for job in of_pair] for of_pair in jobs]


def _seal_lane(pair: Pair, messages: int) -> list[dict[str, str]]:
    lane, sealed = protocol.new_lane(), []
    keys = protocol.pool(pair.keys)
    for number in range(messages):
        body = f"{number} {TEXT}"[:TEXT_BYTES]
        envelope = protocol.seal_envelope(
            keys,
            pair.key,
            json.dumps({"type": "text", "body": body}, separators=(",", ":")).encode(),
            chat=pair.chat,
            epoch=1,
            id=str(uuid.uuid4()),
            sender=pair.sender,
            lane=lane,
            seen=(1, pair.opened),
        )
        lane.sent(1, envelope)
        sealed.append(envelope)
    return sealed
