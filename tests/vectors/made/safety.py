"""Safety numbers and their QR codes (protocol §2).

`users` are two of `{username, statement, fingerprint}`; `number` is theirs in either order. `scanned` is a QR code's text,
`matches` whether it holds that number; what is no such code fails.
"""

from typing import Any

from tests.support.encoding import b64u, un64u
from tests.support.keys import bundle_statement
from tests.support.safety import QR, fingerprint, qr_text, safety_number
from tests.vectors.made.logs import people


def cases() -> list[dict[str, Any]]:
    """All cases of the file."""
    first, later = people()["bob"]
    alice, bob, new = _user("alice", people()["alice"][0]), _user("bob", first), _user("bob", later)
    number, digits = _number(alice, bob), "".join(_number(alice, bob).split())
    made = [
        _case("two users", alice, bob, qr_text(number), True),
        _case("the other way round", bob, alice, qr_text(number), True),
        _case("after new keys", alice, new, qr_text(number), False),
    ]
    scans = {
        "no prefix": digits,
        "another prefix": f"chatsec:verify:2:{digits}",
        "59 digits": QR + digits[1:],
        "61 digits": f"{QR}0{digits}",
        "with blanks": QR + number,
        "digits of another script": QR + "\u0661" + digits[1:],
        "a line break after it": f"{QR}{digits}\n",
    }
    for name, scanned in scans.items():
        case = _case(name, alice, bob, scanned, False)
        made.append({"name": name, "valid": False, "failure": "malformed"} | case | {"valid": False})
    return made


def _user(username: str, bundle: dict[str, Any]) -> dict[str, str]:
    statement = bundle_statement(username, bundle)
    return {
        "username": username,
        "statement": b64u(statement),
        "fingerprint": fingerprint(username, statement),
    }


def _number(*users: dict[str, str]) -> str:
    one, other = ((user["username"], un64u(user["statement"])) for user in users)
    return safety_number(one, other)


def _case(
    name: str, one: dict[str, str], other: dict[str, str], scanned: str, matches: bool
) -> dict[str, Any]:
    users = {"users": [one, other], "number": _number(one, other)}
    return {"name": name, "valid": True, **users, "scanned": scanned, "matches": matches}
