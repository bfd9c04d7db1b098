/**
 * The REST side of the server (protocol §6): requests, problem details as errors, and the session's tokens.
 *
 * Refuses what is not of the protocol: an answer that is not JSON or nested beyond reason, a problem with an unknown code (`bad_answer`).
 * One refresh runs at a time, over all tabs where Web Locks exist, or two tabs would log each other out.
 */

import { isCount, isObject, parseStrictJson } from './crypto/index.js';
import { ChatSecError, isFailure } from './errors.js';

const BASE = '/api/v1';
const TIMEOUT_MS = 30_000;
const REFRESH_EARLY_MS = 30_000; // before the access token ends
const DEEPEST = 64; // levels of an answer: the protocol's have fewer than ten
const REFRESH_LOCK = 'chatsec-refresh';
const ENDS_SESSION = ['unauthorized', 'token_expired', 'csrf_failed', 'invalid_credentials'];

/**
 * @typedef {{accessToken: string, expiresAt: number}} Access
 * @typedef {{username: string, displayName: string, refreshToken?: string, csrfToken?: string}} Account  kept in the store
 *
 * @typedef {Object} Api
 * @property {(method: string, path: string, options?: {body?: unknown, query?: Record<string, unknown>, auth?: boolean,
 *   headers?: Record<string, string>}) => Promise<any>} request  the parsed answer; null for 204
 * @property {(answer: any) => Promise<void>} startSession  takes an answer of register, login
 * @property {() => Promise<string>} token  an access token that is good for a while yet
 * @property {() => Promise<void>} refresh
 * @property {() => Promise<void>} endSession  logout at the server, as far as it can be reached
 * @property {() => boolean} active  an access token is held
 * @property {() => void} forget  drops it
 * @property {'cookie'|'body'} refreshIn
 */

/**
 * @param {object} parts
 * @param {string} parts.apiUrl origin without a trailing slash, '' for the page's own
 * @param {typeof globalThis.fetch} parts.fetch
 * @param {import('./store/port.js').Store} parts.store
 * @param {() => number} parts.now milliseconds
 * @param {LockManager|undefined} parts.locks
 * @param {'cookie'|'body'} parts.refreshIn where the refresh token lives: the page's cookie, or this store (Node)
 * @param {() => void} parts.onEnded the session is over and cannot be refreshed
 * @returns {Api}
 */
