/**
 * Coming in and going out: register, log in, recover, resume, log out, end (protocol §3); and what of an account can
 * be changed in between: password, recovery code, sessions.
 *
 * A failed entry leaves neither session nor keys behind; another account's leftovers go first. The account's own
 * current bundle is compared with the keys held here, at every entry and whenever it changes.
 */

import { withLock } from './api.js';
import { judgeItems } from './answers.js';
import { isObject, newRecoveryCode, showRecoveryCode } from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { KEYS_LOCK, RENEWED } from './keyring.js';
import { createTurns } from './turns.js';

/** Without a network a session is still there. */
export const UNREACHABLE = ['offline', 'timeout', 'unavailable'];

/**
 * @typedef {{username: string, displayName: string}} User
 * @typedef {import('./backups.js').Entered} Entered
 */

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {ReturnType<typeof import('./store/guard.js').guardStore>} parts.store
 * @param {ReturnType<typeof import('./keyring.js').createKeyring>} parts.keyring
 * @param {ReturnType<typeof import('./backups.js').createBackups>} parts.backups
 * @param {ReturnType<typeof import('./recovery.js').createRecovery>} parts.recovery
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./state.js').createState>} parts.state
 * @param {LockManager|undefined} parts.locks
 * @param {() => string} parts.me
 * @param {(change: {phase: import('./types.js').Phase}) => void} parts.set
 * @param {(stored: boolean) => void} parts.tellRecovery  whether there is a recovery code
 * @param {(user: User) => Promise<void>} parts.begin  keys are at hand: load and connect
 * @param {() => void} parts.forget  nothing of the session stays in memory
 * @param {(name: string, detail: string) => void} parts.warn  on the account
 * @param {(work: Promise<unknown>) => void} parts.background
 * @param {() => Promise<void>} parts.onRenewed  the keys are new: shares that are due can be made
 * @param {() => Promise<void>} parts.leaveChats  before the account ends
 */
