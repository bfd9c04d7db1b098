"""The receiving side: judges items in order of seq and names every failure (protocol §5).

It judges what is appended as it comes, and everything anew when older items or missing keys arrive: slow and plain,
a yardstick for tests. What holds at an item's place is the business of `standing`, by key mode; a `combined` chat is
read from its own first item on, since only there is it known what the log's entry before was.
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
    read_header,
)
from tests.support.keys import KeySet
from tests.support.membership import View, check_history
from tests.support.person import Person
from tests.support.signed import Signed, signed_hash
from tests.support.standing import CombinedStanding, ServerStanding

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


class Reader:
    """One chat as one member sees it."""

    def __init__(
        self,
        chat: str,
        keys: Iterable[KeySet],
        people: Mapping[str, Person],
        key_mode: str = "server",
        username: str = "",
    ) -> None:
        """`keys`: all own key sets, retired ones too; `people`: everyone the chat ever had; `username`: who reads."""
        self.chat, self.people, self.key_mode, self.username = chat, dict(people), key_mode, username
        self.keys = {keys.kid("RSA-OAEP-256"): keys for keys in keys}
        self.entries: list[Signed] = []  # the membership log, as far as it was shown
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

    def learn_log(self, entries: list[Signed], after: int = 0) -> None:
        """Takes the entries after the first `after` ones; what differs from what is held is noted and not taken."""
        hashes = [signed_hash(signed) for signed in self.entries]
        try:
            check_history(hashes[after:], [signed_hash(signed) for signed in entries])
        except Failure as failure:
            self.warn(failure.name)
        self.entries += entries[len(hashes) - after :]

    def warn(self, name: str) -> None:
        """Notes what is wrong with the chat."""
        self.warnings.add(name)

    @property
    def view(self) -> View:
        """Members, log and share of a `combined` chat after the last item held."""
        assert self._run is not None and isinstance(self._run.standing, CombinedStanding)
        return self._run.standing.view

    def log(self) -> str:
        """The last entry that an item held has named, "" in `server` chats."""
        return self.view.entry.hash if self.key_mode == "combined" and self.view.entry else ""

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


class _Run:
    """One pass over the items: what holds at each place, what each lane and author did before."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        combined = reader.key_mode == "combined"
        self.standing = CombinedStanding(reader) if combined else ServerStanding(reader)
        self.ids: set[tuple[str, str]] = set()
        self.lanes: dict[tuple[int, str, str], tuple[int, str]] = {}
        self.later: list[tuple[dict[str, Any], Judged]] = []

    def event(self, item: Item) -> Judged:
        """An event moves what holds."""
        self.standing.event(item["seq"], item["event"])
        return Judged(item["seq"], "event", sender=item["event"]["by"])

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
        epoch = self.standing.epoch
        if header["epoch"] != epoch:
            raise Failure("wrong_epoch")
        if header["seen"][0] < reader.epochs.get(epoch, {}).get("opened_seq", 0):
            raise Failure("malformed")
        version, spki = self.standing.author(header)
        check_signature(item, header["alg"], spki)
        # From here on the author stands behind it: it counts for the chain of the lane whether it opens or not.
        self.standing.used(sender, version)
        repeated = (sender, header["id"]) in self.ids
        self.ids.add((sender, header["id"]))
        lane = [] if repeated else self._lane(item, header)
        payload = open_envelope(item, self.standing.key(epoch))
        if repeated:
            raise Failure("replayed")
        judged.payload = parse_object(payload, lone="replace")
        marks = [] if reader.people[sender].confirmed(version) else ["unconfirmed_key"]
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
        warnings = []
        if header["seen"][0] >= judged.seq:
            warnings.append("server_rollback")
            self.later.append((header, judged))
        elif self._forked(header):
            warnings.append("history_fork")
        self.reader.warnings.update(warnings)
        return warnings

    def _forked(self, header: dict[str, Any]) -> bool:
        """Whether its author was shown other items, or another log, up to the place that they had seen."""
        seq, hashed = header["seen"]
        try:
            self.standing.check_log(header)
        except Failure:
            return True
        return b64u(self.reader.chain.get(seq, b"")) not in ("", hashed)

    def settle(self, seq: int) -> None:
        """Compares each `seen` whose item has just come."""
        for header, judged in self.later:
            if header["seen"][0] == seq and self._forked(header):
                judged.warnings.append("history_fork")
                self.reader.warnings.add("history_fork")
