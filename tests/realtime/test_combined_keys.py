"""New keys of members of `combined` chats, on the live server: with continuity, after a reset, on a clean installation
(protocol §2, §4)."""

from collections.abc import Callable

from tests.realtime.forge import forge, problem
from tests.support import protocol as p
from tests.support.client import LiveClient, User

Connect = Callable[[User], LiveClient]
Users = Callable[..., User]


def test_new_keys_make_a_share_due(alice: User, bob: User, users: Users, connect: Connect) -> None:
    """With continuity: the log stays as it is, and whoever's keys are new posts the share."""
    frank = users("frank", 6)
    chat = frank.create_combined("alice", "bob")
    lane = p.new_lane()
    frank.send(chat, "under the first", lane=lane)
    live, own, reader = connect(bob), connect(frank), bob.reader(chat)
    frank.rotate(p.pool(7))
    assert live.next("keys") == {"username": "frank", "version": 2}
    assert bob.chat(chat)["share_due"] is True
    assert live.nothing("event")
    assert problem(bob.post, bob.seal(chat, "too soon"))["code"] == "share_due"
    frank.signer(chat).rekey()
    bob.hear(reader, live.event())
    own.event()
    assert bob.chat(chat)["share_due"] is False
    frank.send(chat, "under the second", p.PSS, own)
    judged = bob.hear(reader, live.message())
    assert (judged.failure, judged.warnings) == (None, [])
    assert (reader.warnings, frank.reader(chat).texts()) == (set(), ["under the first", "under the second"])
    # The entry still names the first bundle; he signs entries under the second.
    frank.signer(chat).rename("still mine")
    bob.hear(reader, live.event())
    assert (reader.warnings, bob.chat(chat)["name"]) == (set(), "still mine")


def test_a_reset_is_shut_out_until_a_member_confirms(
    alice: User, bob: User, users: Users, connect: Connect
) -> None:
    grace = users("grace", 8)
    chat = alice.create_combined("bob", "grace")
    live, reader, pinned = connect(bob), bob.reader(chat), bob.people(chat)["grace"].pin
    grace.rotate(p.pool(9), link=None)
    assert live.next("keys") == {"username": "grace", "version": 2}
    assert bob.chat(chat)["share_due"] is False  # an identity reset makes none due
    assert problem(grace.post, forge(grace, chat))["code"] == "unknown_key"
    alice.send(chat, "not for the new keys")
    alice.signer(chat).rekey()
    bob.hear(reader, {**live.message(), "before": p.b64u(reader.chain[1])})
    bob.hear(reader, live.event())
    view = grace.chat(chat)
    epoch = view["epoch"]
    assert (epoch["wrapped"], epoch["client_share"]["wrapped"], epoch["kid"]) == (None, None, None)
    assert p.read_share(epoch["client_share"], chat).excluded == {"grace"}
    assert view["epoch"]["members"] == ["alice", "bob", "grace"]
    refused = problem(grace.post, forge(grace, chat, epoch=2, seen={"seq": 3, "hash": p.H(b"")}))
    assert refused["code"] == "unknown_key"
    alice.send(chat, "without grace")
    hers = grace.reader(chat)
    assert (hers.texts(), hers.failures()) == (["not for the new keys"], {4: "key_lost"})
    alice.signer(chat).confirm("grace")
    view = grace.chat(chat)
    assert view["epoch"]["kid"] == grace.keys.kid(p.WRAPPING)
    grace.send(chat, "it is me")
    mine = bob.reader(chat)
    mine.people["grace"].pin = pinned  # a `keys` entry moves nobody's pin
    mine.rejudge()
    assert mine.judged[6].warnings == ["unconfirmed_key"]
    assert (mine.texts(), mine.failures(), mine.warnings) == (
        ["not for the new keys", "without grace", "it is me"],
        {},
        set(),
    )
    assert grace.reader(chat).texts() == ["not for the new keys", "it is me"]


def test_a_member_confirms_where_no_other_owner_can(alice: User, bob: User, users: Users) -> None:
    """The only owner's own reset: any member may, and they may sign again."""
    heidi = users("heidi", 10)
    chat = heidi.create_combined("alice", "bob")
    heidi.rotate(p.pool(11), link=None)
    signer = bob.signer(chat)
    signer.confirm("heidi")
    alice.send(chat, "all here")
    for user in (alice, bob, heidi):
        reader = user.reader(chat)
        assert (reader.texts(), reader.warnings) == (["all here"], set())
    heidi.signer(chat).rename("mine again")


def test_a_clean_installation_reads_and_signs(alice: User, users: Users) -> None:
    """With the password alone."""
    ivan = users("ivan", 4, real_kdf=True)
    chat = alice.create_combined("ivan")
    alice.send(chat, "before")
    again = User.log_in(alice.url, "ivan", ivan.password)
    assert again.reader(chat).texts() == ["before"]
    again.signer(chat).rekey()
    again.send(chat, "from there")
    assert ivan.reader(chat).texts() == ["before", "from there"]
    again.close()
