"""Every failure name of §5 that a `server` chat can show: what a hostile member gets stored, and what a lying server
shows, is named by the reader and never shown as content (H2, H4, H6, H8, H9)."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tests.realtime.forge import forge
from tests.support import protocol as p
from tests.support.client import User
from tests.support.keys import domain

Page = dict[str, Any]


def sent(user: User, chat: str, envelope: p.Envelope) -> int:
    """Posts; the seq."""
    return int(user.post(envelope)["seq"])


def flipped(text: str) -> str:
    data = p.un64u(text)
    return p.b64u(data[:-1] + bytes((data[-1] ^ 1,)))


# ---- what a member can get stored: the server verifies neither signature nor content


def seal(user: User, chat: str, plaintext: bytes, alg: str = p.ED25519, **fields: Any) -> p.Envelope:
    """Seals exactly this plaintext under the true key; `fields` replace header fields."""
    key = user.epoch_key(chat, user.chat(chat)["epoch"])
    header = p.read_header(user.seal(chat, "x", alg))
    header |= {"seen": {"seq": header["seen"][0], "hash": header["seen"][1]}, "v": 1} | fields
    return p.seal_raw(user.keys, key, json.dumps(header).encode(), plaintext, chat, alg)


TEXT = p.pad(b'{"type":"text","body":"x"}')


def by_member(name: str, user: User, chat: str) -> p.Envelope:
    """An envelope that the server takes and a reader must name so."""
    good = seal(user, chat, TEXT)
    dsa = user.seal(chat, "x", p.DSA)
    r_s = p.un64u(dsa["signature"])
    made = {
        "malformed": lambda: seal(user, chat, TEXT, at="2026-02-30T00:00:00.000Z"),
        "malformed payload": lambda: seal(user, chat, p.pad(b"no JSON")),
        "malformed payload, a list": lambda: seal(user, chat, p.pad(b"[]")),
        "bad_signature": lambda: good | {"signature": flipped(good["signature"])},
        "bad_signature of another envelope": lambda: (
            seal(user, chat, TEXT) | {"signature": good["signature"]}
        ),
        "bad_signature over a changed ciphertext": lambda: good | {"ciphertext": flipped(good["ciphertext"])},
        "bad_signature over a changed iv": lambda: good | {"iv": flipped(good["iv"])},
        "bad_signature, DSA with q - s": lambda: dsa | {"signature": p.b64u(other_s(r_s))},
        "bad_signature, DSA with a byte more": lambda: dsa | {"signature": p.b64u(r_s + b"\x00")},
        "bad_signature, PSS with another salt": lambda: short_salt(user, chat),
        "key_mismatch": lambda: forge(user, chat),
        "key_mismatch, only the commitment": lambda: seal(user, chat, TEXT, kc=p.commitment(bytes(32))),
        "undecryptable": lambda: other_key(user, chat),
        "bad_padding": lambda: seal(user, chat, b'{"type":"text","body":"x"}'.ljust(32, b"\x00")),
        "bad_padding, not Padmé": lambda: seal(user, chat, b"{}\x80".ljust(1000, b"\x00")),
    }
    return made[name]()


def other_s(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, domain()[1] - s)


def short_salt(user: User, chat: str) -> p.Envelope:
    envelope = user.seal(chat, "x", p.PSS)
    signed = p.signing_input(envelope["protected"], envelope["iv"], p.un64u(envelope["ciphertext"]))
    scheme = padding.PSS(padding.MGF1(SHA256()), 20)
    return envelope | {"signature": p.b64u(user.keys.private(p.PSS).sign(signed, scheme, SHA256()))}


def other_key(user: User, chat: str) -> p.Envelope:
    """H8: committed to the chat's key, encrypted under another: one member could open it and another not."""
    header = p.un64u(seal(user, chat, TEXT)["protected"])
    return p.seal_raw(user.keys, b"k" * 32, header, TEXT, chat, p.ED25519)


