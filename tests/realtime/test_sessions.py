"""Who is let in, and how a socket ends with its session (protocol §7, trust 17, 28, 30)."""

import base64
import json
import queue
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import LiveClient, RawSocket, Refused, User

Connect = Callable[[User], LiveClient]
CUT = 2  # seconds in which a revoked session's sockets are gone (§6)


def swapped(token: str, **claims: Any) -> str:
    """The token with other claims and the old signature."""
    head, body, signature = token.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(body + "=="))
    body = base64.urlsafe_b64encode(json.dumps(decoded | claims).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


def unsigned(token: str) -> str:
    """The token as `alg: none`."""
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


def refused(url: str, **options: Any) -> str:
    """What a connection that is not let in hears."""
    with pytest.raises(Refused) as caught:
        LiveClient(url, None, **options)
    return str(caught.value.said["message"])


def test_nobody_is_let_in_without_an_access_token(alice: User) -> None:
    """ASVS 4.4.3, 4.4.4."""
    auths: list[Any] = [
        {},
        {"token": ""},
        {"token": None},
        {"token": 1},
        {"token": [alice.token]},
        {"token": "x"},
        {"token": alice.token + "x"},
        {"token": alice.refresh_token},
        {"token": unsigned(alice.token)},
        {"token": swapped(alice.token, sub="bob")},
        {"token": swapped(alice.token, exp=4_000_000_000)},
        {"Token": alice.token},
        {"token": "é\x00"},
        {"token": "x" * 100_000},
    ]
    for auth in auths:
        assert refused(alice.url, auth=auth) == "unauthorized", str(auth)[:60]


def test_a_refused_connection_hears_unauthorized_and_nothing_else(alice: User) -> None:
    for data in ("", "{}", '{"token":"x"}', '{"token":{"$ne":null}}'):
        raw = RawSocket(alice.url)
        raw.send(f"40/chat,{data}")
        answer = raw.recv()
        assert answer is not None and answer.startswith("44/chat,")
        assert json.loads(answer[len("44/chat,") :])["message"] == "unauthorized"
        raw.send('42/chat,1["sync",{"chats":{}}]')
        raw.send("40/chat,{}")
        answer = raw.recv()
        assert answer is None or answer.startswith("44"), answer
        raw.close()


def end_by_logout(user: User, device: User) -> None:
    device.rest.request("POST", "/auth/logout", {})


def end_by_refresh_token(user: User, device: User) -> None:
    device.rest.token = None
    device.rest.request("POST", "/auth/logout", {"refresh_token": device.refresh_token})


def end_from_another_device(user: User, device: User) -> None:
    current = next(one for one in device.rest.get("/me/sessions")["items"] if one["current"])
    user.rest.call("DELETE", f"/me/sessions/{current['id']}")


def end_by_password(user: User, device: User) -> None:
    user.change_password("another passphrase of mine")


def end_by_reusing_a_refresh_token(user: User, device: User) -> None:
    device.rest.token = None
    old = device.refresh_token
    for token in (old, device.rest.post("/auth/refresh", {"refresh_token": old})["refresh_token"], old):
        device.rest.request("POST", "/auth/refresh", {"refresh_token": token})


@pytest.mark.parametrize(
    "end",
    [
        end_by_logout,
        end_by_refresh_token,
        end_from_another_device,
        end_by_password,
        end_by_reusing_a_refresh_token,
    ],
)
def test_a_socket_ends_with_its_session(
    alice: User, connect: Connect, chat: str, end: Callable[[User, User], None]
) -> None:
    """ASVS 4.4.3, 4.4.4."""
    device = alice.log_in_again()
    access = device.token
    live, second, other = connect(device), connect(device), connect(alice)
    raw = RawSocket(alice.url, access)
    end(alice, device)
    for socket in (live, second):
        assert socket.next("session:revoked") == {}
        assert socket.gone.wait(CUT)
    assert raw.ended()
    raw.close()
    device.rest.token = access
    assert device.rest.request("GET", "/me").status_code == 401
    assert refused(alice.url, auth={"token": access}) == "unauthorized"
    assert other.call("sync", {"chats": {}})["ok"]
    with pytest.raises(queue.Empty):
        other.next("session:revoked", timeout=0.01)
    device.close()


def test_a_cut_socket_gets_no_more(alice: User, bob: User, chat: str, connect: Connect) -> None:
    device = bob.log_in_again()
    live = connect(device)
    device.rest.request("POST", "/auth/logout", {})
    assert live.gone.wait(CUT)
    alice.send(chat, "not for that device")
    assert live.inbox["message"].empty()
    device.close()


def test_a_deleted_account_is_out(users: Callable[..., User], connect: Connect) -> None:
    """ASVS 7.4.2, 7.4.3."""
    henry = users("henry", 10)
    live = connect(henry)
    henry.rest.call("POST", "/me/deletion", {"password": henry.secret})
    assert live.gone.wait(CUT)
    assert refused(henry.url, auth={"token": henry.token}) == "unauthorized"


def test_a_socket_outlives_its_access_token_and_others_sessions(
    alice: User, bob: User, connect: Connect
) -> None:
    """ASVS 4.4.3, 4.4.4: Refreshing does not touch the socket: it lives as long as the session."""
    device = alice.log_in_again()
    live = connect(device)
    device._take_tokens(device.rest.post("/auth/refresh", {"refresh_token": device.refresh_token}))
    assert live.call("sync", {"chats": {}})["ok"]
    assert not live.gone.is_set()
    again = connect(device)
    assert again.call("sync", {"chats": {}})["ok"]
    device.close()
