// Safety numbers of two users, and their QR codes (protocol §2).
//
// A number holds for the two bundles whose statements went into it, and changes with either. 10,400 hashes, about a
// tenth of a second: callers run it off the page's thread. Refuses a scanned text that is no such code (`malformed`).

import { sha512 } from '@noble/hashes/sha2.js';
import { ChatSecError } from '../errors.js';
import { concat, encodeText } from './bytes.js';

const ROUNDS = 5200;
const QR = 'chatsec:verify:1:';

/** @typedef {{username: string, statement: string}} User `statement`: of their bundle, see statementOf */

/** The 30 digits of one user. @param {User} user @returns {string} */
export function fingerprint({ username, statement }) {
  const text = encodeText(statement);
  const input = new Uint8Array(64 + text.length); // d_{i−1} || statement
  input.set(text, 64);
  let value = concat('chatsec/fingerprint/v1', username, Uint8Array.of(0), text);
  for (let i = 0; i < ROUNDS; i++) {
    const digest = sha512(i === 0 ? concat(value, text) : input);
    input.set(digest);
    value = digest;
  }
  return Array.from({ length: 6 }, (_, i) => fiveDigits(value.subarray(5 * i, 5 * i + 5))).join('');
}

/** Five bytes as a big-endian number mod 100000. @param {Uint8Array} bytes */
const fiveDigits = (bytes) =>
  String(bytes.reduce((sum, byte) => sum * 256 + byte, 0) % 100_000).padStart(5, '0');

/** In groups of five. @param {string} digits */
const grouped = (digits) => digits.replace(/\d{5}(?=\d)/g, '$& ');

/** @param {User} one @param {User} other in either order @returns {string} 60 digits in groups of five */
export const safetyNumber = (one, other) => grouped([fingerprint(one), fingerprint(other)].sort().join(''));

/** What the QR code of a safety number holds. @param {string} number @returns {string} */
export const qrText = (number) => QR + number.replaceAll(' ', '');

/** The safety number in a scanned code. @param {string} scanned @returns {string} throws `malformed` */
export function readQr(scanned) {
  const digits = /^chatsec:verify:1:([0-9]{60})$/.exec(scanned)?.[1];
  if (!digits) throw new ChatSecError('malformed', 'no safety number');
  return grouped(digits);
}
