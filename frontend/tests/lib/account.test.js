/** Coming in and going out, with the client's own keys: register, clean log-in, restore, revoked, failed entries. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ALGORITHMS, createClient, memoryStore } from '../../lib/index.js';
import { KINDS } from '../../lib/store/port.js';
import { clientOf, enter, loadAll, settle, until } from '../model/people.js';
import { ModelServer } from '../model/server.js';

const stored = async (store) => (await Promise.all(KINDS.map((kind) => store.list(kind)))).flat();

async function pair() {
  const server = new ModelServer();
  const people = await settle(server, ['bob']);
  return { server, bob: await enter(server, people.get('bob')), people };
}

test(
  'registers with its own keys, all three algorithms, and reads its history on a clean device',
  { timeout: 60_000 },
  async (t) => {
    const { server, bob } = await pair();
    const alice = clientOf(server, 'alice');
    const steps = [];
    const account = { username: 'Alice', displayName: 'Alice A.', password: 'Ünicode pass word' };
    await alice.register(account, { onProgress: ({ step, done, of }) => steps.push([step, done, of]) });
    t.after(() => [alice, bob].forEach((client) => client.close()));
    assert.deepEqual(steps, [
      ['password', 0, 4],
      ['keys', 1, 4],
      ['account', 2, 4],
      ['backup', 3, 4],
    ]);
    assert.deepEqual(alice.getSnapshot().user, { username: 'alice', displayName: 'Alice A.' });
    await until(() => alice.getSnapshot().connection === 'online', 'online');
    const chat = await alice.startChat({ usernames: ['bob'] });
    await alice.openChat(chat);
    for (const { id } of ALGORITHMS) await alice.send(chat, { body: id }, id);
    await until(() => alice.getSnapshot().open[chat].items.filter(({ seq }) => seq).length === 4, 'sent');
    const again = await enter(server, { username: 'alice', password: account.password }, 'alice 2');
    t.after(() => again.close());
    for (const client of [again, bob]) {
      const items = await loadAll(client, chat);
      assert.deepEqual(
        items.slice(1).map(({ alg, payload, reason }) => [alg, payload.body, reason]),
        ALGORITHMS.map(({ id }) => [id, id, null]),
      );
    }
    assert.deepEqual(again.getSnapshot().accountWarnings, []);
  },
);

test('a backup that does not read back as it was sent is never called saved', async () => {
  const server = new ModelServer();
  const { fetch, io } = server.transport('alice');
  const tampering = async (url, init) => {
    const response = await fetch(url, init);
    if (!String(url).endsWith('/me/key-backup')) return response;
    const body = await response.json();
    body.key_backup.ciphertext = `AAAA${body.key_backup.ciphertext.slice(4)}`;
    return new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
  };
  const store = memoryStore();
  const client = createClient({ store, fetch: tampering, io, refreshIn: 'body' });
  await assert.rejects(client.register({ username: 'alice', displayName: 'A', password: 'long enough' }), {
    code: 'keys_unavailable',
  });
  assert.equal(client.getSnapshot().phase, 'signed_out');
  assert.deepEqual(await stored(store), []);
  client.close();
});

test('a failed log-in changes nothing that waits from an earlier session of the account', async () => {
  const { server, bob } = await pair();
  const chat = await bob.startChat({ usernames: [] });
  await bob.openChat(chat);
  server.offline.add('bob');
  server.cut('bob');
  await bob.send(chat, { body: 'waits' }, 'Ed25519');
  bob.close();
  server.offline.clear();
  server.tokens.clear();
  const again = clientOf(server, 'bob', { store: bob.store });
  assert.equal(await again.restore(), false, 'the session is over');
  assert.equal(again.getSnapshot().phase, 'signed_out');
  await assert.rejects(again.login({ username: 'bob', password: 'wrong' }), { code: 'invalid_credentials' });
  await again.login({ username: 'bob', password: 'password of bob' });
  await until(() => server.chats.get(chat).items.length === 2, 'what waited was sent');
  again.close();
});

test('another account finds nothing of the one before', async () => {
  const { server, bob } = await pair();
  const people = await settle(server, ['carol']);
  await bob.startChat({ usernames: [] });
  bob.close();
  const carol = await enter(server, people.get('carol'), 'bob', { store: bob.store });
  assert.deepEqual(
    (await bob.store.list('pins')).map(({ username }) => username),
    ['carol'],
  );
  assert.deepEqual(await bob.store.list('chats'), []);
  carol.close();
});

test('restore without a network is still a session; nothing stored is none', async () => {
  const { server, bob } = await pair();
  const chat = await bob.startChat({ usernames: [] });
  bob.close();
  server.offline.add('bob');
  const again = clientOf(server, 'bob', { store: bob.store });
  assert.equal(await again.restore(), true);
  assert.deepEqual([again.getSnapshot().phase, again.getSnapshot().user.username], ['ready', 'bob']);
  server.offline.clear();
  await until(() => again.getSnapshot().chats.some(({ id }) => id === chat), 'chats come with the network');
  again.close();
  const clean = clientOf(server, 'clean');
  assert.equal(await clean.restore(), false);
  assert.equal(clean.getSnapshot().phase, 'signed_out');
  await assert.rejects(clean.startChat({ usernames: ['bob'] }), { code: 'unauthorized' });
  clean.close();
});

test('a revoked session leaves nothing on the device', async () => {
  const { server, bob } = await pair();
  for (const socket of server.sockets) socket.deliver('session:revoked', {});
  await until(() => bob.getSnapshot().phase === 'signed_out', 'signed out');
  await until(async () => (await stored(bob.store)).length === 0, 'cleared');
  bob.close();
});

test('log-out in the middle of sending leaves no trace behind the clearing', async () => {
  for (let i = 0; i < 5; i++) {
    const { server, bob } = await pair();
    const chat = await bob.startChat({ usernames: [] });
    await bob.openChat(chat);
    await bob.send(chat, { body: 'on its way' }, 'Ed25519');
    await new Promise((resolve) => setTimeout(resolve, i));
    await bob.logout();
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(await stored(bob.store), []);
    assert.deepEqual(bob.getSnapshot().chats, []);
    assert.equal(server.sockets.size, 0);
    bob.close();
  }
});

test('the snapshot keeps its reference until something changes, and tells its listeners', async () => {
  const { bob } = await pair();
  const before = bob.getSnapshot();
  assert.equal(bob.getSnapshot(), before);
  let told = 0;
  const stop = bob.subscribe(() => (told += 1));
  const chat = await bob.startChat({ usernames: [] });
  assert.notEqual(bob.getSnapshot(), before);
  assert.ok(told > 0);
  await bob.openChat(chat);
  const open = bob.getSnapshot().open[chat];
  await bob.setStatus('away');
  await bob.startChat({ usernames: [] });
  assert.equal(bob.getSnapshot().open[chat], open, 'an open chat that did not change keeps its own');
  stop();
  const then = told;
  await bob.startChat({ usernames: [] });
  assert.equal(told, then);
  assert.throws(() => (bob.getSnapshot().open[chat].items.length = 0), TypeError);
  bob.close();
});
