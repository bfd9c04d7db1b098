/**
 * `combined` chats of real clients against a real server, which CHATSEC_URL names (one that was started with
 * RATE_LIMITS=off). Keys of three kinds, the log and the shares go the whole way; nobody is alarmed by any of it.
 */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';

import { io } from 'socket.io-client';

import { createClient, memoryStore } from '../../lib/index.js';
import { loadAll, until } from '../model/people.js';
import { noAlarm } from '../model/world.js';

const URL = process.env.CHATSEC_URL;
const PASSWORD = 'correct horse battery staple';

const open = (store = memoryStore()) =>
  Object.assign(createClient({ apiUrl: URL, socketUrl: URL, store, fetch, io, pageSize: 5 }), { store });

async function newcomer(name) {
  const client = open();
  const username = `${name}-${randomBytes(4).toString('hex')}`;
  await client.register({ username, displayName: `The ${name}`, password: PASSWORD });
  await until(() => client.getSnapshot().connection === 'online', `${name} online`);
  return Object.assign(client, { username });
}

const chatOf = (client, id) => client.getSnapshot().chats.find((chat) => chat.id === id);
const bodies = (client, id) =>
  (client.getSnapshot().open[id]?.items ?? [])
    .filter(({ kind, payload }) => kind === 'message' && payload)
    .map(({ payload, state }) => [payload.body, state]);
const reads = (client, id, body) =>
  until(
    () => bodies(client, id).some(([text, state]) => text === body && state === 'verified'),
    body,
    20_000,
  );

test('a combined chat with a real server', { skip: !URL, timeout: 180_000 }, async (t) => {
  const [ann, ben, cem] = await Promise.all(['ann', 'ben', 'cem'].map(newcomer));
  const all = [ann, ben, cem];
  t.after(() => all.forEach((client) => client.close()));
  const { keyMode } = ann.getSnapshot().account;
  assert.ok(['server', 'combined'].includes(keyMode), 'the mode of new chats is known');
  const id = await ann.startChat({ usernames: [ben.username], name: 'Lunch', keyMode: 'combined' });
  await ann.openChat(id);

  await t.test('messages of all three algorithms', async () => {
    await until(() => chatOf(ben, id), 'the chat');
    await ben.openChat(id);
    for (const alg of ['RSA-PSS-SHA256', 'Ed25519', 'DSA-SHA256']) await ann.send(id, { body: alg }, alg);
    for (const alg of ['RSA-PSS-SHA256', 'Ed25519', 'DSA-SHA256']) await reads(ben, id, alg);
    assert.equal(chatOf(ben, id).keyMode, 'combined');
    assert.equal(chatOf(ben, id).needsConsent, false);
    await ben.send(id, { body: 'and back' });
    await reads(ann, id, 'and back');
  });

  await t.test('members come, change, go; a leave makes a share due, which is posted', async () => {
    await ann.changeChat(id, { kind: 'add', usernames: [cem.username] });
    await until(() => chatOf(cem, id), 'added');
    await cem.openChat(id);
    await ben.send(id, { body: 'hello cem' });
    await reads(cem, id, 'hello cem');
    await ann.changeChat(id, { kind: 'rename', name: 'Dinner' });
    await ann.changeChat(id, { kind: 'role', usernames: [ben.username], role: 'owner' });
    await until(() => chatOf(cem, id).name === 'Dinner', 'renamed');
    await until(() => chatOf(ben, id).myRole === 'owner', 'owner');
    await assert.rejects(cem.changeChat(id, { kind: 'rename', name: 'mine' }), { code: 'forbidden' });
    await ben.changeChat(id, { kind: 'remove', usernames: [cem.username] });
    await until(() => chatOf(cem, id).removed, 'removed');
    await ann.send(id, { body: 'without cem' });
    await reads(ben, id, 'without cem');
    await ann.changeChat(id, { kind: 'add', usernames: [cem.username] });
    await until(() => chatOf(cem, id) && !chatOf(cem, id).removed, 'back');
    await cem.openChat(id);
    await ben.leaveChat(id);
    await cem.send(id, { body: 'ben left' });
    await reads(ann, id, 'ben left');
    assert.deepEqual(
      chatOf(cem, id).members.map(({ username }) => username),
      [ann.username, cem.username],
    );
    assert.equal(chatOf(ann, id).shareDue, false);
  });

  await t.test('two who change at once: both changes are made', async () => {
    await ann.changeChat(id, { kind: 'role', usernames: [cem.username], role: 'owner' });
    await Promise.all([
      ann.changeChat(id, { kind: 'add', usernames: [ben.username] }),
      cem.changeChat(id, { kind: 'rename', name: 'Both' }),
      cem.changeChat(id, { kind: 'rekey' }),
    ]);
    await until(() => chatOf(ann, id).name === 'Both' && chatOf(cem, id).members.length === 3, 'both');
  });

  await t.test('new keys with continuity: the one who renews posts the share', async () => {
    await cem.changePassword({ password: PASSWORD, newPassword: `${PASSWORD}!`, compromised: true });
    await cem.send(id, { body: 'new keys' }, 'Ed25519');
    await reads(ann, id, 'new keys');
    await ann.send(id, { body: 'to new keys' });
    await reads(cem, id, 'to new keys');
  });

  await t.test('a clean browser reads the log and the history', async () => {
    const again = open();
    t.after(() => again.close());
    await again.login({ username: ann.username, password: PASSWORD });
    await until(() => chatOf(again, id), 'the list');
    const items = await loadAll(again, id);
    assert.deepEqual(
      items.map(({ seq }) => seq),
      Array.from({ length: items.length }, (_, i) => i + 1),
    );
    assert.ok(items.every(({ kind, state }) => kind === 'event' || state !== 'failed'));
    const { unverified, name, myRole, members } = chatOf(again, id);
    assert.deepEqual([unverified, name, myRole, members.length], [false, 'Both', 'owner', 3]);
    noAlarm(again.getSnapshot(), 'clean browser');
  });

  await t.test('an account that ends is taken out of the log', async () => {
    await cem.deleteAccount({ password: `${PASSWORD}!` });
    await until(() => chatOf(ann, id).members.length === 2, 'gone');
    await ann.send(id, { body: 'after the end' });
    await until(
      () => bodies(ann, id).some(([body, state]) => body === 'after the end' && state !== 'queued'),
      'sent',
    );
    for (const client of [ann]) noAlarm(client.getSnapshot(), client.username);
  });
});
