"""The closed list of everything that the server can refuse, and the one exception that carries it.

`CODES` is protocol §8 as data: code → (HTTP status, title). A code that is not in it cannot be raised. How an
error looks on the wire is the business of rest/ (problem details) and realtime/ (acks), not of this module.
"""

from __future__ import annotations

from typing import Any

CODES: dict[str, tuple[int, str]] = {
    "invalid": (400, "The request is not valid"),
    "malformed_key": (400, "Not such a key"),
    "weak_key": (400, "A key that must not be used"),
    "unsupported_algorithm": (400, "Unsupported algorithm"),
    "invalid_proof": (400, "A proof or the continuity signature does not verify"),
    "invalid_membership": (400, "Not a valid membership entry"),
    "invalid_share": (400, "Not a valid share"),
    "weak_password": (400, "Password too weak"),
    "unauthorized": (401, "Not authenticated"),
    "invalid_credentials": (401, "Wrong username or password"),
    "token_expired": (401, "The token has expired"),
    "forbidden": (403, "Only an owner may do this"),
    "wrong_password": (403, "Wrong password"),
    "csrf_failed": (403, "Missing or wrong CSRF token"),
    "registration_closed": (403, "Registration is closed"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "not_acceptable": (406, "Not acceptable"),
    "unsupported_media_type": (415, "Unsupported media type"),
    "username_taken": (409, "Username taken"),
    "id_conflict": (409, "This id is taken by something else"),
    "stale_epoch": (409, "The epoch has ended"),
    "share_due": (409, "A client share is due first"),
    "epoch_conflict": (409, "The chat has moved on"),
    "membership_conflict": (409, "The membership log has moved on"),
    "member_without_keys": (409, "Someone has no keys yet"),
    "last_owner": (409, "The last owner must name another first"),
    "keys_conflict": (409, "Another bundle is current"),
    "backup_conflict": (409, "Another key backup is stored"),
    "state_conflict": (409, "Another client state is stored"),
    "unknown_key": (409, "Not a current key of the sender"),
    "too_large": (413, "Too large"),
    "range_not_satisfiable": (416, "Range not satisfiable"),
    "rate_limited": (429, "Too many requests"),
    "unavailable": (503, "Not available right now"),
}


class ChatSecError(Exception):
    """One refusal.

    `code` is stable and what callers compare; `detail` is one English sentence for people; `extra` holds the fields
    that stand beside `code` on the wire (`epoch`, `usernames`, `retry_after` …).
    """

    def __init__(self, code: str, detail: str = "", **extra: Any) -> None:
        self.status, self.title = CODES[code]
        self.code = code
        self.detail = detail or self.title
        self.extra = extra
        super().__init__(f"{code}: {self.detail}")


def invalid(field: str, message: str) -> ChatSecError:
    """`invalid` that names one field, as protocol §6 wants it: `errors: [{field, message}]`."""
    return ChatSecError("invalid", f"{field}: {message}", errors=[{"field": field, "message": message}])
