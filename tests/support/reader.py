"""The receiving side for `server` chats: judges items in order of seq and names every failure (protocol §5).

It judges what is appended as it comes, and everything anew when older items or missing keys arrive: slow and plain,
a yardstick for tests.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.encoding import Failure, b64u, parse_object, un64u
from tests.support.envelopes import (
    CHAIN_START,
    chain_step,
    check_signature,
    envelope_hash,
    item_hash,
    open_envelope,
    open_wrap,
    read_header,
)
from tests.support.keys import KeySet, bundle_hash, judge_bundle, signing_keys

Item = Mapping[str, Any]


@dataclass
class Judged:
    """What a reader shows of one item: `failure` (no content then), `warnings`, `payload` of a good message."""

    seq: int
    kind: str
    sender: str = ""
    id: str = ""
    alg: str = ""
    payload: dict[str, Any] | None = None
    failure: str | None = None
    warnings: list[str] = field(default_factory=list)


class Person:
    """The bundles of one user, judged and linked, and the version that is pinned."""

    def __init__(self, username: str, entry: Mapping[str, Any], pin: tuple[int, str] | None = None) -> None:
        """`entry` is an item of GET /keys with its history; `pin` defaults to the current bundle."""
        bundles = sorted([entry, *entry["history"]], key=lambda bundle: bundle["version"])
        self.bundles = {bundle["version"]: bundle for bundle in bundles}
        self.identity: dict[int, int] = {}  # version → the version that its unbroken continuity begins with
        self.hashes: dict[int, str] = {}
        for bundle in bundles:
            version = bundle["version"]
            before = self.bundles.get(version - 1)
            linked = judge_bundle(username, bundle, before) if before or not bundle["previous"] else False
            self.identity[version] = self.identity[version - 1] if linked else version
            self.hashes[version] = bundle_hash(username, bundle)
        self.pin = pin or (entry["version"], self.hashes[entry["version"]])

    def find(self, alg: str, kid: str, least: int) -> tuple[int, bytes]:
        """(version, SPKI) of the oldest bundle from `least` on that holds this signing key, or `unknown_key`."""
        for version, bundle in self.bundles.items():
            found = signing_keys(bundle).get(kid)
            if version >= least and found and found[0] == alg:
                return version, found[1]
        raise Failure("unknown_key")

    def confirmed(self, version: int) -> bool:
        """Whether unbroken continuity joins this version and the pinned bundle."""
        pinned = self.hashes.get(self.pin[0]) == self.pin[1]
        return pinned and self.identity[version] == self.identity[self.pin[0]]


class Reader:
    """One chat as one member sees it."""

    def __init__(
        self, chat: str, keys: Iterable[KeySet], people: Mapping[str, Person], key_mode: str = "server"
    ) -> None:
        """`keys`: all own key sets, retired ones too; `people`: everyone the chat ever had."""
        self.chat, self.people, self.key_mode = chat, dict(people), key_mode
        self._keys = {keys.kid("RSA-OAEP-256"): keys for keys in keys}
        self.epochs: dict[int, Mapping[str, Any]] = {}
        self.items: list[Item] = []
        self.start = b""  # the c before the first item held
        self.judged: dict[int, Judged] = {}
        self.warnings: set[str] = set()  # of the chat
        self.chain: dict[int, bytes] = {}  # seq → c
        self._run: _Run | None = None

    @property
    def last_seq(self) -> int:
        """Highest seq held."""
        return int(self.items[-1]["seq"]) if self.items else 0

    def seen(self) -> tuple[int, str]:
        """What the next message of this member says it has seen."""
        return self.last_seq, b64u(self.chain[self.last_seq])

    def page(self, page: Mapping[str, Any]) -> list[Judged]:
        """Takes a page that begins after, or ends before, what is held; gives what is now judged of it."""
        self.learn(page["epochs"])
        items, before = page["items"], un64u(page["before"], 32)
        if page["last_seq"] < self.last_seq:
            self.warnings.add("server_rollback")
        if items and self.items and items[-1]["seq"] < self.items[0]["seq"]:
            self._prepend(items, before)
        elif items:
            self._append(items, before)
        return [self.judged[item["seq"]] for item in items if item["seq"] in self.judged]

    def push(self, item: Item, epochs: Iterable[Mapping[str, Any]] = ()) -> Judged:
        """Takes one pushed `message` or `event`; the epoch of an event's Chat is learnt too."""
        if isinstance(item.get("chat"), dict):
            self.learn([item["chat"]["epoch"]])
            if item["chat"]["key_mode"] != self.key_mode:
                self.warnings.add("mode_changed")
        self.learn(epochs)
        self._append([item], un64u(item["before"], 32))
        return self.judged[item["seq"]]

    def learn(self, epochs: Iterable[Mapping[str, Any]]) -> None:
        """Remembers Epochs, own wraps with them."""
        self.epochs.update({epoch["number"]: epoch for epoch in epochs})
        if "waiting_for_key" in self.failures().values():
            self.rejudge()

    def failures(self) -> dict[int, str]:
        """seq → failure name, of what failed."""
        return {seq: judged.failure for seq, judged in self.judged.items() if judged.failure}

    def texts(self) -> list[str]:
        """Bodies of good text messages in order."""
        payloads = [judged.payload for _, judged in sorted(self.judged.items()) if judged.payload]
        return [payload["body"] for payload in payloads if payload.get("type") == "text"]

    def _append(self, items: list[Item], before: bytes) -> None:
        if not self.items:
            self.start = before
        elif items[0]["seq"] != self.last_seq + 1:
            raise ValueError("items are judged in gapless order only")
        elif self.chain[self.last_seq] != before:
            self.warnings.add("history_fork")
        for item in items:
            self.items.append(item)
            if self._run is None:
                self.rejudge()
            else:
                self._judge(item, self._run)

    def _prepend(self, items: list[Item], before: bytes) -> None:
        if items[-1]["seq"] != self.items[0]["seq"] - 1:
            raise ValueError("items are judged in gapless order only")
        held, self.items, self.start = self.start, [*items, *self.items], before
        joint = before
        for item in items:
            joint = chain_step(joint, item_hash(item))
        if joint != held:
            self.warnings.add("history_fork")
        self.rejudge()

    def rejudge(self) -> None:
        """Judges everything held anew, in order."""
        self._run = _Run(self)
        if self.items[0]["seq"] == 1 and self.start != CHAIN_START:
            self.warnings.add("history_fork")
        self.chain = {self.items[0]["seq"] - 1: self.start}
        self.judged = {}
        for item in self.items:
            self._judge(item, self._run)

    def _judge(self, item: Item, run: "_Run") -> None:
        seq = item["seq"]
        self.chain[seq] = chain_step(self.chain[seq - 1], item_hash(item))
        self.judged[seq] = run.event(item) if "event" in item else run.message(item)
        run.settle(seq)

    def key(self, number: int) -> bytes:
        """K_e; `waiting_for_key`, `key_lost` or, of a wrap that does not open, `undecryptable` without."""
        epoch = self.epochs.get(number)
        if epoch is None or epoch["wrapped"] is None:
            raise Failure("waiting_for_key")
        if epoch["kid"] not in self._keys:
            raise Failure("key_lost")
        try:
            return open_wrap(self._keys[epoch["kid"]], epoch["wrapped"], self.chat, number)
        except ValueError as error:
            raise Failure("undecryptable") from error


