"""`/chats/{id}/messages`: history in pages, and sending without a socket (protocol §6)."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response

from chatsec.domain.messages import MessageService
from chatsec.domain.models import Json
from chatsec.errors import invalid
from chatsec.rest.guard import authenticated, caller
from chatsec.wire.messages import Envelope, History, accept, page_json


def blueprint(messages: MessageService) -> APIBlueprint:
    bp = APIBlueprint("messages", __name__, url_prefix="/api/v1/chats/<chat_id>/messages", tag="messages")

    @bp.get("")
    @authenticated
    @bp.input(History, location="query", arg_name="query")
    def list_messages(chat_id: str, query: History) -> Response:
        """A page of the chat's sequence: messages and events, ascending, with the epochs they need."""
        page = messages.page(caller().username, chat_id, query.after, query.before, query.limit)
        return Response(page_json(page), mimetype="application/json")

    @bp.post("")
    @authenticated
    @bp.input(Envelope, arg_name="body")
    def send_message(chat_id: str, body: Envelope) -> tuple[Json, int]:
        """Send a message; the answer follows its durability."""
        if body.chat != chat_id:
            raise invalid("chat", "must be the chat of the path")
        ack = accept(messages, caller().username, body.model_dump(exclude_unset=True))
        return {"ok": True, **ack}, 200 if ack["duplicate"] else 201

    return bp
