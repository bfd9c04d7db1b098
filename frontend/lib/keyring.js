/**
 * The user's own keys: made at registration, brought back by log-in on a clean browser, kept non-extractable
 * (protocol §2, §3). Only here do private keys exist as bytes, for as long as it takes to import and to back them up.
 *
 * Refuses to make keys by itself: a key backup that is missing, unopenable or older than the account's keys is
 * `keys_unavailable`; a prelogin answer below the protocol's bounds is `weak_kdf`, before anything of the password is used.
 */

import {
  aesGcmEncrypt,
  decodeB64u,
  encodeB64u,
  importAesKey,
  importPrivate,
  isNative,
  judgeBundle,
  judgeKdf,
  makeBundle,
  newBackupKey,
  newKdf,
  openBackup,
  openEpoch,
  randomBytes,
  sealBackup,
  unwrapBackupKey,
  wrapBackupKey,
} from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { keyAad } from './worker.js';

/**
 * @typedef {{alg: string, kid: string, pkcs8: string}} StoredKey
 * @typedef {{alg: string, kid: string, current: boolean, key?: any, wrapped?: {iv: Uint8Array, ciphertext: Uint8Array}}} HeldKey
 * @typedef {(step: string, done: number, of: number) => void} Tell
 */

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {import('./store/port.js').Store} parts.store
 * @param {import('./runner.js').Runner} parts.runner
 * @param {(password: string, kdf: unknown) => Promise<{auth: string, passwordKey: Uint8Array}>} parts.kdf
 */
