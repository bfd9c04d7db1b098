/**
 * A file on its way to the server, with how much of it has gone: by XMLHttpRequest where there is one, since `fetch`
 * tells nothing of that, else by `fetch`. The body is a Blob, which neither of them reads into the script's memory.
 *
 * Refuses what the server refuses, by its code; a broken connection is `offline`, one that takes nothing any more
 * `timeout`. A cancelled upload rejects with the signal's reason.
 */

import { problem, readJson } from './api.js';
import { ChatSecError } from './errors.js';

const STALLED_MS = 30_000;
const STORING_MS = 120_000; // all has gone, and the server makes it durable

/**
 * @typedef {object} Upload
 * @property {string} url
 * @property {Record<string, string>} headers
 * @property {Blob} body
 * @property {typeof globalThis.fetch} fetch
 * @property {AbortSignal} [signal]
 * @property {(done: number) => void} onProgress bytes that have gone
 */

/** @param {Upload} upload @returns {Promise<any>} the parsed answer */
export async function upload(upload) {
  upload.signal?.throwIfAborted();
  const response = await (typeof XMLHttpRequest === 'undefined' ? byFetch(upload) : byXhr(upload));
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (!response.ok) throw problem(response, bytes);
  return readJson(response, bytes, 'application/json');
}

/** @param {Upload} upload */
async function byFetch({ url, headers, body, fetch, signal }) {
  try {
    return await fetch(url, { method: 'POST', headers, body, credentials: 'omit', signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new ChatSecError('offline', error?.message ?? 'the connection broke off');
  }
}

/** @param {Upload} upload @returns {Promise<Response>} */
function byXhr({ url, headers, body, signal, onProgress }) {
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    let timer;
    const fail = (/** @type {unknown} */ error) => {
      clearTimeout(timer);
      reject(error);
      request.abort();
    };
    const wait = (/** @type {number} */ ms) => {
      clearTimeout(timer);
      timer = setTimeout(() => fail(new ChatSecError('timeout', 'nothing happened for a while')), ms);
    };
    const cancel = () => fail(signal?.reason);
    signal?.addEventListener('abort', cancel);
    request.upload.addEventListener('progress', ({ loaded }) => {
      wait(loaded < body.size ? STALLED_MS : STORING_MS);
      onProgress(loaded);
    });
    request.addEventListener('error', () => fail(new ChatSecError('offline', 'the connection broke off')));
    request.addEventListener('load', () => resolve(asResponse(request)));
    request.addEventListener('loadend', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    });
    request.open('POST', url);
    request.responseType = 'arraybuffer';
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(body);
    wait(STALLED_MS);
  });
}

/** @param {XMLHttpRequest} request that has been answered */
function asResponse(request) {
  const headers = new Headers();
  for (const name of ['content-type', 'retry-after']) {
    const value = request.getResponseHeader(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(request.response, { status: request.status, headers });
}
