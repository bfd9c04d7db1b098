import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { bytes, everyFlipFails, load, reproduce } from './load.js';

/** @param {any} vector @param {any} [state] */
async function open({ username, backup_key: backupKey, ...vector }, state = vector.state) {
  return crypto.openState({ username, state, key: await crypto.stateKey(bytes(backupKey)) });
}

const plain = (/** @type {Awaited<ReturnType<typeof open>>} */ { pins, chats }) => ({
  pins: Object.fromEntries(pins),
  chats: Object.fromEntries(chats),
});

reproduce(
  'state',
  async (vector) => {
    const { username, state, plaintext, compact } = vector;
    const contents = await open(vector);
    assert.deepEqual(plain(contents), vector.contents);
    assert.equal(crypto.stateNumber(state), state.n);
    if (!compact) return;
    assert.equal(JSON.stringify(plain(contents)), crypto.decodeText(bytes(plaintext)));
    const key = await crypto.stateKey(bytes(vector.backup_key));
    const random = () => bytes(state.iv);
    assert.deepEqual(await crypto.sealState({ username, n: state.n, contents, key, random }), state);
  },
  open,
);

test('vectors state: nothing opens with a changed byte', async () => {
  const vector = load('state').find(({ name }) => name === 'people and chats');
  const b64u = crypto.encodeB64u;
  for (const name of ['iv', 'ciphertext']) {
    await everyFlipFails(name, bytes(vector.state[name]), (wrong) =>
      open(vector, { ...vector.state, [name]: b64u(wrong) }),
    );
  }
  await everyFlipFails('key', bytes(vector.backup_key), (wrong) =>
    open({ ...vector, backup_key: b64u(wrong) }),
  );
});
