"""What holds at an item's place: the epoch, who is a member, whose keys may sign, and the key of the epoch (protocol §4, §5).

In `server` chats events and Epochs say so, and continuity decides about keys. In `combined` chats the membership log and
the shares do: what is wrong with them is a warning on the chat, and a message under a share that was refused is
`unknown_key`, since no bundle is named for its author.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support.encoding import Failure, H, un64u
from tests.support.envelopes import open_wrap
from tests.support.keys import signing_keys
from tests.support.membership import View, check_claim, check_entry, follow_log, follow_share, open_share
from tests.support.person import Person
from tests.support.signed import Share, epoch_key, signed_hash

if TYPE_CHECKING:
    from tests.support.reader import Reader

Header = Mapping[str, Any]


def server_share(reader: Reader, number: int) -> bytes:
    """S_e; `waiting_for_key`, `key_lost` or, of a wrap that does not open, `undecryptable` without.

    An epoch that this member was excluded from is none that they wait for: its client share is forgotten.
    """
    epoch = reader.epochs.get(number)
    if epoch is None:
        raise Failure("waiting_for_key")
    if epoch["kid"] not in reader.keys:
        raise Failure("key_lost")
    try:
        return open_wrap(reader.keys[epoch["kid"]], epoch["wrapped"], reader.chat, number)
    except ValueError as error:
        raise Failure("undecryptable") from error


class ServerStanding:
    """One pass over a `server` chat."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        first = reader.items[0]["seq"]
        opened = [epoch for epoch in reader.epochs.values() if epoch["opened_seq"] < first]
        self.epoch = max((epoch["number"] for epoch in opened), default=0)
        self._floor: dict[str, int] = {}  # username → oldest bundle version that may still sign

    def event(self, seq: int, event: Mapping[str, Any]) -> None:
        """An event moves the epoch and announces bundles."""
        self.epoch = event["epoch"]
        if event["kind"] == "keys":
            for username in event["usernames"]:
                self.used(username, self._reader.people[username].version(event["keys"]))

    def author(self, header: Header) -> tuple[int, bytes]:
        """(version, SPKI) of the key that signed; `not_a_member`, `unknown_key`."""
        reader, sender = self._reader, header["from"]
        if sender not in reader.epochs.get(self.epoch, {}).get("members", [sender]):
            raise Failure("not_a_member")
        if sender not in reader.people:
            raise Failure("unknown_key")
        return reader.people[sender].find(header["alg"], header["kid"], self._floor.get(sender, 1))

    def used(self, username: str, version: int) -> None:
        """Somebody's keys of this version were used or announced: older ones are over."""
        self._floor[username] = max(self._floor.get(username, 1), version)

    def key(self, number: int) -> bytes:
        """K_e, or the failure's name."""
        return server_share(self._reader, number)

    def check_log(self, header: Header) -> None:
        """There is none: `history_fork` if the author names an entry."""
        if header["log"]:
            raise Failure("history_fork")


