/**
 * The client: joins the parts, and is what the page and bots call (types.js, `Client`). It holds who is logged in and
 * delegates everything else. Every outside thing is an argument. Refuses whatever needs a session before there is one
 * (`unauthorized`), and a first message into somebody else's `server` chat before the user's yes (`consent_needed`).
 */

import { createAccount, UNREACHABLE } from './account.js';
import { judgeItems, judgeUser } from './answers.js';
import { createApi } from './api.js';
import { createBackups } from './backups.js';
import { createConversations } from './conversations.js';
import { ChatSecError } from './errors.js';
import { createKeyring } from './keyring.js';
import { late } from './late.js';
import { createLive } from './live.js';
import { createPins } from './pins.js';
import { createPresence } from './presence.js';
import { createRunner } from './runner.js';
import { createSnapshots } from './snapshot.js';
import { createSocket } from './socket.js';
import { createState } from './state.js';
import { guardStore } from './store/guard.js';

/** What passes by itself, and is not the user's concern. */
const TRANSIENT = [...UNREACHABLE, 'rate_limited', 'unauthorized', 'token_expired', 'not_found'];

const sleep = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** A session's part of the snapshot before there is one, and after. */
const nobody = () => ({
  user: null,
  connection: /** @type {const} */ ('offline'),
  accountWarnings: [],
  account: { recovery: null, keyMode: null },
});
const timer = (/** @type {number} */ ms, /** @type {() => void} */ then) => {
  const id = setTimeout(then, ms);
  /** @type {any} */ (id).unref?.(); // Node: what waits here keeps no process alive
  return () => clearTimeout(id);
};

/**
 * @param {object} outside
 * @param {string} [outside.apiUrl] origin of the API, '' for the page's own
 * @param {string} [outside.socketUrl]
 * @param {import('./store/port.js').Store} outside.store
 * @param {typeof globalThis.fetch} outside.fetch
 * @param {any} outside.io `io` of socket.io-client
 * @param {() => number} [outside.now] milliseconds
 * @param {(password: string, kdf: unknown) => Promise<{auth: string, passwordKey: Uint8Array}>} [outside.kdf] by
 *   default Argon2id in the worker
 * @param {LockManager} [outside.locks] navigator.locks
 * @param {() => number} [outside.random] 0 ≤ x < 1, for back-off only
 * @param {'cookie'|'body'} [outside.refreshIn] by default the cookie in a page, else the store
 * @param {(ms: number) => Promise<unknown>} [outside.wait]
 * @param {import('./runner.js').Runner} [outside.runner]
 * @param {number} [outside.pageSize] items fetched at once
 * @param {number} [outside.epochMessages] messages after which an epoch of a `combined` chat is full
 * @param {number} [outside.stateDelay] milliseconds after which what changed in the client state is stored
 * @returns {import('./types.js').Client}
 */
