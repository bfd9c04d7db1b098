import assert from 'node:assert/strict';
import * as crypto from '../../lib/crypto/index.js';
import { bytes, reproduce } from './load.js';

reproduce(
  'recovery',
  async ({ code, shown, typed, username, wrap, ...vector }) => {
    const read = crypto.readRecoveryCode(typed);
    assert.deepEqual(read, bytes(code));
    assert.equal(crypto.showRecoveryCode(read), shown);
    const { recoveryKey, recoveryAuth } = await crypto.recoverySecrets(read);
    assert.deepEqual(
      [crypto.encodeB64u(recoveryKey), recoveryAuth],
      [vector.recovery_key, vector.recovery_auth],
    );
    const backup = { v: 1, version: 1, iv: '', ciphertext: '', wraps: [wrap] };
    const opened = await crypto.unwrapBackupKey({ username, backup, type: 'recovery', key: recoveryKey });
    assert.deepEqual(opened, bytes(vector.backup_key));
  },
  ({ typed }) => crypto.readRecoveryCode(typed),
);
