/** One suite for both stores, and what may lie in them: no plaintext, no readable private key, nothing after log-out. */

import 'fake-indexeddb/auto';

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decodeB64u, encodeText, openBackup, toHex, unwrapBackupKey } from '../../lib/crypto/index.js';
import { memoryStore, openStore } from '../../lib/index.js';
import { KINDS } from '../../lib/store/port.js';
import { cheapKdf, clientOf, settle, until } from '../model/people.js';
import { ModelServer } from '../model/server.js';

let count = 0;
const STORES = { memory: () => memoryStore(), indexeddb: () => openStore(`store-${(count += 1)}`) };

for (const [name, open] of Object.entries(STORES)) {
  test(`${name}: reads back what was written, as a copy`, async () => {
    const store = open();
    const value = { list: [1], bytes: Uint8Array.of(1, 2) };
    await store.write([{ kind: 'chats', id: 'a', value }]);
    value.list.push(2);
    const read = await store.get('chats', 'a');
    assert.deepEqual(read, { list: [1], bytes: Uint8Array.of(1, 2) });
    read.list.push(3);
    assert.deepEqual((await store.get('chats', 'a')).list, [1]);
    assert.equal(await store.get('chats', 'b'), undefined);
    assert.equal(await store.get('pins', 'a'), undefined);
    store.close();
  });

  test(`${name}: lists a kind by id, replaces, removes`, async () => {
    const store = open();
    await store.write(['b', 'a', 'c'].map((id) => ({ kind: 'outbox', id, value: { id } })));
    await store.write([
      { kind: 'outbox', id: 'b', value: { id: 'b', again: true } },
      { kind: 'outbox', id: 'c', remove: true },
    ]);
    assert.deepEqual(await store.list('outbox'), [{ id: 'a' }, { id: 'b', again: true }]);
    await store.write([]);
    await store.clear();
    assert.deepEqual(await store.list('outbox'), []);
    store.close();
  });

  test(`${name}: all of a write or nothing`, async () => {
    const store = open();
    const ops = [
      { kind: 'meta', id: 'one', value: 1 },
      { kind: 'keys', id: 'two', value: () => 'cannot be cloned' },
    ];
    await assert.rejects(store.write(ops));
    assert.equal(await store.get('meta', 'one'), undefined);
    await assert.rejects(store.write([{ kind: 'nonsense', id: 'x', value: 1 }]), TypeError);
    store.close();
  });

  test(`${name}: keeps keys that nobody can read back`, async () => {
    const store = open();
    const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
      'encrypt',
      'decrypt',
    ]);
    await store.write([{ kind: 'keys', id: 'k', value: { key } }]);
    const held = (await store.get('keys', 'k')).key;
    await assert.rejects(crypto.subtle.exportKey('raw', held));
    const iv = new Uint8Array(12);
    const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, held, Uint8Array.of(7));
    assert.equal(sealed.byteLength, 17);
    store.close();
  });
}

test('indexeddb: what was written is there for the next one that opens it', async () => {
  const first = openStore('again');
  await first.write([{ kind: 'meta', id: 'x', value: 'kept' }]);
  first.close();
  const second = openStore('again');
  assert.equal(await second.get('meta', 'x'), 'kept');
  second.close();
});

/** Every text and byte of a value, however deep; of a key, that it cannot be exported. */
async function scan(value, found = []) {
  if (value instanceof CryptoKey) {
    assert.equal(value.extractable, false);
  } else if (value instanceof Uint8Array) found.push(toHex(value));
  else if (typeof value === 'string') found.push(value, toHex(new TextEncoder().encode(value)));
  else if (value && typeof value === 'object')
    for (const each of Object.values(value)) await scan(each, found);
  return found;
}

test(
  'neither plaintext nor private key nor password lies readable in the store; log-out clears it',
  { timeout: 60_000 },
  async () => {
    const server = new ModelServer();
    await settle(server, ['bob']);
    const store = openStore('secrets');
    const client = clientOf(server, 'alice', { store });
    await client.register({ username: 'alice', displayName: 'Alice', password: 'CANARY password' });
    await until(() => client.getSnapshot().connection === 'online', 'online');
    const chat = await client.startChat({ usernames: ['bob'] });
    await client.openChat(chat);
    for (const alg of ['RSA-PSS-SHA256', 'Ed25519', 'DSA-SHA256'])
      await client.send(chat, { body: `CANARY ${alg}` }, alg);
    await until(
      () => client.getSnapshot().open[chat].items.filter(({ state }) => state === 'sent').length === 3,
      'sent',
    );
    server.offline.add('alice');
    server.cut('alice');
    await client.send(chat, { body: 'CANARY queued' });
    const { passwordKey, auth } = await cheapKdf('CANARY password');
    const { backup } = server.accounts.get('alice');
    const backupKey = await unwrapBackupKey({
      username: 'alice',
      backup,
      type: 'password',
      key: passwordKey,
    });
    const { keys } = await openBackup({ username: 'alice', backup, backupKey });
    assert.equal(keys.length, 4);
    const everything = [];
    for (const kind of KINDS) for (const value of await store.list(kind)) await scan(value, everything);
    assert.ok(everything.length > 50, 'there is something to look through');
    const secrets = [toHex(encodeText('CANARY')), 'CANARY', auth, toHex(backupKey), toHex(passwordKey)];
    for (const { pkcs8 } of keys) secrets.push(pkcs8, toHex(decodeB64u(pkcs8).slice(-32)));
    for (const secret of secrets) assert.ok(!everything.some((text) => text.includes(secret)));
    assert.ok(!server.sent.some((text) => text.includes('CANARY')), 'nor on the wire');
    await client.logout();
    for (const kind of KINDS) assert.deepEqual(await store.list(kind), []);
    assert.deepEqual(client.getSnapshot().open, {});
    client.close();
  },
);
