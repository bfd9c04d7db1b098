"""`/me/keys`, `/users/{name}/keys` and `/keys`: giving in one's next bundle and reading everybody's (protocol §2, §6)."""

from __future__ import annotations

from apiflask import APIBlueprint

from chatsec.domain.keys import KeyService
from chatsec.domain.models import Json
from chatsec.rest.guard import MIB, authenticated, body_limit, caller, limited
from chatsec.wire import lower_ascii
from chatsec.wire.keys import AddKeys, AfterVersion, Names, history_json, json_or_none


def blueprint(*, keys: KeyService) -> APIBlueprint:
    bp = APIBlueprint("keys", __name__, url_prefix="/api/v1", tag="keys")

    @bp.post("/me/keys")
    @authenticated
    @body_limit(3 * MIB)
    @bp.doc(responses={201: "Created"})
    @bp.input(AddKeys, arg_name="body")
    def add_keys(body: AddKeys) -> tuple[Json, int]:
        """My next key bundle, with the backup and the client state that go with it."""
        bundle = keys.add(
            caller().username,
            body.bundle.body(),
            json_or_none(body.key_backup),
            json_or_none(body.state),
            body.password,
        )
        return {"version": bundle.version, "hash": bundle.hash}, 201

    @bp.get("/users/<username>/keys")
    @authenticated
    @limited("keys")
    @bp.input(AfterVersion, location="query", arg_name="query")
    def get_keys(username: str, query: AfterVersion) -> Json:
        """Someone's current bundle and the older ones above version `after`."""
        return history_json(keys.history(lower_ascii(username), query.after))

    @bp.get("/keys")
    @authenticated
    @limited("keys")
    @bp.input(Names, location="query", arg_name="query")
    def list_keys(query: Names) -> Json:
        """The bundles of up to 200 people; who is unknown or has none is left out."""
        return {"items": [history_json(found) for found in keys.histories(query.names())], "next": None}

    return bp
