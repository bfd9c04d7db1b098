/**
 * Changes of `combined` chats as this client makes them: in which mode a chat begins, what is signed, what is sent again
 * after a lost answer, and what after a conflict. Another entry n is never signed without a seen reason.
 */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { chatOf, itemsOf } from '../model/hostile.js';
import { clientOf, enter, settle, until } from '../model/people.js';
import { ModelServer } from '../model/server.js';
import { gated, read, refuse } from './gate.js';

const NAMES = ['alice', 'bob', 'carol'];

let server;
let identities;
let alice;
let bob;
let carol;
let id;
let open = [];
let gate; // what the server of `alice` answers to a change, by itself: (request, next) → Response

beforeEach(async () => {
  server = new ModelServer();
  server.keyMode = 'combined';
  identities = await settle(server, NAMES);
  gate = undefined;
  alice = await enter(server, identities.get('alice'), 'alice', {
    fetch: gated(server, 'alice', () => gate),
  });
  bob = await enter(server, identities.get('bob'));
  carol = await enter(server, identities.get('carol'));
  open = [alice, bob, carol];
  id = await alice.startChat({ usernames: ['bob'], name: 'first' });
  await alice.openChat(id);
  await until(() => chatOf(bob, id), 'the chat');
  await bob.openChat(id);
});
afterEach(() => open.forEach((client) => client.close()));

const bodies = () => server.sent.map((text) => JSON.parse(text)).filter((body) => body?.kind);
const entries = () => bodies().flatMap(({ membership }) => (membership ? [membership] : []));
const shares = () => bodies().flatMap(({ client_share: share }) => (share ? [share] : []));
const log = () => server.chats.get(id).log;
const rename = (client, name) => client.changeChat(id, { kind: 'rename', name });

test('a chat begins in the mode that the server names, or as asked', async () => {
  assert.equal(alice.getSnapshot().account.keyMode, 'combined');
  const { keyMode, needsConsent, members, myRole, name, unverified } = chatOf(bob, id);
  assert.deepEqual(
    [keyMode, needsConsent, name, myRole, unverified],
    ['combined', false, 'first', 'member', false],
  );
  assert.deepEqual(
    members.map(({ username, role, waiting }) => [username, role, waiting]),
    [
      ['alice', 'owner', false],
      ['bob', 'member', false],
    ],
  );
  const other = await alice.startChat({ usernames: ['bob'], keyMode: 'server' });
  assert.deepEqual([chatOf(alice, other).keyMode, server.chats.get(other).log.length], ['server', 0]);
  server.lies.chat = (username, view) => (username === 'alice' ? { ...view, key_mode: 'server' } : view);
  await assert.rejects(alice.startChat({ usernames: ['bob'] }), { code: 'mode_changed' });
});

test('a lost request or answer: the same bytes again, taken once', async () => {
  server.lost.set('alice', ['answer', 'request']);
  await rename(alice, 'second');
  assert.equal(chatOf(alice, id).name, 'second');
  assert.deepEqual(
    log().map(({ n, op }) => [n, op]),
    [
      [1, 'create'],
      [2, 'rename'],
    ],
  );
  assert.equal(new Set(entries().map((entry) => JSON.stringify(entry))).size, 1);
  assert.ok(entries().length > 1, 'it was sent again');
});

test('given up on while offline, it is sent with the next connection, as the same bytes, after a reload too', async () => {
  server.lost.set('alice', ['request', 'request', 'request']);
  await assert.rejects(rename(alice, 'second'), { code: 'offline' });
  assert.equal(log().length, 1);
  const sent = entries();
  alice.close();
  const again = clientOf(server, 'alice', { store: alice.store, fetch: gated(server, 'alice', () => gate) });
  open.push(again);
  await again.restore();
  await until(() => log().length === 2, 'sent again');
  await until(() => chatOf(again, id)?.name === 'second', 'shown');
  await rename(again, 'third');
  assert.deepEqual(
    entries().map((entry) => read(entry).name),
    [...sent.map(() => 'second'), 'second', 'third'],
  );
  assert.equal(new Set(entries().map(({ signature }) => signature)).size, 2);
});

