// Opening inverts sealing, for whatever is sealed; and what was changed does not open.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import * as crypto from '../../lib/crypto/index.js';

const CHAT = '0d9a3b1e-8f0e-4c8e-9f51-0d4a6b7c8d9e';
const ID = '7b9e2a34-1111-4222-8333-444455556666';
const ZERO = crypto.encodeB64u(new Uint8Array(32));

/** @type {Awaited<ReturnType<typeof crypto.generateKeys>>} */
let keys;
before(async () => {
  keys = await crypto.generateKeys();
});

const key = (/** @type {string} */ alg) => {
  const found = keys.find((candidate) => candidate.alg === alg);
  assert.ok(found);
  return found;
};
const signer = async (/** @type {string} */ alg) => {
  const { kid, pkcs8 } = key(alg);
  return { alg, kid, key: await crypto.importPrivate(alg, pkcs8) };
};
const header = {
  chat: CHAT,
  epoch: 1,
  id: ID,
  from: 'alice',
  dev: crypto.newLane(),
  n: 1,
  prev: '',
  seen: { seq: 1, hash: ZERO },
  log: '',
  at: '2026-11-24T12:00:00.000Z',
};
const failsWith = (/** @type {string} */ code) => (/** @type {any} */ error) => error.code === code;

for (const alg of crypto.SIGNING) {
  test(`envelope under ${alg}: open(seal(payload)) is the payload`, async () => {
    const by = await signer(alg);
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', maxLength: 300 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        async (body, secret) => {
          const epochKey = await crypto.epochKey(secret);
          const sealed = await crypto.sealEnvelope({
            header,
            payload: { type: 'text', body },
            epochKey,
            signer: by,
          });
          const parsed = await crypto.parseEnvelope({ seq: 2, ...sealed.envelope });
          assert.equal(parsed.hash, sealed.hash);
          await crypto.verifyEnvelope(parsed, key(alg));
          crypto.checkCommitment(parsed, epochKey);
          assert.deepEqual(crypto.parsePayload(await crypto.openEnvelope(parsed, epochKey)), {
            type: 'text',
            body,
          });
        },
      ),
      { numRuns: 25 },
    );
  });
}

test('ASVS 11.3.1, 11.3.2: no IV comes twice, under one key or two', async () => {
  const signed = await signer('Ed25519');
  const epochKey = await crypto.epochKey(new Uint8Array(32).fill(7));
  const ivs = new Set();
  for (let i = 0; i < 500; i++) {
    const payload = { type: 'text', body: 'the same' };
    const { envelope } = await crypto.sealEnvelope({ header, payload, epochKey, signer: signed });
    assert.equal(crypto.decodeB64u(envelope.iv).length, 12);
    ivs.add(envelope.iv);
  }
  assert.equal(ivs.size, 500);
});

test('a lone surrogate in a payload is sent, and read as U+FFFD', async () => {
  const epochKey = await crypto.epochKey(crypto.randomBytes(32));
  const payload = { type: 'text', body: 'a\ud800b' };
  const { envelope } = await crypto.sealEnvelope({
    header,
    payload,
    epochKey,
    signer: await signer('Ed25519'),
  });
  const opened = await crypto.openEnvelope(await crypto.parseEnvelope(envelope), epochKey);
  assert.equal(crypto.parsePayload(opened).body, 'a\ufffdb');
});

test('the largest payload fits, one byte more is too_large', async () => {
  const epochKey = await crypto.epochKey(crypto.randomBytes(32));
  const by = await signer('Ed25519');
  const seal = (/** @type {number} */ length) =>
    crypto.sealEnvelope({
      header,
      payload: { type: 'text', body: 'x'.repeat(length - 25) },
      epochKey,
      signer: by,
    });
  const { envelope } = await seal(crypto.MAX_PAYLOAD);
  const parsed = await crypto.parseEnvelope(envelope);
  assert.equal((await crypto.openEnvelope(parsed, epochKey)).length, crypto.MAX_PAYLOAD);
  await assert.rejects(seal(crypto.MAX_PAYLOAD + 1), failsWith('too_large'));
});

test('another epoch key: key_mismatch by kc, undecryptable by AES-GCM', async () => {
  const epochKey = await crypto.epochKey(crypto.randomBytes(32));
  const other = await crypto.epochKey(crypto.randomBytes(32));
  const payload = { type: 'text', body: 'hello' };
  const { envelope } = await crypto.sealEnvelope({
    header,
    payload,
    epochKey,
    signer: await signer('Ed25519'),
  });
  const parsed = await crypto.parseEnvelope(envelope);
  assert.throws(() => crypto.checkCommitment(parsed, other), failsWith('key_mismatch'));
  await assert.rejects(crypto.openEnvelope(parsed, other), failsWith('undecryptable'));
  // H8: a ciphertext that two keys open still commits to one: the header with the other kc is another AAD.
  const forged = await crypto.sealEnvelope({
    header,
    payload,
    epochKey: { aes: epochKey.aes, kc: other.kc },
    signer: await signer('Ed25519'),
  });
  assert.throws(
    () => crypto.checkCommitment({ ...parsed, header: { ...parsed.header, kc: other.kc } }, epochKey),
    failsWith('key_mismatch'),
  );
  await assert.rejects(
    crypto.openEnvelope(await crypto.parseEnvelope(forged.envelope), other),
    failsWith('undecryptable'),
  );
});

