"""Random histories of honest members, which both judges always take; and one lie in each request, which neither does."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chatsec.domain import combined
from tests.support.combined import NAMES, Request, World
from tests.unit.lies import LIES, pick

MAX_BUNDLES = 6
REFUSALS = {
    "invalid",
    "invalid_membership",
    "membership_conflict",
    "invalid_share",
    "epoch_conflict",
    "forbidden",
    "not_found",
}
# Clients see no request and nobody else's wraps, and who is excluded or which bundle is current they cannot judge.
SERVER_ONLY = {
    "name",
    "share: wrap",
    "share: a wrap less",
    "share: somebody excluded",
    "share: an older bundle",
}


class Histories(RuleBasedStateMachine):
    """Members act as their clients let them; the people's keys move as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(NAMES)

    # ---- who could

    def able(self) -> list[str]:
        """Members who can sign: the log stands by their keys."""
        state = self.world.state
        people = self.world.people
        return [n for n in sorted(state.members) if people[n].line.confirmed(state.log.members[n].keys)]

    def owners(self) -> list[str]:
        return [name for name in self.able() if name in self.world.state.log.owners]

    def settled(self) -> bool:
        return not self.world.state.waiting

    def orphaned(self, *gone: str) -> bool:
        return not self.world.state.log.owners - set(gone)

    def tell(self, data: st.DataObject, request: Request) -> None:
        """One lie first, then the honest request."""
        world = self.world
        name = data.draw(st.sampled_from(sorted(LIES)))
        lie = LIES[name](world, request, data)
        if lie is not None and lie != request:
            assert world.code(lie) in REFUSALS, name
            if name not in SERVER_ONLY and lie.by == request.by:
                assert world.failure(lie) in ("invalid_membership", "bad_share"), name
        world.take(request)

    # ---- what they do

    @initialize(data=st.data())
    def create(self, data: st.DataObject) -> None:
        others = data.draw(st.lists(st.sampled_from(NAMES[1:]), unique=True))
        roles = {name: data.draw(st.sampled_from(["owner", "member"])) for name in others}
        members = {
            name: (role, self.world.people[name].kh) for name, role in ({"alice": "owner"} | roles).items()
        }
        name = data.draw(st.none() | st.text(st.characters(categories=["L"]), max_size=5))
        self.tell(data, self.world.request("create", "alice", members, members, name))

    @precondition(
        lambda self: self.settled() and self.owners() and len(self.world.state.members) < len(NAMES)
    )
    @rule(data=st.data(), role=st.sampled_from(["owner", "member"]), old=st.booleans())
    def add(self, data: st.DataObject, role: str, old: bool) -> None:
        who = pick(data, set(NAMES) - self.world.state.members)
        human = self.world.people[who]
        kh = (
            human.hashes[-2]
            if old and len(human.hashes) > 1 and human.line.confirmed(human.hashes[-2])
            else human.kh
        )
        by = pick(data, self.owners())
        self.tell(data, self.world.request("add", by, [who], self.world.members(**{who: (role, kh)})))

    @precondition(lambda self: self.settled() and self.owners() and len(self.world.state.members) > 1)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        by = pick(data, self.owners())
        who = pick(data, self.world.state.members - {by})
        self.tell(data, self.world.request("remove", by, [who], self.world.members(**{who: None})))

    @precondition(lambda self: self.able())
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        by = pick(data, self.able())
        members = self.world.members(**{by: None})
        if members and self.orphaned(by):
            heir = pick(data, members)
            members[heir] = ("owner", members[heir][1])
        self.tell(data, self.world.request("leave", by, [by], members))

    @precondition(lambda self: self.world.state.members)
    @rule(data=st.data(), ended=st.booleans())
    def go(self, data: st.DataObject, ended: bool) -> None:
        """Without an entry: the account ends, or its keys are gone."""
        who = pick(data, self.world.state.members)
        self.tell(
            data, self.world.request("ended", "", [who]) if ended else self.world.request("leave", who, [who])
        )

    @precondition(lambda self: self.world.state.waiting and self.able())
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        by, gone = pick(data, self.able()), self.world.state.waiting
        members = self.world.members(**dict.fromkeys(gone))
        if self.orphaned(*gone):
            members[by] = ("owner", members[by][1])
        self.tell(data, self.world.request("retire", by, gone, members))

    @precondition(lambda self: self.owners())
    @rule(data=st.data())
    def role(self, data: st.DataObject) -> None:
        by, who = pick(data, self.owners()), pick(data, self.world.state.log.members)
        role, keys = self.world.members()[who]
        if role == "owner" and self.orphaned(who):
            return
        other = "member" if role == "owner" else "owner"
        members = self.world.members(**{who: (other, keys)})
        self.tell(data, self.world.request("role", by, [who], members, role=other))

    @precondition(lambda self: self.owners())
    @rule(data=st.data(), name=st.sampled_from([None, "Us", "Them"]))
    def rename(self, data: st.DataObject, name: str | None) -> None:
        by = pick(data, self.owners())
        self.tell(data, self.world.request("rename", by, members=self.world.members(), name=name))

    @precondition(
        lambda self: self.settled() and self.able() and len(self.able()) < len(self.world.state.members)
    )
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        by = pick(data, self.owners() or self.able())
        who = pick(data, self.world.state.members - set(self.able()))
        role = self.world.state.log.members[who].role
        members = self.world.members(**{who: (role, self.world.people[who].kh)})
        self.tell(data, self.world.request("keys", by, [who], members))

    @precondition(lambda self: self.settled() and self.able())
    @rule(data=st.data())
    def rekey(self, data: st.DataObject) -> None:
        self.tell(data, self.world.request("rekey", pick(data, self.able())))

    @rule(data=st.data(), linked=st.booleans())
    def new_keys(self, data: st.DataObject, linked: bool) -> None:
        who = self.world.people[data.draw(st.sampled_from(NAMES))]
        if len(who.bundles) < MAX_BUNDLES:
            who.new_keys(len(who.bundles), linked)

    # ---- what always holds

    @invariant()
    def both_stand_at_the_same_place(self) -> None:
        state, view = self.world.state, self.world.view
        assert (state.epoch, state.members) == (view.epoch, view.members)
        assert state.log.hash == (view.entry.hash if view.entry else "")
        assert state.waiting == view.gone()

    @invariant()
    def nobody_is_in_the_chat_but_by_the_log(self) -> None:
        state = self.world.state
        assert state.members <= state.log.members.keys()
        assert not state.log.members or state.log.owners

    @invariant()
    def a_share_that_is_not_due_is_for_just_the_members(self) -> None:
        state = self.world.state
        if not combined.share_due(state, self.world.lines(), 0):
            assert state.share.recipients.keys() | state.share.excluded == state.members


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