class CombinedStanding:
    """One pass over a `combined` chat, from the first item that this member may read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.epoch = 0
        self.view = View()
        self.named: dict[int, str] = {}  # seq → the entry that its item names
        self._shares: dict[int, Share | None] = {}  # epoch → its share, None for one that is not here yet
        self._begun = False

    def event(self, seq: int, event: Mapping[str, Any]) -> None:
        """An event moves the log and the epoch; what is wrong with either is noted on the chat."""
        self._begin(seq, event)
        self.epoch = event["epoch"]
        try:
            self.view = follow_log(
                self.view, self._reader.chat, event, self._reader.people, self._entry(event)
            )
            if event["log"]:
                self.named[seq] = event["log"]
        except Failure as failure:
            self._reader.warn(failure.name)
        try:
            self._follow_share(event)
        except Failure as failure:
            self._reader.warn(failure.name)
        self.view = replace(self.view, epoch=self.epoch)  # whatever was refused, the next one follows it
        if event["share"]:
            self._check_epoch(event["epoch"])

    def _begin(self, seq: int, event: Mapping[str, Any]) -> None:
        """Who comes later takes the log up to their own entry as it is, each entry judged by the one before."""
        if self._begun:
            return
        self._begun = True
        hashes = [signed_hash(signed) for signed in self._reader.entries]
        place = hashes.index(event["log"]) if event["log"] in hashes else 0
        entry = None
        try:
            for signed in self._reader.entries[:place]:
                entry = check_entry(signed, self._reader.chat, entry, self._reader.people, None)
        except Failure as failure:
            self._reader.warn(failure.name)
        if entry is not None:
            self.view = View(event["epoch"] - 1, frozenset(entry.members), entry)
            self.named[seq - 1] = entry.hash

    def _entry(self, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if not event["log"]:
            return None
        place = self.view.entry.n if self.view.entry else 0
        entries = self._reader.entries
        return entries[place] if place < len(entries) else None

    def _follow_share(self, event: Mapping[str, Any]) -> None:
        given = None
        if event["share"]:
            if event["epoch"] not in self._reader.epochs:
                self._shares[event["epoch"]] = None
                return
            given = self._reader.epochs[event["epoch"]]["client_share"]
        self.view = follow_share(self.view, self._reader.chat, event, self._reader.people, given)
        if event["share"]:
            self._shares[event["epoch"]] = self.view.share

    def _check_epoch(self, number: int) -> None:
        """An Epoch whose members are not those of the log is `history_fork`."""
        epoch = self._reader.epochs.get(number)
        if epoch is not None and set(epoch["members"]) != self.view.members:
            self._reader.warn("history_fork")

    def author(self, header: Header) -> tuple[int, bytes]:
        """(version, SPKI) by the bundle that the epoch's share names; `not_a_member`, `unknown_key`."""
        sender = header["from"]
        if sender not in self.view.members:
            raise Failure("not_a_member")
        kh = self._share(self.epoch).recipients.get(sender, ("", ""))[0]
        person = self._reader.people[sender]
        version = person.version(kh)
        alg, spki = (
            signing_keys(person.bundles[version]).get(header["kid"], ("", b"")) if version else ("", b"")
        )
        if alg != header["alg"]:
            raise Failure("unknown_key")
        return version, spki

    def _share(self, number: int) -> Share:
        if number not in self._shares:
            raise Failure("unknown_key", "its share was refused")
        share = self._shares[number]
        if share is None:
            raise Failure("waiting_for_key")
        return share

    def used(self, username: str, version: int) -> None:
        """The share alone decides."""

    def key(self, number: int) -> bytes:
        """K_e of both shares, or the failure's name; one of the chat's stands there as a warning too."""
        reader, share = self._reader, self._share(number)
        mine = {kh: reader.keys.get(kid) for kh, kid in _wrapping(reader.people[reader.username]).items()}
        given = reader.epochs[number]["client_share"]
        server = server_share(reader, number)
        if reader.username not in share.recipients:
            raise Failure("key_lost", "I was excluded")
        try:
            secret = open_share(share, given["wrapped"] or "", reader.chat, reader.username, mine)
        except Failure as failure:
            if failure.name == "key_lost":
                raise
            reader.warn(failure.name)
            raise Failure("undecryptable", str(failure)) from failure
        return epoch_key(server, secret, reader.chat, number, share.hash)

    def check_log(self, header: Header) -> None:
        """`log` is the last entry named up to what the author has seen, else `history_fork`."""
        check_claim(header["log"], self.named, header["seen"][0])


def _wrapping(person: Person) -> dict[str, str]:
    """Bundle hash → kid of its wrapping key."""
    return {
        person.hashes[version]: H(un64u(bundle["encryption"]["spki"]))
        for version, bundle in person.bundles.items()
    }
