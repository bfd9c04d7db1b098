/**
 * The key backup at the server, and the ways into it (protocol §3): made at registration, opened at log-in, stored
 * again when something in it changes. Only here and in recovery.js do the account's secrets exist as bytes.
 *
 * Refuses to make keys by itself: a backup that is missing, unopenable or older than the account's keys is
 * `keys_unavailable`; a prelogin answer below the protocol's bounds is `weak_kdf`, before anything of the password is
 * used. Nothing is called stored before it was read back and opened.
 */

import {
  encodeB64u,
  judgeBundle,
  judgeKdf,
  makeBundle,
  newBackupKey,
  newKdf,
  openBackup,
  sealBackup,
  unwrapBackupKey,
  wrapBackupKey,
} from './crypto/index.js';
import { ChatSecError } from './errors.js';

/**
 * @typedef {import('./crypto/backup.js').Secrets} Secrets
 * @typedef {import('./crypto/backup.js').Backup} Backup
 * @typedef {{auth: string, passwordKey: Uint8Array}} Derived
 * @typedef {(step: string, done: number, of: number) => void} Tell
 * @typedef {{answer: any, bundle: any, foreign: boolean, secrets: {state_n: number, version: number}}} Entered
 *   `bundle`: the own current one as the server gives it; `foreign`: its keys are not those of the backup
 */

const TRIES = 3; // another device may store a backup at the same time

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {import('./runner.js').Runner} parts.runner
 * @param {(password: string, kdf: unknown) => Promise<Derived>} parts.kdf
 */
export function createBackups({ api, keyring, runner, kdf }) {
  /** What follows from a password as the account derives it. Throws `weak_kdf`.
   * @param {string} username @param {string} password */
  async function derive(username, password) {
    const prelogin = await api.request('POST', '/auth/prelogin', { body: { username }, auth: false });
    return kdf(password, judgeKdf(prelogin.kdf));
  }

  /** @returns {Promise<any>} the stored backup */
  async function fetchStored() {
    const { key_backup: stored } = await api.request('GET', '/me/key-backup');
    if (!stored) throw new ChatSecError('keys_unavailable', 'the server holds no key backup');
    return stored;
  }

  /** The own current bundle, and whether it is another than the secrets are for.
   * @param {string} username @param {Secrets} secrets */
  async function ownBundle(username, secrets) {
    const bundle = await api.request('GET', `/users/${encodeURIComponent(username)}/keys`);
    const judged = await judgedOrNull(username, bundle);
    const foreign = !judged || judged.version !== secrets.keys_version || !holds(judged, secrets.keys);
    return { bundle, foreign, hash: foreign ? '' : (judged?.hash ?? '') };
  }

  /** A session with keys, from an answer of log-in and an opened backup.
   * @param {string} username @param {any} answer @param {Secrets} secrets @param {Uint8Array} backupKey @returns {Promise<Entered>} */
  async function enter(username, answer, secrets, backupKey) {
    if (secrets.keys_version < answer.user.keys_version) {
      throw new ChatSecError('keys_unavailable', 'the key backup is older than the keys of the account');
    }
    const { bundle, foreign, hash } = await ownBundle(username, secrets);
    await keyring.keep(secrets, backupKey, { version: secrets.keys_version, hash });
    return { answer, bundle, foreign, secrets: { state_n: secrets.state_n, version: secrets.keys_version } };
  }

  return {
    derive,
    fetchStored,
    openUnder,
    enter,

    /**
     * Makes an account with fresh keys; keys and backup are stored in one request.
     * @param {{username: string, displayName: string, password: string}} account @param {Tell} tell
     * @returns {Promise<{answer: any, auth: string}>} the answer of register
     */
    async register({ username, displayName, password }, tell) {
      tell('password', 0, 4);
      const parameters = newKdf();
      const { auth, passwordKey } = await kdf(password, parameters);
      tell('keys', 1, 4);
      const made = await runner.run('generateKeys');
      const { bundle, hash } = await makeBundle({ username, version: 1, keys: made });
      const backupKey = newBackupKey();
      const secrets = { keys_version: 1, keys: storedKeys(made), retired: [], state_n: 0 };
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
      await checkStored(username, await fetchStored(), 'password', passwordKey, secrets);
      passwordKey.fill(0);
      await keyring.keep(secrets, backupKey, { version: 1, hash });
      return { answer, auth };
    },

    /**
     * @param {{username: string, password: string}} account @param {Tell} tell
     * @returns {Promise<Entered & {auth: string}>}
     */
    async login({ username, password }, tell) {
      tell('password', 0, 3);
      const { auth, passwordKey } = await derive(username, password);
      tell('account', 1, 3);
      const body = { username, password: auth, refresh_in: api.refreshIn };
      const answer = await api.request('POST', '/auth/login', { body, auth: false });
      if (answer.user?.username !== username)
        throw new ChatSecError('bad_answer', 'logged in as somebody else');
      await api.startSession(answer);
      tell('keys', 2, 3);
      const opened = await openStored(username, answer.key_backup, 'password', passwordKey);
      passwordKey.fill(0);
      return { ...(await enter(username, answer, opened.secrets, opened.backupKey)), auth };
    },

    /**
     * Stores the backup again, changed, under the same B. Another device's newer one is read and changed instead.
     * @param {{username: string, auth: string, recoveryAuth?: string,
     *   change: (stored: Backup, secrets: Secrets) => Promise<{secrets: Secrets, wraps: Backup['wraps']}>}} parts
     * @returns {Promise<{stored: Backup, secrets: Secrets}>} as read back; throws `wrong_password`, `keys_unavailable`
     */
    async rewrite({ username, auth, recoveryAuth, change }) {
      const backupKey = keyring.backupKey();
      for (let tries = 1; ; tries++) {
        const stored = await fetchStored();
        const { secrets, wraps } = await change(stored, await openUnder(username, stored, backupKey));
        const version = stored.version + 1;
        const next = await sealWith(username, version, secrets, backupKey, wraps);
        const body = {
          key_backup: next,
          password: auth,
          ...(recoveryAuth && { recovery_auth: recoveryAuth }),
        };
        try {
          await api.request('PUT', '/me/key-backup', { body });
        } catch (error) {
          const moved = error instanceof ChatSecError && error.code === 'backup_conflict';
          if (!moved || tries === TRIES) throw error;
          continue;
        }
        const read = await fetchStored();
        if (!sameSecrets(await openUnder(username, read, backupKey), secrets))
          throw new ChatSecError('keys_unavailable', 'the stored backup holds something else');
        return { stored: read, secrets };
      }
    },
  };
}

