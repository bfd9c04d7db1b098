import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { bytes, everyFlipFails, load, reproduce } from './load.js';

const pattern = (/** @type {number} */ size) => Uint8Array.from({ length: size }, (_, i) => i % 251);

/** All of a stream. @param {AsyncIterable<Uint8Array>} parts */
async function whole(parts) {
  const all = [];
  for await (const part of parts) all.push(part);
  return crypto.concat(...all);
}

/** In parts of a length that fits no segment. @param {Uint8Array} data @param {number} length */
async function* inParts(data, length) {
  for (let at = 0; at < data.length; at += length) yield data.subarray(at, at + length);
}

const streamOf = (/** @type {any} */ { key, nonce, size, segment }) => ({
  key: bytes(key),
  nonce: bytes(nonce),
  size,
  segment,
});

/** @param {any} vector @param {Uint8Array} [ciphertext] @param {number} [length] of the parts in which it comes */
async function open(vector, ciphertext = bytes(vector.ciphertext), length = 7) {
  if ((await crypto.hash(ciphertext)) !== vector.sha256)
    throw new ChatSecError('bad_attachment', 'another sha256');
  return whole(crypto.openStream(streamOf(vector), inParts(ciphertext, length)));
}

reproduce(
  'attachment',
  async (vector) => {
    const small = vector.plaintext !== undefined;
    const plaintext = small ? bytes(vector.plaintext) : pattern(vector.size);
    const read = async (/** @type {number} */ from, /** @type {number} */ to) => plaintext.subarray(from, to);
    const sealed = await whole(crypto.sealStream(streamOf(vector), read));
    if (small) assert.equal(crypto.encodeB64u(sealed), vector.ciphertext);
    assert.equal(await crypto.hash(sealed), vector.sha256);
    assert.equal(sealed.length, crypto.sealedSize(vector.size, vector.segment));
    for (const length of small ? [1, 7, 48, 1000] : [65_536])
      assert.deepEqual(await open(vector, sealed, length), plaintext);
  },
  open,
);

test('vectors attachment: nothing opens with a changed byte', async () => {
  const vector = load('attachment').find(({ name }) => name === 'one byte more');
  await everyFlipFails('ciphertext', bytes(vector.ciphertext), (wrong) => open(vector, wrong));
  await everyFlipFails('ciphertext, hashed anew', bytes(vector.ciphertext), async (wrong) =>
    open({ ...vector, sha256: await crypto.hash(wrong) }, wrong),
  );
  for (const name of ['key', 'nonce']) {
    await everyFlipFails(name, bytes(vector[name]), (wrong) =>
      open({ ...vector, [name]: crypto.encodeB64u(wrong) }),
    );
  }
});

test('what a payload carries must be of its form', () => {
  const good = {
    id: '5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a10',
    key: crypto.encodeB64u(new Uint8Array(32)),
    nonce: crypto.encodeB64u(new Uint8Array(7)),
    name: '',
    mime: '',
    size: 0,
    sha256: crypto.encodeB64u(new Uint8Array(32)),
  };
  assert.ok(crypto.isAttachment(good));
  for (const [name, wrong] of [
    ['id', '../other'],
    ['key', crypto.encodeB64u(new Uint8Array(31))],
    ['nonce', crypto.encodeB64u(new Uint8Array(12))],
    ['name', null],
    ['mime', 7],
    ['size', -1],
    ['size', '0'],
    ['sha256', ''],
  ])
    assert.equal(crypto.isAttachment({ ...good, [String(name)]: wrong }), false, String(name));
  assert.equal(crypto.isAttachment(null), false);
});
