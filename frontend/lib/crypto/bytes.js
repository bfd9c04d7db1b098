// Bytes and text, the only place where one becomes the other (protocol, "Words").
//
// Refuses, with `malformed`: base64url that re-encoding does not give back exactly, UTF-8 that is not, a leading
// byte order mark, lone surrogates (escaped ones in JSON too), numbers beyond a double, and JSON that is not.

import { ChatSecError } from '../errors.js';

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const CODES = Uint8Array.from(ALPHABET, (char) => char.charCodeAt(0));
const VALUES = new Uint8Array(128).fill(255);
CODES.forEach((code, value) => (VALUES[code] = value));

const encoder = new TextEncoder();
// ignoreBOM keeps a byte order mark in the text, so that nothing is stripped unseen.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** @param {string} detail @returns {never} */
function malformed(detail) {
  throw new ChatSecError('malformed', detail);
}

/** base64url without padding (RFC 4648 §5). @param {Uint8Array} bytes @returns {string} */
export function encodeB64u(bytes) {
  const out = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let shift = 18; shift >= 0 && at < out.length; shift -= 6) out[at++] = CODES[(group >> shift) & 63];
  }
  return decoder.decode(out);
}

/**
 * Strict base64url: only what encodeB64u gives is taken back.
 * @param {unknown} text
 * @param {number} [length] the exact number of bytes, if it is known
 * @returns {Bytes}
 */
export function decodeB64u(text, length) {
  if (typeof text !== 'string' || text.length % 4 === 1) return malformed('not base64url');
  const out = new Uint8Array((text.length * 3) >> 2);
  if (length !== undefined && out.length !== length) return malformed('base64url of another length');
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const value = VALUES[text.charCodeAt(i)] ?? 255;
    if (value === 255) return malformed('not base64url');
    bits = (bits << 6) | value;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out[at++] = bits >> held;
      bits &= (1 << held) - 1;
    }
  }
  return bits === 0 ? out : malformed('base64url with stray bits');
}

/** True for strict base64url of exactly that many bytes. @param {unknown} text @param {number} length */
export function isB64u(text, length) {
  if (typeof text !== 'string' || text.length !== Math.ceil((length * 4) / 3)) return false;
  for (let i = 0; i < text.length; i++) if ((VALUES[text.charCodeAt(i)] ?? 255) === 255) return false;
  // The last character carries 2 or 4 bits that no byte uses; they are zero (RFC 4648 §3.5).
  const stray = [0, 15, 3][length % 3];
  return stray === 0 || (VALUES[text.charCodeAt(text.length - 1)] & stray) === 0;
}

/** UTF-8 of a text; lone surrogates are refused. @param {string} text @returns {Bytes} */
export function encodeText(text) {
  if (typeof text !== 'string') return malformed('not a text');
  if (text.search(LONE_SURROGATE) >= 0) return malformed('lone surrogate');
  return encoder.encode(text);
}

/** The text of strict UTF-8 bytes without a byte order mark. @param {Uint8Array} bytes @returns {string} */
export function decodeText(bytes) {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return malformed('byte order mark');
  try {
    return decoder.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return malformed('not UTF-8');
    throw error;
  }
}

// An escape in JSON: a surrogate pair, a lone surrogate (captured), or any other.
const ESCAPES =
  /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(u[dD][89a-fA-F][\da-fA-F]{2})|[^])/g;

/** @param {string} text JSON @returns {boolean} */
function hasLoneEscape(text) {
  if (!/\\u[dD]/.test(text)) return false;
  for (const match of text.matchAll(ESCAPES)) if (match[1]) return true;
  return false;
}

/**
 * Visits every value of parsed JSON without recursion, so that depth cannot exhaust the stack.
 * @param {unknown} root
 * @param {(parent: Record<string, unknown>, key: string, value: unknown) => void} visit
 */
function walkJson(root, visit) {
  const stack = [/** @type {Record<string, unknown>} */ ({ root })];
  for (let parent = stack.pop(); parent; parent = stack.pop()) {
    for (const key of Object.keys(parent)) {
      const value = parent[key];
      if (value !== null && typeof value === 'object') {
        stack.push(/** @type {Record<string, unknown>} */ (value));
      } else visit(parent, key, value);
    }
  }
}

/**
 * Parses JSON under the page's text rules. Numbers are left as they are, infinities aside: which field is a
 * count is the caller's to judge (isCount), since unknown keys are ignored.
 * @param {Uint8Array} bytes
 * @param {{loneSurrogates?: 'refuse' | 'replace'}} [options] a payload replaces them by U+FFFD (protocol §5)
 * @returns {any}
 */
export function parseStrictJson(bytes, { loneSurrogates = 'refuse' } = {}) {
  const text = decodeText(bytes);
  const lone = hasLoneEscape(text);
  if (lone && loneSurrogates === 'refuse') return malformed('lone surrogate');
  const value = parseJson(text);
  /** @type {{value: any}} */
  const holder = { value };
  walkJson(holder, (parent, key, leaf) => {
    if (typeof leaf === 'number' && !Number.isFinite(leaf)) malformed('number out of range');
    if (lone && typeof leaf === 'string') parent[key] = leaf.replace(LONE_SURROGATE, '\ufffd');
  });
  return holder.value;
}

/** @param {string} text @returns {any} */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return malformed('not JSON');
    throw error;
  }
}

/** A number of the protocol: integral, 0 … 2^53−1. @param {unknown} value @returns {value is number} */
export const isCount = (value) => Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0;

/** True for a JSON object. @param {unknown} value @returns {value is Record<string, any>} */
export const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** @param {...(Uint8Array | string)} parts texts stand for their UTF-8 @returns {Bytes} */
export function concat(...parts) {
  const all = parts.map((part) => (typeof part === 'string' ? encodeText(part) : part));
  const out = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of all) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Equal content; not constant time, for public values only. @param {Uint8Array} a @param {Uint8Array} b */
export function equal(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** @param {Uint8Array} bytes @returns {string} lower-case hex */
export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** @param {string} hex an even number of hex digits @returns {Bytes} */
export function fromHex(hex) {
  if (hex.length % 2 !== 0 || !/^[\da-fA-F]*$/.test(hex)) return malformed('not hex');
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

/** Big-endian unsigned integer. @param {Uint8Array} bytes @returns {bigint} */
export const toBigInt = (bytes) => (bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`));

/** @param {bigint} value not negative @param {number} length in bytes @returns {Bytes} */
export const fromBigInt = (value, length) => fromHex(value.toString(16).padStart(2 * length, '0'));

/** Random bytes of the platform's generator. @param {number} length @returns {Bytes} */
export const randomBytes = (length) => globalThis.crypto.getRandomValues(new Uint8Array(length));

/** SHA-256. @param {Uint8Array} bytes @returns {Promise<Bytes>} */
export async function sha256(bytes) {
  return new Uint8Array(await globalThis.crypto.subtle.digest('SHA-256', /** @type {Bytes} */ (bytes)));
}

/** H(x) of the protocol: b64u of SHA-256. @param {Uint8Array | string} data @returns {Promise<string>} */
export async function hash(data) {
  return encodeB64u(await sha256(typeof data === 'string' ? encodeText(data) : data));
}
