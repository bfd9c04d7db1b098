import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as dsa from '../../lib/crypto/dsa.js';
import { encodeB64u, publicOf, verifySignature } from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { bytes, everyFlipFails, load, reproduce } from './load.js';

/** @param {any} vector @param {Record<string, Uint8Array>} [changes] */
async function verify(vector, changes = {}) {
  const { spki, signature, message } = { ...changed(vector), ...changes };
  if (!(await verifySignature(vector.alg, spki, signature, message))) throw new ChatSecError('bad_signature');
}
const changed = (/** @type {any} */ { spki, signature, message }) => ({
  spki: bytes(spki),
  signature: bytes(signature),
  message: bytes(message),
});

reproduce(
  'dsa',
  async (vector) => {
    const key = dsa.parsePrivate(bytes(vector.private_key));
    assert.equal(encodeB64u(await publicOf(vector.alg, bytes(vector.private_key))), vector.spki);
    const signature = dsa.sign(key, bytes(vector.message), { extra: bytes(vector.extra) });
    assert.equal(encodeB64u(signature), vector.signature);
    await verify(vector);
  },
  verify,
);

test('vectors dsa: no changed byte of signature, message or key verifies', async () => {
  for (const vector of load('dsa').filter(({ valid }) => valid)) {
    const { spki, signature, message } = changed(vector);
    await everyFlipFails('signature', signature, (wrong) => verify(vector, { signature: wrong }));
    await everyFlipFails('message', message.slice(0, 64), (wrong) =>
      verify(vector, { message: Uint8Array.from([...wrong, ...message.slice(64)]) }),
    );
    if (vector.name.endsWith('sample'))
      await everyFlipFails('spki', spki, (wrong) => verify(vector, { spki: wrong }));
  }
});
