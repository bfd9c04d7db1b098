/** The outbox on a line that loses things: the same bytes again, in order, once; lanes, tabs, reloads, refusals. */

import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';

import { memoryStore } from '../../lib/index.js';
import { chatOf, itemsOf } from '../model/hostile.js';
import { clientOf, enter, loadAll, settle, until } from '../model/people.js';
import { ModelServer } from '../model/server.js';

let server;
let identities;
let alice;
let bob;
let id;
let open = [];

beforeEach(async () => {
  open.forEach((client) => client.close());
  server = new ModelServer();
  identities = await settle(server, ['alice', 'bob']);
  alice = await enter(server, identities.get('alice'));
  bob = await enter(server, identities.get('bob'));
  open = [alice, bob];
  id = await alice.startChat({ usernames: ['bob'] });
  await alice.openChat(id);
});
after(() => open.forEach((client) => client.close()));

const send = (client, body) => client.send(id, { body }, 'Ed25519');
const mine = (client) => itemsOf(client, id).filter(({ mine: own }) => own);
const states = (client) => mine(client).map(({ state }) => state);
const allSent = (client, count) =>
  until(() => mine(client).filter(({ seq }) => seq !== null).length === count, `${count} sent`);
const tries = () => server.sent.filter((text) => text.includes('"protected"'));
const header = (text) => JSON.parse(Buffer.from(JSON.parse(text).protected, 'base64url').toString());
const cutOff = (client) => {
  server.offline.add(client.device);
  server.cut(client.device);
};

test('queued at once, sent in order, one after the other', async () => {
  const ids = [];
  for (const body of ['1', '2', '3']) ids.push(await send(alice, body));
  assert.deepEqual(
    mine(alice).map(({ payload }) => payload.body),
    ['1', '2', '3'],
  );
  await allSent(alice, 3);
  const headers = tries().map(header);
  assert.deepEqual(
    headers.map((each) => each.id),
    ids,
  );
  assert.deepEqual(
    headers.map(({ n }) => n),
    [1, 2, 3],
  );
  assert.equal(new Set(headers.map(({ dev }) => dev)).size, 1);
  assert.deepEqual(
    headers.map(({ seen }) => seen.seq),
    [1, 2, 3],
    'each has seen the one before',
  );
});

test('a lost ack or a lost request: the same bytes again, stored once', async () => {
  server.faults.set('alice', ['ack', 'request', 'ack']);
  await send(alice, 'once');
  await send(alice, 'after it');
  await allSent(alice, 2);
  const first = tries().filter((text) => header(text).n === 1);
  assert.equal(first.length, 3, 'the lost request never arrived');
  assert.equal(new Set(first).size, 1);
  const stored = server.chats.get(id).items.filter(({ body }) => body.envelope);
  assert.equal(stored.length, 2);
});

test('the final bytes are stored before the first try', async () => {
  const store = memoryStore();
  const seen = [];
  const client = await enter(server, identities.get('alice'), 'alice 2', { store });
  open.push(client);
  const handle = server.handle.bind(server);
  server.handle = async (socket, name, payload) => {
    if (name === 'message:send')
      seen.push((await store.list('outbox')).map(({ sealed }) => sealed?.envelope)[0], payload);
    return handle(socket, name, payload);
  };
  await client.openChat(id);
  await send(client, 'x');
  await allSent(client, 1);
  assert.deepEqual(seen[0], seen[1]);
});

test('offline: it waits, and goes when the connection is back', async () => {
  cutOff(alice);
  await send(alice, 'later');
  assert.deepEqual(states(alice), ['queued']);
  assert.equal(tries().length, 0);
  server.offline.clear();
  await allSent(alice, 1);
});

