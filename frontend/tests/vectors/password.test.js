import assert from 'node:assert/strict';
import { argon2id, deriveLogin, encodeB64u, judgeKdf, splitMaster } from '../../lib/crypto/index.js';
import { bytes, failureOf, reproduce } from './load.js';

reproduce(
  'password',
  async ({ password, kdf, master, auth, password_key: passwordKey, below_policy: belowPolicy }) => {
    const derived = await argon2id(password, bytes(kdf.salt), kdf);
    assert.equal(encodeB64u(derived), master);
    const login = belowPolicy ? await splitMaster(derived) : await deriveLogin(password, kdf);
    assert.deepEqual([login.auth, encodeB64u(login.passwordKey)], [auth, passwordKey]);
    assert.equal(await failureOf(() => judgeKdf(kdf)), belowPolicy ? 'weak_kdf' : null);
    const salt = bytes(kdf.salt);
    salt[15] ^= 1;
    if (belowPolicy) assert.notEqual(encodeB64u(await argon2id(password, salt, kdf)), master);
  },
  ({ kdf }) => judgeKdf(kdf),
);
