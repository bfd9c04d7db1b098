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
