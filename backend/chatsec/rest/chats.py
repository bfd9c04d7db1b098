"""`/chats`: making, reading, changing and erasing chats, their epochs and everyone's keys (protocol §6)."""

from __future__ import annotations

from uuid import uuid4

from apiflask import APIBlueprint

from chatsec.domain.chats import ChatService
from chatsec.domain.keys import KeyService
from chatsec.domain.models import Json
from chatsec.rest.guard import MIB, authenticated, body_limit, caller
from chatsec.wire import Page, page, page_of_large
from chatsec.wire.chats import After, ChangeChat, CreateChat, EpochPage, chat_json, epoch_json
from chatsec.wire.keys import history_json, json_or_none

Answer = tuple[Json, int] | tuple[str, int] | Json


def blueprint(chats: ChatService, keys: KeyService) -> APIBlueprint:
    bp = APIBlueprint("chats", __name__, url_prefix="/api/v1/chats", tag="chats")

    @bp.post("")
    @authenticated
    @body_limit(MIB)
    @bp.input(CreateChat, arg_name="body")
    def create_chat(body: CreateChat) -> Answer:
        """Make a chat with others; the session service makes its first key, in `combined` chats together with a client."""
        by, chat_id = caller().username, body.chat_id() or str(uuid4())
        if body.key_mode == "server":
            chat, new = chats.create(by, chat_id, body.members, body.name)
        else:
            signs = json_or_none(body.membership), json_or_none(body.client_share)
            chat, new = chats.create_combined(by, chat_id, body.members, body.name, *signs)
        return chat_json(chat), 201 if new else 200

    @bp.get("")
    @authenticated
    @bp.input(Page, location="query", arg_name="query")
    def list_chats(query: Page) -> Answer:
        """My chats."""
        found = chats.page(caller().username, query.cursor, query.limit + 1)
        return page([chat_json(chat, listed=True) for chat in found], query.limit, "id")

    @bp.get("/<chat_id>")
    @authenticated
    def get_chat(chat_id: str) -> Answer:
        """One of my chats."""
        return chat_json(chats.get(caller().username, chat_id))

    @bp.delete("/<chat_id>")
    @authenticated
    def erase_chat(chat_id: str) -> Answer:
        """Erase a chat for everyone; by an owner."""
        chats.erase(caller().username, chat_id)
        return "", 204

    @bp.post("/<chat_id>/events")
    @authenticated
    @body_limit(MIB)
    @bp.input(ChangeChat, arg_name="body")
    def change_chat(chat_id: str, body: ChangeChat) -> Answer:
        """Change a chat: add, remove, leave, role, rename, rekey, in `combined` chats also keys and retire."""
        signs = json_or_none(body.membership), json_or_none(body.client_share)
        chat = chats.change(body.event(chat_id, caller().username), *signs)
        return ("", 204) if chat is None else chat_json(chat)

    @bp.get("/<chat_id>/membership")
    @authenticated
    @bp.input(After, location="query", arg_name="query")
    def list_membership(chat_id: str, query: After) -> Answer:
        """The signed membership log; a `server` chat has none."""
        after = max(query.after, query.cursor)
        found = chats.membership(caller().username, chat_id, after, query.limit + 1)
        entries = [
            {"n": n, "protected": protected, "signature": signature}
            for n, (protected, signature) in enumerate(found, after + 1)
        ]
        return page_of_large(entries, query.limit, lambda entry: entry["n"])

    @bp.get("/<chat_id>/epochs")
    @authenticated
    @bp.input(EpochPage, location="query", arg_name="query")
    def list_epochs(chat_id: str, query: EpochPage) -> Answer:
        """My epochs of a chat, with my wraps."""
        found = chats.epochs(caller().username, chat_id, query.cursor, query.limit + 1)
        return page_of_large(
            [epoch_json(epoch) for epoch in found], query.limit, lambda epoch: epoch["number"]
        )

    @bp.get("/<chat_id>/keys")
    @authenticated
    def list_keys(chat_id: str) -> Answer:
        """The bundles of everyone the chat ever had."""
        people = chats.people(caller().username, chat_id)
        return {"items": [history_json(bundles) for bundles in keys.histories(people)]}

    return bp