@pytest.mark.parametrize(
    "name",
    [
        "malformed",
        "malformed payload",
        "malformed payload, a list",
        "bad_signature",
        "bad_signature of another envelope",
        "bad_signature over a changed ciphertext",
        "bad_signature over a changed iv",
        "bad_signature, DSA with q - s",
        "bad_signature, DSA with a byte more",
        "bad_signature, PSS with another salt",
        "key_mismatch",
        "key_mismatch, only the commitment",
        "undecryptable",
        "bad_padding",
        "bad_padding, not Padmé",
    ],
)
def test_what_a_member_gets_stored(alice: User, bob: User, chat: str, name: str) -> None:
    seq = sent(alice, chat, by_member(name, alice, chat))
    alice.send(chat, "after it")
    reader = bob.reader(chat)
    assert reader.failures() == {seq: name.split()[0].rstrip(",")}
    assert reader.judged[seq].payload is None
    assert reader.texts() == ["after it"]  # it takes nothing else with it


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"n": 3, "prev": p.H(b"?")}, "chain_gap"),
        ({"n": 1, "prev": ""}, "chain_fork"),
        ({"n": 2, "prev": p.H(b"?")}, "chain_fork"),
        ({"seen": (1, p.H(b"?"))}, "history_fork"),
        ({"log": p.H(b"?")}, "history_fork"),
    ],
)
def test_what_a_member_says_of_lane_and_history(
    alice: User, bob: User, chat: str, fields: dict[str, Any], warning: str
) -> None:
    lane = p.new_lane()
    alice.send(chat, "first", lane=lane)
    seq = sent(alice, chat, alice.seal(chat, "second", lane=lane, **fields))
    judged = bob.reader(chat).judged[seq]
    assert (judged.failure, judged.warnings) == (None, [warning])
    assert judged.payload == {"type": "text", "body": "second"}  # readable, with a warning beside it
    assert ("history_fork" in bob.readers[chat].warnings) == (warning == "history_fork")


def test_another_lane_begins_anew_and_unknown_types_are_shown(alice: User, bob: User, chat: str) -> None:
    for _ in range(3):
        alice.send(chat, {"type": "hologram", "size": 1.5}, lane=p.new_lane())
    reader = bob.reader(chat)
    assert [judged.warnings for judged in reader.judged.values()] == [[], [], [], []]
    assert [judged.payload for judged in reader.judged.values()][1:] == [
        {"type": "hologram", "size": 1.5}
    ] * 3


def test_a_lone_surrogate_in_a_payload_is_replaced(alice: User, bob: User, chat: str) -> None:
    sent(alice, chat, seal(alice, chat, p.pad(b'{"type":"text","body":"a\\ud800b"}')))
    assert bob.reader(chat).texts() == ["a\ufffdb"]


# ---- what a lying server can show


@pytest.fixture
def told(alice: User, bob: User, chat: str) -> dict[str, Any]:
    """A history in two epochs, and what a reader of bob needs for it."""
    lane = p.new_lane()
    for number in range(3):
        alice.send(chat, f"one {number}", p.ED25519, lane=lane)
    alice.change(chat, "rekey")
    for number in range(3):
        alice.send(chat, f"two {number}", p.ED25519, lane=lane)
    return {"page": bob.history(chat, after=0), "people": bob.people(chat), "chat": chat}


def read(bob: User, told: dict[str, Any], page: Page) -> p.Reader:
    reader = p.Reader(told["chat"], [bob.keys], told["people"])
    reader.page(page)
    return reader


def renumbered(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item | {"seq": seq} for seq, item in enumerate(items, start=1)]


def swap(items: list[Any], first: int, second: int) -> list[Any]:
    items = list(items)
    items[first], items[second] = items[second], items[first]
    return items


def epochs_changed(page: Page, **fields: Any) -> list[dict[str, Any]]:
    """The page's epochs with fields of the first replaced."""
    return [page["epochs"][0] | fields, *page["epochs"][1:]]


