import assert from 'node:assert/strict';
import { parsePayload } from '../../lib/crypto/envelope.js';
import * as crypto from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { bytes, failureOf, reproduce } from './load.js';

/** @param {boolean} fits */
function want(fits) {
  if (!fits) throw new ChatSecError('malformed');
}

/** @param {unknown} value */
function object(value) {
  want(crypto.isObject(value));
  return value;
}

/** What each kind of case does. @type {Record<string, (vector: any) => unknown>} */
const KINDS = {
  b64u({ text, hex }) {
    const decoded = crypto.decodeB64u(text);
    assert.equal(crypto.toHex(decoded), hex);
    assert.equal(crypto.encodeB64u(decoded), text);
    assert.ok(crypto.isB64u(text, decoded.length));
  },
  object: (vector) => compare(vector, object(crypto.parseStrictJson(bytes(vector.bytes)))),
  payload: (vector) =>
    compare(vector, object(crypto.parseStrictJson(bytes(vector.bytes), { loneSurrogates: 'replace' }))),
  number({ json, number }) {
    const value = crypto.parseStrictJson(crypto.encodeText(json));
    want(crypto.isCount(value));
    assert.equal(value + 0, number);
  },
  uuid: ({ text }) => want(crypto.isUuid(text)),
  username: ({ text }) => want(crypto.isUsername(text)),
  time: ({ text }) => want(crypto.isTime(text)),
  hash: ({ text }) => want(crypto.isHash(text)),
};

/** @param {any} vector @param {any} value */
function compare(vector, value) {
  if ('value' in vector) assert.deepEqual(value, vector.value);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
}

reproduce(
  'encodings',
  (vector) => KINDS[vector.kind](vector),
  async (vector) => {
    if (vector.kind === 'payload')
      assert.equal(await failureOf(() => parsePayload(bytes(vector.bytes))), 'malformed');
    return KINDS[vector.kind](vector);
  },
);