test('survives a reload: unsealed, and sealed with its ack lost', async () => {
  server.faults.set('alice', ['ack', 'ack', 'ack', 'ack', 'ack', 'ack', 'ack', 'ack']);
  await send(alice, 'sealed');
  await until(() => tries().length > 0, 'tried');
  cutOff(alice);
  await send(alice, 'unsealed');
  alice.close();
  server.faults.clear();
  server.offline.clear();
  const again = clientOf(server, 'alice', { store: alice.store });
  open.push(again);
  await again.restore();
  await until(() => again.getSnapshot().chats.length === 1, 'chats');
  await again.openChat(id);
  await allSent(again, 2);
  assert.deepEqual(
    mine(again).map(({ payload, warnings }) => [payload.body, ...warnings]),
    [['sealed'], ['unsealed']],
  );
  const first = tries().filter((text) => header(text).n === 1);
  assert.equal(new Set(first).size, 1, 'the same bytes after the reload');
  assert.equal(server.chats.get(id).items.length, 3);
});

test('a reload continues the lane that it knows to its end', async () => {
  await send(alice, '1');
  await allSent(alice, 1);
  alice.close();
  const again = clientOf(server, 'alice', { store: alice.store });
  open.push(again);
  await again.restore();
  await until(() => again.getSnapshot().chats.length === 1, 'chats');
  await again.openChat(id);
  await send(again, '2');
  await allSent(again, 2);
  const headers = tries().map(header);
  assert.deepEqual(
    headers.map(({ n }) => n),
    [1, 2],
  );
  assert.equal(headers[1].dev, headers[0].dev);
});

test('stale_epoch: the same id, sealed anew after the item that opened the epoch is held', async () => {
  cutOff(alice);
  const message = await send(alice, 'x');
  const [reader] = [await enter(server, identities.get('bob'), 'bob 2')];
  open.push(reader);
  // Sealed for epoch 1, refused since epoch 2 opened while it was on the way.
  server.offline.clear();
  const handle = server.handle.bind(server);
  let opened = false;
  server.handle = async (socket, name, payload) => {
    if (name === 'message:send' && !opened) {
      opened = true;
      await reader.changeChat(id, { kind: 'rekey' });
    }
    return handle(socket, name, payload);
  };
  await allSent(alice, 1);
  const headers = tries().map(header);
  assert.deepEqual(
    headers.map(({ epoch, n }) => [epoch, n]),
    [
      [1, 1],
      [2, 1],
    ],
  );
  assert.deepEqual([...new Set(headers.map((each) => each.id))], [message]);
  assert.ok(headers[1].seen.seq >= 2, 'it has seen the change');
});

test('a refused one is failed by name, the next goes on; retry and discard', async () => {
  await alice.send(id, { body: 'x'.repeat(100) }, 'Ed25519');
  await allSent(alice, 1);
  await assert.rejects(alice.send(id, { body: 'x'.repeat(64_000) }, 'Ed25519'), { code: 'too_large' });
  await assert.rejects(alice.send(id, { body: 'x' }, 'DSA-SHA256'), { code: 'unsupported_algorithm' });
  server.chats.get(id).members.delete('alice');
  const refused = await send(alice, 'y');
  await until(() => states(alice).includes('failed'), 'failed');
  const item = mine(alice).find(({ state }) => state === 'failed');
  assert.deepEqual([item.id, item.reason, typeof item.explain], [refused, 'not_found', 'string']);
  server.chats.get(id).members.set('alice', { role: 'owner', joined_seq: 1 });
  await alice.retry(id, refused);
  await allSent(alice, 2);
  server.chats.get(id).members.delete('alice');
  const dropped = await send(alice, 'z');
  await until(() => states(alice).includes('failed'), 'failed again');
  await alice.discard(id, dropped);
  assert.equal(mine(alice).length, 2);
  assert.deepEqual(
    (await alice.store.list('outbox')).filter(({ state }) => state !== 'acked'),
    [],
  );
});

