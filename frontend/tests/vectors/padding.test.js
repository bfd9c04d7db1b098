import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeB64u, pad, paddedLength, unpad } from '../../lib/crypto/index.js';
import { flip } from './fixtures.js';
import { bytes, failureOf, load, reproduce } from './load.js';

reproduce(
  'padding',
  (vector) => {
    if (vector.length !== undefined) return assert.equal(paddedLength(vector.length), vector.padded_length);
    assert.equal(encodeB64u(pad(bytes(vector.payload))), vector.padded);
    return assert.equal(encodeB64u(unpad(bytes(vector.padded))), vector.payload);
  },
  (vector) => unpad(bytes(vector.padded)),
);

test('vectors padding: no padded form with a changed byte gives the same payload', async () => {
  for (const { name, padded, payload } of load('padding').filter(({ payload }) => payload !== undefined)) {
    const good = bytes(padded);
    for (let at = 0; at < good.length; at++) {
      let read;
      const failure = await failureOf(() => (read = encodeB64u(unpad(flip(good, at)))));
      assert.ok(failure === 'bad_padding' || read !== payload, `${name}: byte ${at}`);
    }
  }
});
