"""`User`: an account with keys, tokens, connections and lanes, and the door to the connections themselves.

alice, bob = User.register(url, "alice"), User.register(url, "bob", 1)
chat = alice.create_chat("bob")
live = bob.connect()
ack = alice.send(chat, "hello")
assert live.message()["seq"] == ack["seq"]
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support import protocol as p
from tests.support.connections import WAIT, ApiError, Json, LiveClient, RawSocket, Refused, RestClient
from tests.support.signer import Signer

__all__ = ["WAIT", "ApiError", "Json", "LiveClient", "RawSocket", "Refused", "RestClient", "Signer", "User"]


class User:
    """An account with keys and tokens; seals, sends and reads. One per installation: `log_in` makes another."""

    def __init__(self, url: str, username: str, password: str, keys: p.KeySet) -> None:
        self.url, self.username, self.password, self.keys = url, username, password, keys
        self.retired: list[p.KeySet] = []
        self.rest = RestClient(url)
        self.refresh_token = ""
        self.kdf: Json | None = None
        self.bundle: Json = {}
        self.lives: list[LiveClient] = []
        self.readers: dict[str, p.Reader] = {}
        self._lanes: dict[str, p.Lane] = {}
        self._epoch_keys: dict[tuple[str, int], bytes] = {}

    # ---- account

    @classmethod
    def register(
        cls,
        url: str,
        username: str,
        key_set: int = 0,
        *,
        real_kdf: bool = False,
        keys: p.KeySet | None = None,
    ) -> "User":
        """A new account with bundle and key backup, as the project's clients make it.

        Argon2id takes a quarter of a second, and the server cannot tell: without `real_kdf` a plain hash stands in.
        """
        user = cls(url, username, f"passphrase of {username}", keys or p.pool(key_set))
        user.kdf = p.make_kdf()
        user.bundle = p.make_bundle(username, user.keys)
        master = user._master(real_kdf)
        answer = user.rest.post(
            "/auth/register",
            {
                "username": username,
                "password": p.auth(master),
                "display_name": username.title(),
                "kdf": user.kdf,
                "keys": user.bundle,
                "key_backup": p.seal_backup(username, user.keys, p.password_key(master)),
            },
        )
        user._take_tokens(answer)
        user._real_kdf = real_kdf
        return user

    @classmethod
    def log_in(cls, url: str, username: str, password: str) -> "User":
        """A clean installation: prelogin, Argon2id, log-in, keys from the backup."""
        user = cls(url, username, password, p.KeySet({}))
        user.kdf = user.rest.post("/auth/prelogin", {"username": username})["kdf"]
        p.judge_kdf(user.kdf)
        master = user._master(True)
        answer = user.rest.post("/auth/login", {"username": username, "password": p.auth(master)})
        user._take_tokens(answer)
        _, contents = p.open_backup(username, answer["key_backup"], p.password_key(master))
        user.keys = p.backup_keys(contents)
        return user

    _real_kdf = True

    def log_in_again(self) -> "User":
        """Another session with the same keys in memory, such as a second device."""
        user = User(self.url, self.username, self.password, self.keys)
        user.kdf, user.bundle, user._real_kdf = self.kdf, self.bundle, self._real_kdf
        answer = user.rest.post("/auth/login", {"username": self.username, "password": self.secret})
        user._take_tokens(answer)
        return user

    def _master(self, real: bool) -> bytes:
        assert self.kdf is not None
        if real:
            return p.master(self.password, self.kdf)
        return p.sha256(self.password.encode(), self.kdf["salt"].encode())

    @property
    def secret(self) -> str:
        """What travels as this user's password."""
        return p.auth(self._master(self._real_kdf))

    def _take_tokens(self, answer: Json) -> None:
        self.rest.token, self.refresh_token = answer["access_token"], answer.get("refresh_token", "")

    @property
    def token(self) -> str:
        """The access token."""
        return str(self.rest.token)

    def change_password(self, password: str) -> None:
        """A new password with its wrap; the other sessions end, this one goes on with new tokens."""
        old = self.secret
        stored = self.rest.get("/me/key-backup")["key_backup"]["version"]
        self.password, self.kdf = password, p.make_kdf()
        master = self._master(self._real_kdf)
        backup = p.seal_backup(
            self.username, self.keys, p.password_key(master), stored + 1, self.bundle["version"]
        )
        body = {"password": old, "new_password": p.auth(master), "kdf": self.kdf, "key_backup": backup}
        self._take_tokens(self.rest.call("PUT", "/me/password", body))

    def rotate(self, keys: p.KeySet, link: str | None = p.ED25519) -> Json:
        """A new bundle, linked by the old key `link`; without one an identity reset."""
        version = self.bundle["version"] + 1
        bundle = p.make_bundle(
            self.username, keys, version, (self.bundle, self.keys) if link else None, link or ""
        )
        answer: Json = self.rest.post("/me/keys", {"bundle": bundle, "password": self.secret})
        self.retired.append(self.keys)
        self.bundle, self.keys = bundle, keys
        return answer

    def connect(self) -> LiveClient:
        """A socket of this session."""
        self.lives.append(LiveClient(self.url, self.token))
        return self.lives[-1]

    def close(self) -> None:
        """Ends all sockets."""
        for live in self.lives:
            live.close()
        self.rest.close()

    # ---- chats

    def create_chat(self, *others: str, **fields: Any) -> str:
        """A `server` chat with others; its id."""
        body = {"members": list(others), "key_mode": "server"} | fields
        chat: Json = self.rest.post("/chats", body)
        return str(chat["id"])

    def create_combined(self, *others: str, name: str | None = None, owners: Iterable[str] = ()) -> str:
        """A `combined` chat with others, entry 1 and first share; its id."""
        return str(Signer(self).create(*others, name=name, owners=owners)["id"])

    def signer(self, chat: str) -> Signer:
        """This user at work on a `combined` chat as it stands now."""
        return Signer(self, chat)

    def log(self, chat: str, after: int = 0) -> list[Json]:
        """The entries of a chat's membership log above `after`."""
        entries: list[Json] = []
        params: Json = {"after": after}
        while True:
            answer = self.rest.get(f"/chats/{chat}/membership", **params)
            entries += answer["items"]
            if not answer.get("next"):
                return entries
            params = {"after": after, "cursor": answer["next"]}

    def chat(self, chat: str) -> Json:
        """The Chat as this user sees it."""
        found: Json = self.rest.get(f"/chats/{chat}")
        return found

    def change(self, chat: str, kind: str, **fields: Any) -> Any:
        """An event of the chat: add, remove, leave, role, rename, rekey."""
        return self.rest.post(f"/chats/{chat}/events", {"kind": kind} | fields)

    def history(self, chat: str, **params: Any) -> Json:
        """A page."""
        page: Json = self.rest.get(f"/chats/{chat}/messages", **params)
        return page

    def people(self, chat: str) -> dict[str, p.Person]:
        """Everyone the chat ever had, bundles judged."""
        items = self.rest.get(f"/chats/{chat}/keys")["items"]
        return {item["username"]: p.Person(item["username"], item) for item in items}

    def reader(self, chat: str) -> p.Reader:
        """A fresh reader that has read everything there is for this user."""
        view = self.chat(chat)
        reader = p.Reader(
            chat, [self.keys, *self.retired], self.people(chat), view["key_mode"], self.username
        )
        if view["key_mode"] == "combined":
            reader.learn_log(self.log(chat))
        after = view["first_seq"] - 1
        while True:
            page = self.history(chat, after=after, limit=200)
            reader.page(page)
            if not page["items"] or page["items"][-1]["seq"] >= page["last_seq"]:
                self.readers[chat] = reader
                return reader
            after = page["items"][-1]["seq"]

    def hear(self, reader: p.Reader, item: Json) -> p.Judged:
        """Has a reader take one pushed item, once what its judgement needs has been fetched: entries, and new bundles."""
        if "event" in item:
            if item["event"]["log"]:
                reader.learn_log(self.log(reader.chat, len(reader.entries)), len(reader.entries))
            self.meet_again(reader)
        return reader.push(item)

    def meet_again(self, reader: p.Reader) -> None:
        """Fetches everybody's bundles for a reader; pins stay where they are."""
        reader.keys |= {keys.kid(p.WRAPPING): keys for keys in (self.keys, *self.retired)}
        for item in self.rest.get(f"/chats/{reader.chat}/keys")["items"]:
            name = item["username"]
            pin = reader.people[name].pin if name in reader.people else None
            reader.people[name] = p.Person(name, item, pin)

    # ---- messages

    def lane(self, chat: str) -> p.Lane:
        """This installation's lane in a chat."""
        return self._lanes.setdefault(chat, p.new_lane())

    def epoch_key(self, chat: str, epoch: Mapping[str, Any]) -> bytes:
        """K_e out of an Epoch, of both shares in a `combined` chat."""
        place = (chat, epoch["number"])
        if place not in self._epoch_keys:
            key = p.open_wrap(self.keys, epoch["wrapped"], *place)
            if share := epoch["client_share"]:
                secret = self.keys.unwrap(p.un64u(share["wrapped"]), p.share_label(*place))
                key = p.epoch_key(key, secret, *place, p.signed_hash(share))
            self._epoch_keys[place] = key
        return self._epoch_keys[place]

    def seal(self, chat: str, body: str | Json, alg: str = p.PSS, **overrides: Any) -> p.Envelope:
        """An envelope for the chat as it stands now; `overrides` of header fields make hostile ones.

        `seen` is the item that opened the epoch, as REST gives it, unless a reader of this user has come further.
        """
        view = overrides.pop("view", None) or self.chat(chat)
        epoch = view["epoch"]
        payload = {"type": "text", "body": body} if isinstance(body, str) else body
        made = {
            "chat": chat,
            "epoch": epoch["number"],
            "id": overrides.pop("id", None) or str(uuid.uuid4()),
            "sender": self.username,
            "lane": overrides.pop("lane", None) or self.lane(chat),
            "alg": alg,
        }
        made |= self._seen(chat, epoch)
        return p.seal_envelope(
            self.keys, self.epoch_key(chat, epoch), json.dumps(payload).encode(), **(made | overrides)
        )

    def _seen(self, chat: str, epoch: Mapping[str, Any]) -> Json:
        """`seen` and `log` of the next header."""
        reader = self.readers.get(chat)
        if reader and reader.last_seq >= epoch["opened_seq"]:
            return {"seen": reader.seen(), "log": reader.log()}
        opening = self.history(chat, after=epoch["opened_seq"] - 1, limit=1)
        hashed = p.b64u(p.chain(opening["items"], p.un64u(opening["before"])))
        share = epoch["client_share"]  # which serves the last entry that was named then
        log = p.read_share(share, chat).membership if share else ""
        return {"seen": (epoch["opened_seq"], hashed), "log": log}

    def send(
        self, chat: str, body: str | Json, alg: str = p.PSS, live: LiveClient | None = None, **over: Any
    ) -> Json:
        """Seals and sends, by `live` or else by REST; the ack. The lane moves on when the server took it."""
        view = over.pop("view", None) or self.chat(chat)
        lane = over.get("lane") or self.lane(chat)
        envelope = self.seal(chat, body, alg, view=view, **over)
        ack = self.post(envelope, live)
        if ack.get("ok", True):
            lane.sent(view["epoch"]["number"], envelope)
        return ack

    def post(self, envelope: Mapping[str, Any], live: LiveClient | None = None) -> Json:
        """Sends a sealed envelope; a refused one is an ack with `ok` false, or over REST an ApiError."""
        if live:
            return live.call("message:send", envelope)
        ack: Json = self.rest.post(f"/chats/{envelope['chat']}/messages", envelope)
        return ack
