/** Lies about members and the log of a `combined` chat (protocol §4). */

import assert from 'node:assert/strict';

import { forgeEntry, forgeShare, put } from './forge.js';
import { anyHash, chatOf, reader, say } from './hostile.js';
import { newKeys, until } from './people.js';
import { bend, cameBack, lieTo, toldTo, withMember, without } from './telling.js';

/** An entry and a share that serves it, signed by `by`; told to everybody. Carol and alice must name it. */
async function putBy(world, by, event, change, more = {}) {
  const carol = await reader(world);
  const entry = await forgeEntry(world, by, { op: event.kind, ...change, signedWith: more.signedWith });
  const share = await forgeShare(world, by, { serves: entry, signedWith: more.signedWith });
  await put(world, { by, ...event }, { entry, share, admit: more.admit, expel: more.expel });
  return [carol, world.alice];
}

/** Bob has not become an owner by it. */
function isNoOwner(world, carol) {
  const { role } = chatOf(carol, world.id).members.find(({ username }) => username === 'bob');
  assert.equal(role, 'member');
}

const withoutLast = (entries) => entries.slice(0, -1);

/** The event that names entry 2, changed. */
const changedAdd = (items, change) =>
  items.map((item) =>
    item.body.event?.kind === 'add' ? { ...item, body: { event: { ...item.body.event, ...change } } } : item,
  );

/** Another entry 2, which alice really signed too. */
async function forked(world) {
  const [first] = world.chat.log;
  const { chat } = world;
  const then = { ...world, chat: { ...chat, log: [first], epochs: chat.epochs.slice(0, 1) } };
  return forgeEntry(then, 'alice', { op: 'rename', name: 'another name' });
}

