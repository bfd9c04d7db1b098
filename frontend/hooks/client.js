'use client';
/**
 * The page's composition root: the one client of this tab, made of the browser's own parts, and the one attempt
 * per page load to resume the session it left.
 */
import { API_URL, SOCKET_URL } from '../config.js';
import { createClient, openStore } from '../lib/index.js';
import { lazyIo } from './lazyIo.js';

/** @type {import('../lib/types.js').Client|undefined} */
let client;

/** @returns {import('../lib/types.js').Client} */
export function getClient() {
  client ??= createClient({
    apiUrl: API_URL,
    socketUrl: SOCKET_URL,
    store: openStore(),
    fetch: (...request) => fetch(...request),
    io: lazyIo,
    now: Date.now,
    locks: navigator.locks,
  });
  return client;
}

/** @typedef {{done: boolean, failure: Error|null}} Resumed  done: restore() has answered, yes or no */

/** @type {Resumed} */
let state = Object.freeze({ done: false, failure: null });
/** @type {Promise<void>|undefined} */
let attempt;
/** @type {Set<() => void>} */
const listeners = new Set();

/** @param {Resumed} next */
function settle(next) {
  state = Object.freeze(next);
  for (const listener of listeners) listener();
}

/** Resumes once; after a failure, and only then, the next call tries again. @returns {Promise<void>} */
export function resume() {
  attempt ??= getClient()
    .restore()
    .then(
      () => settle({ done: true, failure: null }),
      (error) => {
        attempt = undefined;
        settle({ done: false, failure: error });
      },
    );
  return attempt;
}

/** @returns {Resumed} the same reference until it changes */
export function resumed() {
  return state;
}

/** @param {() => void} listener */
export function onResumed(listener) {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}
