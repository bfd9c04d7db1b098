"""Connections to a server under test: `RestClient`, `LiveClient`, and `RawSocket` for hostile frames."""

import json
import queue
import threading
from typing import Any

import requests
import socketio
import websocket

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


class Polled:
    """An Engine.IO connection by polling alone."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session = session
        self._address = f"{url}/socket.io/?EIO=4&transport=polling"
        opened = session.get(self._address, timeout=10)
        assert opened.ok, opened.text
        self._address += "&sid=" + json.loads(opened.text[1:])["sid"]

    def post(self, packet: str) -> int:
        return self._session.post(self._address, data=packet, timeout=10).status_code

    def get(self) -> requests.Response:
        return self._session.get(self._address, timeout=30)
