// The chain over a chat's one sequence of items, and the hash of an event (protocol §4).
//
// Refuses an event whose fields are not of the page's form (`malformed`): what stands between line feeds never holds
// one.

import { ChatSecError } from '../errors.js';
import { concat, decodeB64u, encodeB64u, encodeText, hash, isObject, sha256 } from './bytes.js';
import { isHashOrEmpty, isOrdinal, isUsername, isUuid } from './forms.js';

/**
 * @typedef {import('./bytes.js').Bytes} Bytes
 * @typedef {{kind: string, by: string, usernames: string[], epoch: number, log: string, share: string, keys: string}} ChatEvent
 */

const KIND = /^[a-z]{1,32}$/;

/** c_0, b64u of 32 zero bytes. */
export const CHAIN_START = encodeB64u(new Uint8Array(32));

/**
 * c_s = SHA-256("chatsec/chain/v1\n" || c_{s−1} || raw hash of item s).
 * @param {string} before c_{s−1}, b64u @param {string} itemHash envelope or event hash, b64u
 * @returns {Promise<string>} c_s, b64u; throws `malformed`
 */
export async function chainStep(before, itemHash) {
  const input = concat('chatsec/chain/v1\n', decodeB64u(before, 32), decodeB64u(itemHash, 32));
  return encodeB64u(await sha256(input));
}

/** The c behind every item of a page. @param {string} before @param {string[]} itemHashes @returns {Promise<string[]>} */
export async function chainOver(before, itemHashes) {
  /** @type {string[]} */
  const chain = [];
  for (const itemHash of itemHashes) chain.push(await chainStep(chain.at(-1) ?? before, itemHash));
  return chain;
}

/** @param {unknown} event @returns {ChatEvent} throws `malformed` */
export function judgeEvent(event) {
  const formed =
    isObject(event) &&
    typeof event.kind === 'string' &&
    KIND.test(event.kind) &&
    (event.by === '' || isUsername(event.by)) &&
    Array.isArray(event.usernames) &&
    event.usernames.every(isUsername) &&
    new Set(event.usernames).size === event.usernames.length &&
    isOrdinal(event.epoch) &&
    [event.log, event.share, event.keys].every(isHashOrEmpty);
  if (!formed) throw new ChatSecError('malformed', 'not an event of a chat');
  return /** @type {ChatEvent} */ (/** @type {unknown} */ (event));
}

/**
 * Hash of an event item.
 * @param {string} chat @param {unknown} event @returns {Promise<string>} b64u; throws `malformed`
 */
export async function eventHash(chat, event) {
  if (!isUuid(chat)) throw new ChatSecError('malformed', 'not the id of a chat');
  const { kind, by, usernames, epoch, log, share, keys } = judgeEvent(event);
  const names = [...usernames].sort().join(','); // usernames are ASCII: this is the order of their bytes
  return hash(encodeText(['chatsec/event/v1', chat, kind, by, names, epoch, log, share, keys].join('\n')));
}