export function createKeyring({ api, store, runner, kdf }) {
  /** @type {Map<string, HeldKey>} by kid */
  let keys = new Map();
  /** @type {CryptoKey|null} encrypts what this installation keeps */
  let storageKey = null;
  /** @type {{version: number, hash: string}|null} */
  let own = null;

  /** @param {string} username @param {import('./crypto/backup.js').Secrets} secrets @param {Uint8Array} backupKey
   * @param {{version: number, hash: string}} bundle */
  async function keep(username, secrets, backupKey, bundle) {
    // What waits in the outbox from an earlier session is under the key that is there.
    storageKey = (await store.get('keys', 'storage'))?.key ?? (await newStorageKey());
    const current = secrets.keys.map((key) => holdKey(key, true, /** @type {CryptoKey} */ (storageKey)));
    const retired = secrets.retired.map((key) => holdKey(key, false, /** @type {CryptoKey} */ (storageKey)));
    const held = await Promise.all([...retired, ...current]);
    keys = new Map(held.map((key) => [key.kid, key]));
    own = bundle;
    await store.write([
      { kind: 'keys', id: 'storage', value: { kid: 'storage', key: storageKey, own: bundle } },
      { kind: 'keys', id: 'backup', value: { kid: 'backup', ...(await holdBackupKey(backupKey)) } },
      ...held.map((key) => /** @type {const} */ ({ kind: 'keys', id: key.kid, value: key })),
    ]);
    backupKey.fill(0);
  }

  return {
    /**
     * Makes an account with fresh keys; keys and backup are stored in one request, and the backup is read back and
     * opened before this resolves.
     * @param {{username: string, displayName: string, password: string}} account @param {Tell} tell
     * @returns {Promise<any>} the answer of register
     */
    async register({ username, displayName, password }, tell) {
      tell('password', 0, 4);
      const parameters = newKdf();
      const { auth, passwordKey } = await kdf(password, parameters);
      tell('keys', 1, 4);
      const made = await runner.run('generateKeys');
      const { bundle, hash } = await makeBundle({ username, version: 1, keys: made });
      const backupKey = newBackupKey();
      const secrets = secretsOf(made);
      const wraps = [await wrapBackupKey({ username, type: 'password', key: passwordKey, backupKey })];
      const backup = await sealBackup({ username, version: 1, secrets, backupKey, wraps });
      tell('account', 2, 4);
      const body = {
        username,
        password: auth,
        display_name: displayName,
        kdf: parameters,
        keys: bundle,
        key_backup: backup,
        refresh_in: api.refreshIn,
      };
      const answer = await api.request('POST', '/auth/register', { body, auth: false });
      await api.startSession(answer);
      tell('backup', 3, 4);
      const { key_backup: stored } = await api.request('GET', '/me/key-backup');
      const read = await openStored(username, stored, passwordKey);
      if (!sameKeys(read.secrets, secrets))
        throw new ChatSecError('keys_unavailable', 'the stored backup holds other keys');
      passwordKey.fill(0);
      read.backupKey.fill(0);
      await keep(username, secrets, backupKey, { version: 1, hash });
      return answer;
    },

    /**
     * @param {{username: string, password: string}} account @param {Tell} tell
     * @returns {Promise<{answer: any, bundle: any, foreign: boolean}>} `bundle`: the own current one as the server
     *   gives it; `foreign`: its keys are not those of the backup
     */
    async login({ username, password }, tell) {
      tell('password', 0, 3);
      const prelogin = await api.request('POST', '/auth/prelogin', { body: { username }, auth: false });
      const parameters = judgeKdf(prelogin.kdf);
      const { auth, passwordKey } = await kdf(password, parameters);
      tell('account', 1, 3);
      const body = { username, password: auth, refresh_in: api.refreshIn };
      const answer = await api.request('POST', '/auth/login', { body, auth: false });
      if (answer.user?.username !== username)
        throw new ChatSecError('bad_answer', 'logged in as somebody else');
      await api.startSession(answer);
      tell('keys', 2, 3);
      const { secrets, backupKey } = await openStored(username, answer.key_backup, passwordKey);
      passwordKey.fill(0);
      if (secrets.keys_version < answer.user.keys_version) {
        throw new ChatSecError('keys_unavailable', 'the key backup is older than the keys of the account');
      }
      const bundle = await api.request('GET', `/users/${encodeURIComponent(username)}/keys`);
      const judged = await ownBundle(username, bundle);
      const foreign = !judged || judged.version !== secrets.keys_version || !holds(judged, secrets.keys);
      await keep(username, secrets, backupKey, {
        version: secrets.keys_version,
        hash: foreign ? '' : (judged?.hash ?? ''),
      });
      return { answer, bundle, foreign };
    },

    /** Takes the keys that this installation holds; false if there are none. */
    async restore() {
      const held = await store.list('keys');
      const storage = held.find(({ kid }) => kid === 'storage');
      if (!storage) return false;
      storageKey = storage.key;
      own = storage.own;
      keys = new Map(held.filter(({ alg }) => alg).map((key) => [key.kid, key]));
      return true;
    },

    /** Is the own current bundle the one whose keys are held here? @param {import('./pins.js').Person} person */
    isOwn: (person) => person.current !== null && person.current.hash === own?.hash,

    /**
     * What the worker needs to sign with. Throws `unsupported_algorithm`.
     * @param {string} alg
     */
    signer(alg) {
      const held = [...keys.values()].find((key) => key.alg === alg && key.current);
      if (!held) throw new ChatSecError('unsupported_algorithm', `no ${alg} key is held`);
      const { kid, key, wrapped } = held;
      return wrapped ? { alg, kid, wrapped: { under: storageKey, ...wrapped } } : { alg, kid, key };
    },

    /**
     * The key of an epoch that was wrapped for this user.
     * @param {string} chat @param {import('./answers.js').Epoch} epoch
     * @returns {Promise<import('./timeline/examine.js').HeldKey>}
     */
    async epochKey(chat, { number, kid, wrapped }) {
      const held = typeof kid === 'string' ? keys.get(kid) : undefined;
      if (!held?.key || typeof wrapped !== 'string') return { failure: 'key_lost' };
      try {
        return { key: await openEpoch({ privateKey: held.key, chat, epoch: number, wrapped }) };
      } catch (error) {
        if (error instanceof ChatSecError) return { failure: 'undecryptable' }; // made for another key or place
        throw error;
      }
    },

    /** Encrypts what waits in the store. @param {Uint8Array} plaintext @param {Uint8Array} aad */
    async seal(plaintext, aad) {
      const iv = randomBytes(12);
      return {
        iv,
        ciphertext: await aesGcmEncrypt(/** @type {CryptoKey} */ (storageKey), iv, plaintext, aad),
      };
    },
    storageKey: () => /** @type {CryptoKey} */ (storageKey),

    forget() {
      keys = new Map();
      storageKey = null;
      own = null;
    },
  };
}

