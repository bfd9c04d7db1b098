import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { flip } from './fixtures.js';
import { bytes, load, reproduce } from './load.js';

/** @param {any} item */
const itemHash = (item) => (item.event ? crypto.eventHash(item.chat, item.event) : crypto.envelopeHash(item));

/** What each kind of case does. @type {Record<string, (vector: any) => unknown>} */
const KINDS = {
  async event({ chat, event, hash }) {
    assert.equal(await crypto.eventHash(chat, event), hash);
    const others = { ...event, usernames: [...event.usernames].reverse() };
    assert.equal(await crypto.eventHash(chat, others), hash);
    assert.notEqual(await crypto.eventHash(chat, { ...event, epoch: 77 }), hash);
  },
  async chain({ before, hashes, chain }) {
    assert.deepEqual(await crypto.chainOver(before, hashes), chain);
  },
  async page({ before, items, end }) {
    const chain = await crypto.chainOver(before, await Promise.all(items.map(itemHash)));
    if (chain.at(-1) !== end) throw new ChatSecError('history_fork');
  },
};

reproduce(
  'chain',
  (vector) => KINDS[vector.kind](vector),
  (vector) => KINDS[vector.kind](vector),
);

test('vectors chain: every byte of before and of an item hash counts', async () => {
  const { before, hashes, chain } = load('chain').find(({ name }) => name === 'chain from the middle');
  const end = async (/** @type {string} */ start, /** @type {string[]} */ items) =>
    (await crypto.chainOver(start, items)).at(-1);
  for (let at = 0; at < 32; at++) {
    const changed = (/** @type {string} */ text) => crypto.encodeB64u(flip(bytes(text), at));
    assert.notEqual(await end(changed(before), hashes), chain.at(-1));
    for (let i = 0; i < hashes.length; i++) {
      assert.notEqual(await end(before, hashes.with(i, changed(hashes[i]))), chain.at(-1));
    }
  }
  assert.equal(crypto.CHAIN_START, crypto.encodeB64u(new Uint8Array(32)));
});
