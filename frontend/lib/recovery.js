/**
 * The other ways to the key backup: the recovery code, and a new password (protocol §3).
 *
 * A used code is replaced. A new password leaves B as it is, unless somebody may know the old one: then there are a
 * new B, new keys that the old ones vouch for, the client state under the new B and a new code, in one request.
 * Refuses a wrong current password before anything is made (`wrong_password`), a text that is no code (`invalid`),
 * keys that another device has renewed meanwhile (`keys_unavailable`).
 */

import { checkStored, openStored, sealWith, storedKeys } from './backups.js';
import {
  decodeB64u,
  makeBundle,
  mayLink,
  newBackupKey,
  newKdf,
  newRecoveryCode,
  readRecoveryCode,
  recoverySecrets,
  showRecoveryCode,
  stateKey,
  wrapBackupKey,
} from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { RENEWED } from './keyring.js';

/**
 * @typedef {import('./crypto/backup.js').Secrets} Secrets
 * @typedef {import('./backups.js').Tell} Tell
 * @typedef {{code: string, key: Uint8Array, auth: string, wrap: (backupKey: Uint8Array) => Promise<import('./crypto/backup.js').Wrap>}} Way
 *   a code as it is shown, what follows from it, and B under it
 */

/** After these nobody knows whether the request was carried out. */
const UNKNOWN = ['timeout', 'offline', 'unavailable'];

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {ReturnType<typeof import('./backups.js').createBackups>} parts.backups
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {ReturnType<typeof import('./state.js').createState>} parts.state
 * @param {import('./runner.js').Runner} parts.runner
 * @param {(password: string, kdf: unknown) => Promise<import('./backups.js').Derived>} parts.kdf
 */
