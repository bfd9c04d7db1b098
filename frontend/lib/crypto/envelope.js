// The message envelope: header, padding, encryption, signature (protocol §5).
//
// Opening is a row of separate steps, so that the receiver can judge in the page's order and name what fails:
// parseEnvelope (form) → its own checks of epoch, member and key → verifyEnvelope → kc → openEnvelope (AES-GCM,
// padding) → parsePayload. Refuses with `malformed`, `bad_signature`, `key_mismatch`, `undecryptable`,
// `bad_padding`; nothing of an envelope is used before its form has been judged whole.

import { ChatSecError } from '../errors.js';
import * as algorithms from './algorithms.js';
import {
  decodeB64u,
  encodeB64u,
  encodeText,
  hash,
  isB64u,
  isObject,
  parseStrictJson,
  randomBytes,
} from './bytes.js';
import { isHash, isHashOrEmpty, isOrdinal, isTime, isUsername, isUuid } from './forms.js';
import { pad, unpad } from './padding.js';
import { aesGcmDecrypt, aesGcmEncrypt, IV_BYTES, TAG_BYTES } from './symmetric.js';

/**
 * @typedef {import('./bytes.js').Bytes} Bytes
 * @typedef {{chat: string, protected: string, iv: string, ciphertext: string, signature: string}} Envelope
 * @typedef {object} Header
 * @property {1} v
 * @property {string} chat
 * @property {number} epoch
 * @property {string} id UUID of the message
 * @property {string} from
 * @property {string} dev lane, b64u of 16 bytes
 * @property {number} n from 1, per (chat, epoch, from, dev)
 * @property {string} prev envelope hash of n−1, or ""
 * @property {{seq: number, hash: string}} seen
 * @property {string} log hash of the last membership entry, or ""
 * @property {string} at the author's clock
 * @property {string} alg
 * @property {string} kid
 * @property {string} kc
 * @typedef {{envelope: Envelope, header: Header, hash: string, iv: Bytes, ciphertext: Bytes, signature: Bytes}} Parsed
 */

const MAX_HEADER = 4096;
const MAX_CIPHERTEXT = 65536;
const MAX_SIGNATURE = 512; // RSA of 4096 bits; the other algorithms' are shorter
const LANE_BYTES = 16;

/** The largest payload in bytes that fits once padded and encrypted. */
export const MAX_PAYLOAD = 63487;

/** A fresh lane id. @returns {string} */
export const newLane = () => encodeB64u(randomBytes(LANE_BYTES));

/** @param {string} detail @returns {never} */
function malformed(detail) {
  throw new ChatSecError('malformed', detail);
}

/** @type {Record<keyof Header, (value: any) => boolean>} */
const HEADER_FORM = {
  v: (value) => value === 1,
  chat: isUuid,
  epoch: isOrdinal,
  id: isUuid,
  from: isUsername,
  dev: (value) => isB64u(value, LANE_BYTES),
  n: isOrdinal,
  prev: isHashOrEmpty,
  seen: (value) => isObject(value) && isOrdinal(value.seq) && isHash(value.hash),
  log: isHashOrEmpty,
  at: isTime,
  alg: (value) => typeof value === 'string',
  kid: isHash,
  kc: isHash,
};

/** @param {any} header @returns {Header} */
function judgeHeader(header) {
  if (!isObject(header)) return malformed('header is not an object');
  for (const [name, fits] of Object.entries(HEADER_FORM)) {
    if (!Object.hasOwn(header, name) || !fits(header[name])) malformed(`header field ${name}`);
  }
  return /** @type {Header} */ (/** @type {unknown} */ (header));
}

/**
 * The exact bytes that are signed and travel: the page's fields in the page's order.
 * @param {Omit<Header, 'v'>} fields @returns {Bytes}
 */
export function encodeHeader(fields) {
  /** @type {Record<string, unknown>} */
  const header = {};
  for (const name of Object.keys(HEADER_FORM))
    header[name] = name === 'v' ? 1 : fields[/** @type {'id'} */ (name)];
  judgeHeader(header);
  header.seen = { seq: fields.seen.seq, hash: fields.seen.hash };
  const bytes = encodeText(JSON.stringify(header));
  return bytes.length <= MAX_HEADER ? bytes : malformed('header is too large');
}

/** What `kid` signs. @param {{protected: string, iv: string}} envelope @param {Uint8Array} ciphertext @returns {Promise<Bytes>} */
const signedBytes = async (envelope, ciphertext) =>
  encodeText(`chatsec/message/v1\n${envelope.protected}\n${envelope.iv}\n${await hash(ciphertext)}`);

/** h of an envelope. @param {Envelope} envelope @returns {Promise<string>} b64u of 32 bytes */
export const envelopeHash = ({ protected: header, iv, ciphertext, signature }) =>
  hash([header, iv, ciphertext, signature].join('.'));