test('padding: unpad inverts pad, lengths are Padmé, nothing else unpads', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (payload) => {
      const padded = crypto.pad(payload);
      assert.deepEqual(crypto.unpad(padded), new Uint8Array(payload));
      assert.ok(padded.length >= 32 && padded.length <= Math.max(32, (payload.length + 1) * 1.12));
      for (const wrong of [
        crypto.concat(padded, Uint8Array.of(0)),
        padded.slice(0, -1),
        crypto.concat(padded, padded),
      ]) {
        const reads = () => crypto.unpad(wrong);
        // A shorter or longer form of the same bytes may be well-formed only as another payload.
        try {
          assert.deepEqual(crypto.pad(reads()), wrong);
        } catch (error) {
          assert.equal(/** @type {any} */ (error).code, 'bad_padding');
        }
      }
    }),
  );
  for (const bad of [new Uint8Array(0), new Uint8Array(32), new Uint8Array(32).fill(1)]) {
    assert.throws(() => crypto.unpad(bad), failsWith('bad_padding'));
  }
});

test('backup: open inverts seal, under the right name, type, version and key only', async () => {
  const backupKey = crypto.newBackupKey();
  const passwordKey = crypto.randomBytes(32);
  const stored = keys.map(({ alg, kid, pkcs8 }) => ({ alg, kid, pkcs8: crypto.encodeB64u(pkcs8) }));
  const secrets = { keys_version: 1, keys: stored, retired: [], state_n: 0 };
  const wraps = [
    await crypto.wrapBackupKey({ username: 'alice', type: 'password', key: passwordKey, backupKey }),
  ];
  const backup = await crypto.sealBackup({ username: 'alice', version: 3, secrets, backupKey, wraps });
  const way = { username: 'alice', backup, type: 'password', key: passwordKey };
  const opened = await crypto.unwrapBackupKey(way);
  assert.deepEqual(opened, new Uint8Array(backupKey));
  assert.deepEqual(await crypto.openBackup({ username: 'alice', backup, backupKey: opened }), secrets);

  const bad = failsWith('undecryptable');
  await assert.rejects(crypto.unwrapBackupKey({ ...way, key: crypto.randomBytes(32) }), bad);
  await assert.rejects(crypto.unwrapBackupKey({ ...way, username: 'bob' }), bad);
  await assert.rejects(crypto.unwrapBackupKey({ ...way, type: 'recovery' }), bad);
  const renamed = { ...backup, wraps: [{ ...wraps[0], type: 'recovery' }] };
  await assert.rejects(crypto.unwrapBackupKey({ ...way, backup: renamed, type: 'recovery' }), bad);
  await assert.rejects(crypto.openBackup({ username: 'bob', backup, backupKey }), bad);
  await assert.rejects(
    crypto.openBackup({ username: 'alice', backup: { ...backup, version: 4 }, backupKey }),
    bad,
  );
  await assert.rejects(
    crypto.openBackup({ username: 'alice', backup: { ...backup, v: 2 }, backupKey }),
    failsWith('malformed'),
  );
  await assert.rejects(
    crypto.unwrapBackupKey({ ...way, backup: { ...backup, wraps: [...wraps, ...wraps] } }),
    failsWith('malformed'),
  );
});

test('epoch: unwrap inverts wrap, under the right chat, epoch and key only; the secret has 32 bytes', async () => {
  const { spki, pkcs8 } = key(crypto.WRAPPING);
  const privateKey = await crypto.importPrivate(crypto.WRAPPING, pkcs8);
  const secret = crypto.randomBytes(32);
  const wrapOf = async (/** @type {Uint8Array} */ bytes) =>
    crypto.encodeB64u(await crypto.wrap(spki, bytes, crypto.wrapLabel(CHAT, 2)));
  const parts = { privateKey, chat: CHAT, epoch: 2, wrapped: await wrapOf(secret) };
  assert.deepEqual(await crypto.unwrapSecret(parts), secret);
  assert.equal((await crypto.openEpoch(parts)).kc, await crypto.keyCommitment(secret));
  await assert.rejects(crypto.unwrapSecret({ ...parts, epoch: 3 }), failsWith('undecryptable'));
  await assert.rejects(crypto.unwrapSecret({ ...parts, chat: ID }), failsWith('undecryptable'));
  for (const length of [0, 16, 31, 33]) {
    const wrapped = await wrapOf(new Uint8Array(length));
    await assert.rejects(crypto.unwrapSecret({ ...parts, wrapped }), failsWith('undecryptable'));
  }
  await assert.rejects(crypto.unwrapSecret({ ...parts, wrapped: 'AAAA' }), failsWith('undecryptable'));
  await assert.rejects(crypto.unwrapSecret({ ...parts, wrapped: 'A=' }), failsWith('malformed'));
});