export function createAccount({
  api,
  store,
  keyring,
  backups,
  recovery,
  pins,
  state,
  locks,
  me,
  set,
  tellRecovery,
  begin,
  forget,
  warn,
  background,
  onRenewed,
  leaveChats,
}) {
  const inTurn = createTurns();

  /** While keys change, nothing else looks at them: in this client, nor in another tab.
   * @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  const alone = (work) => inTurn('keys', () => withLock(locks, KEYS_LOCK, work));

  /** Are the keys here those? Another tab may have renewed them: then the store has them by now.
   * @param {import('./pins.js').Person} person */
  const isOwn = (person) =>
    alone(async () => keyring.isOwn(person) || ((await keyring.restore()) && keyring.isOwn(person)));

  /** The account's current bundle must be the one whose keys are here (protocol §2). @param {import('./pins.js').Person} told */
  async function judgeOwn(told) {
    // What was answered before the keys were renewed here is asked once more.
    const person = (await isOwn(told)) ? told : await pins.load(me());
    if (person.warnings.includes('server_rollback'))
      warn('server_rollback', 'the server shows older keys of yours');
    if (await isOwn(person)) return;
    const linked =
      person.current && person.trust.get(person.current.hash) === 'linked' && person.warnings.length === 0;
    if (linked && person.pin && person.pin.linked.length > 1) {
      warn('keys_unavailable', RENEWED);
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

  /** Keys are at hand after a log-in: the memory of people and chats, and the own bundle.
   * @param {string} username @param {Entered} entered */
  async function settle(username, { answer, bundle, foreign, secrets }) {
    await state.begin(username, answer.state, secrets.state_n);
    const person = await pins.take(bundle);
    await begin({ username, displayName: answer.user.display_name });
    tellRecovery(hasRecovery(answer.key_backup));
    if (foreign) warn('identity_reset', 'the server shows keys for your account that you did not make');
    else await judgeOwn(person);
  }

  /** The state is stored, and the backup says that it was: as long as the password is at hand.
   * @param {string} username @param {string} auth @param {number} least that the backup says now */
  async function anchor(username, auth, least) {
    await state.flush();
    const n = state.number();
    if (n <= least) return;
    /** @type {Parameters<typeof backups.rewrite>[0]['change']} */
    const change = async ({ wraps }, secrets) => {
      const furthest = Math.max(n, secrets.state_n);
      return { secrets: { ...secrets, state_n: furthest }, wraps };
    };
    try {
      await alone(() => backups.rewrite({ username, auth, change }));
    } catch (error) {
      // Changed meanwhile, and whoever did that has said it with the new one.
      if (!(error instanceof ChatSecError) || error.code !== 'wrong_password') throw error;
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
    await state.restore(held.username);
    await begin({ username: held.username, displayName: held.displayName });
    if (person) await judgeOwn(person);
    return true;
  }

  /** @type {import('./types.js').Client['register']} */
  async function register({ username, displayName, password }, { onProgress } = {}) {
    const name = username.toLowerCase();
    await enter(name, async () => {
      const account = { username: name, displayName, password };
      const { answer, auth } = await backups.register(account, teller(onProgress));
      await state.begin(name, null, 0);
      await pins.load(name);
      await begin({ username: name, displayName: answer.user.display_name });
      tellRecovery(false);
      background(anchor(name, auth, 0));
    });
  }

  /** @type {import('./types.js').Client['login']} */
  async function login({ username, password }, { onProgress } = {}) {
    const name = username.toLowerCase();
    await enter(name, async () => {
      const { auth, ...entered } = await backups.login({ username: name, password }, teller(onProgress));
      await settle(name, entered);
      background(anchor(name, auth, entered.secrets.state_n));
    });
  }

  /** @type {import('./types.js').Client['recover']} */
  async function recover({ username, code, newPassword }, { onProgress } = {}) {
    const name = username.toLowerCase();
    return enter(name, async () => {
      const wanted = { username: name, code, newPassword };
      const { recoveryCode, ...entered } = await recovery.recover(wanted, teller(onProgress));
      await settle(name, entered);
      return { recoveryCode };
    });
  }

  async function logout() {
    try {
      await quietly(state.flush());
      await quietly(api.endSession());
    } finally {
      forget();
      await store.clear();
    }
  }

  /** @type {import('./types.js').Client['changePassword']} */
  async function changePassword({ password, newPassword, compromised }, { onProgress } = {}) {
    const wanted = { username: me(), password, newPassword, compromised };
    const recoveryCode = await alone(() => recovery.changePassword(wanted, teller(onProgress)));
    if (recoveryCode) {
      tellRecovery(true);
      await judgeOwn(await pins.load(me()));
      background(onRenewed());
    }
    return { recoveryCode };
  }

  /** @type {import('./types.js').Client['saveRecoveryCode']} */
  async function saveRecoveryCode({ code, password }) {
    await alone(() => recovery.saveCode({ username: me(), code, password }));
    tellRecovery(true);
  }

  /** @type {import('./types.js').Client['sessions']} */
  async function sessions() {
    return judgeItems(await api.request('GET', '/me/sessions'), judgeSession);
  }

  /** @type {import('./types.js').Client['deleteAccount']} */
  async function deleteAccount({ password }) {
    const auth = await recovery.confirm(me(), password);
    await leaveChats();
    await api.request('POST', '/me/deletion', { body: { password: auth } });
    forget();
    await store.clear();
  }

  /** After a session was resumed, what only the server knows. */
  async function lookForRecovery() {
    const { key_backup: stored } = await api.request('GET', '/me/key-backup');
    tellRecovery(hasRecovery(stored));
  }

  return {
    judgeOwn,
    /** Resolves when no change of keys is under way. */
    settled: () => alone(async () => undefined),
    lookForRecovery,
    entries: { restore, register, login, recover, logout },
    changes: {
      newRecoveryCode: () => showRecoveryCode(newRecoveryCode()),
      saveRecoveryCode,
      changePassword,
      sessions,
      /** @param {string} id */
      async endSession(id) {
        await api.request('DELETE', `/me/sessions/${encodeURIComponent(id)}`);
      },
      deleteAccount,
    },
  };
}

/** Offline, already over, or refused: what is stored here goes all the same. @param {Promise<unknown>} work */
async function quietly(work) {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof ChatSecError)) throw error;
  }
}

/** @param {any} backup */
const hasRecovery = (backup) =>
  Array.isArray(backup?.wraps) && backup.wraps.some((/** @type {any} */ wrap) => wrap?.type === 'recovery');

/** @param {any} session as the server lists it */
function judgeSession(session) {
  const formed =
    isObject(session) &&
    ['id', 'created_at', 'used_at', 'agent'].every((name) => typeof session[name] === 'string') &&
    typeof session.current === 'boolean';
  if (!formed) throw new ChatSecError('bad_answer', 'not a session');
  const { id, created_at: createdAt, used_at: usedAt, agent, current } = session;
  return { id, createdAt, usedAt, agent, current };
}