test('a restored profile takes a new lane, and no reader is alarmed', async () => {
  await send(alice, '1');
  await allSent(alice, 1);
  const copy = memoryStore();
  for (const [kind, ids] of Object.entries({
    meta: ['account'],
    keys: ['storage', 'backup'],
    chats: [id, `${id} lane`, `${id} position`],
  })) {
    for (const each of ids) await copy.write([{ kind, id: each, value: await alice.store.get(kind, each) }]);
  }
  for (const key of await alice.store.list('keys'))
    if (key.alg) await copy.write([{ kind: 'keys', id: key.kid, value: key }]);
  await send(alice, '2');
  await send(alice, '3');
  await allSent(alice, 3);
  alice.close();
  const restored = clientOf(server, 'alice', { store: copy });
  open.push(restored);
  await restored.restore();
  await until(() => restored.getSnapshot().chats.length === 1, 'chats');
  await restored.openChat(id);
  await send(restored, '4');
  await allSent(restored, 4);
  const headers = tries().map(header);
  assert.deepEqual(
    headers.map(({ n }) => n),
    [1, 2, 3, 1],
  );
  assert.notEqual(headers[3].dev, headers[0].dev);
  const items = await loadAll(bob, id);
  assert.deepEqual(
    items.flatMap(({ warnings }) => warnings),
    [],
  );
});

test('two tabs on one store and one lock: one chain, nobody alarmed', async () => {
  const held = new Map();
  const locks = {
    request(name, work) {
      const result = (held.get(name) ?? Promise.resolve()).then(work);
      held.set(
        name,
        result.catch(() => undefined),
      );
      return result;
    },
  };
  const store = memoryStore();
  const one = await enter(server, identities.get('alice'), 'tab 1', { store, locks });
  const two = clientOf(server, 'tab 2', { store, locks });
  await two.restore();
  open.push(one, two);
  await until(() => two.getSnapshot().chats.length === 1, 'chats');
  await Promise.all([one.openChat(id), two.openChat(id)]);
  for (let i = 0; i < 5; i++) await Promise.all([send(one, `one ${i}`), send(two, `two ${i}`)]);
  await until(() => server.chats.get(id).items.length === 11, 'all sent');
  const items = await loadAll(bob, id);
  assert.deepEqual(
    items.flatMap(({ warnings }) => warnings),
    [],
  );
  assert.equal(
    new Set(items.filter(({ kind }) => kind === 'message').map(({ payload }) => payload.body)).size,
    10,
  );
  assert.deepEqual(chatOf(one, id).warnings, []);
});

test('what another tab has just sent is not taken for lost', async () => {
  const store = memoryStore();
  let meanwhile = null;
  const list = async (kind) => {
    const work = kind === 'outbox' ? meanwhile : null;
    if (work) meanwhile = null;
    await work?.();
    return store.list(kind);
  };
  const one = await enter(server, identities.get('alice'), 'tab 1', { store: { ...store, list } });
  const two = clientOf(server, 'tab 2', { store });
  await two.restore();
  open.push(one, two);
  await until(() => two.getSnapshot().chats.length === 1, 'chats');
  await Promise.all([one.openChat(id), two.openChat(id)]);
  await one.retry(id, 'none'); // nothing is being sent any more
  meanwhile = async () => {
    await send(two, 'x');
    await allSent(two, 1);
  };
  await one.openChat(id);
  assert.equal(meanwhile, null);
  assert.deepEqual(chatOf(one, id).warnings, []);
  assert.equal(tries().length, 1);
  assert.equal(mine(one).length, 1);
});

test('what is done with a message in one tab shows in the other', async () => {
  const store = memoryStore();
  const one = await enter(server, identities.get('alice'), 'tab 1', { store });
  open.push(one);
  await one.openChat(id);
  server.chats.get(id).members.delete('alice');
  const refused = await send(one, 'y');
  await until(() => states(one).includes('failed'), 'failed');
  server.chats.get(id).members.set('alice', { role: 'owner', joined_seq: 1 });
  const two = clientOf(server, 'tab 2', { store });
  await two.restore();
  open.push(two);
  await until(() => two.getSnapshot().chats.length === 1, 'chats');
  await two.discard(id, refused);
  await one.openChat(id);
  assert.deepEqual(states(one), []);
});

test('after log-out nothing waits any more', async () => {
  cutOff(alice);
  await send(alice, 'never');
  await alice.logout();
  assert.deepEqual(await alice.store.list('outbox'), []);
  assert.equal(alice.getSnapshot().phase, 'signed_out');
});
