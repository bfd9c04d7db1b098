"""Key bundles over REST: judged keys before proofs, versions, continuity, and who is told (protocol §2, §6)."""

from __future__ import annotations

from typing import Any

import pytest

from chatsec.errors import ChatSecError
from tests.api.conftest import PASSWORD, Person, World, fields, refused
from tests.support.protocol import (
    DSA,
    ED25519,
    PSS,
    WRAPPING,
    KeySet,
    b64u,
    bundle_hash,
    make_bundle,
    pool,
    seal_backup,
    un64u,
)

BACKUP = seal_backup("alice", pool(0), b"k" * 32)
STATE = {"v": 1, "n": 1, "iv": b64u(b"i" * 12), "ciphertext": b64u(b"c" * 40)}


@pytest.fixture
def alice(world: World) -> Person:
    return world.register()


def add(person: Person, bundle: Any, **more: Any) -> Any:
    return person.call("POST", "/me/keys", {"bundle": bundle, "password": PASSWORD, **more})


def first(**change: Any) -> dict[str, Any]:
    return {**make_bundle("alice", pool(0)), **change}


def stored_version(person: Person) -> int:
    return int(person.call("GET", "/me").get_json()["keys_version"])


def test_a_first_bundle_is_stored_told_and_readable(world: World, alice: Person) -> None:
    bundle = first()
    answer = add(alice, bundle, key_backup=BACKUP, state=STATE)
    kh = bundle_hash("alice", bundle)
    assert answer.status_code == 201 and answer.get_json() == {"version": 1, "hash": kh}
    assert world.told("keys") == [{"username": "alice", "version": 1}]
    found = world.register("bobby").call("GET", "/users/ALICE/keys").get_json()
    assert found.pop("created_at").endswith("Z")
    assert found == {"username": "alice", "hash": kh, "history": [], **bundle}
    assert alice.call("GET", "/me/key-backup").get_json() == {"key_backup": BACKUP}
    assert alice.call("GET", "/me/state").get_json() == {"state": STATE}
    assert stored_version(alice) == 1


def test_a_next_bundle_is_linked_and_the_old_one_stays_readable(alice: Person) -> None:
    one = first()
    two = make_bundle("alice", pool(1), 2, after=(one, pool(0)))
    three = make_bundle("alice", pool(2), 3, after=(two, pool(1)), link=PSS)
    for bundle in (one, two, three):
        assert add(alice, bundle).status_code == 201
    found = alice.call("GET", "/users/alice/keys").get_json()
    assert [found["version"], *(old["version"] for old in found["history"])] == [3, 2, 1]
    assert found["continuity"] == three["continuity"] and "continuity" not in found["history"][1]
    for after, versions in ((0, [2, 1]), (1, [2]), (2, []), (3, []), (99, [])):
        found = alice.call("GET", f"/users/alice/keys?after={after}").get_json()
        assert found["version"] == 3 and [old["version"] for old in found["history"]] == versions


def test_an_identity_reset_is_taken_and_is_one(alice: Person) -> None:
    assert add(alice, first()).status_code == 201
    assert add(alice, make_bundle("alice", pool(1), 2)).status_code == 201
    assert alice.call("GET", "/users/alice/keys").get_json()["previous"] == ""


def test_the_same_bundle_again_answers_as_before(alice: Person) -> None:
    bundle = first()
    before = add(alice, bundle, key_backup=BACKUP)
    again = add(alice, {**bundle, "version": 1.0, "unknown": 1}, key_backup=BACKUP)
    assert (again.status_code, again.get_json()) == (before.status_code, before.get_json())


