import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { bytes, everyFlipFails, load, reproduce } from './load.js';

/** @param {any} vector @param {any} [backup] */
async function open({ username, type, key, ...vector }, backup = vector.backup) {
  const backupKey = await crypto.unwrapBackupKey({ username, backup, type, key: bytes(key) });
  return { backupKey, secrets: await crypto.openBackup({ username, backup, backupKey }) };
}

/** Gives out these bytes, in order. @param {...string} parts b64u */
function replay(...parts) {
  return (/** @type {number} */ length) => {
    const next = bytes(/** @type {string} */ (parts.shift()));
    assert.equal(next.length, length);
    return next;
  };
}

reproduce(
  'backup',
  async (vector) => {
    const { username, type, key, backup, secrets } = vector;
    const opened = await open(vector);
    assert.equal(crypto.encodeB64u(opened.backupKey), vector.backup_key);
    assert.deepEqual(opened.secrets, secrets);
    assert.deepEqual(JSON.parse(crypto.decodeText(bytes(vector.plaintext))), secrets);
    const { backupKey } = opened;
    const { version, wraps } = backup;
    const sealed = { username, version, secrets, backupKey, wraps, random: replay(backup.iv) };
    assert.deepEqual(await crypto.sealBackup(sealed), backup);
    const wrap = wraps.find((/** @type {any} */ candidate) => candidate.type === type);
    const wrapped = { username, type, key: bytes(key), backupKey, random: replay(wrap.iv) };
    assert.deepEqual(await crypto.wrapBackupKey(wrapped), wrap);
    for (const stored of [...secrets.keys, ...secrets.retired]) {
      assert.equal(await crypto.kidOf(await crypto.publicOf(stored.alg, bytes(stored.pkcs8))), stored.kid);
    }
  },
  open,
);

test('vectors backup: nothing opens with a changed byte', async () => {
  const vector = load('backup').find(({ name }) => name === 'after a change of keys');
  const { backup } = vector;
  const [wrap] = backup.wraps;
  const b64u = crypto.encodeB64u;
  await everyFlipFails('ciphertext', bytes(backup.ciphertext), (wrong) =>
    open(vector, { ...backup, ciphertext: b64u(wrong) }),
  );
  await everyFlipFails('iv', bytes(backup.iv), (wrong) => open(vector, { ...backup, iv: b64u(wrong) }));
  await everyFlipFails('wrapped', bytes(wrap.wrapped), (wrong) =>
    open(vector, { ...backup, wraps: [{ ...wrap, wrapped: b64u(wrong) }] }),
  );
  await everyFlipFails('wrap iv', bytes(wrap.iv), (wrong) =>
    open(vector, { ...backup, wraps: [{ ...wrap, iv: b64u(wrong) }] }),
  );
  await everyFlipFails('key', bytes(vector.key), (wrong) => open({ ...vector, key: b64u(wrong) }));
});
