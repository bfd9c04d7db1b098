import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ModelServer } from '../model/server.js';
import { enter, loadAll, settle, until } from '../model/people.js';

test('two people chat: texts arrive verified, and go on to delivered and read', async () => {
  const server = new ModelServer();
  const people = await settle(server, ['alice', 'bob']);
  const alice = await enter(server, people.get('alice'));
  const bob = await enter(server, people.get('bob'));
  const chat = await alice.startChat({ usernames: ['bob'], name: 'Lunch' });
  await alice.openChat(chat);
  await alice.send(chat, { body: 'hello' }, 'Ed25519');
  await until(() => bob.getSnapshot().chats.find(({ id }) => id === chat)?.lastSeq === 2, 'push');
  const items = await loadAll(bob, chat);
  assert.deepEqual(
    items.map(({ kind, state, payload }) => [kind, state, payload?.body]),
    [
      ['event', undefined, undefined],
      ['message', 'verified', 'hello'],
    ],
  );
  await assert.rejects(bob.send(chat, { body: 'no' }, 'Ed25519'), { code: 'consent_needed' });
  await bob.acceptServerMade(chat);
  await bob.send(chat, { body: 'yes' }, 'Ed25519');
  await bob.markRead(chat);
  await until(() => alice.getSnapshot().open[chat].items.length === 3, 'answer');
  await until(() => alice.getSnapshot().open[chat].items[1].state === 'read', 'read');
  assert.deepEqual(alice.getSnapshot().chats[0].warnings, []);
  alice.close();
  bob.close();
});

test('what arrives while a chat is being opened is not missed', async () => {
  const server = new ModelServer();
  const people = await settle(server, ['alice', 'bob']);
  const alice = await enter(server, people.get('alice'));
  const chat = await alice.startChat({ usernames: ['bob'] });
  await alice.openChat(chat);
  for (let i = 0; i < 12; i++) {
    const bob = await enter(server, people.get('bob'), `bob ${i}`);
    const opening = bob.openChat(chat);
    for (let turn = 0; turn < i * 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    await alice.send(chat, { body: `while ${i}` }, 'Ed25519');
    await opening;
    const last = () => bob.getSnapshot().open[chat].items.at(-1);
    await until(() => last()?.payload?.body === `while ${i}`, `message ${i}`, 3_000);
    bob.close();
  }
  alice.close();
});

test('a directory watcher sees people come and go, and who is new in a chat', async () => {
  const server = new ModelServer();
  const people = await settle(server, ['alice', 'bob']);
  const alice = await enter(server, people.get('alice'));
  await alice.watchDirectory(true);
  assert.equal(alice.getSnapshot().people.bob.status, 'offline');
  assert.equal(alice.getSnapshot().people.bob.displayName, 'The bob');
  const [found] = await alice.findPeople('bob');
  assert.deepEqual([found.username, found.hasKeys], ['bob', true]);
  for (const socket of server.sockets) {
    socket.deliver('presence', [{ username: 'bob', status: 'online', last_seen: null }, 'nonsense']);
    socket.deliver('presence', 7);
  }
  await until(() => alice.getSnapshot().people.bob.status === 'online', 'online');
  for (const socket of server.sockets)
    socket.deliver('presence:list', [{ username: 'alice', status: 'away', last_seen: null }]);
  await until(() => alice.getSnapshot().people.bob.status === 'offline', 'offline again');
  assert.equal(alice.getSnapshot().people.alice.status, 'away');
  alice.close();
});

test('pushes that are not of the protocol change nothing and are told', async () => {
  const server = new ModelServer();
  const people = await settle(server, ['alice']);
  const alice = await enter(server, people.get('alice'));
  const odd = [
    ['message', {}],
    ['message', { seq: 1, before: 'x', received_at: 'now', chat: 'y' }],
    ['event', { chat: 'a text' }],
    ['receipt', { chat: 'x' }],
    ['typing', null],
    ['chat:removed', 'x'],
    ['keys', { username: 7 }],
  ];
  for (const [name, payload] of odd) for (const socket of server.sockets) socket.deliver(name, payload);
  await until(() => alice.getSnapshot().accountWarnings.some(({ name }) => name === 'bad_answer'), 'told');
  assert.deepEqual(alice.getSnapshot().chats, []);
  assert.equal(alice.getSnapshot().connection, 'online');
  alice.close();
});