/** Key pairs as a backup holds them; their bytes are zeroed. @param {{alg: string, kid: string, pkcs8: Uint8Array}[]} made */
export function storedKeys(made) {
  const keys = made.map(({ alg, kid, pkcs8 }) => ({ alg, kid, pkcs8: encodeB64u(pkcs8) }));
  for (const { pkcs8 } of made) pkcs8.fill(0);
  return keys;
}

/** @param {string} username @param {number} version @param {Secrets} secrets
 * @param {import('./crypto/symmetric.js').AesKey} backupKey @param {Backup['wraps']} wraps */
export const sealWith = (username, version, secrets, backupKey, wraps) =>
  sealBackup({ username, version, secrets, backupKey, wraps });

/** The secrets under a B that is held; whatever is wrong is `keys_unavailable`.
 * @param {string} username @param {unknown} backup @param {import('./crypto/symmetric.js').AesKey} backupKey */
async function openUnder(username, backup, backupKey) {
  return named(() => openBackup({ username, backup, backupKey }));
}

/** B and the secrets of a stored backup; whatever is wrong with it is `keys_unavailable`.
 * @param {string} username @param {unknown} backup @param {'password'|'recovery'} type @param {Uint8Array} key */
export async function openStored(username, backup, type, key) {
  if (!backup) throw new ChatSecError('keys_unavailable', 'the server holds no key backup');
  return named(async () => {
    const backupKey = await unwrapBackupKey({ username, backup, type, key });
    return { backupKey, secrets: await openBackup({ username, backup, backupKey }) };
  });
}

/** What the server holds opens in that way, to just these secrets. @param {string} username @param {unknown} backup
 * @param {'password'|'recovery'} type @param {Uint8Array} key @param {Secrets} secrets */
export async function checkStored(username, backup, type, key, secrets) {
  const read = await openStored(username, backup, type, key);
  read.backupKey.fill(0);
  if (!sameSecrets(read.secrets, secrets))
    throw new ChatSecError('keys_unavailable', 'the stored backup holds other keys');
}

/** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
async function named(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ChatSecError)) throw error;
    throw new ChatSecError('keys_unavailable', `the key backup does not open: ${error.code}`);
  }
}

/** @param {Secrets} a @param {Secrets} b */
const sameSecrets = (a, b) =>
  ['keys_version', 'state_n', 'keys', 'retired'].every(
    (name) => JSON.stringify(/** @type {any} */ (a)[name]) === JSON.stringify(/** @type {any} */ (b)[name]),
  );

/** The bundle if it passes every check, else null. @param {string} username @param {unknown} bundle */
async function judgedOrNull(username, bundle) {
  try {
    return await judgeBundle(username, bundle);
  } catch (error) {
    if (error instanceof ChatSecError) return null;
    throw error;
  }
}

/** @param {import('./crypto/bundle.js').Judged} bundle @param {{kid: string}[]} keys */
function holds({ encryption, signing }, keys) {
  const kids = new Set(keys.map(({ kid }) => kid));
  return [encryption, ...signing].every(({ kid }) => kids.has(kid));
}
