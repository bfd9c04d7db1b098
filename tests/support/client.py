"""Clients for tests: `RestClient`, `LiveClient`, `RawSocket` for hostile frames, and `User`, who has it all.

alice, bob = User.register(url, "alice"), User.register(url, "bob", 1)
chat = alice.create_chat("bob")
live = bob.connect()
ack = alice.send(chat, "hello")
assert live.message()["seq"] == ack["seq"]
"""

import json
import queue
import threading
import uuid
from collections.abc import Mapping
from typing import Any

import requests
import socketio
import websocket

from tests.support import protocol as p

WAIT = 10  # seconds within which the server must have answered
NAMESPACE = "/chat"
EVENTS = (
    "message",
    "event",
    "receipt",
    "typing",
    "presence",
    "presence:list",
    "chat:removed",
    "keys",
    "session:revoked",
)
Json = dict[str, Any]


class ApiError(Exception):
    """A problem that the server answered with."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status} {body.get('code')}: {body.get('detail')}")
        self.status, self.body, self.code = status, body, body.get("code")


class Refused(Exception):
    """A connection to /chat that the server did not let in; `said` is its answer, such as `{"message": …}`."""

    def __init__(self, said: Any) -> None:
        super().__init__(str(said))
        self.said = said


class RestClient:
    """Calls under /api/v1 with a bearer token."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url, self.token = url, token
        self._session = requests.Session()
        self._session.trust_env = False

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """The bare answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        options.setdefault("timeout", 3 * WAIT)
        if body is not None:
            options["json"] = body
        return self._session.request(method, f"{self.url}/api/v1{path}", headers=headers, **options)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The answer's JSON, None for 204; `ApiError` for a problem."""
        answer = self.request(method, path, body, **options)
        if answer.status_code >= 400:
            problem = answer.headers.get("Content-Type", "").startswith("application/problem+json")
            raise ApiError(answer.status_code, answer.json() if problem else {"detail": answer.text[:200]})
        return None if answer.status_code == 204 else answer.json()

    def get(self, path: str, **params: Any) -> Any:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, {} if body is None else body)

    def close(self) -> None:
        self._session.close()


class LiveClient:
    """A socket on /chat in a thread of its own; what the server says lies in one queue per event."""

    def __init__(self, url: str, token: Any, *, auth: Any = None) -> None:
        """Connects; raises `Refused` with what the server said if it does not let it in."""
        self.inbox: dict[str, queue.Queue[Any]] = {event: queue.Queue() for event in EVENTS}
        self.gone = threading.Event()
        self.sio = socketio.Client(reconnection=False, handle_sigint=False)
        for event, inbox in self.inbox.items():
            self.sio.on(event, inbox.put, namespace=NAMESPACE)
        self.sio.on("disconnect", lambda *_: self.gone.set(), namespace=NAMESPACE)
        self._ws: Any = None  # kept, since Engine.IO's client forgets it when the server ends the connection
        refusals: queue.Queue[Any] = queue.Queue()

        def refused(said: Any) -> None:
            self._ws = self.sio.eio.ws
            refusals.put(said)

        self.sio.on("connect_error", refused, namespace=NAMESPACE)
        try:
            self.sio.connect(
                url,
                auth={"token": token} if auth is None else auth,
                transports=["websocket"],
                namespaces=[NAMESPACE],
                wait_timeout=WAIT,
            )
        except socketio.exceptions.ConnectionError as error:
            self.close()
            raise Refused(None if refusals.empty() else refusals.get()) from error
        self._ws = self.sio.eio.ws

    def call(self, event: str, *payload: Any) -> Json:
        """Emits and gives the ack; several payloads are several arguments."""
        data = payload[0] if len(payload) == 1 else tuple(payload)
        ack: Json = self.sio.call(event, data if payload else None, namespace=NAMESPACE, timeout=WAIT)
        return ack

    def emit(self, event: str, payload: Any) -> "queue.Queue[Json]":
        """Emits without waiting; the ack will lie in the queue."""
        acks: queue.Queue[Json] = queue.Queue()
        self.sio.emit(event, payload, namespace=NAMESPACE, callback=acks.put)
        return acks

    def next(self, event: str, timeout: float = WAIT) -> Any:
        """The next payload of an event; queue.Empty if none comes."""
        return self.inbox[event].get(timeout=timeout)

    def message(self) -> Json:
        return self.next("message")

    def event(self) -> Json:
        return self.next("event")

    def settle(self) -> None:
        """Returns when everything that the server said before now is in the inboxes: an ack comes after it."""
        assert self.call("sync", {"chats": {}})["ok"]

    def nothing(self, *events: str) -> bool:
        """Whether nothing lies in these inboxes (all without any), after `settle`."""
        self.settle()
        return all(self.inbox[event].empty() for event in events or EVENTS)

    def clear(self) -> None:
        """Forgets what lies in the inboxes."""
        self.settle()
        for inbox in self.inbox.values():
            while not inbox.empty():
                inbox.get_nowait()

    def close(self) -> None:
        """Leaves, or tidies up after the server has ended the connection."""
        self.sio.disconnect()
        if self._ws is not None:
            self._ws.shutdown()  # close() leaves the descriptor open once the server has said goodbye


