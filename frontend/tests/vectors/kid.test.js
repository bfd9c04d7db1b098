import assert from 'node:assert/strict';
import * as crypto from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { flip } from './fixtures.js';
import { bytes, reproduce } from './load.js';

/** @param {any} vector */
async function judge({ spki, kid }) {
  if ((await crypto.kidOf(bytes(spki))) !== kid) throw new ChatSecError('unknown_key');
}

reproduce(
  'kid',
  async (vector) => {
    await judge(vector);
    await crypto.judgeKey(vector.alg, bytes(vector.spki));
    const spki = bytes(vector.spki);
    for (let at = 0; at < spki.length; at++) assert.notEqual(await crypto.kidOf(flip(spki, at)), vector.kid);
  },
  judge,
);
