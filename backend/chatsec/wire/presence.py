"""Presence, typing and the search for people on their way in (protocol §6, §7)."""

from __future__ import annotations

from typing import Literal

from chatsec.wire import Id, Model, Page, Text


class PresenceSetBody(Model):
    """`presence:set`."""

    status: Literal["online", "away", "invisible"]


class PresenceWatchBody(Model):
    """`presence:watch`."""

    directory: bool


class TypingBody(Model):
    """`typing`."""

    chat: Id
    active: bool


class PeopleQuery(Page):
    """`GET /users`: whose username or display name holds `query`; with `online` only who is not offline."""

    query: Text = ""
    online: Literal["true", "false"] = "false"