export function createApi({ apiUrl, fetch, store, now, locks, refreshIn, onEnded }) {
  /** @type {Access|null} */
  let access = null;
  /** @type {Promise<void>|null} */
  let refreshing = null;

  /** @param {any} answer */
  function takeAccess(answer) {
    if (typeof answer?.access_token !== 'string' || !isCount(answer.expires_in)) {
      throw new ChatSecError('bad_answer', 'no access token in the answer');
    }
    access = { accessToken: answer.access_token, expiresAt: now() + answer.expires_in * 1000 };
  }

  /** @param {string} method @param {string} path @param {{body?: unknown, query?: Record<string, unknown>}} options
   * @param {Record<string, string>} headers */
  async function send(method, path, { body, query }, headers) {
    const url = apiUrl + BASE + path + queryText(query);
    try {
      const response = await fetch(url, {
        method,
        headers: {
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: refreshIn === 'cookie' ? (apiUrl ? 'include' : 'same-origin') : 'omit',
        cache: 'no-store',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      return { response, bytes: new Uint8Array(await response.arrayBuffer()) };
    } catch (error) {
      const late = error?.name === 'TimeoutError' || error?.name === 'AbortError';
      throw new ChatSecError(
        late ? 'timeout' : 'offline',
        `${method} ${path}: ${error?.message ?? 'no answer'}`,
      );
    }
  }

  /** One try. @param {string} method @param {string} path @param {any} options @param {Record<string, string>} headers */
  async function attempt(method, path, options, headers) {
    const { response, bytes } = await send(method, path, options, headers);
    if (!response.ok) throw problem(response, bytes);
    if (response.status === 204) return null;
    return readJson(response, bytes, 'application/json');
  }

  async function refreshNow() {
    const account = await store.get('meta', 'account');
    if (!account) throw new ChatSecError('unauthorized', 'no session is stored');
    const answer =
      refreshIn === 'cookie'
        ? await attempt(
            'POST',
            '/auth/refresh',
            { body: { refresh_in: 'cookie' } },
            { 'x-csrf-token': account.csrfToken ?? '' },
          )
        : await attempt('POST', '/auth/refresh', { body: { refresh_token: account.refreshToken ?? '' } }, {});
    takeAccess(answer);
    await keepTokens(account, answer);
  }

  /** @param {Account} account @param {any} answer */
  async function keepTokens(account, answer) {
    const next = { ...account };
    if (refreshIn === 'body') next.refreshToken = answer.refresh_token;
    if (typeof answer.csrf_token === 'string') next.csrfToken = answer.csrf_token;
    await store.write([{ kind: 'meta', id: 'account', value: next }]);
  }

  async function refresh() {
    refreshing ??= withLock(locks, REFRESH_LOCK, refreshNow).finally(() => {
      refreshing = null;
    });
    try {
      await refreshing;
    } catch (error) {
      if (error instanceof ChatSecError && ENDS_SESSION.includes(error.code)) {
        access = null;
        onEnded();
      }
      throw error;
    }
  }

  async function token() {
    if (!access || access.expiresAt - now() < REFRESH_EARLY_MS) await refresh();
    if (!access) throw new ChatSecError('unauthorized', 'the session ended meanwhile');
    return access.accessToken;
  }

  return {
    refreshIn,
    refresh,
    token,
    active: () => access !== null,
    forget() {
      access = null;
    },
    async startSession(answer) {
      const { user } = answer;
      takeAccess(answer);
      const bad =
        refreshIn === 'cookie'
          ? typeof answer.csrf_token !== 'string'
          : typeof answer.refresh_token !== 'string';
      if (bad) throw new ChatSecError('bad_answer', 'no way to refresh in the answer');
      await keepTokens({ username: user.username, displayName: user.display_name }, answer);
    },
    async endSession() {
      const account = await store.get('meta', 'account');
      const held = access;
      access = null;
      if (!account) return;
      const headers = {
        ...(held && { authorization: `Bearer ${held.accessToken}` }),
        ...(refreshIn === 'cookie' && { 'x-csrf-token': account.csrfToken ?? '' }),
      };
      const body = refreshIn === 'body' ? { refresh_token: account.refreshToken ?? '' } : {};
      await attempt('POST', '/auth/logout', { body }, headers);
    },
    async request(method, path, { auth = true, headers = {}, ...options } = {}) {
      if (!auth) return attempt(method, path, options, headers);
      const attemptWith = (/** @type {string} */ bearer) =>
        attempt(method, path, options, { ...headers, authorization: `Bearer ${bearer}` });
      const used = await token();
      try {
        return await attemptWith(used);
      } catch (error) {
        const stale =
          error instanceof ChatSecError && error.extra.status === 401 && error.code !== 'invalid_credentials';
        if (!stale) throw error;
        // Another request may have refreshed meanwhile.
        if (access?.accessToken === used) await refresh();
        return attemptWith(await token());
      }
    },
  };
}

/** @param {Record<string, unknown>} [query] */
function queryText(query) {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null);
  return pairs.length === 0
    ? ''
    : `?${new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]))}`;
}

/** @param {Response} response @param {Uint8Array} bytes @param {string} type */
export function readJson(response, bytes, type) {
  const given = (response.headers.get('content-type') ?? '').split(';')[0].trim().toLowerCase();
  if (given !== type) throw new ChatSecError('bad_answer', `answer is ${given || 'of no type'}, not ${type}`);
  try {
    const value = parseStrictJson(bytes);
    if (isObject(value) && isShallow(value)) return value;
  } catch (error) {
    if (!(error instanceof ChatSecError)) throw error;
  }
  throw new ChatSecError('bad_answer', 'answer is not a JSON object');
}

/** Nested no deeper than whatever works on it by recursion can bear. @param {unknown} value */
function isShallow(value) {
  let level = [value];
  for (let depth = 0; depth < DEEPEST && level.length > 0; depth++)
    level = level.flatMap((each) => (each !== null && typeof each === 'object' ? Object.values(each) : []));
  return level.length === 0;
}

/** A refusal as an error (RFC 9457). @param {Response} response @param {Uint8Array} bytes */
export function problem(response, bytes) {
  const after = Number(response.headers.get('retry-after'));
  const common = { status: response.status, ...(after > 0 && { retry_after: after }) };
  try {
    const {
      code,
      detail,
      type: _type,
      title: _title,
      ...extra
    } = readJson(response, bytes, 'application/problem+json');
    if (isFailure(code)) {
      return new ChatSecError(code, typeof detail === 'string' ? detail : undefined, { ...extra, ...common });
    }
  } catch (error) {
    if (!(error instanceof ChatSecError)) throw error; // what is no problem document is named by its status below
  }
  if (response.status === 429) return new ChatSecError('rate_limited', undefined, common);
  if (response.status >= 500) return new ChatSecError('unavailable', `status ${response.status}`, common);
  return new ChatSecError('bad_answer', `status ${response.status} without a known code`, common);
}

/**
 * Runs `work` alone under that name: over all tabs where there is a lock manager, else in this client.
 * @template T @param {LockManager|undefined} locks @param {string} name @param {() => Promise<T>} work @returns {Promise<T>}
 */
export async function withLock(locks, name, work) {
  return locks ? locks.request(name, work) : work();
}
