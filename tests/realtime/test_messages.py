"""`message:send`: acks, order, duplicates, conflicts, epochs, bounds (protocol §7, R3, H6)."""

import itertools
import queue
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.realtime.forge import forge, header_of, raw_ciphertext, refusal
from tests.support import protocol as p
from tests.support.client import ApiError, LiveClient, User

Connect = Callable[[User], LiveClient]
WRONG_KID = p.H(b"no such key")


def test_ack_and_push(alice: User, bob: User, chat: str, connect: Connect) -> None:
    own, other_device, live = connect(alice), connect(alice), connect(bob)
    reader = bob.reader(chat)
    envelope = alice.seal(chat, "hello")
    ack = own.call("message:send", envelope)
    opening = bob.history(chat, after=0, limit=1)
    assert ack == {
        "ok": True,
        "chat": chat,
        "id": header_of(envelope)["id"],
        "seq": 2,
        "received_at": p.time(ack["received_at"]),
        "before": p.b64u(p.chain(opening["items"])),
        "duplicate": False,
    }
    pushed = live.message()
    assert pushed == envelope | {name: ack[name] for name in ("seq", "received_at", "before")}
    assert other_device.message() == pushed
    assert own.nothing("message")
    assert reader.push(pushed).payload == {"type": "text", "body": "hello"}
    assert reader.warnings == set()


@pytest.mark.parametrize("alg", p.SIGNING)
def test_every_algorithm(alice: User, bob: User, chat: str, connect: Connect, alg: str) -> None:
    own, live = connect(alice), connect(bob)
    reader = bob.reader(chat)
    assert alice.send(chat, f"by {alg}", alg, own)["seq"] == 2
    judged = reader.push(live.message())
    assert (judged.alg, judged.failure, judged.warnings) == (alg, None, [])


