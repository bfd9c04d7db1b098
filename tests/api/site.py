"""The routes for those who run the server, before a store whose pings a test can fail."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask

from chatsec.domain.limits import Limits
from chatsec.errors import ChatSecError
from chatsec.metrics import Metrics
from chatsec.rest import create_app, log, ops
from tests.api.conftest import World

TOKEN = "the metrics token of this test"
CANARY = "canary-that-must-not-sing"


class Store:
    """A store that can be pinged, until it cannot."""

    def __init__(self) -> None:
        self.error: ChatSecError | None = None
        self.pings = 0

    def ping(self) -> None:
        self.pings += 1
        if self.error:
            raise self.error


class Site:
    def __init__(self, world: World) -> None:
        self.store = Store()
        self.metrics = Metrics()
        self.app = self.new_app(world, TOKEN)

    def new_app(self, world: World, token: str, **options: Any) -> APIFlask:
        routes = ops.blueprint(
            ping=self.store.ping,
            metrics=self.metrics,
            metrics_token=token,
            version="9.8.7",
            key_mode="server",
            registration="closed",
        )
        app = create_app(
            [routes], sessions=world.sessions, limits=Limits(world.clock, enabled=False), **options
        )
        log.install(app, self.metrics)
        return app

    def get(self, path: str, address: str = "127.0.0.1", **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.app.test_client().get(path, headers=sent, environ_overrides={"REMOTE_ADDR": address})