def test_a_new_bundle_opens_an_epoch_in_every_chat_before_the_answer(world: World, alice: Person) -> None:
    one = first()
    add(alice, one)
    bobby = world.register("bobby", keys=make_bundle("bobby", pool(2)))
    chats = [alice.call("POST", "/chats", {"members": ["bobby"]}).get_json()["id"] for _ in range(2)]
    world.packets.clear()
    two = make_bundle("alice", pool(1), 2, after=(one, pool(0)))
    assert add(alice, two).status_code == 201
    for chat in chats:
        for person, kid in ((alice, pool(1).kid(WRAPPING)), (bobby, pool(2).kid(WRAPPING))):
            epoch = person.call("GET", f"/chats/{chat}").get_json()["epoch"]
            assert (epoch["number"], epoch["kid"]) == (2, kid)
        last = bobby.call("GET", f"/chats/{chat}/messages").get_json()["items"][-1]
        assert (last["event"]["kind"], last["event"]["keys"]) == ("keys", bundle_hash("alice", two))
    assert world.told("keys") == [{"username": "alice", "version": 2}]
    # A crash between the bundle and its epochs: the same bundle again opens what is due.
    three = make_bundle("alice", pool(3), 3, after=(two, pool(1)))
    append = world.storage.log.append

    def down(*_: Any) -> Any:
        raise ChatSecError("unavailable")

    world.storage.log.append = down  # type: ignore[method-assign]
    refused(add(alice, three), 503, "unavailable")
    world.storage.log.append = append  # type: ignore[method-assign]
    assert alice.call("GET", f"/chats/{chats[0]}").get_json()["epoch"]["number"] == 2
    assert add(alice, three).status_code == 201
    for chat in chats:
        epoch = alice.call("GET", f"/chats/{chat}").get_json()["epoch"]
        assert (epoch["number"], epoch["kid"]) == (3, pool(3).kid(WRAPPING))


def test_versions_have_no_gap_and_no_repeat(alice: Person) -> None:
    problem = refused(add(alice, first(version=2)), 409, "keys_conflict")
    assert (problem["version"], problem["hash"]) == (0, "")
    one = first()
    add(alice, one)
    for version in (1, 3, 99):
        problem = refused(add(alice, make_bundle("alice", pool(1), version)), 409, "keys_conflict")
        assert (problem["version"], problem["hash"]) == (1, bundle_hash("alice", one))
    for version in (0, -1, 1.5, "2", True, None, 2**53):
        assert fields(refused(add(alice, first(version=version)), 400, "invalid")) == {"bundle.version"}


def test_a_wrong_link_is_an_invalid_proof(alice: Person) -> None:
    one = first()
    add(alice, one)
    two = make_bundle("alice", pool(1), 2, after=(one, pool(0)))
    stranger = make_bundle("alice", pool(2))
    for wrong in (
        make_bundle("alice", pool(1), 2, after=(stranger, pool(2))),  # another `previous`
        make_bundle("alice", pool(1), 2, after=(one, pool(1))),  # linked by the new keys themselves
        make_bundle("alice", pool(1), 2, after=(one, pool(0)), link=DSA),
        {key: value for key, value in two.items() if key != "continuity"},
        {**make_bundle("alice", pool(1), 2), "continuity": two["continuity"]},
        {**two, "continuity": {**two["continuity"], "signature": b64u(b"s" * 64)}},
    ):
        refused(add(alice, wrong), 400, "invalid_proof")
    assert stored_version(alice) == 1
    assert add(alice, two).status_code == 201


def test_proofs_are_of_exactly_the_signing_keys(alice: Person) -> None:
    bundle = first()
    kids = list(bundle["proofs"])
    swapped = dict(zip(kids, reversed(bundle["proofs"].values()), strict=True))
    missing = {kid: bundle["proofs"][kid] for kid in kids[1:]}
    for proofs in (swapped, missing, {}, {**bundle["proofs"], "A" * 43: b64u(b"x")}):
        refused(add(alice, {**bundle, "proofs": proofs}), 400, "invalid_proof")
    refused(add(alice, make_bundle("bobby", pool(0))), 400, "invalid_proof")
    refused(
        add(
            alice, make_bundle("alice", pool(0)) | {"encryption": make_bundle("alice", pool(1))["encryption"]}
        ),
        400,
        "invalid_proof",
    )
    assert stored_version(alice) == 0


