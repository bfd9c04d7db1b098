/**
 * Every failure and warning name in scope (protocol §5), from a hostile envelope or history to what the reader sees.
 * Each message stands in its place with its name; nothing of it is shown, and nothing honest beside it is blamed.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
  aesGcmEncrypt,
  encodeB64u,
  encodeText,
  importPrivate,
  randomBytes,
  sign,
  hash,
} from '../../lib/crypto/index.js';
import { FAILURES } from '../../lib/index.js';
import { anyHash, chatOf, craft, flip, itemsOf, reader, scene } from '../model/hostile.js';
import { Identity } from '../model/people.js';

let world;
before(async () => {
  world = await scene();
});
after(() => world.clients.forEach((client) => client.close()));

/** Carol reads a history to which `make` adds one item at the end. @returns the last item and the client */
async function read(make) {
  const added = await make();
  world.server.lies.history = (username, items) => (username === 'carol' ? [...items, added] : items);
  const client = await reader(world);
  world.server.lies.history = undefined;
  const items = itemsOf(client, world.id);
  const others = items.slice(0, -1).filter(({ kind }) => kind === 'message');
  assert.ok(
    others.length >= 6 && others.every(({ state }) => state === 'verified'),
    'the honest ones stay verified',
  );
  client.close();
  return { item: items.at(-1), client, chat: chatOf(client, world.id) };
}

/** The last item failed under that name, and shows nothing. */
async function failsAs(name, make) {
  const { item } = await read(make);
  assert.deepEqual([item.kind, item.state, item.reason, item.payload], ['message', 'failed', name, null]);
  assert.equal(item.explain, FAILURES[name].explain);
}

/** The last item is readable, with that warning beside it. */
async function warnsOf(name, make, { onChat = false } = {}) {
  const { item, chat } = await read(make);
  assert.deepEqual([item.kind, item.state, item.payload?.body], ['message', 'verified', 'hostile']);
  assert.deepEqual(item.warnings, [name]);
  assert.deepEqual(chat.warnings, onChat ? [name] : []);
}

/** Seals bytes that are no padded payload under the epoch's key, and signs them. */
async function sealRaw(plaintext, { key } = {}) {
  const { body } = await craft(world, 'bob');
  const envelope = body.envelope;
  const iv = randomBytes(12);
  const sealed = await aesGcmEncrypt(
    key ?? world.chat.epochs.at(-1).secret,
    iv,
    plaintext,
    encodeText(envelope.protected),
  );
  const { alg, pkcs8 } = world.identities.get('bob').keys.find(({ alg: name }) => name === 'Ed25519');
  const signed = encodeText(
    `chatsec/message/v1\n${envelope.protected}\n${encodeB64u(iv)}\n${await hash(sealed)}`,
  );
  const signature = encodeB64u(await sign(alg, await importPrivate(alg, pkcs8), signed));
  return {
    body: { envelope: { ...envelope, iv: encodeB64u(iv), ciphertext: encodeB64u(sealed), signature } },
  };
}

test('an honest one is verified, so that the others fail for their own reason', async () => {
  const { item, chat } = await read(() => craft(world, 'bob'));
  assert.deepEqual(
    [item.state, item.payload.body, item.warnings, chat.warnings],
    ['verified', 'hostile', [], []],
  );
});

test('malformed: not an envelope, stray bits, another chat, a seen before the epoch, not a payload', async () => {
  await failsAs('malformed', async () => ({ body: { envelope: { nonsense: true } } }));
  await failsAs('malformed', () => craft(world, 'bob', { tamper: (e) => ({ ...e, iv: `${e.iv}=` }) }));
  await failsAs('malformed', () =>
    craft(world, 'bob', { tamper: (e) => ({ ...e, protected: `${e.protected}A` }) }),
  );
  await failsAs('malformed', () => craft(world, 'bob', { chat: '00000000-0000-4000-8000-000000000000' }));
  await failsAs('malformed', () => craft(world, 'bob', { seen: { seq: 1, hash: anyHash() } }));
  await failsAs('malformed', () => craft(world, 'bob', { payload: { type: 'text' } }));
  await failsAs('malformed', () => craft(world, 'bob', { payload: ['text'] }));
});

test('wrong_epoch: an old epoch, or one that is not open', async () => {
  await failsAs('wrong_epoch', () => craft(world, 'bob', { epoch: 1 }));
  await failsAs('wrong_epoch', () => craft(world, 'bob', { epoch: 9 }));
});

test('not_a_member: somebody who has an account', async () => {
  const stranger = new Identity('mallory');
  world.server.addAccount(await stranger.account());
  await failsAs('not_a_member', () =>
    craft({ ...world, identities: new Map([['mallory', stranger]]) }, 'mallory'),
  );
});

test('unknown_key: a key that is not in any bundle, and another member signing as alice', async () => {
  const other = new Identity('bob');
  await other.renew();
  await failsAs('unknown_key', () => craft(world, 'bob', { keys: other.keys }));
  await failsAs('unknown_key', () => craft(world, 'bob', { from: 'alice' }));
});