LIES: dict[str, tuple[Callable[[Page], dict[str, Any]], dict[int, str], dict[int, list[str]], set[str]]] = {
    # what is changed of the page → failures, warnings by seq, and warnings of the chat
    "nothing": (lambda page: {}, {}, {}, set()),
    "a message dropped": (
        lambda page: {"items": renumbered([*page["items"][:2], *page["items"][3:]])},
        {},
        {3: ["chain_gap"], 5: ["server_rollback", "history_fork"], 6: ["history_fork"], 7: ["history_fork"]},
        {"history_fork", "server_rollback"},
    ),
    "two messages swapped": (
        lambda page: {"items": renumbered(swap(page["items"], 2, 3))},
        {},
        {3: ["chain_gap"], 4: ["chain_fork"], 6: ["history_fork"], 7: ["history_fork"], 8: ["history_fork"]},
        {"history_fork"},
    ),
    "a message replayed": (
        lambda page: {"items": renumbered([*page["items"], page["items"][-1]])},
        {9: "replayed"},
        {},
        set(),
    ),
    "a message of the old epoch in the new one": (
        lambda page: {"items": renumbered([*page["items"], page["items"][3]])},
        {9: "wrong_epoch"},
        {},
        set(),
    ),
    "the rekey hidden": (
        lambda page: {"items": renumbered([item for item in page["items"] if item["seq"] != 5])},
        {5: "wrong_epoch", 6: "wrong_epoch", 7: "wrong_epoch"},
        {},
        set(),
    ),
    "an event rewritten": (
        lambda page: {
            "items": [
                page["items"][0] | {"event": page["items"][0]["event"] | {"by": "bob"}},
                *page["items"][1:],
            ]
        },
        {},
        {seq: ["history_fork"] for seq in (2, 3, 4, 6, 7, 8)},
        {"history_fork"},
    ),
    "another start": (
        lambda page: {"before": p.H(b"?")},
        {},
        {seq: ["history_fork"] for seq in (2, 3, 4, 6, 7, 8)},
        {"history_fork"},
    ),
    "the author no member": (
        lambda page: {"epochs": epochs_changed(page, members=["bob"])},
        {2: "not_a_member", 3: "not_a_member", 4: "not_a_member"},
        {},
        set(),
    ),
    "an epoch withheld": (
        lambda page: {"epochs": page["epochs"][1:]},
        {2: "waiting_for_key", 3: "waiting_for_key", 4: "waiting_for_key"},
        {},
        set(),
    ),
    "a wrap to another key": (
        lambda page: {"epochs": epochs_changed(page, kid=p.H(b"?"))},
        {2: "key_lost", 3: "key_lost", 4: "key_lost"},
        {},
        set(),
    ),
    "a broken wrap": (
        lambda page: {"epochs": epochs_changed(page, wrapped=flipped(page["epochs"][0]["wrapped"]))},
        {2: "undecryptable", 3: "undecryptable", 4: "undecryptable"},
        {},
        set(),
    ),
    "the wrap of another epoch": (
        lambda page: {"epochs": epochs_changed(page, wrapped=page["epochs"][1]["wrapped"])},
        {2: "undecryptable", 3: "undecryptable", 4: "undecryptable"},
        {},
        set(),
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_what_a_lying_server_shows(bob: User, told: dict[str, Any], name: str) -> None:
    lie, failures, warnings, of_chat = LIES[name]
    page = copy.deepcopy(told["page"])
    reader = read(bob, told, page | lie(page))
    assert reader.failures() == failures
    assert {seq: judged.warnings for seq, judged in reader.judged.items() if judged.warnings} == warnings
    assert reader.warnings == of_chat


def test_a_withheld_key_is_used_when_it_comes(bob: User, told: dict[str, Any]) -> None:
    reader = read(bob, told, told["page"] | {"epochs": told["page"]["epochs"][1:]})
    assert reader.texts() == ["two 0", "two 1", "two 2"]
    reader.learn(told["page"]["epochs"])
    assert reader.texts() == ["one 0", "one 1", "one 2", "two 0", "two 1", "two 2"]
    assert reader.failures() == {}


def test_pages_must_join(bob: User, chat: str, told: dict[str, Any]) -> None:
    first, second = bob.history(chat, after=0, limit=4), bob.history(chat, after=4, limit=4)
    for pages in ((first, second), (second, first)):
        assert read_pages(bob, told, pages).warnings == set()
        lied = [page | {"before": p.H(b"?")} if page is pages[1] else page for page in pages]
        assert read_pages(bob, told, lied).warnings == {"history_fork"}
    # A lane's link and a `seen` across the joint are judged once the page before is here.
    reader = read_pages(bob, told, (bob.history(chat, after=2), bob.history(chat, before=3)))
    assert (reader.warnings, reader.failures()) == (set(), {})
    assert [judged.warnings for judged in reader.judged.values()] == [[]] * 8


def read_pages(bob: User, told: dict[str, Any], pages: Any) -> p.Reader:
    reader = p.Reader(told["chat"], [bob.keys], told["people"])
    for page in pages:
        reader.page(page)
    return reader


def test_a_server_that_went_back_is_named(bob: User, told: dict[str, Any]) -> None:
    reader = read(bob, told, told["page"])
    reader.page({"items": [], "before": told["page"]["before"], "epochs": [], "last_seq": 5})
    assert reader.warnings == {"server_rollback"}


def test_a_changed_mode_is_named(bob: User, chat: str, told: dict[str, Any]) -> None:
    reader = read(bob, told, told["page"])
    view = bob.chat(chat)
    event = {"kind": "rekey", "by": "", "usernames": [], "epoch": 3, "log": "", "share": "", "keys": ""}
    before = p.b64u(reader.chain[8])
    reader.push({"chat": view | {"key_mode": "combined"}, "seq": 9, "event": event, "before": before})
    assert reader.warnings == {"mode_changed"}


def test_a_swapped_key_is_a_reset(alice: User, bob: User, chat: str) -> None:
    """H2: a bundle that the server made up is not linked to the pinned one, and messages under it say so."""
    alice.send(chat, "really alice")
    entry = next(item for item in bob.rest.get(f"/chats/{chat}/keys")["items"] if item["username"] == "alice")
    pin = p.Person("alice", entry).pin
    invented = p.make_bundle("alice", p.pool(11), 2)
    person = p.Person("alice", invented | {"username": "alice", "history": [entry]}, pin)
    keys = p.pool(11)
    view = bob.chat(chat)
    forged = p.seal_envelope(
        keys,
        bob.epoch_key(chat, view["epoch"]),
        b'{"type":"text","body":"not alice"}',
        chat=chat,
        epoch=1,
        id="5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a10",
        sender="alice",
        lane=p.new_lane(),
        seen=bob.reader(chat).seen(),
        alg=p.ED25519,
    )
    reader = bob.reader(chat)
    reader.people["alice"] = person
    judged = reader.push(forged | {"seq": 3, "before": p.b64u(reader.chain[2])})
    assert (judged.failure, judged.warnings) == (None, ["unconfirmed_key"])
    # An old bundle shown as a new one, and one whose proofs fail, are no bundles at all.
    with pytest.raises(p.Failure, match="invalid_proof"):
        p.Person("alice", {**entry, "version": 2, "history": [entry]}, pin)
    # A key of nobody's bundle is unknown.
    stranger = p.pool(10)
    forged = p.seal_envelope(
        stranger,
        bob.epoch_key(chat, view["epoch"]),
        b"{}",
        chat=chat,
        epoch=1,
        id="5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a11",
        sender="alice",
        lane=p.new_lane(),
        seen=reader.seen(),
        alg=p.ED25519,
    )
    judged = reader.push(forged | {"seq": 4, "before": p.b64u(reader.chain[3])})
    assert judged.failure == "unknown_key"


def test_old_keys_sign_nothing_new(bob: User, users: Callable[..., User]) -> None:
    """Not older than what an earlier item of that author used or announced."""
    ivan = users("ivan", 3)
    chat = ivan.create_chat("bob")
    first = ivan.keys
    ivan.send(chat, "under 1", p.ED25519)
    ivan.rotate(p.pool(4))
    ivan.send(chat, "under 2", p.ED25519)
    reader = bob.reader(chat)
    assert (reader.texts(), reader.failures(), reader.warnings) == (["under 1", "under 2"], {}, set())
    forged = p.seal_envelope(
        first,
        bob.epoch_key(chat, bob.chat(chat)["epoch"]),
        b'{"type":"text","body":"stolen key"}',
        chat=chat,
        epoch=2,
        id="5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a12",
        sender="ivan",
        lane=p.new_lane(),
        seen=reader.seen(),
        alg=p.ED25519,
    )
    judged = reader.push(forged | {"seq": reader.last_seq + 1, "before": reader.seen()[1]})
    assert judged.failure == "unknown_key"