class RawSocket:
    """Engine.IO frames as typed, over a WebSocket: for packets that no library would send."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """With a token, joins /chat first."""
        address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
        self.ws = websocket.create_connection(address, timeout=WAIT)
        opened = self.ws.recv()
        assert opened.startswith("0{"), opened
        self._ids = iter(range(1, 1 << 30))
        if token is not None:
            self.send(f"40{NAMESPACE},{json.dumps({'token': token})}")
            joined = self.until("4")
            assert joined.startswith(f"40{NAMESPACE},"), joined

    def send(self, frame: str) -> None:
        """A text frame."""
        self.ws.send(frame)

    def send_binary(self, data: bytes) -> None:
        """A binary frame."""
        self.ws.send_binary(data)

    def recv(self) -> str | None:
        """The next frame, None once the connection has ended; pings are answered."""
        try:
            while (frame := self.ws.recv()) == "2":
                self.ws.send("3")
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            return None
        return frame if isinstance(frame, str) and frame else None

    def until(self, prefix: str) -> str:
        """The next frame that begins so; '' if the connection ends before."""
        while (frame := self.recv()) is not None:
            if frame.startswith(prefix):
                return frame
        return ""

    def emit(self, text: str) -> Json | None:
        """Sends an event given as JSON text, with an ack id; the ack, None if the connection ends."""
        number = next(self._ids)
        self.send(f"42{NAMESPACE},{number}{text}")
        head = f"43{NAMESPACE},{number}"
        answer = self.until(head)
        ack: Json | None = json.loads(answer[len(head) :])[0] if answer else None
        return ack

    def ended(self) -> bool:
        """Waits until the server ends the connection; False if it stays open for `WAIT` seconds."""
        try:
            while self.recv() is not None:
                pass
        except websocket.WebSocketTimeoutException:
            return False
        return True

    def close(self) -> None:
        """Leaves without a word."""
        self.ws.shutdown()


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
        reader = p.Reader(chat, [self.keys, *self.retired], self.people(chat))
        after = self.chat(chat)["first_seq"] - 1
        while True:
            page = self.history(chat, after=after, limit=200)
            reader.page(page)
            if not page["items"] or page["items"][-1]["seq"] >= page["last_seq"]:
                self.readers[chat] = reader
                return reader
            after = page["items"][-1]["seq"]

    # ---- messages

    def lane(self, chat: str) -> p.Lane:
        """This installation's lane in a chat."""
        return self._lanes.setdefault(chat, p.new_lane())

    def epoch_key(self, chat: str, epoch: Mapping[str, Any]) -> bytes:
        """K_e out of an Epoch."""
        place = (chat, epoch["number"])
        if place not in self._epoch_keys:
            self._epoch_keys[place] = p.open_wrap(self.keys, epoch["wrapped"], chat, epoch["number"])
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
            "seen": self._seen(chat, epoch),
            "alg": alg,
        }
        return p.seal_envelope(
            self.keys, self.epoch_key(chat, epoch), json.dumps(payload).encode(), **(made | overrides)
        )

    def _seen(self, chat: str, epoch: Mapping[str, Any]) -> tuple[int, str]:
        reader = self.readers.get(chat)
        if reader and reader.last_seq >= epoch["opened_seq"]:
            return reader.seen()
        opening = self.history(chat, after=epoch["opened_seq"] - 1, limit=1)
        return epoch["opened_seq"], p.b64u(p.chain(opening["items"], p.un64u(opening["before"])))

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
