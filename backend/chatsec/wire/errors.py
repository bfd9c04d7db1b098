"""What stands beside `code` in a refusal, the same in problems and acks (protocol §8)."""

from __future__ import annotations

from chatsec.domain.models import Epoch, Json
from chatsec.errors import ChatSecError
from chatsec.wire.chats import epoch_json


def extra_json(error: ChatSecError) -> Json:
    """The extra fields, the caller's Epoch (`stale_epoch`) as it looks on the wire."""
    return {
        name: epoch_json(value) if isinstance(value, Epoch) else value for name, value in error.extra.items()
    }
