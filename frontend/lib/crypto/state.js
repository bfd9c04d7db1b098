// The client state: what a user's clients remember of people and chats, sealed under B, so that a clean browser has
// the memory of the one before (protocol §3).
//
// Refuses a state that is not of version 1's form, inside too (`malformed`), one that does not open under the B, name
// and n it was made for (`undecryptable`), and one that cannot be made to fit (`too_large`). What a missing or older
// state means is the caller's to say.

import { ChatSecError } from '../errors.js';
import {
  decodeB64u,
  encodeB64u,
  encodeText,
  isCount,
  isObject,
  parseStrictJson,
  randomBytes,
} from './bytes.js';
import { isHash, isHashOrEmpty, isOrdinal, isUsername, isUuid } from './forms.js';
import { aesGcmDecrypt, aesGcmEncrypt, hkdf, importAesKey, IV_BYTES, TAG_BYTES } from './symmetric.js';

/**
 * @typedef {{version: number, keys: string, verified: boolean}} StatePin `keys` is a bundle hash
 * @typedef {{mode: string, log_n: number, log_hash: string, epoch: number, seq: number, chain: string}} StateChat
 *   the furthest that was judged: log head (0 and "" for none), and the item `seq` in `epoch` with the c behind it
 * @typedef {{pins: Map<string, StatePin>, chats: Map<string, StateChat>}} Contents by username and by chat id; what
 *   changed last stands last
 * @typedef {{v: 1, n: number, iv: string, ciphertext: string}} Sealed
 */

export const MAX_STATE = 512 * 1024; // bytes of ciphertext

/** A chat of which nothing is known but its mode. @param {string} mode @returns {StateChat} */
export const unjudged = (mode) => ({ mode, log_n: 0, log_hash: '', epoch: 0, seq: 0, chain: '' });

/** @param {string} username @param {number} n */
const stateAad = (username, n) => encodeText(`chatsec/state/v1\n${username}\n${n}`);

/**
 * The key of the client state; no script can read it back.
 * @param {Uint8Array | CryptoKey} backupKey B, or B imported for HKDF @returns {Promise<CryptoKey>}
 */
export const stateKey = async (backupKey) =>
  importAesKey(await hkdf(backupKey, encodeText('chatsec/state/v1')));

/**
 * @param {{username: string, n: number, contents: Contents, key: import('./symmetric.js').AesKey,
 *   random?: (length: number) => Uint8Array}} parts n: one above the stored one's
 * @returns {Promise<Sealed>} throws `too_large`
 */
export async function sealState({ username, n, contents, key, random = randomBytes }) {
  if (!isOrdinal(n) || !isUsername(username)) throw new ChatSecError('malformed', 'n or username');
  const plaintext = encodeText(textOf(fit(contents)));
  const iv = random(IV_BYTES);
  const ciphertext = await aesGcmEncrypt(key, iv, plaintext, stateAad(username, n));
  return { v: 1, n, iv: encodeB64u(iv), ciphertext: encodeB64u(ciphertext) };
}

/** The n that a stored state says to have. @param {unknown} state @returns {number} throws `malformed` */
export function stateNumber(state) {
  if (!isObject(state) || state.v !== 1 || !isOrdinal(state.n))
    throw new ChatSecError('malformed', 'not a client state');
  return state.n;
}

/**
 * @param {{username: string, state: unknown, key: import('./symmetric.js').AesKey}} parts
 * @returns {Promise<Contents>} throws `malformed`, `undecryptable`
 */
export async function openState({ username, state, key }) {
  const n = stateNumber(state);
  const { iv, ciphertext } = /** @type {Sealed} */ (state);
  const sealed = decodeB64u(ciphertext);
  const plaintext = await aesGcmDecrypt(key, decodeB64u(iv, IV_BYTES), sealed, stateAad(username, n));
  return judgeContents(parseStrictJson(plaintext));
}

const isPin = (/** @type {any} */ pin) =>
  isObject(pin) && isOrdinal(pin.version) && isHash(pin.keys) && typeof pin.verified === 'boolean';

const isChat = (/** @type {any} */ chat) =>
  isObject(chat) &&
  typeof chat.mode === 'string' &&
  [chat.log_n, chat.epoch, chat.seq].every(isCount) &&
  [chat.log_hash, chat.chain].every(isHashOrEmpty);

/** @param {any} contents @returns {Contents} */
function judgeContents(contents) {
  const formed =
    isObject(contents) &&
    isObject(contents.pins) &&
    isObject(contents.chats) &&
    Object.entries(contents.pins).every(([username, pin]) => isUsername(username) && isPin(pin)) &&
    Object.entries(contents.chats).every(([id, chat]) => isUuid(id) && isChat(chat));
  if (!formed) throw new ChatSecError('malformed', 'not the contents of a client state');
  const pins = Object.entries(contents.pins).map(([username, pin]) => [username, pinOf(pin)]);
  const chats = Object.entries(contents.chats).map(([id, chat]) => [id, chatOf(chat)]);
  return { pins: new Map(/** @type {any} */ (pins)), chats: new Map(/** @type {any} */ (chats)) };
}

/** Nothing but the protocol's fields, in its order. @param {StatePin} pin @returns {StatePin} */
const pinOf = ({ version, keys, verified }) => ({ version, keys, verified });

/** @param {StateChat} chat @returns {StateChat} */
const chatOf = ({ mode, log_n, log_hash, epoch, seq, chain }) => ({
  mode,
  log_n,
  log_hash,
  epoch,
  seq,
  chain,
});

/** @param {Contents} contents */
function textOf({ pins, chats }) {
  const object = (/** @type {Map<string, any>} */ map, /** @type {(value: any) => any} */ form) =>
    Object.fromEntries([...map].map(([id, value]) => [id, form(value)]));
  return JSON.stringify({ pins: object(pins, pinOf), chats: object(chats, chatOf) });
}

/**
 * What fits of it. First go the positions in the chats that changed longest ago, then those chats, then pins that
 * nobody verified, the oldest first. A verified pin never goes.
 * @param {Contents} contents @returns {Contents} throws `too_large`
 */
export function fit(contents) {
  const pins = new Map(contents.pins);
  const chats = new Map(contents.chats);
  const most = MAX_STATE - TAG_BYTES - 2; // the last one of a map takes no comma with it
  let size = encodeText(textOf({ pins, chats })).length;
  const cost = (/** @type {string} */ id, /** @type {any} */ value) =>
    encodeText(JSON.stringify({ [id]: value })).length - 1; // a comma instead of two braces
  for (const [id, chat] of chats) {
    if (size <= most) break;
    const bare = unjudged(chat.mode);
    size -= cost(id, chatOf(chat)) - cost(id, bare);
    chats.set(id, bare);
  }
  for (const [id, chat] of chats) {
    if (size <= most) break;
    size -= cost(id, chat);
    chats.delete(id);
  }
  for (const [username, pin] of pins) {
    if (size <= most) break;
    if (pin.verified) continue;
    size -= cost(username, pinOf(pin));
    pins.delete(username);
  }
  if (size > most) throw new ChatSecError('too_large', 'more verified people than a client state holds');
  return { pins, chats };
}