export function createClient({
  apiUrl = '',
  socketUrl = '',
  store: given,
  fetch,
  io,
  now = Date.now,
  locks,
  random = Math.random,
  refreshIn = typeof document === 'undefined' ? 'body' : 'cookie',
  wait = sleep,
  runner = createRunner(),
  kdf = (password, parameters) => runner.run('deriveLogin', { password, kdf: parameters }),
  pageSize,
  epochMessages,
  stateDelay,
}) {
  /** @type {{phase: import('./types.js').Phase, user: {username: string, displayName: string}|null,
   *   connection: import('./types.js').Connection, accountWarnings: import('./types.js').AccountWarning[],
   *   account: import('./types.js').Snapshot['account']}} */
  let session = { phase: 'starting', ...nobody() };
  let directory = false;
  let keysRevision = 0;
  const me = () => session.user?.username ?? '';
  const pause = async (/** @type {number} */ ms) => {
    await wait(ms);
  };

  const store = guardStore(given);
  const api = createApi({
    apiUrl,
    fetch: (...args) => fetch(...args),
    store,
    now,
    locks,
    refreshIn,
    onEnded: end,
  });
  const keyring = createKeyring({ store });
  const backups = createBackups({ api, keyring, runner, kdf });
  const pins = createPins({
    api,
    store,
    runner,
    onChange() {
      keysRevision += 1;
      snapshots.changed();
    },
    onPin: () => state.touch(),
    isLost: () => state.lost(),
  });
  const state = createState({
    api,
    store,
    keyring,
    pins,
    warnChat: (chat, names) => chats.warn(chat, names),
    warnAccount,
    after: timer,
    background,
    onChange: () => snapshots.changed(),
    locks,
    delay: stateDelay,
  });
  const { use: recovery } = late(async () => {
    const { createRecovery } = await import('./recovery.js');
    return createRecovery({ api, backups, keyring, state, runner, kdf });
  });
  const verifying = late(async () => {
    const { createVerification } = await import('./verification.js');
    return createVerification({ pins, keyring, state, runner, me });
  });
  const verification = verifying.use;
  const { use: attachments } = late(async () => {
    const { createAttachments } = await import('./attachments.js');
    return createAttachments({ api, apiUrl, fetch: (...args) => fetch(...args) });
  });
  const presence = createPresence({ after: timer, onChange: () => snapshots.changed() });
  const socket = createSocket({
    io,
    socketUrl,
    token: api.token,
    refresh: api.refresh,
    wait: pause,
    jitter: random,
    onState: connectionIs,
    onPush: (name, payload) => background(live.take(name, payload)),
  });
  const { emit, connected: online } = socket;
  const conversations = createConversations({
    api,
    store,
    pins,
    keyring,
    state,
    runner,
    locks,
    now,
    wait: pause,
    me,
    uuid: () => globalThis.crypto.randomUUID(),
    emit,
    online,
    needSession,
    background,
    onChange: (chat) => snapshots.changed(chat),
    keysSettled: () => account.settled(),
    keyMode,
    pageSize,
    epochMessages,
  });
  const { chats, messages, outbox, shares } = conversations;
  const live = createLive({
    emit,
    chats,
    messages,
    outbox,
    shares,
    resume: conversations.resume,
    presence,
    reloadKeys,
    watch,
    background,
    onRevoked: revoked,
  });
  const account = createAccount({
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
    tellRecovery: (stored) => set({ account: { ...session.account, recovery: stored } }),
    begin,
    forget,
    warn: warnAccount,
    background,
    onRenewed: conversations.renewed,
    leaveChats: conversations.leaveAll,
  });
  const snapshots = createSnapshots({
    chats,
    messages,
    outbox,
    shares,
    presence,
    pins,
    keysRevision: () => keysRevision,
    session: () => session,
  });

  function needSession() {
    if (session.phase !== 'ready') throw new ChatSecError('unauthorized', 'not logged in');
  }

  /** @param {Partial<typeof session>} change */
  function set(change) {
    session = { ...session, ...change };
    snapshots.changed();
  }

  /** @param {string} name @param {string} detail */
  function warnAccount(name, detail) {
    if (session.accountWarnings.some((warning) => warning.name === name && warning.detail === detail)) return;
    set({ accountWarnings: [...session.accountWarnings, { name, detail }] });
  }

  /** Work that nobody waits for; what a person should know of its failure is told. @param {Promise<unknown>} work */
  function background(work) {
    work.catch((error) => {
      if (!(error instanceof ChatSecError)) throw error;
      if (session.phase === 'ready' && !TRANSIENT.includes(error.code)) warnAccount(error.code, error.detail);
    });
  }

  async function watch() {
    await emit('presence:watch', { directory });
  }

  /** @param {import('./types.js').Connection} connection */
  function connectionIs(connection) {
    set({ connection });
    if (connection !== 'online') return;
    if (directory) background(watch());
    background(state.connected());
    if (session.account.recovery === null) background(account.lookForRecovery());
    background(live.connected());
  }

  /** Somebody's keys changed. @param {string} username */
  async function reloadKeys(username) {
    const person = await pins.load(username);
    if (username === me()) await account.judgeOwn(person);
    await keysSeen(username);
  }

  /** What they signed is judged again, and what waited for these keys may go. @param {string} username */
  async function keysSeen(username) {
    await messages.rejudge(username);
    background(conversations.keysMoved());
  }

  /** How new chats get their keys, by the server's setting; asked once a session. @returns {Promise<'server'|'combined'>} */
  async function keyMode() {
    if (session.account.keyMode) return session.account.keyMode;
    const { key_mode: mode } = await api.request('GET', '/server', { auth: false });
    if (mode !== 'server' && mode !== 'combined')
      throw new ChatSecError('bad_answer', 'no key mode that is known');
    set({ account: { ...session.account, keyMode: mode } });
    return mode;
  }

  /** Logged in, keys at hand: load what waits, connect. @param {{username: string, displayName: string}} user */
  async function begin(user) {
    set({ user });
    await outbox.load();
    presence.name(user.username, user.displayName);
    set({ phase: 'ready' });
    background(keyMode());
    socket.open();
  }

  /** Nothing of the session stays in memory. */
  function forget() {
    socket.close();
    store.closed = true;
    directory = false;
    for (const part of [conversations, presence, pins, state]) part.clear();
    verifying.forget();
    api.forget();
    keyring.forget();
    session = { phase: 'signed_out', ...nobody() };
    snapshots.clear();
  }

  /** The session cannot be refreshed any more. The store stays for the next log-in of the same account. */
  function end() {
    if (session.phase === 'ready') forget();
  }

  /** Somebody ended this session on purpose: nothing of it stays on this device. */
  function revoked() {
    end();
    background(store.clear());
  }

  return {
    subscribe: snapshots.subscribe,
    getSnapshot: snapshots.get,

    ...account.entries,
    ...account.changes,

    async attach(chat, blob, options) {
      needSession();
      if (chats.needsConsent(chat)) throw new ChatSecError('consent_needed');
      chats.checkMode(chat);
      return attachments.put(chat, blob, options);
    },
    openAttachment: (chat, attachment, options) => attachments.open(chat, attachment, options),
    safetyNumber: (username) => verification.safetyNumber(username),
    async setVerified(username, verified) {
      await verification.setVerified(username, verified);
      await keysSeen(username);
    },

    async findPeople(query) {
      needSession();
      const answer = await api.request('GET', '/users', { query: { query, limit: 50 } });
      const users = judgeItems(answer, judgeUser);
      users.forEach(presence.takeUser);
      const others = users.filter(({ username }) => username !== me());
      return others.map(({ username, display_name, status, last_seen, keys_version }) => ({
        username,
        displayName: display_name,
        status,
        lastSeen: last_seen,
        hasKeys: keys_version > 0,
      }));
    },
    ...conversations.entries,

    async acceptKeys(username) {
      await pins.accept(username);
      await keysSeen(username);
    },
    async setStatus(status) {
      await emit('presence:set', { status });
      presence.takeChange({ username: me(), status });
    },
    async watchDirectory(on) {
      directory = on;
      await watch();
      if (!on) return;
      const answer = await api.request('GET', '/users', { query: { online: true, limit: 200 } });
      judgeItems(answer, judgeUser).forEach(presence.takeUser);
    },
    close() {
      state.close();
      socket.close();
      runner.close();
    },
  };
}