test('a conflict that shows no other entry: nothing else is signed in its place', async () => {
  gate = async (body, next) => {
    await next; // looked at, and kept for later by a server that lies
    server.sent.push(JSON.stringify(body));
    return refuse('membership_conflict', { n: 9 });
  };
  await assert.rejects(rename(alice, 'second'), { code: 'membership_conflict' });
  await assert.rejects(rename(alice, 'another'), { code: 'membership_conflict' });
  for (const code of ['forbidden', 'not_found']) {
    gate = (body) => {
      server.sent.push(JSON.stringify(body));
      return refuse(code);
    };
    await assert.rejects(rename(alice, 'another'), { code });
  }
  assert.equal(new Set(entries().map(({ signature }) => signature)).size, 1);
  gate = undefined;
  await rename(alice, 'third');
  assert.deepEqual(
    log().map(({ name }) => name),
    ['first', 'second', 'third'],
  );
  assert.deepEqual(chatOf(bob, id).warnings, []);
});

test('two owners at once: both changes are made, and nobody signs one number twice', async () => {
  await alice.changeChat(id, { kind: 'role', usernames: ['bob'], role: 'owner' });
  await until(() => chatOf(bob, id).myRole === 'owner', 'an owner');
  await Promise.all([
    rename(alice, 'of alice'),
    bob.changeChat(id, { kind: 'add', usernames: ['carol'] }),
    alice.changeChat(id, { kind: 'rekey' }),
    rename(bob, 'of bob'),
  ]);
  const changes = log().map(({ op }) => op);
  assert.deepEqual(changes.sort(), ['add', 'create', 'rename', 'rename', 'role']);
  const signed = new Map();
  for (const entry of entries()) {
    const { by, n } = read(entry);
    const one = signed.get(`${by} ${n}`) ?? entry.signature;
    assert.equal(one, entry.signature, `${by} signs entry ${n} once`);
    signed.set(`${by} ${n}`, one);
  }
  for (const client of [alice, bob]) {
    await until(() => chatOf(client, id).members.length === 3, 'all are told');
    assert.deepEqual(chatOf(client, id).warnings, []);
  }
});

test('a bundle that moves on the way: the same entry, with a new share and a fresh C', async () => {
  gate = async (_body, next) => {
    gate = undefined;
    const { bundle, backup } = await identities.get('bob').renew({ account: server.accounts.get('bob') });
    await server.renewKeys('bob', bundle, backup);
    return next();
  };
  await alice.changeChat(id, { kind: 'add', usernames: ['carol'] });
  const added = bodies().filter(({ kind }) => kind === 'add');
  assert.equal(added.length, 2);
  assert.deepEqual(added[0].membership, added[1].membership);
  const [one, other] = added.map(({ client_share: share }) => read(share));
  assert.equal(one.membership, other.membership);
  assert.notEqual(one.commit, other.commit);
  assert.notEqual(one.recipients.bob.keys, other.recipients.bob.keys);
  await until(() => chatOf(carol, id), 'added');
  assert.deepEqual(chatOf(alice, id).warnings, []);
});

test('the last owner who leaves names an heir; who cannot sign leaves without an entry', async () => {
  await alice.changeChat(id, { kind: 'add', usernames: ['carol'] });
  await alice.leaveChat(id);
  assert.deepEqual(
    Object.entries(log().at(-1).members).map(([username, { role }]) => [username, role]),
    [
      ['bob', 'owner'],
      ['carol', 'member'],
    ],
  );
  assert.equal(chatOf(alice, id).removed, true);
  await reset('carol');
  const again = await enter(server, identities.get('carol'), 'carol 2');
  open.push(again);
  await again.openChat(id);
  assert.deepEqual(chatOf(again, id).waiting, ['bob'], 'she cannot sign');
  await again.leaveChat(id);
  const left = server.chats.get(id).items.findLast(({ body }) => body.event?.kind === 'leave');
  assert.deepEqual([left.body.event.by, left.body.event.log], ['carol', '']);
});

/** All keys of somebody are lost; they log in anew. */
async function reset(username) {
  const account = server.accounts.get(username);
  const { bundle, backup } = await identities.get(username).renew({ linked: false, account });
  await server.renewKeys(username, bundle, backup);
}

