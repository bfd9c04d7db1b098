"""`/users`: finding people, and who of them is here (protocol §6). For the logged in only; that names can be found so
is accepted and written down (docs/threat-model.md)."""

from __future__ import annotations

from apiflask import APIBlueprint

from chatsec.domain.models import Account, Json
from chatsec.domain.presence import PresenceService
from chatsec.rest.guard import authenticated, caller, limited
from chatsec.wire import lower_ascii, page, user
from chatsec.wire.presence import PeopleQuery


def blueprint(presence: PresenceService) -> APIBlueprint:
    bp = APIBlueprint("presence", __name__, url_prefix="/api/v1/users", tag="users")

    def seen(account: Account) -> Json:
        return user(account, *presence.of(account, caller().username))

    @bp.get("")
    @authenticated
    @limited("search")
    @bp.input(PeopleQuery, location="query", arg_name="query")
    def find_people(query: PeopleQuery) -> Json:
        """People whose username or display name holds `query`."""
        found = presence.search(query.query, query.cursor, query.limit + 1, query.online == "true")
        return page([seen(account) for account in found], query.limit, "username")

    @bp.get("/<username>")
    @authenticated
    @limited("search")
    def get_person(username: str) -> Json:
        """One of them."""
        return seen(presence.person(lower_ascii(username)))

    return bp