/**
 * Seals a payload.
 * @param {object} parts
 * @param {Omit<Header, 'v' | 'alg' | 'kid' | 'kc'>} parts.header
 * @param {unknown} parts.payload JSON of §5
 * @param {{aes: import('./symmetric.js').AesKey, kc: string}} parts.epochKey
 * @param {{alg: string, kid: string, key: algorithms.PrivateKey}} parts.signer
 * @param {Uint8Array} [parts.iv] for vectors; else 12 fresh bytes
 * @returns {Promise<{envelope: Envelope, hash: string}>} throws `malformed`, `too_large`
 */
export async function sealEnvelope({ header, payload, epochKey, signer, iv = randomBytes(IV_BYTES) }) {
  const { alg, kid, key } = signer;
  const bytes = encodeText(JSON.stringify(payload));
  if (bytes.length > MAX_PAYLOAD) throw new ChatSecError('too_large', 'payload is too large');
  const protectedText = encodeB64u(encodeHeader({ ...header, alg, kid, kc: epochKey.kc }));
  const ciphertext = await aesGcmEncrypt(epochKey.aes, iv, pad(bytes), encodeText(protectedText));
  const partial = { chat: header.chat, protected: protectedText, iv: encodeB64u(iv) };
  const signature = await algorithms.sign(alg, key, await signedBytes(partial, ciphertext));
  const envelope = { ...partial, ciphertext: encodeB64u(ciphertext), signature: encodeB64u(signature) };
  return { envelope, hash: await envelopeHash(envelope) };
}

/**
 * Judges the form alone: encodings, types, sizes, and that the header fits the envelope.
 * @param {unknown} item an envelope, or a history item that holds one @returns {Promise<Parsed>} throws `malformed`
 */
export async function parseEnvelope(item) {
  if (!isObject(item)) return malformed('not an envelope');
  const { chat, protected: protectedText, iv: ivText, ciphertext: sealed, signature: signatureText } = item;
  const headerBytes = decodeB64u(protectedText);
  const ciphertext = decodeB64u(sealed);
  const signature = decodeB64u(signatureText);
  const iv = decodeB64u(ivText, IV_BYTES);
  if (headerBytes.length > MAX_HEADER) malformed('header is too large');
  if (ciphertext.length < TAG_BYTES || ciphertext.length > MAX_CIPHERTEXT)
    malformed('size of the ciphertext');
  if (signature.length === 0 || signature.length > MAX_SIGNATURE) malformed('size of the signature');
  const header = judgeHeader(parseStrictJson(headerBytes));
  if (header.chat !== chat) malformed('header is of another chat');
  const envelope = {
    chat,
    protected: protectedText,
    iv: ivText,
    ciphertext: sealed,
    signature: signatureText,
  };
  return { envelope, header, hash: await envelopeHash(envelope), iv, ciphertext, signature };
}

/**
 * The signature, under the key that the receiver found for `alg` and `kid`. Throws `bad_signature`, and `unknown_key`
 * where that is another key than the header names.
 * @param {Parsed} parsed @param {import('./bundle.js').BundleKey} key
 */
export async function verifyEnvelope({ envelope, header, ciphertext, signature }, { alg, kid, spki }) {
  if (header.alg !== alg || header.kid !== kid) throw new ChatSecError('unknown_key');
  const signed = await signedBytes(envelope, ciphertext);
  if (!(await algorithms.verifySignature(alg, spki, signature, signed)))
    throw new ChatSecError('bad_signature');
}

/** The author's key is the reader's. Throws `key_mismatch`. @param {Parsed} parsed @param {{kc: string}} epochKey */
export function checkCommitment({ header }, { kc }) {
  if (header.kc !== kc) throw new ChatSecError('key_mismatch');
}

/**
 * The payload's bytes. Throws `undecryptable`, `bad_padding`.
 * @param {Parsed} parsed @param {{aes: import('./symmetric.js').AesKey}} epochKey @returns {Promise<Bytes>}
 */
export async function openEnvelope({ envelope, iv, ciphertext }, { aes }) {
  return unpad(await aesGcmDecrypt(aes, iv, ciphertext, encodeText(envelope.protected)));
}

/**
 * Payload JSON: an object with a text `type`, whose meaning the receiver judges; an unknown type is kept. A lone
 * surrogate is read as U+FFFD. Throws `malformed`.
 * @param {Uint8Array} bytes @returns {{type: string, [field: string]: any}}
 */
export function parsePayload(bytes) {
  const payload = parseStrictJson(bytes, { loneSurrogates: 'replace' });
  if (!isObject(payload) || typeof payload.type !== 'string') return malformed('not a payload');
  return /** @type {{type: string}} */ (payload);
}
