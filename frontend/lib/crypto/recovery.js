// The recovery code: 20 random bytes that a person writes down, and what follows from them (protocol §3).
//
// Refuses, as `invalid`, a text that is not 32 characters of Crockford's base32 once blanks and hyphens are gone.

import { ChatSecError } from '../errors.js';
import { encodeB64u, encodeText, randomBytes } from './bytes.js';
import { hkdf } from './symmetric.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */

const CODE_BYTES = 20;
const CODE_CHARACTERS = 32;
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const BITS = 5;
const MISREAD = Object.freeze({ I: '1', L: '1', O: '0' });

/** A fresh code. @param {(length: number) => Uint8Array} [random] @returns {Uint8Array} 20 bytes */
export const newRecoveryCode = (random = randomBytes) => random(CODE_BYTES);

/** As it is shown: eight groups of four. @param {Uint8Array} code 20 bytes @returns {string} */
export function showRecoveryCode(code) {
  const bits = [...code].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const fives = bits.match(/.{5}/g) ?? [];
  const text = fives.map((five) => ALPHABET[parseInt(five, 2)]).join('');
  return (text.match(/.{4}/g) ?? []).join('-');
}

/** As a person types it. @param {string} text @returns {Bytes} 20 bytes; throws `invalid` */
export function readRecoveryCode(text) {
  const typed = text
    .replace(/[\s-]/g, '')
    .toUpperCase()
    .replace(/[ILO]/g, (letter) => MISREAD[/** @type {'I'|'L'|'O'} */ (letter)]);
  const values = [...typed].map((letter) => ALPHABET.indexOf(letter));
  if (values.length !== CODE_CHARACTERS || values.includes(-1))
    throw new ChatSecError('invalid', 'not a recovery code');
  const bits = values.map((value) => value.toString(2).padStart(BITS, '0')).join('');
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (byte) => parseInt(byte, 2));
}

/**
 * What wraps B, and what the server may know (of which it keeps a hash).
 * @param {Uint8Array} code 20 bytes
 * @returns {Promise<{recoveryKey: Bytes, recoveryAuth: string}>}
 */
export async function recoverySecrets(code) {
  return {
    recoveryKey: await hkdf(code, encodeText('chatsec/recovery/v1')),
    recoveryAuth: encodeB64u(await hkdf(code, encodeText('chatsec/recovery-auth/v1'))),
  };
}