def with_key(alg: str, spki: bytes) -> dict[str, Any]:
    """The first bundle with another signing key of `alg`, its proofs as wrong as can be."""
    bundle = first()
    bundle["signing"] = [
        {"alg": key["alg"], "spki": b64u(spki) if key["alg"] == alg else key["spki"]}
        for key in bundle["signing"]
    ]
    return {**bundle, "proofs": {}}


def test_keys_are_judged_before_proofs(alice: Person) -> None:
    ed, rsa = pool(0).spki(ED25519), pool(0).spki(PSS)
    for spki, code in (
        (ed[:-1], "malformed_key"),
        (ed + b"\0", "malformed_key"),
        (rsa, "malformed_key"),
        (b"\0", "malformed_key"),
        (ed[:12] + (1).to_bytes(32, "little"), "weak_key"),
        (ed[:12] + bytes(32), "weak_key"),
    ):
        refused(add(alice, with_key(ED25519, spki)), 400, code)
    refused(add(alice, with_key(PSS, pool(1).spki(ED25519))), 400, "malformed_key")
    refused(add(alice, with_key(DSA, pool(1).spki(PSS))), 400, "malformed_key")
    refused(
        add(alice, first(encryption={"alg": "RSA-OAEP", "spki": b64u(rsa)})), 400, "unsupported_algorithm"
    )
    refused(add(alice, first(encryption={"alg": WRAPPING, "spki": b64u(ed)})), 400, "malformed_key")
    refused(
        add(alice, {**with_key("none", ed), "signing": [{"alg": "ES256", "spki": b64u(ed)}]}),
        400,
        "unsupported_algorithm",
    )


def test_a_key_stands_in_one_place(alice: Person) -> None:
    bundle = first()
    refused(add(alice, {**bundle, "signing": bundle["signing"] * 2}), 400, "invalid")
    pss = next(key for key in bundle["signing"] if key["alg"] == PSS)
    twice = {**bundle, "encryption": {"alg": WRAPPING, "spki": pss["spki"]}}
    refused(add(alice, twice), 400, "weak_key")


def test_dsa_alone_is_not_enough(alice: Person) -> None:
    only = KeySet(pool(0).pkcs8).without(PSS, ED25519)
    refused(add(alice, make_bundle("alice", only)), 400, "invalid")
    assert add(alice, make_bundle("alice", pool(0).without(DSA))).status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"previous": None}, "bundle.previous"),
        ({"previous": "A" * 42}, "bundle.previous"),
        ({"previous": "B" * 43}, "bundle.previous"),
        ({"encryption": None}, "bundle.encryption"),
        ({"encryption": {"alg": WRAPPING}}, "bundle.encryption.spki"),
        ({"encryption": {"alg": WRAPPING, "spki": "AAA="}}, "bundle.encryption.spki"),
        ({"encryption": {"alg": WRAPPING, "spki": {"$ne": 1}}}, "bundle.encryption.spki"),
        ({"encryption": {"alg": 5, "spki": "AAAA"}}, "bundle.encryption.alg"),
        ({"signing": []}, "bundle.signing"),
        ({"signing": {}}, "bundle.signing"),
        ({"signing": [None]}, "bundle.signing.0"),
        ({"proofs": []}, "bundle.proofs"),
        ({"continuity": {"kid": "A" * 43}}, "bundle.continuity.signature"),
        ({"continuity": "x"}, "bundle.continuity"),
    ],
)
def test_shapes_are_named_when_wrong(alice: Person, change: dict[str, Any], field: str) -> None:
    assert fields(refused(add(alice, first(**change)), 400, "invalid")) == {field}
    assert stored_version(alice) == 0