def test_many_lanes_at_once_give_one_gapless_sequence(
    alice: User, bob: User, chat: str, connect: Connect
) -> None:
    """Eight lanes of two people; everyone sees the same gapless order, and every chain holds."""
    lanes, each = 8, 12
    listener = connect(bob)
    readers = bob.reader(chat)
    view = {name: user.chat(chat) for name, user in (("alice", alice), ("bob", bob))}
    acks: list[int] = []

    def run(user: User) -> None:
        live, lane = connect(user), p.new_lane()
        for number in range(each):
            ack = user.send(chat, f"{number}", p.ED25519, live, lane=lane, view=view[user.username])
            assert ack["ok"], ack
            acks.append(ack["seq"])

    threads = [threading.Thread(target=run, args=(user,)) for user in [alice, bob] * (lanes // 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(acks) == list(range(2, 2 + lanes * each))
    pushed = [listener.message() for _ in range(lanes * each)]
    assert [item["seq"] for item in pushed] == list(range(2, 2 + lanes * each))
    judged = [readers.push(item) for item in pushed]
    assert [j for j in judged if j.failure or j.warnings] == []
    assert readers.warnings == set()
    assert alice.reader(chat).chain == readers.chain


def test_a_duplicate_keeps_its_place_and_is_sent_to_nobody(
    alice: User, bob: User, chat: str, connect: Connect
) -> None:
    own, live = connect(alice), connect(bob)
    envelope = alice.seal(chat, "once")
    first = own.call("message:send", envelope)
    live.message()
    assert own.call("message:send", envelope) == first | {"duplicate": True}
    assert connect(alice).call("message:send", envelope) == first | {"duplicate": True}
    answer = alice.rest.request("POST", f"/chats/{chat}/messages", envelope)
    assert answer.status_code == 200
    assert {**answer.json(), "ok": True} == first | {"duplicate": True}
    assert live.nothing("message")
    assert bob.history(chat)["last_seq"] == first["seq"]


def test_the_same_message_at_once_is_stored_once(alice: User, bob: User, chat: str, connect: Connect) -> None:
    live = connect(bob)
    envelope = alice.seal(chat, "once")
    waiting = [connect(alice).emit("message:send", envelope) for _ in range(6)]
    acks = [one.get(timeout=10) for one in waiting]
    assert {ack["seq"] for ack in acks} == {2}
    assert sorted(ack["duplicate"] for ack in acks) == [False] + [True] * 5
    assert live.message()["seq"] == 2
    assert live.nothing("message")


def test_an_id_for_other_bytes_is_a_conflict(alice: User, bob: User, chat: str, connect: Connect) -> None:
    own = connect(alice)
    first = alice.seal(chat, "one")
    assert own.call("message:send", first)["ok"]
    known = header_of(first)["id"]
    assert refusal(own.call("message:send", alice.seal(chat, "two", id=known))) == "id_conflict"
    assert refusal(own.call("message:send", first | {"signature": first["signature"][:-4]})) == "id_conflict"
    assert refusal(own.call("message:send", first | {"iv": "x"})) == "id_conflict"
    assert own.call("message:send", first)["duplicate"] is True
    with pytest.raises(ApiError) as caught:
        alice.post(alice.seal(chat, "two", id=known))
    assert (caught.value.status, caught.value.code) == (409, "id_conflict")
    # Ids are unique per (chat, from) only.
    assert bob.send(chat, "three", id=known)["seq"] == 3
    other = alice.create_chat("bob")
    assert alice.send(other, "four", id=known)["seq"] == 2


def test_a_former_member_hears_of_what_they_sent_and_nothing_else(
    alice: User, carol: User, chat: str, connect: Connect
) -> None:
    alice.change(chat, "add", usernames=["carol"])
    live = connect(carol)
    sent = carol.seal(chat, "while here")
    ack = live.call("message:send", sent)
    late = carol.seal(chat, "too late")
    alice.change(chat, "remove", usernames=["carol"])
    assert live.call("message:send", sent) == ack | {"duplicate": True}
    assert refusal(live.call("message:send", late)) == "not_found"
    assert refusal(live.call("message:send", forge(carol, chat, id=header_of(sent)["id"]))) == "id_conflict"
    assert refusal(live.call("message:send", forge(carol, str(uuid.uuid4())))) == "not_found"


def test_a_stale_epoch_tells_the_new_one(alice: User, bob: User, chat: str, connect: Connect) -> None:
    own, live = connect(alice), connect(bob)
    reader = bob.reader(chat)
    old = alice.seal(chat, "sealed before")
    bob_before = bob.chat(chat)["epoch"]["number"]
    alice.change(chat, "rekey")
    ack = own.call("message:send", old)
    assert refusal(ack) == "stale_epoch"
    assert ack["epoch"] == alice.chat(chat)["epoch"]
    assert ack["epoch"]["number"] == bob_before + 1
    assert alice.epoch_key(chat, ack["epoch"])
    with pytest.raises(ApiError) as caught:
        alice.post(old)
    assert (caught.value.status, caught.value.body["epoch"]) == (409, ack["epoch"])
    # Sealed again with the same id, it is accepted.
    again = alice.send(chat, "sealed before", live=own, id=header_of(old)["id"])
    assert (again["ok"], again["duplicate"], again["seq"]) == (True, False, 3)
    reader.push(live.event())
    assert reader.push(live.message()).payload == {"type": "text", "body": "sealed before"}


def test_seen_lies_between_the_opening_and_the_last_item(alice: User, chat: str, connect: Connect) -> None:
    own = connect(alice)
    alice.send(chat, "2", live=own)
    alice.change(chat, "rekey")  # 3
    alice.send(chat, "4", live=own)
    # Two of these are accepted, so the last item is 6 in the end.
    for seq, good in ((0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (7, 0), (2**53 - 1, 0)):
        ack = own.call("message:send", forge(alice, chat, epoch=2, seen={"seq": seq, "hash": p.H(b"")}))
        assert ack["ok"] == bool(good), (seq, ack)
        assert good or ack["code"] == "invalid"


def test_keys_that_are_not_the_senders_now(
    alice: User, bob: User, users: Callable[..., User], connect: Connect
) -> None:
    dave = users("dave", 3)
    chat = dave.create_chat("alice")
    live = connect(dave)
    assert refusal(live.call("message:send", forge(dave, chat, kid=WRONG_KID))) == "unknown_key"
    assert (
        refusal(live.call("message:send", forge(dave, chat, kid=alice.keys.kid(p.ED25519)))) == "unknown_key"
    )
    assert refusal(live.call("message:send", forge(dave, chat, kid=dave.keys.kid(p.PSS)))) == "unknown_key"
    assert (
        refusal(live.call("message:send", forge(dave, chat, kid=dave.keys.kid(p.WRAPPING)))) == "unknown_key"
    )
    old = dave.keys
    dave.rotate(p.pool(4))
    epoch = dave.chat(chat)["epoch"]
    seen = {"seq": epoch["opened_seq"], "hash": p.H(b"")}
    superseded = forge(dave, chat, epoch=epoch["number"], seen=seen, kid=old.kid(p.ED25519))
    assert refusal(live.call("message:send", superseded)) == "unknown_key"
    assert dave.send(chat, "under the new keys", live=live)["ok"]


def test_sizes_at_their_limits(alice: User, bob: User, chat: str, connect: Connect) -> None:
    own, live = connect(alice), connect(bob)
    assert own.call("message:send", raw_ciphertext(alice, chat, 65536))["ok"]
    assert len(p.un64u(live.message()["ciphertext"])) == 65536
    assert refusal(own.call("message:send", raw_ciphertext(alice, chat, 65537))) == "too_large"
    with pytest.raises(ApiError) as caught:
        alice.post(raw_ciphertext(alice, chat, 65537))
    assert (caught.value.status, caught.value.code) == (413, "too_large")
    bare = len(p.un64u(forge(alice, chat, x="")["protected"]))
    assert own.call("message:send", forge(alice, chat, x="x" * (4096 - bare)))["ok"]
    assert refusal(own.call("message:send", forge(alice, chat, x="x" * (4097 - bare)))) == "too_large"
    assert live.message()["seq"] == 3
    assert live.nothing("message")


def test_the_largest_payload_fits(alice: User, bob: User, chat: str, connect: Connect) -> None:
    body = "x" * (p.MAX_PAYLOAD - len('{"type": "text", "body": ""}'))
    reader = bob.reader(chat)
    live = connect(bob)
    assert alice.send(chat, body, live=connect(alice))["ok"]
    judged = reader.push(live.message())
    assert judged.payload == {"type": "text", "body": body}


# ---- the order of checks

# Each fault alone with the answer to it, in the order of §7. A former member's message stands for `not_found`.
FAULTS: dict[str, dict[str, Any]] = {
    "id_conflict": {"id": "known"},
    "invalid protected.v": {"v": 2},
    "not_found": {"former": True},
    "invalid epoch": {"epoch": 99},
    "stale_epoch": {"epoch": 1},
    "invalid seen": {"seen": {"seq": 10**6, "hash": p.H(b"")}},
    "unknown_key": {"kid": WRONG_KID},
}
PAIRS = [pair for pair in itertools.combinations(FAULTS, 2) if pair != ("invalid epoch", "stale_epoch")]


@pytest.fixture(scope="module")
def ordered(alice: User, carol: User) -> dict[str, Any]:
    """A chat in its third epoch, in which both members and the former one have sent a message."""
    chat = alice.create_chat("carol")
    ids = {}
    for user in (alice, carol):
        envelope = user.seal(chat, "known")
        user.post(envelope)
        ids[user.username] = header_of(envelope)["id"]
    alice.change(chat, "remove", usernames=["carol"])
    alice.change(chat, "rekey")
    return {"chat": chat, "ids": ids, "epoch": alice.chat(chat)["epoch"]}


@pytest.mark.parametrize("faults", [*((name,) for name in FAULTS), *PAIRS, tuple(FAULTS)], ids=" + ".join)
def test_the_first_fault_in_order_is_named(
    faults: tuple[str, ...], ordered: dict[str, Any], alice: User, carol: User, connect: Connect
) -> None:
    fields: dict[str, Any] = {
        "epoch": ordered["epoch"]["number"],
        "seen": {"seq": ordered["epoch"]["opened_seq"], "hash": p.H(b"")},
    }
    for fault in faults:
        fields |= FAULTS[fault]
    sender = carol if fields.pop("former", False) else alice
    if fields.get("id") == "known":
        fields["id"] = ordered["ids"][sender.username]
    envelope = forge(sender, ordered["chat"], **fields)
    last = alice.history(ordered["chat"])["last_seq"]
    assert refusal(connect(sender).call("message:send", envelope)) == faults[0]
    with pytest.raises(ApiError) as caught:
        sender.post(envelope)
    status = {"invalid": 400, "not_found": 404}.get(faults[0].split()[0], 409)
    assert (caught.value.status, caught.value.code) == (status, faults[0].split()[0])
    assert alice.history(ordered["chat"])["last_seq"] == last


def test_forged_senders_are_refused(alice: User, bob: User, chat: str, connect: Connect) -> None:
    """H6: `from` is the sender's, whoever signed."""
    live = connect(bob)
    stolen = alice.seal(chat, "by alice")
    assert refusal(live.call("message:send", stolen)) == "invalid protected.from"
    assert (
        refusal(live.call("message:send", forge(bob, chat, **{"from": "alice"}))) == "invalid protected.from"
    )
    with pytest.raises(ApiError) as caught:
        bob.post(stolen)
    assert caught.value.code == "invalid"


def test_the_chat_of_the_path_is_the_envelopes(alice: User, bob: User, chat: str) -> None:
    other = alice.create_chat("bob")
    with pytest.raises(ApiError) as caught:
        alice.rest.post(f"/chats/{other}/messages", alice.seal(chat, "astray"))
    assert caught.value.status in (400, 404)
    assert (alice.history(chat)["last_seq"], alice.history(other)["last_seq"]) == (1, 1)


def test_queues_run_dry(alice: User, chat: str, connect: Connect) -> None:
    """What the tests above rely on: an inbox without news is empty."""
    live = connect(alice)
    with pytest.raises(queue.Empty):
        live.next("message", timeout=0.01)
