import assert from 'node:assert/strict';
import { test } from 'node:test';

import { encodeB64u } from '../../lib/crypto/index.js';
import { ModelServer } from '../model/server.js';
import { clientOf, enter, loadAll, settle, until } from '../model/people.js';

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
  // The page is on its way, without what is pushed before it arrives.
  const { fetch } = server.transport('bob');
  const gate = {};
  gate.opened = new Promise((resolve) => (gate.open = resolve));
  const slow = async (url, init) => {
    const response = await fetch(url, init);
    if (String(url).includes('/messages?')) {
      gate.asked = true;
      await gate.opened;
    }
    return response;
  };
  const bob = clientOf(server, 'bob', { fetch: slow });
  await bob.login({ username: 'bob', password: people.get('bob').password });
  await until(() => gate.asked, 'a page is on its way');
  const opening = bob.openChat(chat);
  await alice.send(chat, { body: 'meanwhile' }, 'Ed25519');
  await until(() => bob.getSnapshot().chats[0]?.lastSeq === 2, 'pushed');
  gate.open();
  await opening;
  await until(() => bob.getSnapshot().open[chat].items.at(-1)?.payload?.body === 'meanwhile', 'shown', 3_000);
  alice.close();
  bob.close();
});

test('a push that skips makes the client fetch what lies between', async () => {
  const server = new ModelServer();
  const people = await settle(server, ['alice', 'bob']);
  const [alice, bob] = [await enter(server, people.get('alice')), await enter(server, people.get('bob'))];
  const chat = await alice.startChat({ usernames: ['bob'] });
  await alice.openChat(chat);
  await bob.openChat(chat);
  const [socket] = [...server.sockets].filter(({ username }) => username === 'bob');
  const deliver = socket.deliver.bind(socket);
  socket.deliver = () => undefined;
  for (const body of ['lost 1', 'lost 2']) await alice.send(chat, { body }, 'Ed25519');
  await until(() => server.chats.get(chat).items.length === 3, 'sent');
  socket.deliver = deliver;
  await alice.send(chat, { body: 'pushed' }, 'Ed25519');
  const bodies = () => bob.getSnapshot().open[chat].items.map(({ payload }) => payload?.body);
  await until(() => bodies().length === 4, 'fetched');
  assert.deepEqual(bodies(), [undefined, 'lost 1', 'lost 2', 'pushed']);
  assert.deepEqual(bob.getSnapshot().chats[0].warnings, []);
  alice.close();
  bob.close();
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

test('edits, deletions, reactions and replies show at once, and count for everybody', async () => {
  const server = new ModelServer();
  const people = await settle(server, ['alice', 'bob']);
  const [alice, bob] = [await enter(server, people.get('alice')), await enter(server, people.get('bob'))];
  const chat = await alice.startChat({ usernames: ['bob'] });
  await alice.openChat(chat);
  await bob.openChat(chat);
  await bob.acceptServerMade(chat);
  const shown = (client) =>
    client.getSnapshot().open[chat].items.filter(({ kind, payload }) => kind === 'message' && payload);
  const both = (what, holds) =>
    until(() => [alice, bob].every((client) => shown(client).length > 0 && holds(shown(client))), what);
  const first = await alice.send(chat, { body: 'frist' }, 'Ed25519');
  await both('sent', ([item]) => item.seq !== null);
  server.offline.add('alice');
  server.cut('alice');
  await alice.editMessage(chat, first, 'first');
  await alice.react(chat, first, '👍', true);
  const [waiting] = shown(alice);
  assert.deepEqual(
    [shown(alice).length, waiting.payload.body, waiting.payload.edited, waiting.payload.reactions],
    [1, 'first', true, { '👍': ['alice'] }],
  );
  server.offline.clear();
  await both(
    'edited',
    ([{ payload }]) => payload.body === 'first' && payload.reactions?.['👍']?.length === 1,
  );
  await bob.react(chat, first, '👍', true);
  await alice.react(chat, first, '👍', false);
  await both('reacted', ([{ payload }]) => payload.reactions?.['👍']?.join() === 'bob');
  const attachment = {
    id: '00000000-0000-4000-8000-000000000000',
    key: encodeB64u(new Uint8Array(32)),
    nonce: encodeB64u(new Uint8Array(7)),
    name: 'a.txt',
    mime: 'text/plain',
    size: 1,
    sha256: encodeB64u(new Uint8Array(32)),
  };
  await bob.send(chat, { body: 'answer', reply_to: first, attachments: [attachment] }, 'Ed25519');
  await both('answered', (items) => items.length === 2);
  assert.deepEqual(shown(alice)[1].replyTo, { id: first, from: 'alice', body: 'first' });
  assert.deepEqual(shown(alice)[1].payload.attachments, [attachment]);
  await assert.rejects(bob.editMessage(chat, first, 'mine'), { code: 'forbidden' });
  await assert.rejects(bob.deleteMessage(chat, first), { code: 'forbidden' });
  await alice.deleteMessage(chat, first);
  await both('deleted', ([{ payload }]) => payload.deleted && payload.body === '');
  alice.close();
  bob.close();
});
