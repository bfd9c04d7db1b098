import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { encryptOaep } from './fixtures.js';
import { bytes, everyFlipFails, load, reproduce } from './load.js';

/** @param {any} vector @param {string} [wrapped] */
async function unwrap({ private_key: pkcs8, chat, epoch, ...vector }, wrapped = vector.wrapped) {
  const privateKey = await crypto.importPrivate(crypto.WRAPPING, bytes(pkcs8));
  return crypto.unwrapSecret({ privateKey, chat, epoch, wrapped });
}

reproduce(
  'wrap',
  async (vector) => {
    const label = crypto.wrapLabel(vector.chat, vector.epoch);
    assert.equal(crypto.encodeB64u(label), vector.label);
    const secret = await unwrap(vector);
    assert.equal(crypto.encodeB64u(secret), vector.secret);
    assert.equal(vector.epoch_key, vector.secret);
    assert.equal(await crypto.keyCommitment(secret), vector.kc);
    assert.equal((await crypto.epochKey(secret)).kc, vector.kc);
    const again = encryptOaep(bytes(vector.spki), secret, label, bytes(vector.seed));
    assert.equal(crypto.encodeB64u(again), vector.wrapped);
    const plain = await crypto.rsaOaepDecrypt(bytes(vector.private_key), bytes(vector.wrapped), label);
    assert.deepEqual(plain, secret);
  },
  unwrap,
);

test('vectors wrap: no wrap with a changed byte opens', async () => {
  const [vector] = load('wrap');
  await everyFlipFails('wrapped', bytes(vector.wrapped), (wrong) => unwrap(vector, crypto.encodeB64u(wrong)));
});