/** @param {{alg: string, kid: string, pkcs8: Uint8Array}[]} made @returns {import('./crypto/backup.js').Secrets} */
function secretsOf(made) {
  const keys = made.map(({ alg, kid, pkcs8 }) => ({ alg, kid, pkcs8: encodeB64u(pkcs8) }));
  for (const { pkcs8 } of made) pkcs8.fill(0);
  return { keys_version: 1, keys, retired: [], state_n: 0 };
}

/** B and the secrets of a stored backup; whatever is wrong with it is `keys_unavailable`.
 * @param {string} username @param {unknown} backup @param {Uint8Array} passwordKey */
async function openStored(username, backup, passwordKey) {
  if (!backup) throw new ChatSecError('keys_unavailable', 'the server holds no key backup');
  try {
    const backupKey = await unwrapBackupKey({ username, backup, type: 'password', key: passwordKey });
    return { backupKey, secrets: await openBackup({ username, backup, backupKey }) };
  } catch (error) {
    if (!(error instanceof ChatSecError)) throw error;
    throw new ChatSecError('keys_unavailable', `the key backup does not open: ${error.code}`);
  }
}

/** @param {import('./crypto/backup.js').Secrets} a @param {import('./crypto/backup.js').Secrets} b */
const sameKeys = (a, b) =>
  a.keys_version === b.keys_version && JSON.stringify(a.keys) === JSON.stringify(b.keys);

/** The bundle if it passes every check, else null. @param {string} username @param {unknown} bundle */
async function ownBundle(username, bundle) {
  try {
    return await judgeBundle(username, bundle);
  } catch (error) {
    if (error instanceof ChatSecError) return null;
    throw error;
  }
}

/** @param {import('./crypto/bundle.js').Judged} bundle @param {StoredKey[]} keys */
function holds({ encryption, signing }, keys) {
  const kids = new Set(keys.map(({ kid }) => kid));
  return [encryption, ...signing].every(({ kid }) => kids.has(kid));
}

const newStorageKey = () =>
  globalThis.crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);

/** B, usable for backups and for client state, readable for neither. @param {Uint8Array} backupKey */
async function holdBackupKey(backupKey) {
  const derive = await globalThis.crypto.subtle.importKey('raw', new Uint8Array(backupKey), 'HKDF', false, [
    'deriveBits',
  ]);
  return { key: await importAesKey(backupKey), derive };
}

/**
 * A private key as the store may hold it: native and non-extractable, else encrypted under the storage key.
 * @param {StoredKey} stored @param {boolean} current @param {CryptoKey} storageKey @returns {Promise<HeldKey>}
 */
async function holdKey({ alg, kid, pkcs8 }, current, storageKey) {
  const bytes = decodeB64u(pkcs8);
  const key = await importPrivate(alg, bytes);
  if (isNative(key)) {
    bytes.fill(0);
    return { alg, kid, current, key };
  }
  const iv = randomBytes(12);
  const ciphertext = await aesGcmEncrypt(storageKey, iv, bytes, keyAad(kid));
  bytes.fill(0);
  return { alg, kid, current, wrapped: { iv, ciphertext } };
}