def test_keys_backup_and_state_are_stored_together_or_not_at_all(alice: Person) -> None:
    bundle = first()
    problem = refused(add(alice, bundle, key_backup={**BACKUP, "version": 2}), 409, "backup_conflict")
    assert problem["version"] == 0
    problem = refused(add(alice, bundle, key_backup=BACKUP, state={**STATE, "n": 3}), 409, "state_conflict")
    assert problem["n"] == 0
    assert stored_version(alice) == 0
    assert alice.call("GET", "/me/key-backup").get_json() == {"key_backup": None}
    refused(alice.call("GET", "/users/alice/keys"), 404, "not_found")
    assert add(alice, bundle, key_backup=BACKUP, state=STATE).status_code == 201


def test_keys_need_the_password(world: World, alice: Person) -> None:
    refused(add(alice, first(), password="not the password"), 403, "wrong_password")
    assert fields(refused(add(alice, first(), password=None), 400, "invalid")) == {"password"}
    assert stored_version(alice) == 0 and world.told("keys") == []


def test_the_list_of_keys_leaves_out_who_has_none(world: World, alice: Person) -> None:
    one = first()
    add(alice, one)
    add(alice, make_bundle("alice", pool(1), 2, after=(one, pool(0))))
    world.register("bobby", keys=make_bundle("bobby", pool(2)))
    world.register("carol")
    items = alice.call("GET", "/keys?usernames=carol,Bobby,nobody,alice,bobby").get_json()["items"]
    assert [(item["username"], item["version"], len(item["history"])) for item in items] == [
        ("alice", 2, 1),
        ("bobby", 1, 0),
    ]
    assert alice.call("GET", "/keys?usernames=").get_json()["items"] == []
    names = ",".join(f"user{number:03d}" for number in range(201))
    for query in (f"?usernames={names}", "?usernames=a%00b", "?usernames=a'b", ""):
        assert fields(refused(alice.call("GET", f"/keys{query}"), 400, "invalid")) == {"usernames"}


def test_keys_of_nobody_and_of_who_has_none_are_not_found(world: World, alice: Person) -> None:
    for name in ("nobody", "alice", "x" * 300, "%00", "' OR 1=1", "..%2f..", "$ne"):
        refused(alice.call("GET", f"/users/{name}/keys"), 404, "not_found")
    for after in ("-1", "x", "1.5", "9" * 20):
        assert fields(refused(alice.call("GET", f"/users/alice/keys?after={after}"), 400, "invalid")) == {
            "after"
        }


def test_keys_stay_readable_when_the_account_has_ended(world: World, alice: Person) -> None:
    bundle = first()
    add(alice, bundle)
    bobby = world.register("bobby")
    assert alice.call("POST", "/me/deletion", {"password": PASSWORD}).status_code == 204
    assert bobby.call("GET", "/users/alice/keys").get_json()["proofs"] == bundle["proofs"]


def test_ten_bundles_an_hour(world: World) -> None:
    world.new_app(rate_limits=True)
    alice = world.register()
    bundle, keys = first(), pool(0)
    assert add(alice, bundle).status_code == 201
    for version in range(2, 11):
        world.clock.forward(seconds=31)  # the password may be asked for ten times in five minutes
        bundle, keys = make_bundle("alice", pool(version), version, after=(bundle, keys)), pool(version)
        answer = add(alice, bundle)
        assert answer.status_code == 201, answer.get_json(force=True)
    answer = add(alice, make_bundle("alice", pool(11), 11, after=(bundle, keys)))
    refused(answer, 429, "rate_limited")
    assert 0 < int(answer.headers["Retry-After"]) <= 360


def test_stored_bundles_are_what_was_sent(alice: Person) -> None:
    """What others verify is byte for byte what was signed over."""
    bundle = first()
    add(alice, bundle)
    found = alice.call("GET", "/keys?usernames=alice").get_json()["items"][0]
    assert bundle_hash("alice", found) == found["hash"]
    assert un64u(found["encryption"]["spki"]) == pool(0).spki(WRAPPING)