class _Run:
    """One pass over the items: what holds at each place, what each lane and author did before."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        first = reader.items[0]["seq"]
        opened = [epoch for epoch in reader.epochs.values() if epoch["opened_seq"] < first]
        self.epoch = max((epoch["number"] for epoch in opened), default=0)
        self.floor: dict[str, int] = {}  # username → oldest bundle version that may still sign
        self.ids: set[tuple[str, str]] = set()
        self.lanes: dict[tuple[int, str, str], tuple[int, str]] = {}
        self.later: list[tuple[int, str, Judged]] = []

    def event(self, item: Item) -> Judged:
        """An event moves the epoch and announces bundles."""
        event = item["event"]
        self.epoch = event["epoch"]
        if event["kind"] == "keys":
            for username in event["usernames"]:
                person = self.reader.people[username]
                version = next((v for v, h in person.hashes.items() if h == event["keys"]), 0)
                self.floor[username] = max(self.floor.get(username, 1), version)
        return Judged(item["seq"], "event", sender=event["by"])

    def message(self, item: Item) -> Judged:
        """A message; every failure ends its judgement, warnings do not."""
        judged = Judged(item["seq"], "message")
        try:
            header = read_header(item)
            judged.sender, judged.id, judged.alg = header["from"], header["id"], header["alg"]
            self._check(item, header, judged)
        except Failure as failure:
            judged.failure = failure.name
        return judged

    def _check(self, item: Item, header: dict[str, Any], judged: Judged) -> None:
        reader, sender = self.reader, header["from"]
        if header["chat"] != reader.chat:
            raise Failure("malformed")
        if header["epoch"] != self.epoch:
            raise Failure("wrong_epoch")
        if header["seen"][0] < reader.epochs.get(self.epoch, {}).get("opened_seq", 0):
            raise Failure("malformed")
        if sender not in reader.epochs.get(self.epoch, {}).get("members", [sender]):
            raise Failure("not_a_member")
        person = reader.people.get(sender)
        if person is None:
            raise Failure("unknown_key")
        version, spki = person.find(header["alg"], header["kid"], self.floor.get(sender, 1))
        check_signature(item, header["alg"], spki)
        # From here on the author stands behind it: it counts for the chain of the lane whether it opens or not.
        self.floor[sender] = max(self.floor.get(sender, 1), version)
        repeated = (sender, header["id"]) in self.ids
        self.ids.add((sender, header["id"]))
        lane = [] if repeated else self._lane(item, header)
        payload = open_envelope(item, reader.key(header["epoch"]))
        if repeated:
            raise Failure("replayed")
        judged.payload = parse_object(payload, lone="replace")
        marks = [] if person.confirmed(version) else ["unconfirmed_key"]
        judged.warnings = [*marks, *lane, *self._seen(header, judged)]

    def _lane(self, item: Item, header: dict[str, Any]) -> list[str]:
        """`chain_gap` where numbers skip, `chain_fork` where one comes twice or does not follow."""
        lane = (header["epoch"], header["from"], header["dev"])
        last = self.lanes.get(lane)
        n, prev = header["n"], header["prev"]
        self.lanes[lane] = (n, envelope_hash(item))
        opened = self.reader.epochs.get(header["epoch"], {}).get("opened_seq", 0)
        if last is None and self.reader.items[0]["seq"] <= opened:
            last = (0, "")  # the whole epoch is held: nothing can have come before
        if last is None:
            return [] if (n == 1) == (prev == "") else ["chain_fork"]
        if n > last[0] + 1:
            return ["chain_gap"]
        if n <= last[0]:
            self.lanes[lane] = last
            return ["chain_fork"]
        return [] if prev == last[1] else ["chain_fork"]

    def _seen(self, header: dict[str, Any], judged: Judged) -> list[str]:
        """`history_fork` where the author was shown something else than this reader, `server_rollback` where they were
        shown what the server has no more: its hash is compared when an item stands there again."""
        seq, hashed = header["seen"]
        warnings = []
        if seq >= judged.seq:
            warnings.append("server_rollback")
            self.later.append((seq, hashed, judged))
        elif header["log"] or b64u(self.reader.chain.get(seq, b"")) not in ("", hashed):
            warnings.append("history_fork")
        self.reader.warnings.update(warnings)
        return warnings

    def settle(self, seq: int) -> None:
        """Compares each `seen` whose item has just come."""
        for place, hashed, judged in self.later:
            if place == seq and hashed != b64u(self.reader.chain[seq]):
                judged.warnings.append("history_fork")
                self.reader.warnings.add("history_fork")
