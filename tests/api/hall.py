"""People with chats, and the presence service among them, with sockets that write down what they get.

The loops of the service run when `settle` is called, and sleeping takes no time: `meanwhile` says what happens during it.
"""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from chatsec.domain.limits import Limits
from chatsec.domain.models import Json
from chatsec.domain.presence import PresenceService
from chatsec.rest import create_app
from chatsec.rest import presence as routes
from tests.api.conftest import World
from tests.support.chats import make_chat
from tests.support.presence import Sockets, Steps


class Hall:
    """Alice, Bob and Carol share a chat; Dave shares one with Carol; Eve with nobody."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.people = {name: world.register(name) for name in ("alice", "bob", "carol", "dave", "eve")}
        self.chat = make_chat(world.storage, "alice", "bob", "carol")
        make_chat(world.storage, "carol", "dave")
        self.sockets = Sockets()
        self.steps = Steps()
        self.presence = self.new_service()

    def new_service(self) -> PresenceService:
        return PresenceService(
            accounts=self.world.storage.accounts,
            chats=self.world.storage.chats,
            publisher=self.sockets,
            offload=self.steps,
            clock=self.world.clock,
        )

    def enter(self, *sids: str, settle: bool = True) -> list[Json]:
        """Sockets named like `bob1`; the list that the last one got."""
        people: list[Json] = []
        for sid in sids:
            self.sockets.users[sid] = sid.rstrip("0123456789")
            people = self.presence.connect(self.sockets.users[sid], sid)
        if settle:
            self.settle()
        return people

    def leave(self, *sids: str, settle: bool = True) -> None:
        for sid in sids:
            self.sockets.users.pop(sid, None)
            self.presence.disconnect(sid)
        if settle:
            self.settle()

    def set(self, sid: str, status: str) -> None:
        self.presence.set_status(self.sockets.users[sid], status)
        self.settle()

    def watch(self, sid: str, directory: bool = True) -> None:
        self.presence.watch(self.sockets.users[sid], sid, directory)
        self.settle()

    def settle(self) -> None:
        self.steps.settle()

    def told(self, sid: str) -> list[tuple[str, str]]:
        """(username, status) of every change that the socket was told."""
        return [
            (change["username"], change["status"])
            for event, changes in self.sockets.take(sid)
            if event == "presence"
            for change in changes
        ]

    def seen(self, username: str, viewer: str = "bob") -> tuple[str, int | None]:
        account = self.world.storage.accounts.get(username)
        assert account is not None
        return self.presence.of(account, viewer)

    def client(self) -> FlaskClient:
        app = create_app(
            [routes.blueprint(self.presence)],
            sessions=self.world.sessions,
            limits=Limits(self.world.clock, enabled=False),
        )
        return app.test_client()

    def get(self, path: str, who: str = "bob") -> Any:
        token = {"Authorization": f"Bearer {self.people[who].access}"}
        return self.client().get(f"/api/v1{path}", headers=token)