test('new keys after a reset wait for a confirmation, and so does what is sent under them', async () => {
  await alice.changeChat(id, { kind: 'role', usernames: ['bob'], role: 'owner' });
  await reset('bob');
  bob.close();
  const again = await enter(server, identities.get('bob'), 'bob 2');
  open.push(again);
  await again.openChat(id);
  await until(() => chatOf(alice, id).unconfirmed.includes('bob'), 'alice may confirm');
  assert.deepEqual(chatOf(again, id).waiting, ['alice']);
  assert.deepEqual(chatOf(again, id).unconfirmed, []);
  const signed = entries().length;
  await assert.rejects(again.changeChat(id, { kind: 'rekey' }), { code: 'forbidden' });
  await assert.rejects(rename(again, 'mine'), { code: 'forbidden' });
  assert.equal(entries().length, signed, 'nothing was signed');
  assert.equal(chatOf(alice, id).members.find(({ username }) => username === 'bob').waiting, true);
  await again.send(id, { body: 'waits' }, 'Ed25519');
  await alice.changeChat(id, { kind: 'rekey' });
  assert.deepEqual(read(shares().at(-1)).excluded, ['bob']);
  await alice.send(id, { body: 'goes on' }, 'Ed25519');
  await until(
    () => itemsOf(again, id).some(({ seq, reason }) => seq && reason === 'key_lost'),
    'not for him',
  );
  assert.equal(itemsOf(again, id).at(-1).state, 'queued');
  await alice.confirmKeys(id, 'bob');
  await until(() => itemsOf(alice, id).at(-1).payload?.body === 'waits', 'sent by itself');
  assert.deepEqual(itemsOf(alice, id).at(-1).warnings, ['unconfirmed_key'], 'until alice accepts, too');
  assert.deepEqual([chatOf(alice, id).unconfirmed, chatOf(again, id).waiting], [[], []]);
  const { recipients, excluded } = read(shares().at(-1));
  assert.deepEqual([Object.keys(recipients), excluded], [['alice', 'bob'], []]);
});

test('nothing is wrapped for the reset keys of a verified person before the user says yes', async () => {
  await alice.safetyNumber('carol');
  await alice.setVerified('carol', true);
  await reset('carol');
  const before = bodies().length;
  for (const change of [
    () => alice.changeChat(id, { kind: 'add', usernames: ['carol'] }),
    () => alice.startChat({ usernames: ['carol'] }),
  ])
    await assert.rejects(change(), { code: 'identity_reset' });
  assert.equal(bodies().length, before, 'nothing was sent');
  await alice.acceptKeys('carol');
  await alice.changeChat(id, { kind: 'add', usernames: ['carol'] });
  assert.ok(Object.hasOwn(log().at(-1).members, 'carol'));
});

test('a chat where others add a verified person with reset keys is held until the user says yes', async () => {
  await alice.safetyNumber('carol');
  await alice.setVerified('carol', true);
  await alice.changeChat(id, { kind: 'role', usernames: ['bob'], role: 'owner' });
  await reset('carol');
  await until(() => chatOf(bob, id).myRole === 'owner', 'an owner');
  await bob.changeChat(id, { kind: 'add', usernames: ['carol'] });
  await until(() => chatOf(alice, id).held?.username === 'carol', 'held');
  await alice.send(id, { body: 'held' }, 'Ed25519');
  await until(() => itemsOf(alice, id).at(-1).state === 'queued', 'queued');
  await bob.send(id, { body: 'goes on' }, 'Ed25519');
  await until(() => itemsOf(alice, id).some(({ payload }) => payload?.body === 'goes on'), 'read');
  assert.equal(itemsOf(alice, id).at(-1).state, 'queued');
  await alice.acceptKeys('carol');
  await until(() => itemsOf(alice, id).at(-1).seq !== null, 'sent');
  assert.equal(chatOf(alice, id).held, null);
  assert.deepEqual(alice.getSnapshot().accountWarnings, [], 'it was no matter of the own account');
});

test('a member who is no owner is told so before anything is signed', async () => {
  for (const change of [
    { kind: 'add', usernames: ['carol'] },
    { kind: 'remove', usernames: ['alice'] },
    { kind: 'rename', name: 'mine' },
  ])
    await assert.rejects(bob.changeChat(id, change), { code: 'forbidden' });
  assert.equal(entries().length, 0);
});
