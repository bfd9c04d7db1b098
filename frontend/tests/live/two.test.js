/**
 * Two real clients against a real server, which CHATSEC_URL names (one that was started with RATE_LIMITS=off).
 * Without it there is nothing to test here, and the tests say that they are skipped.
 */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';

import { io } from 'socket.io-client';

import { createClient, memoryStore } from '../../lib/index.js';
import { noAlarm } from '../model/world.js';
import { loadAll, until } from '../model/people.js';

const URL = process.env.CHATSEC_URL;
const PASSWORD = 'correct horse battery staple';
const unique = () => randomBytes(4).toString('hex');

const open = (store = memoryStore()) =>
  Object.assign(createClient({ apiUrl: URL, socketUrl: URL, store, fetch, io, pageSize: 5 }), { store });

async function newcomer(name) {
  const client = open();
  const username = `${name}-${unique()}`;
  await client.register({ username, displayName: `The ${name}`, password: PASSWORD });
  await until(() => client.getSnapshot().connection === 'online', `${name} online`);
  return Object.assign(client, { username });
}

const bodies = (items) =>
  items.filter(({ kind }) => kind === 'message').map(({ payload, state }) => [payload?.body, state]);

test('the whole way with a real server', { skip: !URL, timeout: 120_000 }, async (t) => {
  const [ann, ben, cem] = await Promise.all(['ann', 'ben', 'cem'].map(newcomer));
  t.after(() => [ann, ben, cem].forEach((client) => client.close()));
  const chat = await ann.startChat({ usernames: [ben.username], name: 'Lunch' });
  await ann.openChat(chat);

  await t.test('messages of all three algorithms, with receipts', async () => {
    for (const alg of ['RSA-PSS-SHA256', 'Ed25519', 'DSA-SHA256']) await ann.send(chat, { body: alg }, alg);
    await until(() => ben.getSnapshot().chats[0]?.lastSeq === 4, 'pushed');
    await ben.openChat(chat);
    await until(() => bodies(ben.getSnapshot().open[chat].items).length === 3, 'loaded');
    assert.deepEqual(
      bodies(ben.getSnapshot().open[chat].items).map(([, state]) => state),
      ['verified', 'verified', 'verified'],
    );
    await ben.markRead(chat);
    await until(() => ann.getSnapshot().open[chat].items.at(-1).state === 'read', 'read by ben');
    await ben.acceptServerMade(chat);
    await ben.send(chat, { body: 'and back' });
    await until(() => ann.getSnapshot().open[chat].items.at(-1).payload?.body === 'and back', 'answer');
  });

  await t.test('members come and go, and each reads what is theirs', async () => {
    await ann.changeChat(chat, { kind: 'add', usernames: [cem.username] });
    await ben.send(chat, { body: 'hello cem' });
    await until(() => cem.getSnapshot().chats[0], 'added');
    await cem.openChat(chat);
    await until(() => bodies(cem.getSnapshot().open[chat].items).length === 1, 'cem reads');
    await ann.changeChat(chat, { kind: 'remove', usernames: [ben.username] });
    await until(() => ben.getSnapshot().chats[0].removed, 'removed');
    await ann.send(chat, { body: 'without ben' });
    await until(() => bodies(cem.getSnapshot().open[chat].items).length === 2, 'cem reads on');
    await ann.changeChat(chat, { kind: 'rename', name: 'Dinner' });
    await ann.changeChat(chat, { kind: 'rekey' });
    await cem.acceptServerMade(chat);
    await cem.send(chat, { body: 'under the new key' });
    await until(
      () => ann.getSnapshot().open[chat].items.at(-1).payload?.body === 'under the new key',
      'rekeyed',
    );
    await ann.changeChat(chat, { kind: 'add', usernames: [ben.username] });
    await until(() => ben.getSnapshot().chats.find(({ id, removed }) => id === chat && !removed), 'back');
    await ann.send(chat, { body: 'ben again' });
    const items = await until(async () => {
      const loaded = await loadAll(ben, chat);
      return bodies(loaded).length === 1 && loaded;
    }, 'ben reads again');
    assert.deepEqual(bodies(items), [['ben again', 'verified']]);
  });

  await t.test('a burst from two sides arrives once and in order', async () => {
    const wanted = [];
    for (let i = 0; i < 20; i++) {
      for (const client of [ann, cem]) {
        wanted.push(`${client.username} ${i}`);
        await client.send(chat, { body: `${client.username} ${i}` }, 'Ed25519');
      }
    }
    const burst = (client) =>
      bodies(client.getSnapshot().open[chat].items)
        .map(([body]) => body)
        .filter((body) => wanted.includes(body));
    const all = () =>
      [ann, cem, ben].every(
        (client) =>
          burst(client).length === wanted.length &&
          client.getSnapshot().open[chat].items.every(({ seq }) => seq),
      );
    await until(all, 'burst', 30_000);
    assert.deepEqual(burst(ben), burst(ann));
    assert.deepEqual(burst(cem), burst(ann));
  });

  await t.test('a clean browser reads the history, page by page', async () => {
    const again = open();
    t.after(() => again.close());
    await again.login({ username: ann.username, password: PASSWORD });
    await until(() => again.getSnapshot().chats.length === 1, 'chats');
    const items = await loadAll(again, chat);
    assert.deepEqual(
      items.map(({ seq }) => seq),
      ann.getSnapshot().open[chat].items.map(({ seq }) => seq),
    );
    assert.ok(items.every(({ kind, state }) => kind === 'event' || state !== 'failed'));
    noAlarm(again.getSnapshot(), 'clean browser');
    await assert.rejects(open().login({ username: ann.username, password: 'wrong' }), {
      code: 'invalid_credentials',
    });
  });

  await t.test('a restart goes on where it was', async () => {
    const { store, username } = cem;
    cem.close();
    const again = Object.assign(open(store), { username });
    t.after(() => again.close());
    assert.equal(await again.restore(), true);
    await until(
      () => again.getSnapshot().connection === 'online' && again.getSnapshot().chats.length === 1,
      'back',
    );
    await again.openChat(chat);
    await again.send(chat, { body: 'restarted' }, 'Ed25519');
    await until(() => ann.getSnapshot().open[chat].items.at(-1).payload?.body === 'restarted', 'restarted');
    for (const client of [ann, ben, again]) noAlarm(client.getSnapshot(), client.username);
  });

  await t.test('people are found, and are seen to be there', async () => {
    const found = await ann.findPeople(ben.username.slice(0, 6));
    assert.ok(found.some(({ username, hasKeys }) => username === ben.username && hasKeys));
    await ann.watchDirectory(true);
    await ben.setStatus('away');
    await until(() => ann.getSnapshot().people[ben.username]?.status === 'away', 'away');
    await ben.typing(chat, true);
    await until(() => ann.getSnapshot().chats[0].typing.includes(ben.username), 'typing');
  });

  await t.test('log-out ends the session and leaves nothing', async () => {
    await ben.logout();
    assert.equal(ben.getSnapshot().phase, 'signed_out');
    for (const kind of ['meta', 'keys', 'pins', 'chats', 'outbox'])
      assert.deepEqual(await ben.store.list(kind), []);
  });
});
