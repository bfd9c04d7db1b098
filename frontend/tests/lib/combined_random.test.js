/**
 * Random honest histories of `combined` chats, made by what the library itself would sign: from whatever item on they
 * are read, nothing is named, and everybody's log, share and members come out the same.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';

import { nextEntry, servesHead, standing } from '../../lib/crypto/index.js';
import { reduce } from '../../lib/timeline.js';
import { History, start } from './log.js';

const EVERYBODY = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'];

/** A chat whose next step is chosen by numbers; what the server would refuse is not done. */
class Walk {
  constructor() {
    this.h = new History(['alice', 'bob', 'carol'], EVERYBODY);
    this.ended = new Set();
  }

  get here() {
    return [...this.h.head.members.keys()].filter((who) => !this.h.gone.has(who)).sort();
  }

  stands(me = '') {
    const { head: entry, gone, lineOf } = this.h;
    return standing({ entry, gone, lineOf, me });
  }

  /** An entry that the library makes for it, as everybody then sees it. */
  sign(op, by, wanted = {}) {
    const { head: before, gone, lineOf } = this.h;
    const { name, members } = nextEntry({ op, by, before, lineOf, gone, ...wanted });
    this.h.change(op, by, { name, members: new Map(Object.entries(members)) });
  }

  /** @param {number} kind @param {number} a @param {number} b */
  step(kind, a, b) {
    const { h } = this;
    const pick = (list, n) => list[n % list.length];
    const able = this.stands().able;
    const owners = able.filter((who) => h.head.members.get(who).role === 'owner');
    const outside = EVERYBODY.filter((who) => !h.head.members.has(who) && !this.ended.has(who));
    const [by, owner, other] = [pick(able, a), pick(owners, a), pick(this.here, b)];
    const calm = h.gone.size === 0; // no other share is taken while somebody waits
    const roles = {
      usernames: [other],
      role: h.head.members.get(other)?.role === 'owner' ? 'member' : 'owner',
    };
    const last = h.head.members.get(other)?.role === 'owner' && this.ownersLeft() === 1;
    const may = this.stands(by).mayConfirm;
    const steps = [
      () => this.say(other),
      () => this.say(pick(this.here, a)),
      () => h.renew(other, b % 3 > 0),
      () => calm && owner && outside.length > 0 && this.sign('add', owner, { usernames: [pick(outside, b)] }),
      () => calm && owner && other !== owner && this.sign('remove', owner, { usernames: [other] }),
      () => by && this.here.length > 2 && this.sign('leave', by),
      () => this.here.length > 2 && h.change('leave', other, { signs: false }),
      () => this.here.length > 2 && this.end(other),
      () => owner && !last && this.sign('role', owner, roles),
      () => owner && this.sign('rename', owner, { name: `name ${a}` }),
      () => calm && by && may.length > 0 && this.sign('keys', by, { usernames: [pick(may, b)] }),
      () => !calm && by && this.sign('retire', by),
      () => calm && by && h.change('rekey', by),
    ];
    pick(steps, kind)();
  }

  ownersLeft() {
    return [...this.h.head.members.values()].filter(({ role }) => role === 'owner').length;
  }

  end(who) {
    this.ended.add(who);
    this.h.change('ended', '', { usernames: [who] });
  }

  /** Only under the share, and where nothing is due. */
  say(who) {
    const { h } = this;
    const share = h.shares.get(h.epoch);
    const entry = h.entries.find(({ hash }) => hash === share.membership);
    const due = h.gone.size > 0 || servesHead({ share, entry, head: h.head, lineOf: h.lineOf });
    if (!due && share.recipients.get(who)?.keys === h.current(who)) h.say(who);
  }
}

const steps = fc.array(fc.tuple(fc.nat(12), fc.nat(40), fc.nat(40)), { minLength: 10, maxLength: 60 });

test('random honest histories have no names, from whatever item on they are read', () => {
  const kinds = new Set();
  fc.assert(
    fc.property(steps, fc.nat(1000), (chosen, from) => {
      const walk = new Walk();
      for (const [kind, a, b] of chosen) if (walk.here.length > 1) walk.step(kind, a, b);
      const { h } = walk;
      for (const { event } of h.facts) kinds.add(event?.kind ?? 'message');
      const ends = [0, from % h.facts.length].map((at) => {
        const facts = h.facts.slice(at);
        const anchor = { seq: h.facts.length, n: h.entries.length };
        const state = reduce(start(h, facts, { anchor }), facts);
        const found = state.verdicts.flatMap(({ reason, warnings }) => [reason, ...warnings]).filter(Boolean);
        assert.deepEqual([found, [...state.warnings]], [[], []]);
        return state;
      });
      for (const { combined, members } of ends) {
        assert.deepEqual([combined.head, combined.share], [h.head, h.shares.get(h.epoch)]);
        if (!combined.partial) assert.deepEqual([...members].sort(), walk.here);
      }
    }),
    { numRuns: 200 },
  );
  assert.equal(kinds.size, 11, [...kinds].join());
});
