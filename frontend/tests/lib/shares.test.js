/**
 * Shares of `combined` chats that fall due: which cause this client sees, what it posts for it, how often, and what waits
 * meanwhile. And what a clean browser asks for before it shows the list of chats.
 */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { endAccount } from '../model/chats.js';
import { chatOf, itemsOf } from '../model/hostile.js';
import { enter, loadAll, settle, until } from '../model/people.js';
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
let gate; // what the line of `alice` answers to a change, by itself: (body, next) → Response

beforeEach(async () => {
  server = new ModelServer();
  server.keyMode = 'combined';
  identities = await settle(server, NAMES);
  gate = undefined;
  alice = await enter(server, identities.get('alice'), 'alice', {
    fetch: gated(server, 'alice', () => gate),
  });
  bob = await enter(server, identities.get('bob'));
  open = [alice, bob];
  id = await alice.startChat({ usernames: ['bob', 'carol'] });
  await alice.openChat(id);
  await until(() => chatOf(bob, id), 'the chat');
  await bob.openChat(id);
});
afterEach(() => open.forEach((client) => client.close()));

const kinds = () => server.chats.get(id).items.flatMap(({ body }) => (body.event ? [body.event.kind] : []));
const alone = (work) => server.alone(work);
const send = (client, body) => client.send(id, { body }, 'Ed25519');
const last = (client) => itemsOf(client, id).at(-1);
const sent = (client, body) =>
  until(() => itemsOf(client, id).some(({ payload, seq }) => payload?.body === body && seq !== null), body);

/** Carol goes as somebody does whose client signs nothing. */
async function leaveUnsigned() {
  const { auth: password } = server.accounts.get('carol');
  assert.equal(password, undefined);
  const client = await enter(server, identities.get('carol'));
  client.close();
  const token = [...server.tokens].find(([, name]) => name === 'carol')[0];
  const headers = { authorization: `Bearer ${token}` };
  const body = JSON.stringify({ kind: 'leave' });
  await server.transport('carol').fetch(`/api/v1/chats/${id}/events`, { method: 'POST', headers, body });
}

test('somebody leaves, or their account ends: taken out of the log, in the same request as the share', async () => {
  await alone(() => endAccount(server, server.accounts.get('carol')));
  await send(bob, 'after the end');
  await sent(alice, 'after the end');
  assert.deepEqual(kinds(), ['create', 'ended', 'retire']);
  assert.deepEqual(Object.keys(server.chats.get(id).log.at(-1).members), ['alice', 'bob']);
  await bob.leaveChat(id);
  await send(alice, 'alone');
  await sent(alice, 'alone');
  assert.deepEqual(kinds(), ['create', 'ended', 'retire', 'leave', 'rekey']);
  assert.deepEqual([chatOf(alice, id).warnings, chatOf(alice, id).shareDue], [[], false]);
});

test('new keys with continuity, and an epoch that is full, are causes too', async () => {
  const old = await enter(server, identities.get('carol'), 'carol old');
  open.push(old);
  await old.openChat(id);
  const { bundle, backup } = await identities.get('carol').renew({ account: server.accounts.get('carol') });
  await server.renewKeys('carol', bundle, backup);
  await until(() => kinds().includes('rekey'), 'whoever sees it posts');
  const held = server.chats.get(id).epochs.at(-1).share.recipients.carol.keys;
  assert.equal(held, identities.get('carol').hash);
  await until(() => !chatOf(alice, id).shareDue, 'told');
  await send(alice, 'to new keys');
  await sent(old, 'to new keys');
  assert.equal(
    last(old).state,
    'verified',
    'a device that knows the older keys finds the new ones in the backup',
  );
  assert.deepEqual(chatOf(old, id).warnings, []);
  open.push((carol = await enter(server, identities.get('carol'), 'carol', { epochMessages: 3 })));
  await carol.openChat(id);
  server.messagesPerEpoch = 3;
  const before = kinds().length;
  for (let i = 0; i < 4; i++) await send(carol, `full ${i}`);
  await sent(carol, 'full 3');
  assert.deepEqual(kinds().slice(before), ['rekey']);
});

