// The key of an epoch: out of its wrap, and committed to (protocol §4).
//
// Refuses a wrap that does not open under the chat's and epoch's label, and a secret that is not exactly 32 bytes
// (`undecryptable`). That a wrap is for a key which is not there (`key_lost`) is judged by its kid, before this; the
// client share of a `combined` chat is opened in share.js.

import { ChatSecError } from '../errors.js';
import * as algorithms from './algorithms.js';
import { concat, decodeB64u, encodeB64u, encodeText } from './bytes.js';
import { hkdf, hmacSha256, importAesKey, KEY_BYTES } from './symmetric.js';

/**
 * @typedef {import('./bytes.js').Bytes} Bytes
 * @typedef {{aes: CryptoKey, kc: string}} EpochKey `aes` cannot be read back; `kc` is b64u of 32 bytes
 */

/**
 * The OAEP label that ties a wrap to chat, epoch and half of the key.
 * @param {string} chat @param {number} epoch @param {'server' | 'client'} half @returns {Bytes}
 */
export const wrapLabel = (chat, epoch, half = 'server') =>
  encodeText(`chatsec/wrap/v1\n${chat}\n${epoch}\n${half}`);

/**
 * S_e of an epoch.
 * @param {object} parts
 * @param {algorithms.PrivateKey} parts.privateKey imported for the wrapping algorithm
 * @param {string} parts.chat @param {number} parts.epoch
 * @param {string} parts.wrapped b64u, as in Epoch
 * @returns {Promise<Bytes>} 32 bytes; throws `malformed`, `undecryptable`
 */
export async function unwrapSecret({ privateKey, chat, epoch, wrapped }) {
  const secret = await algorithms.unwrap(privateKey, decodeB64u(wrapped), wrapLabel(chat, epoch));
  if (secret.length !== KEY_BYTES) throw new ChatSecError('undecryptable', 'epoch secret is not 32 bytes');
  return secret;
}

/** Key commitment kc. @param {Uint8Array} key K_e @returns {Promise<string>} b64u */
export const keyCommitment = async (key) =>
  encodeB64u(await hmacSha256(key, encodeText('chatsec/commit/v1')));

/**
 * What a client keeps of K_e; in `server` chats K_e = S_e.
 * @param {Uint8Array} key K_e, 32 bytes; the caller zeroes it afterwards
 * @returns {Promise<EpochKey>}
 */
export async function epochKey(key) {
  if (key.length !== KEY_BYTES) throw new ChatSecError('undecryptable', 'epoch key is not 32 bytes');
  return { aes: await importAesKey(key), kc: await keyCommitment(key) };
}

/**
 * From a wrap to the epoch key of a `server` chat.
 * @param {Parameters<typeof unwrapSecret>[0]} parts @returns {Promise<EpochKey>}
 */
export async function openEpoch(parts) {
  const secret = await unwrapSecret(parts);
  const key = await epochKey(secret);
  secret.fill(0);
  return key;
}

/**
 * K_e of a `combined` chat, out of both shares; who has an equal one agrees on the members, their keys and the entry.
 * @param {object} parts
 * @param {string} parts.chat @param {number} parts.epoch
 * @param {Uint8Array} parts.serverSecret S_e @param {Uint8Array} parts.clientSecret C
 * @param {string} parts.share hash of the client share
 * @returns {Promise<Bytes>} 32 bytes, for epochKey; throws `undecryptable`
 */
export async function combinedSecret({ chat, epoch, serverSecret, clientSecret, share }) {
  if (serverSecret.length !== KEY_BYTES || clientSecret.length !== KEY_BYTES)
    throw new ChatSecError('undecryptable', 'a share is not 32 bytes');
  const both = concat(serverSecret, clientSecret);
  const key = await hkdf(both, encodeText(`chatsec/epoch/v1\n${chat}\n${epoch}\n${share}`));
  both.fill(0);
  return key;
}
