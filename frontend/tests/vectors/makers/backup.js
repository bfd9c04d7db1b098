// Key backups and their wraps, good and refused (protocol §3).

import { createCipheriv } from 'node:crypto';
import { encodeB64u, encodeText, sealBackup, wrapBackupKey } from '../../../lib/crypto/index.js';
import { flip, generator, stream, testKeys } from '../fixtures.js';

/** @param {Uint8Array} key @param {Uint8Array} iv @param {Uint8Array} plaintext @param {string} aad */
function encrypt(key, iv, plaintext, aad) {
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(encodeText(aad));
  return encodeB64u(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

const USERNAME = 'alice';
const BACKUP_KEY = stream('backup key', 32);
/** @type {Record<string, Uint8Array>} */
const WAY_KEYS = { password: stream('password key', 32), recovery: stream('recovery key', 32) };

/** @param {string[]} types @param {number} version @param {import('../../../lib/crypto/backup.js').Secrets} secrets */
async function sealed(types, version, secrets) {
  const random = generator(`backup ${version} ${types}`);
  const wraps = [];
  for (const type of types) {
    wraps.push(
      await wrapBackupKey({ username: USERNAME, type, key: WAY_KEYS[type], backupKey: BACKUP_KEY, random }),
    );
  }
  return sealBackup({ username: USERNAME, version, secrets, backupKey: BACKUP_KEY, wraps, random });
}

/** Cases of backup.json. */
export async function make() {
  const { alice, bob } = await testKeys();
  const stored = (/** @type {any} */ { alg, kid, pkcs8 }) => ({ alg, kid, pkcs8: encodeB64u(pkcs8) });
  const first = {
    keys_version: 1,
    keys: [stored(alice.Ed25519), stored(alice['DSA-SHA256'])],
    retired: [],
    state_n: 0,
  };
  const later = {
    keys_version: 2,
    keys: [stored(bob.Ed25519)],
    retired: [stored(alice.Ed25519)],
    state_n: 41,
  };

  const good = async (
    /** @type {string} */ name,
    /** @type {string} */ type,
    /** @type {string[]} */ types,
    /** @type {number} */ version,
    /** @type {any} */ secrets,
  ) => ({
    name,
    valid: true,
    username: USERNAME,
    type,
    key: encodeB64u(WAY_KEYS[type]),
    backup_key: encodeB64u(BACKUP_KEY),
    plaintext: encodeB64u(encodeText(JSON.stringify(secrets))),
    secrets,
    backup: await sealed(types, version, secrets),
  });
  const backup = await sealed(['password', 'recovery'], 3, first);
  const bad = (/** @type {string} */ name, /** @type {string} */ failure, changes = {}, inBackup = {}) => ({
    name,
    valid: false,
    failure,
    username: USERNAME,
    type: 'password',
    key: encodeB64u(WAY_KEYS.password),
    backup: { ...backup, ...inBackup },
    ...changes,
  });
  const [password, recovery] = backup.wraps;
  const iv = stream('backup bad iv', 12);
  const resealed = (/** @type {string} */ plaintext) => ({
    iv: encodeB64u(iv),
    ciphertext: encrypt(BACKUP_KEY, iv, encodeText(plaintext), 'chatsec/backup/v1\nalice\n3'),
  });
  const rewrapped = (/** @type {Uint8Array} */ key, /** @type {string} */ aad) => ({
    wraps: [{ type: 'password', iv: encodeB64u(iv), wrapped: encrypt(WAY_KEYS.password, iv, key, aad) }],
  });
  const changed = (/** @type {string} */ text) => encodeB64u(flip(Buffer.from(text, 'base64url'), 3));
  return {
    construction: 'backup',
    source: 'protocol §3',
    cases: [
      await good('first backup, by password', 'password', ['password'], 1, first),
      await good('two ways in, by password', 'password', ['password', 'recovery'], 3, first),
      await good('two ways in, by recovery', 'recovery', ['password', 'recovery'], 3, first),
      await good('after a change of keys', 'password', ['password'], 4, later),
      bad('other password', 'undecryptable', { key: encodeB64u(WAY_KEYS.recovery) }),
      bad('another account', 'undecryptable', { username: 'bob' }),
      bad('an older backup under a newer number', 'undecryptable', {}, { version: 4 }),
      bad('ciphertext changed', 'undecryptable', {}, { ciphertext: changed(backup.ciphertext) }),
      bad('iv changed', 'undecryptable', {}, { iv: changed(backup.iv) }),
      bad(
        'wrap changed',
        'undecryptable',
        {},
        { wraps: [{ ...password, wrapped: changed(password.wrapped) }] },
      ),
      bad(
        'recovery wrap named password',
        'undecryptable',
        { key: encodeB64u(WAY_KEYS.recovery) },
        { wraps: [{ ...recovery, type: 'password' }] },
      ),
      bad(
        'no wrap of that type',
        'undecryptable',
        { type: 'recovery', key: encodeB64u(WAY_KEYS.recovery) },
        { wraps: [password] },
      ),
      bad(
        'wrap under the AAD of the ciphertext',
        'undecryptable',
        {},
        rewrapped(BACKUP_KEY, 'chatsec/backup/v1\nalice\n3'),
      ),
      bad(
        'wrap of another B',
        'undecryptable',
        {},
        rewrapped(stream('another B', 32), 'chatsec/backup-wrap/v1\npassword\nalice'),
      ),
      bad(
        'wrap of 16 bytes',
        'malformed',
        {},
        rewrapped(BACKUP_KEY.slice(16), 'chatsec/backup-wrap/v1\npassword\nalice'),
      ),
      bad('two wraps of one type', 'malformed', {}, { wraps: [password, password] }),
      bad('another v', 'malformed', {}, { v: 2 }),
      bad('version 0', 'malformed', {}, { version: 0 }),
      bad('version a text', 'malformed', {}, { version: '3' }),
      bad('wraps no list', 'malformed', {}, { wraps: password }),
      bad('iv of 16 bytes', 'malformed', {}, { iv: encodeB64u(stream('long iv', 16)) }),
      bad('ciphertext padded', 'malformed', {}, { ciphertext: `${backup.ciphertext}=` }),
      bad('ciphertext empty', 'undecryptable', {}, { ciphertext: '' }),
      bad('not JSON inside', 'malformed', {}, resealed('keys')),
      bad('keys missing inside', 'malformed', {}, resealed('{"keys_version":1,"retired":[],"state_n":0}')),
      bad(
        'state_n a text inside',
        'malformed',
        {},
        resealed('{"keys_version":1,"keys":[],"retired":[],"state_n":"0"}'),
      ),
      bad(
        'byte order mark inside',
        'malformed',
        {},
        resealed('\ufeff{"keys_version":1,"keys":[],"retired":[],"state_n":0}'),
      ),
    ],
  };
}
