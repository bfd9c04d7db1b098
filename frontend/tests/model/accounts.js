/** Accounts of the model server: sessions, passwords, backups, client state, recovery, ends (protocol §3, §6). */

import { randomUUID } from 'node:crypto';

import { encodeB64u, hash, randomBytes } from '../../lib/crypto/index.js';
import { endAccount, takeBundle } from './chats.js';
import { currentOf, judgeNext } from './keys.js';
import { copyOf, need, TIME } from './refusal.js';

const EMPTY = {
  kdf: null,
  backup: null,
  state: null,
  bundles: [],
  display: '',
  recovery: null,
  ended: false,
};

/** @param {object} given `username`, and of the rest what there is */
export const newAccount = (given) => ({ ...EMPTY, ...given });

const newToken = () => encodeB64u(randomBytes(16));

export function userOf(server, { username, display, bundles }) {
  const online = [...server.sockets].some((socket) => socket.username === username);
  return {
    username,
    display_name: display,
    created_at: TIME,
    status: online ? 'online' : 'offline',
    last_seen: TIME,
    keys_version: bundles.length,
  };
}

/** @param {any} server @param {any} account @returns the answer that begins a session */
function beginSession(server, account) {
  const token = newToken();
  server.tokens.set(token, account.username);
  server.sessions.set(token, randomUUID());
  return {
    user: userOf(server, account),
    access_token: token,
    refresh_token: token,
    expires_in: 900,
  };
}

function endSessions(server, which) {
  for (const [token, username] of [...server.tokens]) {
    if (!which(username, token)) continue;
    server.tokens.delete(token);
    server.sessions.delete(token);
    for (const socket of [...server.sockets]) {
      if (socket.token !== token) continue;
      socket.deliver('session:revoked', {});
      socket.drop('io server disconnect');
    }
  }
}

/** What is kept for an account, as it is told. @param {any} server @param {any} account @param {'backup'|'state'} what */
const stored = ({ lies }, account, what) =>
  copyOf(lies[what] ? lies[what](account.username, copyOf(account[what])) : account[what]);

/** What login and a changed password answer. */
function welcome(server, account) {
  return {
    ...beginSession(server, account),
    key_backup: stored(server, account, 'backup'),
    state: stored(server, account, 'state'),
  };
}

export const AUTH = {
  prelogin: (server, { username }) =>
    server.lies.prelogin?.(username) ?? { kdf: server.accounts.get(username)?.kdf ?? null },
  async register(server, body) {
    const { username, password, kdf, keys, key_backup: backup, display_name: display } = body;
    need(!server.accounts.has(username), 'username_taken');
    const recovery = body.recovery_auth ? await hash(body.recovery_auth) : null;
    const account = newAccount({ username, password, kdf, backup, display, recovery });
    if (keys) account.bundles = [keys];
    server.accounts.set(username, account);
    return beginSession(server, account);
  },
  login(server, { username, password }) {
    const account = server.accounts.get(username);
    need(account && !account.ended && account.password === password, 'invalid_credentials');
    return welcome(server, account);
  },
  async recover(server, { username, recovery_auth: auth }) {
    const account = server.accounts.get(username);
    need(account?.recovery && account.recovery === (await hash(auth)), 'invalid_credentials');
    const token = newToken();
    server.recoveries.set(token, username);
    return { key_backup: stored(server, account, 'backup'), recovery_token: token };
  },
  refresh(server, { refresh_token: token }) {
    need(server.tokens.has(token), 'unauthorized');
    return { access_token: token, refresh_token: token, expires_in: 900 };
  },
  logout(server, body, token) {
    endSessions(server, (_, each) => each === (body.refresh_token ?? token));
    return null;
  },
};

const nextBackup = (account, backup) =>
  need(backup?.version === (account.backup?.version ?? 0) + 1, 'backup_conflict', {
    version: account.backup?.version ?? 0,
  });
const nextState = (account, state) =>
  need(state?.n === (account.state?.n ?? 0) + 1, 'state_conflict', { n: account.state?.n ?? 0 });

/** `PUT /me/password`: password, backup, keys and state together or not at all. */
async function changePassword(server, account, body, token) {
  const recovered = token === null;
  need(recovered || account.password === body.password, 'wrong_password');
  const same = JSON.stringify(account.backup) === JSON.stringify(body.key_backup);
  if (!same) nextBackup(account, body.key_backup);
  if (body.state) nextState(account, body.state);
  const fresh = body.bundle && (await judgeNext(account, body.bundle));
  const code = body.recovery_auth ? await hash(body.recovery_auth) : null;
  need(!recovered || code === null || code !== account.recovery);
  if (recovered || code) account.recovery = code;
  Object.assign(account, { password: body.new_password, backup: body.key_backup });
  if (body.kdf) account.kdf = body.kdf;
  if (body.state) account.state = body.state;
  endSessions(server, (username, each) => username === account.username && each !== token);
  if (fresh) await takeBundle(server, account, body.bundle);
  return welcome(server, account);
}

/** @param {any} server @param {string} call method and rest of the path @param {{account: any, body: any, token: string}} asked */
export async function routeMe(server, call, { account, body, token }) {
  const allowed = () => need(account.password === body.password, 'wrong_password');
  const calls = {
    'GET ': () => userOf(server, account),
    'GET key-backup': () => ({ key_backup: stored(server, account, 'backup') }),
    async 'PUT key-backup'() {
      allowed();
      nextBackup(account, body.key_backup);
      account.backup = body.key_backup;
      if (body.recovery_auth) account.recovery = await hash(body.recovery_auth);
      return null;
    },
    'GET state': () => ({ state: stored(server, account, 'state') }),
    'PUT state'() {
      nextState(account, body.state);
      account.state = body.state;
      return null;
    },
    async 'POST keys'() {
      allowed();
      if (await judgeNext(account, body.bundle)) {
        if (body.key_backup) nextBackup(account, body.key_backup);
        if (body.state) nextState(account, body.state);
        if (body.key_backup) account.backup = body.key_backup;
        if (body.state) account.state = body.state;
        await takeBundle(server, account, body.bundle);
      }
      const { version, hash: keys } = await currentOf(account);
      return { version, hash: keys };
    },
    async 'POST deletion'() {
      allowed();
      await endAccount(server, account);
      endSessions(server, (username) => username === account.username);
      return null;
    },
    'PUT password': () => changePassword(server, account, body, token),
    'GET sessions': () => ({ items: sessionsOf(server, account, token), next: null }),
  };
  if (call.startsWith('DELETE sessions/')) {
    const id = call.slice('DELETE sessions/'.length);
    endSessions(
      server,
      (username, each) => username === account.username && server.sessions.get(each) === id,
    );
    return null;
  }
  need(Object.hasOwn(calls, call), 'not_found');
  return calls[call]();
}

/** `PUT /me/password` with the token of a recovery, which is good once. */
export async function recoverPassword(server, token, body) {
  const account = server.accounts.get(server.recoveries.get(token));
  const answer = await changePassword(server, account, body, null);
  server.recoveries.delete(token);
  return answer;
}

const sessionsOf = (server, { username }, current) =>
  [...server.tokens]
    .filter(([, each]) => each === username)
    .map(([token]) => ({
      id: server.sessions.get(token),
      created_at: TIME,
      used_at: TIME,
      agent: 'model',
      current: token === current,
    }));
