// The key backup: a random key B encrypts the secrets, and is wrapped once per way in (protocol §3).
//
// Refuses a backup that is not of version 1's form (`malformed`) and one that does not open under the key, name,
// type and version it was made for (`undecryptable`). What a missing or unopenable backup means is the caller's to
// say; nothing here ever makes new keys.

import { ChatSecError } from '../errors.js';
import {
  decodeB64u,
  encodeB64u,
  encodeText,
  isCount,
  isObject,
  parseStrictJson,
  randomBytes,
} from './bytes.js';
import { isHash, isOrdinal, isUsername } from './forms.js';
import { aesGcmDecrypt, aesGcmEncrypt, IV_BYTES, KEY_BYTES, TAG_BYTES } from './symmetric.js';

/**
 * @typedef {import('./bytes.js').Bytes} Bytes
 * @typedef {{alg: string, kid: string, pkcs8: string}} StoredKey pkcs8 in b64u
 * @typedef {{keys_version: number, keys: StoredKey[], retired: StoredKey[], state_n: number}} Secrets
 * @typedef {{type: string, iv: string, wrapped: string}} Wrap `type` is "password" or "recovery"
 * @typedef {{v: 1, version: number, iv: string, ciphertext: string, wraps: Wrap[]}} Backup
 * @typedef {(length: number) => Uint8Array} Random
 */

const TYPES = Object.freeze(['password', 'recovery']);

/** @param {string} username @param {number} version */
const backupAad = (username, version) => encodeText(`chatsec/backup/v1\n${username}\n${version}`);

/** @param {string} type @param {string} username */
const wrapAad = (type, username) => encodeText(`chatsec/backup-wrap/v1\n${type}\n${username}`);

/** A fresh B. @param {Random} [random] @returns {Uint8Array} 32 bytes */
export const newBackupKey = (random = randomBytes) => random(KEY_BYTES);

/**
 * B under `password_key` or `recovery_key`.
 * @param {{username: string, type: string, key: Uint8Array, backupKey: Uint8Array, random?: Random}} parts
 * @returns {Promise<Wrap>}
 */
export async function wrapBackupKey({ username, type, key, backupKey, random = randomBytes }) {
  if (!TYPES.includes(type) || !isUsername(username))
    throw new ChatSecError('malformed', 'not a way into a backup');
  const iv = random(IV_BYTES);
  const wrapped = await aesGcmEncrypt(key, iv, backupKey, wrapAad(type, username));
  return { type, iv: encodeB64u(iv), wrapped: encodeB64u(wrapped) };
}

/**
 * @param {object} parts
 * @param {string} parts.username
 * @param {number} parts.version n of the backup, one above the stored one's
 * @param {Secrets} parts.secrets
 * @param {import('./symmetric.js').AesKey} parts.backupKey B
 * @param {Wrap[]} parts.wraps as wrapBackupKey makes them
 * @param {Random} [parts.random]
 * @returns {Promise<Backup>}
 */
export async function sealBackup({ username, version, secrets, backupKey, wraps, random = randomBytes }) {
  if (!isOrdinal(version) || !isUsername(username))
    throw new ChatSecError('malformed', 'version or username');
  judgeSecrets(secrets);
  const iv = random(IV_BYTES);
  const { keys_version, keys, retired, state_n } = secrets;
  const plaintext = encodeText(JSON.stringify({ keys_version, keys, retired, state_n }));
  const ciphertext = await aesGcmEncrypt(backupKey, iv, plaintext, backupAad(username, version));
  plaintext.fill(0);
  return { v: 1, version, iv: encodeB64u(iv), ciphertext: encodeB64u(ciphertext), wraps };
}

/** @param {unknown} secrets @returns {Secrets} */
function judgeSecrets(secrets) {
  const isKey = (/** @type {unknown} */ key) =>
    isObject(key) && typeof key.alg === 'string' && isHash(key.kid) && typeof key.pkcs8 === 'string';
  const formed =
    isObject(secrets) &&
    isOrdinal(secrets.keys_version) &&
    isCount(secrets.state_n) &&
    [secrets.keys, secrets.retired].every((list) => Array.isArray(list) && list.every(isKey));
  if (!formed) throw new ChatSecError('malformed', 'not the secrets of a backup');
  return /** @type {Secrets} */ (/** @type {unknown} */ (secrets));
}

/** @param {unknown} backup @returns {Backup} */
function judgeForm(backup) {
  const isWrap = (/** @type {unknown} */ wrap) => isObject(wrap) && typeof wrap.type === 'string';
  const formed =
    isObject(backup) &&
    backup.v === 1 &&
    isOrdinal(backup.version) &&
    Array.isArray(backup.wraps) &&
    backup.wraps.every(isWrap);
  if (!formed) throw new ChatSecError('malformed', 'not a key backup');
  return /** @type {Backup} */ (/** @type {unknown} */ (backup));
}

/**
 * B out of its wrap of that type. Throws `malformed`, or `undecryptable` where the key does not open it or there is
 * no such wrap.
 * @param {{username: string, backup: unknown, type: string, key: Uint8Array}} parts @returns {Promise<Bytes>}
 */
export async function unwrapBackupKey({ username, backup, type, key }) {
  const wraps = judgeForm(backup).wraps.filter((wrap) => wrap.type === type);
  if (wraps.length > 1) throw new ChatSecError('malformed', 'two wraps of one type');
  if (wraps.length === 0) throw new ChatSecError('undecryptable', 'no wrap of that type');
  const iv = decodeB64u(wraps[0].iv, IV_BYTES);
  const wrapped = decodeB64u(wraps[0].wrapped, KEY_BYTES + TAG_BYTES);
  return aesGcmDecrypt(key, iv, wrapped, wrapAad(type, username));
}

/**
 * The secrets under a B that is at hand. Throws `malformed`, `undecryptable`.
 * @param {{username: string, backup: unknown, backupKey: import('./symmetric.js').AesKey}} parts
 * @returns {Promise<Secrets>}
 */
export async function openBackup({ username, backup, backupKey }) {
  const { version, iv, ciphertext } = judgeForm(backup);
  const sealed = decodeB64u(ciphertext);
  const plaintext = await aesGcmDecrypt(
    backupKey,
    decodeB64u(iv, IV_BYTES),
    sealed,
    backupAad(username, version),
  );
  const secrets = judgeSecrets(parseStrictJson(plaintext));
  plaintext.fill(0);
  return secrets;
}
