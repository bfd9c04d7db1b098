// AES-256-GCM, HKDF-SHA-256 and HMAC-SHA-256 by WebCrypto, on bytes.
//
// Refuses an empty IV and a ciphertext shorter than its tag; what does not open is `undecryptable`.

import { ChatSecError } from '../errors.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */
/** @typedef {Uint8Array | CryptoKey} AesKey 32 bytes, or an imported key */

export const IV_BYTES = 12;
export const TAG_BYTES = 16;
export const KEY_BYTES = 32;

const subtle = () => globalThis.crypto.subtle;
const source = (/** @type {Uint8Array} */ bytes) => /** @type {Bytes} */ (bytes);

/**
 * A key for aesGcmEncrypt and aesGcmDecrypt that no script can read back.
 * @param {Uint8Array} bytes @returns {Promise<CryptoKey>}
 */
export const importAesKey = (bytes) =>
  subtle().importKey('raw', source(bytes), 'AES-GCM', false, ['encrypt', 'decrypt']);

/** @param {AesKey} key @returns {Promise<CryptoKey>} */
const asKey = async (key) => (key instanceof Uint8Array ? importAesKey(key) : key);

/**
 * @param {AesKey} key @param {Uint8Array} iv 12 bytes, never used twice under one key
 * @param {Uint8Array} plaintext @param {Uint8Array} aad
 * @returns {Promise<Bytes>} ciphertext with the 16-byte tag appended
 */
export async function aesGcmEncrypt(key, iv, plaintext, aad) {
  const parameters = { name: 'AES-GCM', iv: source(iv), additionalData: source(aad) };
  return new Uint8Array(await subtle().encrypt(parameters, await asKey(key), source(plaintext)));
}

/**
 * @param {AesKey} key @param {Uint8Array} iv @param {Uint8Array} ciphertextAndTag @param {Uint8Array} [aad]
 * @returns {Promise<Bytes>} throws `undecryptable`
 */
export async function aesGcmDecrypt(key, iv, ciphertextAndTag, aad = new Uint8Array(0)) {
  if (iv.length === 0 || ciphertextAndTag.length < TAG_BYTES) {
    throw new ChatSecError('undecryptable', 'no IV or no tag');
  }
  const parameters = { name: 'AES-GCM', iv: source(iv), additionalData: source(aad) };
  try {
    return new Uint8Array(await subtle().decrypt(parameters, await asKey(key), source(ciphertextAndTag)));
  } catch (error) {
    if (error instanceof DOMException) throw new ChatSecError('undecryptable', 'AES-GCM does not open');
    throw error;
  }
}

/**
 * HKDF-SHA-256 (RFC 5869) with an empty salt.
 * @param {Uint8Array | CryptoKey} secret bytes, or a key that was imported for HKDF
 * @param {Uint8Array} info @param {number} [length] in bytes
 * @returns {Promise<Bytes>}
 */
export async function hkdf(secret, info, length = KEY_BYTES) {
  const key =
    secret instanceof Uint8Array
      ? await subtle().importKey('raw', source(secret), 'HKDF', false, ['deriveBits'])
      : secret;
  const parameters = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: source(info) };
  return new Uint8Array(await subtle().deriveBits(parameters, key, length * 8));
}

/** HMAC-SHA-256. @param {Uint8Array} secret @param {Uint8Array} data @returns {Promise<Bytes>} 32 bytes */
export async function hmacSha256(secret, data) {
  const key = await subtle().importKey('raw', source(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ]);
  return new Uint8Array(await subtle().sign('HMAC', key, source(data)));
}
