// Ed25519 (RFC 8032) as bytes: SPKI and PKCS#8 (RFC 8410), the judgement of a public key, and a whole
// implementation in script for platforms whose WebCrypto lacks the curve.
//
// Refuses, always, public keys that are not canonical, not on the curve, of small or of mixed order; and, in script,
// S ≥ L and an R that is not canonical or has torsion (protocol §2). @noble/curves is loaded at the first need.

import { sha512 } from '@noble/hashes/sha2.js';
import { ChatSecError } from '../errors.js';
import { concat, equal, fromHex, toBigInt } from './bytes.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */

const SPKI_PREFIX = fromHex('302a300506032b6570032100');
const PKCS8_PREFIX = fromHex('302e020100300506032b657004220420');
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

const load = async () => (await import('@noble/curves/ed25519.js')).ed25519;

/** @param {Uint8Array} bytes @param {Uint8Array} prefix @param {string} what @returns {Bytes} the 32 bytes behind it */
function behind(bytes, prefix, what) {
  const fits = bytes.length === prefix.length + 32 && equal(bytes.slice(0, prefix.length), prefix);
  if (!fits) throw new ChatSecError('malformed', `not an Ed25519 ${what}`);
  return bytes.slice(prefix.length);
}

/** @param {Uint8Array} spki @returns {Bytes} the encoded point; throws `malformed` */
export const parsePublic = (spki) => behind(spki, SPKI_PREFIX, 'public key');

/** @param {Uint8Array} point 32 bytes @returns {Bytes} SubjectPublicKeyInfo */
export const encodePublic = (point) => concat(SPKI_PREFIX, point);

/** @param {Uint8Array} pkcs8 without attributes @returns {Bytes} the seed; throws `malformed` */
export const parsePrivate = (pkcs8) => behind(pkcs8, PKCS8_PREFIX, 'private key');

/** @param {Uint8Array} seed 32 bytes @returns {Bytes} PKCS#8 */
export const encodePrivate = (seed) => concat(PKCS8_PREFIX, seed);

/**
 * A canonical point (RFC 8032 §5.1.3), or null.
 * @param {import('@noble/curves/abstract/edwards.js').EdwardsPointCons} Point
 * @param {Uint8Array} bytes
 */
function decodePoint(Point, bytes) {
  try {
    return Point.fromBytes(bytes, false);
  } catch (error) {
    // The library reports a bad encoding as a plain Error or RangeError; a TypeError would be our own mistake.
    if (error instanceof Error && !(error instanceof TypeError)) return null;
    throw error;
  }
}

/**
 * Throws `malformed_key` for what is no canonical point and `weak_key` for one outside the prime-order subgroup.
 * @param {Uint8Array} point
 */
export async function judgePoint(point) {
  const { Point } = await load();
  const decoded = decodePoint(Point, point);
  if (!decoded) throw new ChatSecError('malformed_key', 'not a canonical Ed25519 point');
  if (decoded.isSmallOrder() || !decoded.isTorsionFree()) {
    throw new ChatSecError('weak_key', 'Ed25519 point is not in the prime-order subgroup');
  }
}

/** @param {Uint8Array} seed @returns {Promise<Bytes>} the encoded public point */
export const pointOf = async (seed) => new Uint8Array((await load()).getPublicKey(seed));

/** @param {Uint8Array} seed @param {Uint8Array} data @returns {Promise<Bytes>} 64 bytes */
export const signInScript = async (seed, data) => new Uint8Array((await load()).sign(data, seed));

/**
 * Cofactorless verification: S·B = R + k·A (RFC 8032 §5.1.7 without the factor 8).
 * @param {Uint8Array} point a public key that judgePoint has taken
 * @param {Uint8Array} signature
 * @param {Uint8Array} data
 */
export async function verifyInScript(point, signature, data) {
  if (signature.length !== 64) return false;
  const { Point } = await load();
  const s = littleEndian(signature.slice(32));
  const publicPoint = decodePoint(Point, point);
  const r = decodePoint(Point, signature.slice(0, 32));
  if (s >= ORDER || !publicPoint || !r || !r.isTorsionFree()) return false;
  const k = littleEndian(sha512(concat(signature.slice(0, 32), point, data))) % ORDER;
  return Point.BASE.multiplyUnsafe(s).equals(r.add(publicPoint.multiplyUnsafe(k)));
}

/** @param {Uint8Array} bytes */
const littleEndian = (bytes) => toBigInt(Uint8Array.from(bytes).reverse());
