// On a platform whose WebCrypto lacks Ed25519 and which runs no WebAssembly, the script takes over and judges alike.
// The platform is cut down before the library is loaded, so that it asks and finds nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from '../vectors/load.js';
import { groupsOf, hex } from './wycheproof.js';

const platform = globalThis.crypto;
const { subtle } = platform;
/** @param {string} name */
const without =
  (name) =>
  (/** @type {any[]} */ ...parameters) => {
    const [, , algorithm] = parameters;
    if ((algorithm.name ?? algorithm) === 'Ed25519') {
      return Promise.reject(new DOMException('no such algorithm', 'NotSupportedError'));
    }
    return /** @type {any} */ (subtle)[name](...parameters);
  };
const cut = {
  importKey: without('importKey'),
  digest: subtle.digest.bind(subtle),
  deriveBits: subtle.deriveBits.bind(subtle),
};
const getRandomValues = platform.getRandomValues.bind(platform);
Object.defineProperty(globalThis, 'crypto', { value: { subtle: cut, getRandomValues } });
Object.defineProperty(globalThis, 'WebAssembly', { value: undefined });

const crypto = await import('../../lib/crypto/index.js');

test('Ed25519 in script: keys are no CryptoKeys, sign and verify', async () => {
  const { spki, pkcs8 } = await crypto.generateKey('Ed25519');
  const key = await crypto.importPrivate('Ed25519', pkcs8);
  assert.equal(crypto.isNative(key), false);
  const data = crypto.encodeText('chatsec');
  const signature = await crypto.sign('Ed25519', key, data);
  assert.equal(await crypto.verifySignature('Ed25519', spki, signature, data), true);
  assert.equal(await crypto.verifySignature('Ed25519', spki, signature, spki), false);
});

test('Ed25519 in script: Wycheproof', async () => {
  let run = 0;
  for (const group of groupsOf('ed25519')) {
    for (const vector of group.tests) {
      const args = [hex(group.publicKeyDer), hex(vector.sig), hex(vector.msg)];
      const result = await crypto.verifySignature('Ed25519', args[0], args[1], args[2]);
      if (vector.result !== 'acceptable') assert.equal(result, vector.result === 'valid', `#${vector.tcId}`);
      run += 1;
    }
  }
  assert.equal(run, 210);
});

test('Argon2id in script: the vectors', async () => {
  const cheap = load('password').filter(({ below_policy: belowPolicy }) => belowPolicy);
  assert.ok(cheap.length > 0);
  for (const { name, password, kdf, master } of cheap) {
    const derived = await crypto.argon2id(password, crypto.decodeB64u(kdf.salt), kdf);
    assert.equal(crypto.encodeB64u(derived), master, name);
  }
});