test('posted at most twice for one cause; then what waits says share_due, and a tap tries again', async () => {
  const posted = [];
  gate = (body) => {
    posted.push(body);
    return refuse('epoch_conflict', { epoch: 1, membership: read(body.client_share).membership, moved: [] });
  };
  server.offline.add('bob');
  server.cut('bob');
  await leaveUnsigned();
  await send(alice, 'waits');
  await until(() => last(alice).state === 'failed', 'failed');
  assert.equal(last(alice).reason, 'share_due');
  assert.equal(chatOf(alice, id).shareDue, true);
  await alice.retry(id, last(alice).id);
  await until(() => last(alice).state === 'failed', 'failed again');
  // The same bytes may come again, as after a lost answer; other shares, or another entry in its place, may not.
  assert.equal(new Set(posted.map(({ client_share: share }) => read(share).commit)).size, 2);
  assert.equal(new Set(posted.map(({ membership: entry }) => entry.signature)).size, 1);
  gate = undefined;
  await alice.replaceShare(id);
  await alice.retry(id, last(alice).id);
  await sent(alice, 'waits');
  assert.deepEqual(kinds(), ['create', 'leave', 'retire']);
});

test('a share that is due for no cause that is seen: nothing is posted, and what waits says so', async () => {
  server.chats.get(id).shareDue = true;
  await send(alice, 'waits');
  await until(() => last(alice).state === 'failed', 'failed');
  assert.equal(last(alice).reason, 'share_due');
  assert.deepEqual(kinds(), ['create']);
});

test('who left before what is held is looked for, not believed', async () => {
  await leaveUnsigned();
  for (let i = 0; i < 6; i++) await alice.changeChat(id, { kind: 'rename', name: `name ${i}` });
  gate = undefined;
  for (const client of [alice, bob]) client.close();
  assert.ok(!kinds().includes('retire') || kinds().indexOf('retire') > 1);
  const again = await enter(server, identities.get('alice'), 'alice 2', { pageSize: 2 });
  open.push(again);
  await again.openChat(id);
  await again.changeChat(id, { kind: 'rekey' });
  assert.ok(kinds().includes('retire'));
  assert.deepEqual(
    chatOf(again, id).members.map(({ username }) => username),
    ['alice', 'bob'],
  );
  assert.deepEqual(chatOf(again, id).warnings, []);
});

test('wrap bytes unlike their hash: fetched once more; then refused by name, and replaced', async () => {
  let lying = 1;
  const other = Buffer.alloc(384, 7).toString('base64url');
  server.lies.epoch = (username, told) =>
    username === 'carol' && lying-- > 0
      ? { ...told, client_share: { ...told.client_share, wrapped: other } }
      : told;
  await send(alice, 'one');
  open.push((carol = await enter(server, identities.get('carol'))));
  await carol.openChat(id);
  await sent(carol, 'one');
  assert.deepEqual([last(carol).state, chatOf(carol, id).warnings], ['verified', []]);
  lying = Infinity;
  const again = await enter(server, identities.get('carol'), 'carol 2');
  open.push(again);
  await again.openChat(id);
  await until(() => chatOf(again, id).warnings.includes('bad_share'), 'named');
  lying = 0;
  await until(() => kinds().includes('rekey'), 'replaced');
  await send(alice, 'two');
  await sent(again, 'two');
  assert.deepEqual([last(again).state, last(again).payload.body], ['verified', 'two']);
});

test('a clean browser shows its chats before it reads their logs, and reads the newest by itself', async () => {
  for (let i = 0; i < 24; i++) await alice.startChat({ usernames: ['bob'], name: `chat ${i}` });
  const asked = [];
  const { fetch } = server.transport('bob clean');
  const noting = (url, init) => {
    asked.push(String(url));
    return fetch(url, init);
  };
  const again = await enter(server, identities.get('bob'), 'bob clean', { fetch: noting });
  open.push(again);
  await until(() => again.getSnapshot().chats.length === 25, 'the list');
  const before = asked.filter((url) => url.includes('/membership'));
  assert.ok(before.length <= 1, 'no log is read for the list');
  const views = again.getSnapshot().chats.filter(({ unverified }) => unverified);
  assert.ok(views.length >= 24);
  for (const { members, myRole, title } of views) {
    assert.ok(members.every(({ role }) => role === 'member') && myRole === null && title);
  }
  const read20 = () => again.getSnapshot().chats.filter(({ unverified }) => !unverified).length === 20;
  await until(read20, 'the newest are read');
  const { id: other } = again.getSnapshot().chats.find(({ unverified }) => unverified);
  await loadAll(again, other);
  const { unverified, myRole, name } = chatOf(again, other);
  assert.deepEqual([unverified, myRole, name.startsWith('chat ') || other === id], [false, 'member', true]);
});
