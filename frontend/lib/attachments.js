/**
 * Files beside a chat (protocol §5): encrypted here segment by segment and uploaded, downloaded and opened as they
 * come. What is held in memory is one segment; the rest is the platform's Blob, which it may keep on disk.
 *
 * Refuses what is too large before it is read (`too_large`), and a download that is not what the sender described
 * (`bad_attachment`) or does not open (`undecryptable`); nothing of it is given out before all of it was checked. A
 * download that breaks off is resumed once. The type of what is opened is never one that a browser would run.
 */

import { sha256 as incremental } from '@noble/hashes/sha2.js';

import { problem } from './api.js';
import {
  ATTACHMENT_KEY_BYTES,
  encodeB64u,
  importAesKey,
  decodeB64u,
  isAttachment,
  isUuid,
  NONCE_BYTES,
  openStream,
  randomBytes,
  sealedSize,
  sealStream,
} from './crypto/index.js';
import { ChatSecError } from './errors.js';
import { upload as send } from './upload.js';

/**
 * @typedef {import('./crypto/attachment.js').Attachment} Attachment
 * @typedef {{done: number, of: number}} Amount in bytes
 * @typedef {{onProgress?: (amount: Amount) => void, signal?: AbortSignal}} Options
 */

const MOST = 100 * 1024 * 1024; // bytes of ciphertext (protocol §8)
const BINARY = 'application/octet-stream';
const IMAGES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'image/avif'];
const STALLED_MS = 30_000;

/** @param {number} size of the plaintext */
function checkSize(size) {
  if (sealedSize(size) > MOST) throw new ChatSecError('too_large', 'more than 100 MiB with encryption');
}

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {string} parts.apiUrl
 * @param {typeof globalThis.fetch} parts.fetch
 * @param {typeof send} [parts.upload]
 */
export function createAttachments({ api, apiUrl, fetch, upload = send }) {
  const place = (/** @type {string} */ chat) => `${apiUrl}/api/v1/chats/${chat}/attachments`;

  /** One try with the session's token, and another with a fresh one where it was refused.
   * @template T @param {(authorization: string) => Promise<T>} ask @returns {Promise<T>} */
  async function authorized(ask) {
    const used = await api.token();
    try {
      return await ask(`Bearer ${used}`);
    } catch (error) {
      if (!(error instanceof ChatSecError) || error.extra.status !== 401) throw error;
      if ((await api.token()) === used) await api.refresh();
      return ask(`Bearer ${await api.token()}`);
    }
  }

  return {
    /**
     * Encrypts and uploads. A cancelled upload rejects with the signal's reason.
     * @param {string} chat @param {Blob} blob @param {{name: string, mime: string} & Options} options
     * @returns {Promise<Attachment>} what the message carries; throws `too_large`, and what the server refuses
     */
    async put(chat, blob, { name, mime, onProgress, signal }) {
      checkSize(blob.size);
      const of = sealedSize(blob.size);
      onProgress?.({ done: 0, of });
      const { key, nonce, sealed, sha256 } = await seal(blob, signal);
      const answer = await authorized((authorization) =>
        upload({
          url: place(chat),
          headers: { authorization, 'content-type': BINARY, accept: 'application/json' },
          body: sealed,
          fetch,
          signal,
          onProgress: (done) => onProgress?.({ done: Math.min(done, of), of }),
        }),
      );
      if (!isUuid(answer?.id) || answer.size !== of)
        throw new ChatSecError('bad_answer', 'not the attachment that was uploaded');
      onProgress?.({ done: of, of });
      return { id: answer.id, key, nonce, name, mime, size: blob.size, sha256 };
    },

    /**
     * Downloads, checks and decrypts. A cancelled download rejects with the signal's reason.
     * @param {string} chat @param {Attachment} attachment @param {Options} [options]
     * @returns {Promise<Blob>} throws `malformed`, `too_large`, `bad_attachment`, `undecryptable`, `offline`, `timeout`, `not_found`
     */
    async open(chat, attachment, { onProgress, signal } = {}) {
      if (!isAttachment(attachment)) throw new ChatSecError('malformed', 'not an attachment');
      checkSize(attachment.size);
      const { id, size, mime } = attachment;
      const of = sealedSize(size);
      onProgress?.({ done: 0, of });
      const hash = incremental.create();
      let done = 0;
      const ciphertext = async function* () {
        for await (const part of download(`${place(chat)}/${id}`, signal)) {
          hash.update(part);
          done += part.length;
          yield part;
          onProgress?.({ done: Math.min(done, of), of });
        }
      };
      const parts = await opened(attachment, ciphertext(), () => encodeB64u(hash.digest()));
      signal?.throwIfAborted();
      return new Blob(parts, { type: IMAGES.includes(mime) ? mime : BINARY });
    },
  };

  /**
   * The bytes as they come; from where they broke off once more.
   * @param {string} url @param {AbortSignal} [signal] @returns {AsyncGenerator<Uint8Array>}
   */
  async function* download(url, signal) {
    let from = 0;
    let etag = '';
    for (let tries = 1; ; tries++) {
      try {
        const rest = { range: `bytes=${from}-`, ...(etag && { 'if-range': etag }) };
        const response = await authorized((authorization) =>
          get(url, { authorization, ...(from > 0 && rest) }, signal),
        );
        etag = response.headers.get('etag') ?? '';
        let skip = response.status === 206 ? 0 : from; // the whole again, where no range was given
        for await (const part of bodyOf(response, signal)) {
          const fresh = part.subarray(Math.min(skip, part.length));
          skip -= part.length - fresh.length;
          from += fresh.length;
          if (fresh.length > 0) yield fresh;
        }
        return;
      } catch (error) {
        signal?.throwIfAborted();
        const cut = error instanceof ChatSecError && ['offline', 'timeout'].includes(error.code);
        if (!cut || tries === 2) throw error;
      }
    }
  }

  /** @param {string} url @param {Record<string, string>} headers @param {AbortSignal} [signal] */
  async function get(url, headers, signal) {
    const response = await patiently(
      fetch(url, { headers: { accept: BINARY, ...headers }, credentials: 'omit', cache: 'no-store', signal }),
      signal,
    );
    if (response.ok) return response;
    throw problem(response, new Uint8Array(await response.arrayBuffer()));
  }
}

