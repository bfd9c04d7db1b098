// What a payload says of a file (protocol §5): its form alone. Reading a message needs no more of it than that.

import { isB64u, isCount, isObject } from './bytes.js';
import { isHash, isUuid } from './forms.js';
import { KEY_BYTES } from './symmetric.js';

/**
 * @typedef {{id: string, key: string, nonce: string, name: string, mime: string, size: number, sha256: string}} Attachment
 *   `size` in bytes of the plaintext, `sha256` of the ciphertext; key, nonce, sha256 in b64u
 */

export const ATTACHMENT_KEY_BYTES = KEY_BYTES;
export const NONCE_BYTES = 7;

/** Of the form that a payload may carry. @param {unknown} value @returns {value is Attachment} */
export function isAttachment(value) {
  return (
    isObject(value) &&
    isUuid(value.id) &&
    isB64u(value.key, ATTACHMENT_KEY_BYTES) &&
    isB64u(value.nonce, NONCE_BYTES) &&
    [value.name, value.mime].every((text) => typeof text === 'string') &&
    isCount(value.size) &&
    isHash(value.sha256)
  );
}
