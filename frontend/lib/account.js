/**
 * Coming in and going out: register, log in, resume, log out (protocol §3).
 *
 * A failed entry leaves neither session nor keys behind; another account's leftovers go first. The account's own
 * current bundle is compared with the keys held here, at every entry and whenever it changes.
 */

import { ChatSecError } from './errors.js';

/** Without a network a session is still there. */
export const UNREACHABLE = ['offline', 'timeout', 'unavailable'];

/** @typedef {{username: string, displayName: string}} User */

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {ReturnType<typeof import('./store/guard.js').guardStore>} parts.store
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {(change: {phase: import('./types.js').Phase}) => void} parts.set
 * @param {(user: User) => Promise<void>} parts.begin  keys are at hand: load and connect
 * @param {() => void} parts.forget  nothing of the session stays in memory
 * @param {(name: string, detail: string) => void} parts.warn  on the account
 * @param {(work: Promise<unknown>) => void} parts.background
 */
export function createAccount({ api, store, keyring, pins, set, begin, forget, warn, background }) {
  /** The account's current bundle must be the one whose keys are here (protocol §2). @param {import('./pins.js').Person} person */
  function judgeOwn(person) {
    if (person.warnings.includes('server_rollback'))
      warn('server_rollback', 'the server shows older keys of yours');
    if (keyring.isOwn(person)) return;
    const linked =
      person.current && person.trust.get(person.current.hash) === 'linked' && person.warnings.length === 0;
    if (linked && person.pin && person.pin.linked.length > 1) {
      warn('keys_unavailable', 'your keys were renewed on another device: log in again');
    } else warn('identity_reset', 'the server shows keys for your account that you did not make');
  }

  /** @template T @param {string} username @param {() => Promise<T>} work */
  async function enter(username, work) {
    const held = await store.get('meta', 'account');
    if (held && held.username !== username) await store.clear();
    set({ phase: 'working' });
    store.closed = false;
    try {
      return await work();
    } catch (error) {
      // Before a session began nothing here changed, and what waits from an earlier one of this account stays.
      if (api.active()) {
        background(api.endSession());
        await store.clear();
      }
      forget();
      throw error;
    }
  }

  /** @param {((p: import('./types.js').Progress) => void)|undefined} onProgress */
  const teller =
    (onProgress) => (/** @type {string} */ step, /** @type {number} */ done, /** @type {number} */ of) =>
      onProgress?.({ step, done, of });

  async function restore() {
    const held = await store.get('meta', 'account');
    if (!held || !(await keyring.restore())) {
      set({ phase: 'signed_out' });
      return false;
    }
    set({ phase: 'working' });
    store.closed = false;
    let person = null;
    try {
      await api.refresh();
      person = await pins.load(held.username);
    } catch (error) {
      if (!(error instanceof ChatSecError) || !UNREACHABLE.includes(error.code)) forget();
      if (!(error instanceof ChatSecError)) throw error;
      if (!UNREACHABLE.includes(error.code)) return false;
    }
    await begin({ username: held.username, displayName: held.displayName });
    if (person) judgeOwn(person);
    return true;
  }

  /** @type {import('./types.js').Client['register']} */
  async function register({ username, displayName, password }, { onProgress } = {}) {
    const name = username.toLowerCase();
    await enter(name, async () => {
      const answer = await keyring.register({ username: name, displayName, password }, teller(onProgress));
      await pins.load(name);
      await begin({ username: name, displayName: answer.user.display_name });
    });
  }

  /** @type {import('./types.js').Client['login']} */
  async function login({ username, password }, { onProgress } = {}) {
    const name = username.toLowerCase();
    await enter(name, async () => {
      const { answer, bundle, foreign } = await keyring.login(
        { username: name, password },
        teller(onProgress),
      );
      const person = await pins.take(bundle);
      await begin({ username: name, displayName: answer.user.display_name });
      if (foreign) warn('identity_reset', 'the server shows keys for your account that you did not make');
      else judgeOwn(person);
    });
  }

  async function logout() {
    try {
      await api.endSession();
    } catch (error) {
      // Offline or already over: what is stored here goes all the same.
      if (!(error instanceof ChatSecError)) throw error;
    } finally {
      forget();
      await store.clear();
    }
  }

  return { judgeOwn, entries: { restore, register, login, logout } };
}