/** The file under a fresh key, as a Blob of its segments. @param {Blob} blob @param {AbortSignal} [signal] */
async function seal(blob, signal) {
  const secret = randomBytes(ATTACHMENT_KEY_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const stream = { key: await importAesKey(secret), nonce, size: blob.size };
  const read = async (/** @type {number} */ from, /** @type {number} */ to) => {
    signal?.throwIfAborted();
    return new Uint8Array(await blob.slice(from, to).arrayBuffer());
  };
  const hash = incremental.create();
  const segments = [];
  for await (const segment of sealStream(stream, read)) {
    hash.update(segment);
    segments.push(new Blob([segment])); // out of the script's memory at once
  }
  return {
    key: encodeB64u(secret),
    nonce: encodeB64u(nonce),
    sealed: new Blob(segments, { type: BINARY }),
    sha256: encodeB64u(hash.digest()),
  };
}

/** The plaintext in pieces. What differs from what the sender described is the server's doing, and named before what
 * does not open. @param {Attachment} attachment @param {AsyncIterable<Uint8Array>} ciphertext @param {() => string} digest */
async function opened({ key, nonce, size, sha256 }, ciphertext, digest) {
  const secret = decodeB64u(key);
  const stream = { key: await importAesKey(secret), nonce: decodeB64u(nonce), size };
  secret.fill(0);
  const segments = [];
  /** @type {ChatSecError|null} */
  let failure = null;
  try {
    for await (const segment of openStream(stream, ciphertext)) segments.push(new Blob([segment]));
  } catch (error) {
    if (!(error instanceof ChatSecError) || error.code !== 'undecryptable') throw error;
    failure = error; // told once all has been read
  }
  if (digest() !== sha256) throw new ChatSecError('bad_attachment', 'another sha256 than was told');
  if (failure) throw failure;
  return segments;
}

/** The parts of a body. A part that does not come is `timeout`, a broken connection `offline`.
 * @param {Response} response @param {AbortSignal} [signal] @returns {AsyncGenerator<Uint8Array>} */
async function* bodyOf(response, signal) {
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const { value, done } = reader
        ? await patiently(reader.read(), signal)
        : { value: undefined, done: true };
      if (done) return;
      signal?.throwIfAborted();
      if (value) yield value;
    }
  } finally {
    reader?.cancel().catch(() => undefined); // whoever stopped reading has an error of their own
  }
}

/** @template T @param {Promise<T>} work of the network @param {AbortSignal} [signal] @returns {Promise<T>} */
async function patiently(work, signal) {
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  const stalled = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new ChatSecError('timeout', 'nothing came for a while')), STALLED_MS);
  });
  try {
    return /** @type {T} */ (await Promise.race([work, stalled]));
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ChatSecError) throw error;
    throw new ChatSecError('offline', error?.message ?? 'the connection broke off');
  } finally {
    clearTimeout(timer);
  }
}
