"""Attachments in SQLite: whose ciphertext there is. The ciphertext itself lies in `files`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from chatsec.domain.models import Attachment
from chatsec.errors import ChatSecError
from chatsec.storage.sqlite.database import Database


class SqliteAttachments:
    """`AttachmentStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, attachment: Attachment) -> None:
        def write(connection: sqlite3.Connection) -> None:
            made = connection.execute(
                "INSERT INTO attachments (id, chat, username, size, created_at)"
                " SELECT ?, no, username, ?, ? FROM people JOIN chats ON no = chat"
                " WHERE chats.id = ? AND username = ? AND left_seq IS NULL",
                (
                    attachment.id,
                    attachment.size,
                    attachment.created_at,
                    attachment.chat,
                    attachment.username,
                ),
            )
            if made.rowcount == 0:
                raise ChatSecError("not_found")

        self._database.write(write)

    def get(self, chat: str, attachment: str) -> Attachment | None:
        def read(connection: sqlite3.Connection) -> Attachment | None:
            row = connection.execute(
                "SELECT a.id, chats.id, a.username, a.size, a.created_at"
                " FROM attachments a JOIN chats ON no = a.chat WHERE a.id = ? AND chats.id = ?",
                (attachment, chat),
            ).fetchone()
            return Attachment(*row) if row else None

        return self._database.read(read)

    def known(self, attachments: Iterable[str]) -> set[str]:
        wanted = json.dumps(list(attachments))
        query = "SELECT id FROM attachments WHERE id IN (SELECT value FROM json_each(?))"
        return self._database.read(
            lambda connection: {one for (one,) in connection.execute(query, (wanted,))}
        )