test('bad_signature: any part changed on the way', async () => {
  for (const part of ['iv', 'ciphertext', 'signature']) {
    await failsAs('bad_signature', () =>
      craft(world, 'bob', { tamper: (e) => ({ ...e, [part]: flip(e[part]) }) }),
    );
  }
});

test('key_mismatch: sealed under another key than the reader holds', async () => {
  await failsAs('key_mismatch', () => craft(world, 'bob', { secret: randomBytes(32) }));
});

test('undecryptable: signed, but sealed under another key than it commits to', async () => {
  await failsAs('undecryptable', () => sealRaw(new Uint8Array(48), { key: randomBytes(32) }));
});

test('bad_padding: no marker, and a length that Padmé would not give', async () => {
  await failsAs('bad_padding', () => sealRaw(new Uint8Array(32)));
  await failsAs('bad_padding', () => sealRaw(Uint8Array.of(0x7b, 0x7d, 0x80, ...new Uint8Array(40))));
});

test('replayed: the same message again, and another under its id', async () => {
  const copy = world.chat.items.findLast(({ from }) => from === 'bob');
  await failsAs('replayed', async () => ({ body: copy.body }));
  await failsAs('replayed', () => craft(world, 'bob', { id: copy.id }));
});

test('waiting_for_key: the server withholds the epoch', async () => {
  const { chat } = world;
  world.server.lies.epoch = (username, told) =>
    username === 'carol' && told.number === 2 ? { ...told, number: 77 } : told;
  const client = await reader(world);
  world.server.lies.epoch = undefined;
  const reasons = itemsOf(client, world.id).filter(
    ({ seq, kind }) => kind === 'message' && seq > chat.epochs[1].opened_seq,
  );
  assert.ok(reasons.length > 0 && reasons.every(({ reason }) => reason === 'waiting_for_key'));
});

/** Carol is told another wrap of epoch 2. @returns the name under which its last message fails */
async function wrappedAs(lie) {
  const { server, id } = world;
  server.lies.epoch = (username, told, _chat, epoch) =>
    username === 'carol' && told.number === 2 ? lie(told, epoch) : told;
  const client = await reader(world);
  server.lies.epoch = undefined;
  const items = itemsOf(client, id);
  assert.equal(items[1].state, 'verified', 'the epoch before opens');
  assert.deepEqual([items.at(-1).state, items.at(-1).payload], ['failed', null]);
  return items.at(-1).reason;
}

test('key_lost: wrapped to a key that is not here, or to nobody', async () => {
  assert.equal(await wrappedAs((told) => ({ ...told, kid: anyHash() })), 'key_lost');
  assert.equal(await wrappedAs((told) => ({ ...told, kid: null, wrapped: null })), 'key_lost');
});

test('undecryptable: somebody else’s wrap, one of another epoch, one that is no wrap', async () => {
  const [first] = world.chat.epochs;
  assert.equal(
    await wrappedAs((told, epoch) => ({ ...told, wrapped: epoch.wraps.get('bob').wrapped })),
    'undecryptable',
  );
  assert.equal(
    await wrappedAs((told) => ({ ...told, wrapped: first.wraps.get('carol').wrapped })),
    'undecryptable',
  );
  assert.equal(await wrappedAs((told) => ({ ...told, wrapped: 'AA' })), 'undecryptable');
});

test('chain_gap: a lane that skips, or does not begin with 1', async () => {
  await warnsOf('chain_gap', () => craft(world, 'bob', { n: 5, prev: anyHash() }));
});

test('chain_fork: one number twice, or another predecessor', async () => {
  await warnsOf('chain_fork', () => craft(world, 'bob', { n: 1, prev: anyHash() }));
  const own = JSON.parse(
    Buffer.from(world.chat.items.at(-1).body.envelope.protected, 'base64url').toString(),
  );
  await warnsOf('chain_fork', () => craft(world, 'bob', { dev: own.dev, n: own.n, prev: own.prev }));
  await warnsOf('chain_fork', () => craft(world, 'bob', { dev: own.dev, n: own.n + 1, prev: anyHash() }));
});

test('history_fork: another `seen`, another `log`', async () => {
  const { seq } = world.chat.items.at(-1);
  await warnsOf('history_fork', () => craft(world, 'bob', { seen: { seq, hash: anyHash() } }), {
    onChat: true,
  });
  await warnsOf('history_fork', () => craft(world, 'bob', { log: anyHash() }), { onChat: true });
});

test('server_rollback: the author was shown more than there is', async () => {
  await warnsOf('server_rollback', () => craft(world, 'bob', { seen: { seq: 40, hash: anyHash() } }), {
    onChat: true,
  });
});

test('an unknown type is shown as such', async () => {
  const { item } = await read(() => craft(world, 'bob', { payload: { type: 'poll', question: '?' } }));
  assert.deepEqual([item.state, item.payload.type], ['verified', 'poll']);
});