export function createRecovery({ api, backups, keyring, state, runner, kdf }) {
  /** @param {string} username @param {Uint8Array} [code] @returns {Promise<Way>} */
  async function wayOf(username, code = newRecoveryCode()) {
    const { recoveryKey: key, recoveryAuth: auth } = await recoverySecrets(code);
    const wrap = (/** @type {Uint8Array} */ backupKey) =>
      wrapBackupKey({ username, type: 'recovery', key, backupKey });
    return { code: showRecoveryCode(code), key, auth, wrap };
  }

  /** The stored backup, opened by a password that the user has just typed. Throws `wrong_password`.
   * @param {string} username @param {string} password */
  async function openBy(username, password) {
    const { auth, passwordKey } = await backups.derive(username, password);
    const stored = await backups.fetchStored();
    await openUnderHeld(username, stored);
    try {
      return { auth, stored, ...(await openStored(username, stored, 'password', passwordKey)) };
    } catch (error) {
      // The backup is whole, as B has just shown: then it is the password that does not fit.
      if (error instanceof ChatSecError)
        throw new ChatSecError('wrong_password', 'it does not open the backup');
      throw error;
    } finally {
      passwordKey.fill(0);
    }
  }

  /** @param {string} username @param {any} stored */
  async function openUnderHeld(username, stored) {
    const secrets = await backups.openUnder(username, stored, keyring.backupKey());
    if (secrets.keys_version !== keyring.own()?.version) throw new ChatSecError('keys_unavailable', RENEWED);
  }

  /**
   * A password with all that goes with it, in one request.
   * @param {object} parts
   * @param {string} parts.username
   * @param {string} parts.newPassword
   * @param {any} parts.stored the backup that this one follows
   * @param {Secrets} parts.secrets
   * @param {Uint8Array} parts.backupKey B, the same or a new one; it is kept by the caller
   * @param {Way|null} parts.way a new code; null leaves the one that there is
   * @param {Record<string, unknown>} parts.more what else the request carries
   * @param {string} [parts.token] of recovery; else the session's
   * @returns {Promise<{answer: any, check: () => Promise<void>}>} an answer of log-in; `check` that all is stored
   */
  async function setPassword({ username, newPassword, stored, secrets, backupKey, way, more, token }) {
    const parameters = newKdf();
    const { auth, passwordKey } = await kdf(newPassword, parameters);
    const others = stored.wraps.filter((/** @type {any} */ { type }) => type === 'recovery');
    const wraps = [
      await wrapBackupKey({ username, type: 'password', key: passwordKey, backupKey }),
      ...(way ? [await way.wrap(backupKey)] : others),
    ];
    const backup = await sealWith(username, stored.version + 1, secrets, backupKey, wraps);
    const body = {
      new_password: auth,
      kdf: parameters,
      key_backup: backup,
      ...(way && { recovery_auth: way.auth }),
      refresh_in: api.refreshIn,
      ...more,
    };
    const by = token ? { auth: false, headers: { authorization: `Bearer ${token}` } } : {};
    const put = api.request('PUT', '/me/password', { body, ...by });
    const answer = await put.catch((error) => {
      if (!(error instanceof ChatSecError) || !UNKNOWN.includes(error.code)) throw error;
      return token ? enterBy(username, auth, error) : ifStored(backup, error);
    });
    if (answer.access_token) await api.startSession(answer);
    return {
      answer,
      check: () => checkStored(username, answer.key_backup, 'password', passwordKey, secrets),
    };
  }

  /** Whether a request whose answer was lost was carried out: then the password is the new one.
   * @param {string} username @param {string} auth @param {ChatSecError} lost */
  async function enterBy(username, auth, lost) {
    const body = { username, password: auth, refresh_in: api.refreshIn };
    return api.request('POST', '/auth/login', { body, auth: false }).catch(() => {
      throw lost;
    });
  }

  /** The same within a session, which then goes on. @param {import('./crypto/backup.js').Backup} backup @param {ChatSecError} lost */
  async function ifStored(backup, lost) {
    const stored = await backups.fetchStored().catch(() => {
      throw lost;
    });
    if (stored.ciphertext !== backup.ciphertext) throw lost;
    await api.refresh();
    return { key_backup: stored };
  }

  /** New keys that the old ones vouch for. @param {string} username @param {Secrets} secrets */
  async function renewed(username, secrets) {
    const own = keyring.own();
    if (!own?.hash) throw new ChatSecError('identity_reset', 'the server shows keys that are not yours');
    const old = secrets.keys.find(({ alg }) => mayLink(alg));
    if (!old) throw new ChatSecError('keys_unavailable', 'no key that may vouch for new ones');
    const made = await runner.run('generateKeys');
    const link = /** @type {any} */ ({ alg: old.alg, kid: old.kid, pkcs8: decodeB64u(old.pkcs8) });
    const version = own.version + 1;
    const { bundle, hash } = await makeBundle({ username, version, keys: made, previous: own.hash, link });
    link.pkcs8.fill(0);
    const retired = [...secrets.retired, ...secrets.keys];
    const next = { keys_version: version, keys: storedKeys(made), retired, state_n: secrets.state_n };
    return { bundle, own: { version, hash }, secrets: next };
  }

  /** Everything new, in one request. @param {string} username @param {Awaited<ReturnType<typeof openBy>>} opened
   * @param {string} newPassword @param {Tell} tell */
  async function renewAll(username, { auth, stored, secrets }, newPassword, tell) {
    const fresh = await renewed(username, secrets);
    const way = await wayOf(username);
    const backupKey = newBackupKey();
    const takeBack = await keyring.expect(fresh.secrets.keys);
    tell('account', 2, 3);
    try {
      await state.moving(async (seal) => {
        const sealed = await seal(await stateKey(backupKey));
        const next = { ...fresh.secrets, state_n: sealed.n };
        const more = { password: auth, bundle: fresh.bundle, state: sealed };
        const parts = { username, newPassword, stored, secrets: next, backupKey, way, more };
        const { check } = await setPassword(parts);
        await keyring.keep(next, backupKey, fresh.own);
        await check();
      });
    } catch (error) {
      takeBack();
      throw error;
    }
    return way.code;
  }

  /** @param {{username: string, password: string, newPassword: string, compromised: boolean}} parts @param {Tell} tell */
  async function change({ username, password, newPassword, compromised }, tell) {
    tell('password', 0, compromised ? 3 : 2);
    const opened = await openBy(username, password);
    if (compromised) {
      opened.backupKey.fill(0);
      tell('keys', 1, 3);
      return renewAll(username, opened, newPassword, tell);
    }
    tell('account', 1, 2);
    const { auth, stored, backupKey } = opened;
    const secrets = { ...opened.secrets, state_n: state.number() };
    const more = { password: auth };
    const { check } = await setPassword({
      username,
      newPassword,
      stored,
      secrets,
      backupKey,
      way: null,
      more,
    });
    await check();
    backupKey.fill(0);
    return null;
  }

  return {
    /** Stores a way in by that code beside the password; read back and opened before this resolves.
     * @param {{username: string, code: string, password: string}} parts */
    async saveCode({ username, code, password }) {
      const way = await wayOf(username, readRecoveryCode(code));
      const { auth, backupKey } = await openBy(username, password);
      const wrap = await way.wrap(backupKey);
      const { stored, secrets } = await backups.rewrite({
        username,
        auth,
        recoveryAuth: way.auth,
        change: async (before, held) => ({
          secrets: { ...held, state_n: state.number() },
          wraps: [...before.wraps.filter(({ type }) => type !== 'recovery'), wrap],
        }),
      });
      await checkStored(username, stored, 'recovery', way.key, secrets);
      backupKey.fill(0);
    },

    /**
     * A new password by the code, which is used up; logs in.
     * @param {{username: string, code: string, newPassword: string}} parts @param {Tell} tell
     * @returns {Promise<import('./backups.js').Entered & {recoveryCode: string}>} throws `invalid_credentials`
     */
    async recover({ username, code, newPassword }, tell) {
      tell('password', 0, 3);
      const used = await wayOf(username, readRecoveryCode(code));
      const body = { username, recovery_auth: used.auth };
      const answer = await api.request('POST', '/auth/recover', { body, auth: false });
      const { key_backup: stored, recovery_token: token } = answer;
      const { secrets, backupKey } = await openStored(username, stored, 'recovery', used.key);
      tell('account', 1, 3);
      const way = await wayOf(username);
      const parts = { username, newPassword, stored, secrets, backupKey, way, more: {}, token };
      const { answer: welcome, check } = await setPassword(parts);
      if (welcome.user?.username !== username)
        throw new ChatSecError('bad_answer', 'recovered somebody else');
      tell('keys', 2, 3);
      const entered = await backups.enter(username, welcome, secrets, backupKey);
      await check();
      return { ...entered, recoveryCode: way.code };
    },

    /**
     * @param {{username: string, password: string, newPassword: string, compromised: boolean}} parts @param {Tell} tell
     * @returns {Promise<string|null>} the new recovery code, where everything was made anew
     */
    async changePassword(parts, tell) {
      try {
        return await change(parts, tell);
      } catch (error) {
        // Another device stored a backup meanwhile: that is read first.
        if (!(error instanceof ChatSecError) || error.code !== 'backup_conflict') throw error;
        return change(parts, tell);
      }
    },

    /** Whether it is the account's password, by what it opens here: the server is not asked. Throws `wrong_password`.
     * @param {string} username @param {string} password @returns {Promise<string>} what the server takes for it */
    async confirm(username, password) {
      const { auth, backupKey } = await openBy(username, password);
      backupKey.fill(0);
      return auth;
    },
  };
}
