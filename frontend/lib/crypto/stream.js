// Attachments: a file in segments of 1 MiB, each under its place and the last one marked (STREAM; protocol §5).
//
// Refuses a stream of another length than the plaintext's size asks for (`bad_attachment`), and a segment that does
// not open in its place (`undecryptable`): moved, dropped, repeated, cut short or changed. Holds one segment at a time.

import { ChatSecError } from '../errors.js';
import { NONCE_BYTES } from './attachment.js';
import { aesGcmDecrypt, aesGcmEncrypt, IV_BYTES, TAG_BYTES } from './symmetric.js';

/**
 * @typedef {import('./bytes.js').Bytes} Bytes
 * @typedef {{key: import('./symmetric.js').AesKey, nonce: Uint8Array, size: number, segment?: number}} Stream
 *   `nonce`: 7 bytes; a key is used for one stream only
 */

export const SEGMENT = 1024 * 1024; // bytes of plaintext
const NO_AAD = new Uint8Array(0);

/** How many segments: a last full one is the last, an empty file is one empty one.
 * @param {number} size @param {number} [segment] */
export const segmentCount = (size, segment = SEGMENT) => Math.max(1, Math.ceil(size / segment));

/** Bytes of the ciphertext. @param {number} size of the plaintext @param {number} [segment] */
export const sealedSize = (size, segment = SEGMENT) => size + TAG_BYTES * segmentCount(size, segment);

/** @param {Uint8Array} nonce 7 bytes @param {number} index from 0 @param {boolean} last @returns {Bytes} 12 bytes */
export function segmentIv(nonce, index, last) {
  const iv = new Uint8Array(IV_BYTES);
  iv.set(nonce);
  new DataView(iv.buffer).setUint32(NONCE_BYTES, index);
  iv[IV_BYTES - 1] = last ? 1 : 0;
  return iv;
}

/**
 * The ciphertext, segment by segment.
 * @param {Stream} stream @param {(start: number, end: number) => Promise<Uint8Array>} read of the plaintext
 * @returns {AsyncGenerator<Bytes>}
 */
export async function* sealStream({ key, nonce, size, segment = SEGMENT }, read) {
  const count = segmentCount(size, segment);
  for (let index = 0; index < count; index++) {
    const plaintext = await read(index * segment, Math.min(size, (index + 1) * segment));
    yield await aesGcmEncrypt(key, segmentIv(nonce, index, index === count - 1), plaintext, NO_AAD);
  }
}

/**
 * The plaintext, segment by segment, of ciphertext that comes in parts of any length. What fails is told at the end,
 * when the length is known: another length is the server's doing, a segment that does not open the sender's.
 * @param {Stream} stream @param {AsyncIterable<Uint8Array>} parts
 * @returns {AsyncGenerator<Bytes>} throws `bad_attachment`, `undecryptable`
 */
export async function* openStream({ key, nonce, size, segment = SEGMENT }, parts) {
  const count = segmentCount(size, segment);
  /** @type {ChatSecError|null} */
  let failure = null;
  let index = 0;
  for await (const sealed of segmentsOf(parts, size, segment)) {
    try {
      if (!failure)
        yield await aesGcmDecrypt(key, segmentIv(nonce, index, index === count - 1), sealed, NO_AAD);
    } catch (error) {
      if (!(error instanceof ChatSecError)) throw error;
      failure = error;
    }
    index += 1;
  }
  if (failure) throw failure;
}

/** Parts of any length as whole segments; each is good until the next is asked for.
 * @param {AsyncIterable<Uint8Array>} parts @param {number} size of the plaintext @param {number} segment */
async function* segmentsOf(parts, size, segment) {
  const most = sealedSize(size, segment);
  const step = segment + TAG_BYTES;
  const held = new Uint8Array(Math.min(step, most));
  let [taken, at] = [0, 0];
  for await (const part of parts) {
    if (taken + part.length > most) throw new ChatSecError('bad_attachment', 'longer than its size says');
    for (let from = 0; from < part.length;) {
      const due = Math.min(step, most - (taken - at)); // of the segment that is being held
      const some = part.subarray(from, from + due - at);
      held.set(some, at);
      [taken, at, from] = [taken + some.length, at + some.length, from + some.length];
      if (at < due) continue;
      yield held.subarray(0, due);
      at = 0;
    }
  }
  if (taken < most) throw new ChatSecError('bad_attachment', 'shorter than its size says');
}