export const LOG = [
  {
    lie: 'an entry under a key that the server made',
    name: 'invalid_membership',
    on: 'chat',
    all: true,
    async tell(world) {
      const event = { kind: 'add', usernames: ['erin'] };
      const members = await withMember(world, 'erin');
      return putBy(world, 'alice', event, { members }, { signedWith: await newKeys(), admit: ['erin'] });
    },
  },
  {
    lie: "an entry under the owner's key, which did not sign it",
    name: 'invalid_membership',
    on: 'chat',
    all: true,
    async tell(world) {
      const carol = await reader(world);
      const { kid } = world.identities.get('alice').keys.find(({ alg }) => alg === 'Ed25519');
      const members = await withMember(world, 'bob', 'owner');
      const entry = await forgeEntry(world, 'alice', {
        op: 'role',
        members,
        kid,
        signedWith: await newKeys(),
      });
      await put(world, { kind: 'role', by: 'alice', usernames: ['bob'] }, { entry });
      return [carol, world.alice];
    },
    then: isNoOwner,
  },
  {
    lie: 'a member who is no owner adds somebody, and the server takes it',
    name: 'invalid_membership',
    on: 'chat',
    all: true,
    async tell(world) {
      const members = await withMember(world, 'erin');
      return putBy(world, 'bob', { kind: 'add', usernames: ['erin'] }, { members }, { admit: ['erin'] });
    },
  },
  {
    lie: 'a member makes themself owner',
    name: 'invalid_membership',
    on: 'chat',
    all: true,
    async tell(world) {
      const carol = await reader(world);
      const members = await withMember(world, 'bob', 'owner');
      const entry = await forgeEntry(world, 'bob', { op: 'role', members });
      await put(world, { kind: 'role', by: 'bob', usernames: ['bob'] }, { entry });
      return [carol, world.alice];
    },
    then: isNoOwner,
  },
  {
    lie: 'a removed member adds themself again, and the server takes it',
    name: 'invalid_membership',
    on: 'chat',
    all: true,
    async tell(world) {
      await world.alice.changeChat(world.id, { kind: 'remove', usernames: ['bob'] });
      const members = await withMember(world, 'bob');
      return putBy(world, 'bob', { kind: 'add', usernames: ['bob'] }, { members }, { admit: ['bob'] });
    },
    then: (world, carol) =>
      assert.ok(!chatOf(carol, world.id).members.some(({ username }) => username === 'bob')),
  },
  {
    lie: 'an entry says more than its event',
    name: 'invalid_membership',
    on: 'chat',
    all: true,
    async tell(world) {
      const members = {
        ...(await withMember(world, 'erin')),
        bob: { ...world.chat.log[0].members.bob, role: 'owner' },
      };
      return putBy(world, 'alice', { kind: 'add', usernames: ['erin'] }, { members }, { admit: ['erin'] });
    },
  },
  {
    lie: 'somebody is removed without an entry',
    name: 'invalid_membership',
    on: 'chat',
    all: true,
    async tell(world) {
      const carol = await reader(world);
      const share = await forgeShare(world, 'bob', { names: ['bob', 'carol'] });
      await put(world, { kind: 'remove', by: 'alice', usernames: ['dave'] }, { share, expel: ['dave'] });
      return [carol, world.alice];
    },
  },
  {
    lie: 'retired, who is still there',
    name: 'invalid_membership',
    on: 'chat',
    all: true,
    tell: (world) =>
      putBy(
        world,
        'bob',
        { kind: 'retire', usernames: ['dave'] },
        { members: without(world, 'dave') },
        { expel: ['dave'] },
      ),
  },
  {
    lie: 'an entry left out of the log, to a clean browser',
    name: 'invalid_membership',
    on: 'chat',
    tell: (world) => toldTo(world, { membership: withoutLast }),
  },
  {
    lie: 'an entry whose text decodes to the same, but is written differently',
    name: 'invalid_membership',
    on: 'chat',
    tell(world) {
      const bent = (entries) =>
        entries.map((entry, i) => (i ? { ...entry, signature: bend(entry.signature) } : entry));
      return toldTo(world, { membership: bent });
    },
  },
  {
    lie: 'an addition hidden, entry and item',
    name: 'wrong_epoch',
    on: 'message',
    tell: (world) =>
      toldTo(world, {
        membership: withoutLast,
        history: (items) => items.filter(({ body }) => body.event?.kind !== 'add'),
      }),
  },
  {
    lie: 'a change of roles hidden, entry and item',
    name: 'history_fork',
    on: 'chat',
    async tell(world) {
      await world.alice.changeChat(world.id, { kind: 'role', usernames: ['bob'], role: 'owner' });
      await say(world, world.bob, 'an owner says');
      return toldTo(world, {
        membership: withoutLast,
        history: (items) => items.filter(({ body }) => body.event?.kind !== 'role'),
      });
    },
  },
  {
    lie: 'an item names another entry than the others were shown',
    name: 'invalid_membership',
    on: 'chat',
    tell: (world) => toldTo(world, { history: (items) => changedAdd(items, { log: anyHash() }) }),
  },
  {
    lie: 'another entry 2 than was held, signed by the owner too',
    name: 'history_fork',
    on: 'chat',
    async tell(world) {
      const { object } = await forked(world);
      return cameBack(world, { membership: ([first]) => [first, { n: 2, ...object }] });
    },
  },
  {
    lie: 'an entry that follows another one than is held',
    name: 'history_fork',
    on: 'chat',
    async tell(world) {
      const carol = await reader(world);
      const other = await forked(world);
      lieTo(world, { membership: (entries) => [...entries, { n: 3, ...next.object }] });
      const next = await forgeEntry(world, 'alice', { op: 'rename', name: 'third', prev: other.hash });
      await put(world, { kind: 'rename', by: 'alice' }, { entry: next });
      return [carol];
    },
    all: true,
  },
  {
    lie: 'a shorter log than was held',
    name: 'server_rollback',
    on: 'chat',
    tell: (world) => cameBack(world, { membership: withoutLast }),
  },
  {
    lie: 'a shorter log than another browser of theirs had seen',
    name: 'server_rollback',
    on: 'chat',
    async tell(world) {
      const first = await reader(world);
      await first.logout();
      world.clients.splice(world.clients.indexOf(first), 1);
      return toldTo(world, { membership: withoutLast });
    },
  },
  {
    lie: 'a member whom no entry names, in the epoch',
    name: 'history_fork',
    on: 'chat',
    tell: (world) =>
      toldTo(world, {
        epoch: (told) => (told.number === 2 ? { ...told, members: [...told.members, 'mallory'] } : told),
      }),
  },
  {
    lie: 'another kind of encryption than at first sight',
    name: 'mode_changed',
    on: 'chat',
    tell: (world) => cameBack(world, { chat: (view) => ({ ...view, key_mode: 'server', membership: null }) }),
    then: (world, carol) =>
      assert.rejects(carol.send(world.id, { body: 'no' }, 'Ed25519'), { code: 'mode_changed' }),
  },
  {
    lie: 'another kind of encryption than another browser of theirs had seen',
    name: 'mode_changed',
    on: 'chat',
    async tell(world) {
      const first = await reader(world);
      await first.logout();
      world.clients.splice(world.clients.indexOf(first), 1);
      return toldTo(world, { chat: (view) => ({ ...view, key_mode: 'server', membership: null }) });
    },
    then: (world, carol) =>
      assert.rejects(carol.send(world.id, { body: 'no' }, 'Ed25519'), { code: 'mode_changed' }),
  },
  {
    lie: 'keys of a verified member that the owner confirmed, and that the server made',
    name: 'identity_reset',
    on: 'person',
    async tell(world) {
      const { server, identities } = world;
      const carol = await reader(world);
      await carol.setVerified('dave', true);
      const { bundle } = await identities.get('dave').renew({ linked: false });
      await server.renewKeys('dave', bundle);
      const members = { ...world.chat.log.at(-1).members };
      members.dave = { ...members.dave, keys: identities.get('dave').hash };
      const entry = await forgeEntry(world, 'alice', { op: 'keys', members });
      const share = await forgeShare(world, 'alice', { serves: entry });
      await put(world, { kind: 'keys', by: 'alice', usernames: ['dave'] }, { entry, share });
      return [carol, world.bob];
    },
    all: true,
    async then(world, carol) {
      const sent = () => world.chat.items.length;
      const before = sent();
      await carol.send(world.id, { body: 'not to these keys' }, 'Ed25519');
      await until(() => chatOf(carol, world.id).held?.username === 'dave', 'nothing is sent');
      await carol.acceptKeys('dave');
      await until(() => sent() > before, 'sent after the yes');
      assert.equal(sent(), before + 1);
    },
  },
  {
    lie: 'a late joiner begins later than with the item that added them',
    name: 'server_rollback',
    on: 'chat',
    async tell(world) {
      const late = (lie) => (username, honest) => (username === 'dave' ? lie(honest) : honest);
      world.server.lies.history = late(([, ...rest]) => rest.map((item) => ({ ...item, keepSeq: true })));
      world.server.lies.chat = late((view) => ({ ...view, first_seq: 6 }));
      return reader(world, 'dave');
    },
  },
];
