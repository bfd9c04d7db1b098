// Strict DER (X.690) for the few shapes the protocol knows: SEQUENCE, INTEGER, OID, NULL, BIT and OCTET STRING.
//
// Refuses every encoding that is not the shortest one, negative integers, unused bits, and anything trailing.
// Errors are `malformed`; whoever reads a key turns them into `malformed_key`.

import { ChatSecError } from '../errors.js';
import { concat, fromHex, toBigInt } from './bytes.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */

export const TAG = Object.freeze({
  INTEGER: 0x02,
  BITS: 0x03,
  OCTETS: 0x04,
  NULL: 0x05,
  OID: 0x06,
  SEQUENCE: 0x30,
});

/** @param {string} detail @returns {never} */
function malformed(detail) {
  throw new ChatSecError('malformed', `DER: ${detail}`);
}

/** Reads one level of DER from front to back. */
export class DerReader {
  #bytes;
  #at = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
  }

  /** Content of the next value, which must have this tag. @param {number} tag @returns {Bytes} */
  take(tag) {
    if (this.#bytes[this.#at] !== tag) malformed('unexpected tag');
    this.#at += 1;
    const length = this.#length();
    if (this.#at + length > this.#bytes.length) malformed('truncated');
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  #length() {
    const first = this.#bytes[this.#at++] ?? malformed('truncated');
    if (first < 0x80) return first;
    const count = first - 0x80;
    if (count < 1 || count > 3 || this.#at + count > this.#bytes.length) malformed('length');
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#bytes[this.#at++];
    // X.690 §10.1: the shortest form, so no long form for what the short one or fewer bytes can say.
    if (length < 0x80 || length < 256 ** (count - 1)) malformed('length is not minimal');
    return length;
  }

  /** @returns {DerReader} over the content of a SEQUENCE */
  sequence() {
    return new DerReader(this.take(TAG.SEQUENCE));
  }

  /** A non-negative INTEGER in its shortest form. @returns {bigint} */
  unsigned() {
    const bytes = this.take(TAG.INTEGER);
    if (bytes.length === 0 || bytes[0] >= 0x80) malformed('negative or empty integer');
    if (bytes.length > 1 && bytes[0] === 0 && bytes[1] < 0x80) malformed('integer is not minimal');
    return toBigInt(bytes);
  }

  /** BIT STRING of whole bytes. @returns {Bytes} */
  bits() {
    const bytes = this.take(TAG.BITS);
    if (bytes[0] !== 0) malformed('bit string with unused bits');
    return bytes.slice(1);
  }

  /** Nothing may follow. */
  end() {
    if (this.#at !== this.#bytes.length) malformed('trailing bytes');
  }

  /** @returns {boolean} */
  get atEnd() {
    return this.#at === this.#bytes.length;
  }
}

/** One DER value. @param {number} tag @param {...Uint8Array} content @returns {Bytes} */
export function derValue(tag, ...content) {
  const body = concat(...content);
  if (body.length < 0x80) return concat(Uint8Array.of(tag, body.length), body);
  const hex = body.length.toString(16);
  const length = fromHex(hex.padStart(hex.length + (hex.length % 2), '0'));
  return concat(Uint8Array.of(tag, 0x80 + length.length), length, body);
}

/** @param {...Uint8Array} items encoded values @returns {Bytes} */
export const derSequence = (...items) => derValue(TAG.SEQUENCE, ...items);

/** @param {bigint} value not negative @returns {Bytes} */
export function derUnsigned(value) {
  const hex = value.toString(16);
  const bytes = fromHex(hex.padStart(hex.length + (hex.length % 2), '0'));
  return derValue(TAG.INTEGER, bytes[0] >= 0x80 ? concat(Uint8Array.of(0), bytes) : bytes);
}

/** @param {Uint8Array} bytes @returns {Bytes} */
export const derBits = (bytes) => derValue(TAG.BITS, Uint8Array.of(0), bytes);

/** @param {Uint8Array} bytes @returns {Bytes} */
export const derOctets = (bytes) => derValue(TAG.OCTETS, bytes);
