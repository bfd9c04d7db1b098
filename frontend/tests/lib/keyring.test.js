/** Which of the keys that an installation holds it signs with, and which only open what is old. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { encodeB64u, newBackupKey } from '../../lib/crypto/index.js';
import { memoryStore } from '../../lib/index.js';
import { createKeyring } from '../../lib/keyring.js';
import { newKeys } from '../model/people.js';

const listed = (keys) => keys.map(({ alg, kid, pkcs8 }) => ({ alg, kid, pkcs8: encodeB64u(pkcs8) }));

test('a key that the backup lists no more signs nothing, after a reload too, and still opens', async () => {
  const store = memoryStore();
  const [before, now] = [await newKeys(), await newKeys()];
  const keyring = createKeyring({ store });
  for (const [keys, version] of /** @type {const} */ ([
    [before, 1],
    [now, 2],
  ])) {
    const secrets = { keys_version: version, keys: listed(keys), retired: [], state_n: 0 };
    await keyring.keep(secrets, newBackupKey(), { version, hash: `kh ${version}` });
  }
  const reloaded = createKeyring({ store });
  assert.equal(await reloaded.restore(), true);
  const kidOf = (keys, alg) => keys.find((key) => key.alg === alg).kid;
  for (const each of [keyring, reloaded]) {
    assert.equal(each.signer('Ed25519').kid, kidOf(now, 'Ed25519'));
    assert.ok(each.privateKey(kidOf(before, 'RSA-OAEP-256')));
    assert.ok(each.privateKey(kidOf(now, 'RSA-OAEP-256')));
  }
});
