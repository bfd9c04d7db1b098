"""What the benches send: groups of people with keys, a chat each, and envelopes sealed as a client seals them.

Made once on a fresh store, which every measured run then gets a copy of: so the epoch keys are the same, and every run
sends the same bytes. `seen` stands at the item that opened the epoch, the lanes' `n` and `prev` are chained.
"""

from __future__ import annotations

import json
import string
import uuid
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson
import requests

from bench.load import Client, Envelope
from tests.support import protocol
from tests.support.client import User

PASSWORD = "correct horse battery staple 42"
TEXT = (string.ascii_letters + string.digits + " .,") * 16
TEXT_BYTES = 1024


@dataclass(frozen=True)
class Group:
    """People and their chat; the first sends. `key` is K_1, `opened` the hash of the chain at the item that opened epoch 1."""

    members: tuple[str, ...]
    chat: str
    key: bytes
    opened: str
    keys: int  # the sender's key set in the pool
    log: str = ""  # the entry that is named by the item that opened epoch 1, in a `combined` chat

    def clients(self, tokens: Sequence[str], lanes: list[list[Envelope]]) -> list[Client]:
        """Everyone's socket for the load generator, the sender's last."""
        chats = [self.chat]
        readers = [Client(token=token, chats=chats, lanes=[]) for token in tokens[1:]]
        return [*readers, Client(token=tokens[0], chats=chats, lanes=lanes)]

    def rooms(self) -> list[str]:
        """The tokens that the ceiling takes."""
        return [" ".join([one, *(other for other in self.members if other != one)]) for one in self.members]


class Api:
    """The few REST calls that are needed, each on a connection of its own."""

    def __init__(self, base: str) -> None:
        self.base = base

    def call(self, method: str, path: str, token: str = "", **body: Any) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                method,
                f"{self.base}/api/v1{path}",
                json=body or None,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=60,
            )
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def register(self, username: str, **more: Any) -> str:
        """An access token."""
        made = self.call("POST", "/auth/register", username=username, password=PASSWORD, **more)
        token: str = made["access_token"]
        return token

    def log_in(self, username: str) -> str:
        """An access token."""
        token: str = self.call("POST", "/auth/login", username=username, password=PASSWORD)["access_token"]
        return token


@dataclass(frozen=True)
class Work:
    """Groups, and for each of them the lanes of its first member."""

    groups: list[Group]
    lanes: list[list[list[Envelope]]]

    def clients(self, api: Api, lanes: slice = slice(None)) -> list[Client]:
        """Everyone's socket for the load generator, logged in; some of the lanes."""
        return [
            client
            for group, of_group in zip(self.groups, self.lanes, strict=True)
            for client in group.clients([api.log_in(member) for member in group.members], of_group[lanes])
        ]

    def bare(self) -> list[Client]:
        """The same for a ceiling."""
        return [
            client
            for group, lanes in zip(self.groups, self.lanes, strict=True)
            for client in group.clients(group.rooms(), lanes)
        ]

    def envelope_bytes(self) -> int:
        return len(orjson.dumps(self.lanes[0][0][0]))


def make_work(api: Api, groups: int, size: int, lanes: int, messages: int, key_mode: str = "server") -> Work:
    """`groups` of `size` people, and `lanes` with so many messages for each."""
    made = [_make_group(api, number, size, key_mode) for number in range(groups)]
    return Work(made, seal_all(made, lanes, messages))


def user_of(api: Api, name: str, key_set: int) -> User:
    """A new account with keys, as the tests' client."""
    user = User(api.base, name, PASSWORD, protocol.pool(key_set))
    user.bundle = protocol.make_bundle(name, user.keys)
    user.rest.token = api.register(name, keys=user.bundle)
    return user


def _make_group(api: Api, number: int, size: int, key_mode: str) -> Group:
    names = tuple(f"{key_mode}{number}.{place}" for place in range(size))
    owner, *_ = [user_of(api, name, 2 * number + place) for place, name in enumerate(names)]
    make = owner.create_combined if key_mode == "combined" else owner.create_chat
    chat = owner.chat(make(*names[1:]))
    (created,) = owner.history(chat["id"])["items"]
    key = owner.epoch_key(chat["id"], chat["epoch"])
    opened = protocol.b64u(protocol.chain([created]))
    return Group(names, chat["id"], key, opened, 2 * number, created["event"]["log"])


def seal_all(groups: list[Group], lanes: int, messages: int) -> list[list[list[Envelope]]]:
    """group → lane → envelopes; on all cores, since a signature takes more than a millisecond."""
    with ProcessPoolExecutor() as pool:
        jobs = [[pool.submit(_seal_lane, group, messages) for _ in range(lanes)] for group in groups]
        return [[job.result() for job in of_group] for of_group in jobs]


def _seal_lane(group: Group, messages: int) -> list[Envelope]:
    lane, sealed = protocol.new_lane(), []
    keys = protocol.pool(group.keys)
    for number in range(messages):
        body = f"{number} {TEXT}"[:TEXT_BYTES]
        envelope = protocol.seal_envelope(
            keys,
            group.key,
            json.dumps({"type": "text", "body": body}, separators=(",", ":")).encode(),
            chat=group.chat,
            epoch=1,
            id=str(uuid.uuid4()),
            sender=group.members[0],
            lane=lane,
            seen=(1, group.opened),
            log=group.log,
        )
        lane.sent(1, envelope)
        sealed.append(envelope)
    return sealed
