"""What a writer of MongoDB remembers between two batches: where chats stand, and what it could not answer.

A kept head that lost its place is folded forward, so it is never wrong about items. Of a `combined` chat it is good only
while its document counts as many stored bundles as then (`heads`). That is compared when a batch of the chat is settled,
and before one if nobody has looked for half a second: so long, and for what is on its way just then, another writer may
still judge by the bundles before.
"""

from __future__ import annotations

from collections.abc import Iterable

from chatsec.storage.mongo.again import Known
from chatsec.storage.mongo.database import Database, reaching
from chatsec.storage.mongo.heads import Place

MOST = 20_000  # chats, and items
FRESH = 500  # milliseconds


class Kept:
    """`places` by chat; `untold` is what may have a place although its sender was told `unavailable`."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.untold: set[Known] = set()

    def trim(self) -> None:
        """Begins anew where it has become too much."""
        if len(self.places) > MOST:
            self.places.clear()
        if len(self.untold) > MOST:
            self.untold.clear()

    def forget_chats_of(self, username: str) -> None:
        for chat, place in list(self.places.items()):
            if place.head is None or username in place.head.members:
                del self.places[chat]

    @reaching
    def compare(self, database: Database, chats: Iterable[str], at: int) -> None:
        """Before a batch at this time (milliseconds): forgets what bundles have made wrong since it was looked at."""
        places = [place for chat in chats if (place := self.places.get(chat))]
        aged = [
            place
            for place in places
            if place.head and place.head.combined and not 0 <= at - place.seen < FRESH
        ]
        if not aged:
            return
        wanted = {"_id": {"$in": [place.no for place in aged]}, "chat": {"$exists": True}}
        found = {doc["_id"]: doc for doc in database.chats.find(wanted, {"keys_changed": 1})}
        for place in aged:
            changed = found[place.no].get("keys_changed", 0) if place.no in found else None
            self.confirm(place, changed, at)

    def confirm(self, place: Place, keys_changed: int | None, at: int) -> None:
        """Keeps the place if this is the count by which it stands."""
        if keys_changed == place.keys_changed:
            place.seen = at
        else:
            self.places.pop(place.chat, None)
