// Padmé padding with a 0x80 marker, so that a ciphertext's length tells little of the text's (protocol §5).
//
// Refuses a padding that has no marker, bytes other than zero behind it, or a length that Padmé would not give
// (`bad_padding`): one payload has one padded form.

import { ChatSecError } from '../errors.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */

const MARKER = 0x80;
const LEAST = 32;

/** Length of a payload once padded. @param {number} length in bytes @returns {number} */
export function paddedLength(length) {
  const needed = Math.max(LEAST, length + 1);
  const e = 31 - Math.clz32(needed); // ⌊log2⌋
  const s = 31 - Math.clz32(e) + 1;
  const unit = 2 ** (e - s);
  return Math.ceil(needed / unit) * unit;
}

/** @param {Uint8Array} payload @returns {Bytes} */
export function pad(payload) {
  const padded = new Uint8Array(paddedLength(payload.length));
  padded.set(payload);
  padded[payload.length] = MARKER;
  return padded;
}

/** @param {Uint8Array} padded @returns {Bytes} the payload; throws `bad_padding` */
export function unpad(padded) {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end -= 1;
  if (end < 0 || padded[end] !== MARKER || paddedLength(end) !== padded.length) {
    throw new ChatSecError('bad_padding');
  }
  return padded.slice(0, end);
}
