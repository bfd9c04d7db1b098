/**
 * The user's own keys as this installation holds them: non-extractable, else encrypted under a key that is (protocol
 * §2, §3). Private keys come in as bytes, from backups.js, for as long as it takes to import them.
 *
 * Refuses to sign with an algorithm that no current key is held for (`unsupported_algorithm`); an epoch key that was
 * wrapped for a key that is not here is `key_lost`.
 */

import {
  aesGcmEncrypt,
  ALGORITHMS,
  decodeB64u,
  importAesKey,
  importPrivate,
  isNative,
  mayLink,
  openEpoch,
  randomBytes,
  stateKey,
} from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { keyAad } from './local.js';

/**
 * @typedef {{alg: string, kid: string, pkcs8: string}} StoredKey
 * @typedef {{alg: string, kid: string, current: boolean, key?: any, wrapped?: {iv: Uint8Array, ciphertext: Uint8Array}}} HeldKey
 * @typedef {{version: number, hash: string}} Own  the bundle whose keys are held; hash "" where the server shows another
 * @typedef {{key: CryptoKey, derive: CryptoKey}} HeldB  B, usable for backups and for client state, readable for neither
 */

/** Held while the account's keys are exchanged, over all tabs. */
export const KEYS_LOCK = 'chatsec-keys';
export const RENEWED = 'your keys were renewed on another device: log in again';

/** @param {{store: import('./store/port.js').Store}} parts */
export function createKeyring({ store }) {
  /** @type {Map<string, HeldKey>} by kid */
  let keys = new Map();
  /** @type {CryptoKey|null} encrypts what this installation keeps */
  let storageKey = null;
  /** @type {HeldB|null} */
  let held = null;
  /** @type {Own|null} */
  let own = null;

  /** @param {StoredKey[]} list @param {boolean} current */
  const holdAll = (list, current) =>
    Promise.all(list.map((key) => holdKey(key, current, /** @type {CryptoKey} */ (storageKey))));

  return {
    /**
     * Takes the secrets of an opened backup, and B, which is zeroed.
     * @param {import('./crypto/backup.js').Secrets} secrets @param {Uint8Array} backupKey @param {Own} bundle
     */
    async keep(secrets, backupKey, bundle) {
      // What waits in the outbox from an earlier session is under the key that is there.
      storageKey = (await store.get('keys', 'storage'))?.key ?? (await newStorageKey());
      const all = [...(await holdAll(secrets.retired, false)), ...(await holdAll(secrets.keys, true))];
      const listed = new Set(all.map(({ kid }) => kid));
      // What the backup lists no more signs nothing; what was wrapped for it still opens.
      for (const key of await store.list('keys'))
        if (key.alg && !listed.has(key.kid)) all.push({ ...key, current: false });
      keys = new Map(all.map((key) => [key.kid, key]));
      held = await holdBackupKey(backupKey);
      own = bundle;
      await store.write([
        { kind: 'keys', id: 'storage', value: { kid: 'storage', key: storageKey, own: bundle } },
        { kind: 'keys', id: 'backup', value: { kid: 'backup', ...held } },
        ...all.map((key) => /** @type {const} */ ({ kind: 'keys', id: key.kid, value: key })),
      ]);
      backupKey.fill(0);
    },

    /** Keys that the account is about to have: what is wrapped for them opens, nothing is signed with them yet.
     * @param {StoredKey[]} list @returns {Promise<() => void>} takes them back */
    async expect(list) {
      const coming = (await holdAll(list, false)).filter(({ kid }) => !keys.has(kid));
      for (const key of coming) keys.set(key.kid, key);
      return () => coming.forEach(({ kid }) => keys.get(kid)?.current || keys.delete(kid));
    },

    /** Takes the keys that this installation holds; false if there are none. */
    async restore() {
      const stored = await store.list('keys');
      const storage = stored.find(({ kid }) => kid === 'storage');
      if (!storage) return false;
      storageKey = storage.key;
      own = storage.own;
      held = stored.find(({ kid }) => kid === 'backup') ?? null;
      keys = new Map(stored.filter(({ alg }) => alg).map((key) => [key.kid, key]));
      return true;
    },

    /** Is the own current bundle the one whose keys are held here? @param {import('./pins.js').Person} person */
    isOwn: (person) => person.current !== null && person.current.hash === own?.hash,
    own: () => own,

    /** B as it encrypts the secrets of a backup. Throws `keys_unavailable`. */
    backupKey() {
      if (!held) throw new ChatSecError('keys_unavailable', 'log in again');
      return held.key;
    },
    /** The key of the client state, under the B that is kept: another tab may have exchanged it. Throws `keys_unavailable`. */
    async stateKey() {
      const kept = await store.get('keys', 'backup');
      if (!kept) throw new ChatSecError('keys_unavailable', 'log in again');
      return stateKey(kept.derive);
    },

    /**
     * What the worker needs to sign with. Throws `unsupported_algorithm`.
     * @param {string} alg
     */
    signer(alg) {
      const signing = [...keys.values()].find((key) => key.alg === alg && key.current);
      if (!signing) throw new ChatSecError('unsupported_algorithm', `no ${alg} key is held`);
      const { kid, key, wrapped } = signing;
      return wrapped ? { alg, kid, wrapped: { under: storageKey, ...wrapped } } : { alg, kid, key };
    },

    /** The first algorithm of the table that a current key is held for. @param {boolean} [links] that may sign what is no
     * message (protocol §2) @returns {string} */
    preferred(links = false) {
      const able = new Set([...keys.values()].filter(({ current }) => current).map(({ alg }) => alg));
      const found = ALGORITHMS.find(({ id }) => able.has(id) && (!links || mayLink(id)));
      if (!found) throw new ChatSecError('unsupported_algorithm', 'no key to sign with is held');
      return found.id;
    },

    /** An own wrapping key, retired ones too; null where it is not held. @param {string} kid @returns {any} */
    privateKey: (kid) => keys.get(kid)?.key ?? null,

    /**
     * The key of an epoch that was wrapped for this user.
     * @param {string} chat @param {import('./answers.js').Epoch} epoch
     * @returns {Promise<import('./timeline/examine.js').HeldKey>}
     */
    async epochKey(chat, { number, kid, wrapped }) {
      const key = typeof kid === 'string' ? this.privateKey(kid) : null;
      if (!key || typeof wrapped !== 'string') return { failure: 'key_lost' };
      try {
        return { key: await openEpoch({ privateKey: key, chat, epoch: number, wrapped }) };
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
      held = null;
      own = null;
    },
  };
}

const newStorageKey = () =>
  globalThis.crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);

/** @param {Uint8Array} backupKey @returns {Promise<HeldB>} */
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
