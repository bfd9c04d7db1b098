// Signed objects: membership entries and client shares as they travel (protocol, Words and §4).
//
// The bytes are kept as they were signed, so no canonical form is needed. Reading judges the form alone and throws the
// name that the caller gives for it; whether the signature holds is isSigned. RSA-PSS and Ed25519 only.

import { ChatSecError } from '../errors.js';
import * as algorithms from './algorithms.js';
import { signingKey } from './bundle.js';
import { decodeB64u, encodeB64u, encodeText, hash, isObject, parseStrictJson } from './bytes.js';
import { isHash, isTime, isUsername } from './forms.js';
import { linkOf } from './lines.js';

/**
 * @typedef {'membership' | 'share'} Kind
 * @typedef {{protected: string, signature: string}} SignedObject
 * @typedef {object} Read what every signed object has
 * @property {Kind} kind
 * @property {string} hash by which events and others name it
 * @property {string} chat
 * @property {string} by
 * @property {string} keys kh of the bundle of `by` that holds `kid`
 * @property {string} alg @property {string} kid
 * @property {string} at the author's clock, informative
 * @property {string} protected @property {string} signature
 */

/** What `kid` signs. @param {Kind} kind @param {string} protectedText */
const signedBytes = (kind, protectedText) => encodeText(`chatsec/${kind}/v1\n${protectedText}`);

/** @param {SignedObject} object @returns {Promise<string>} b64u */
export const signedHash = ({ protected: text, signature }) => hash(`${text}.${signature}`);

/**
 * Signs exactly these fields.
 * @param {object} parts
 * @param {Kind} parts.kind
 * @param {{alg: string, kid: string} & Record<string, unknown>} parts.fields all of them, `v` apart
 * @param {{alg: string, kid: string, key: algorithms.PrivateKey}} parts.signer
 * @returns {Promise<SignedObject>} throws `unsupported_algorithm` for a key that signs messages only
 */
export async function signObject({ kind, fields, signer: { alg, kid, key } }) {
  if (!algorithms.mayLink(alg)) throw new ChatSecError('unsupported_algorithm', `${alg} signs messages only`);
  const text = encodeB64u(encodeText(JSON.stringify({ v: 1, ...fields, alg, kid })));
  const signature = await algorithms.sign(alg, key, signedBytes(kind, text));
  return { protected: text, signature: encodeB64u(signature) };
}

/**
 * The fields of a signed object whose common part is of its form; what its kind adds is judged by `form`.
 * @template T
 * @param {object} parts
 * @param {Kind} parts.kind
 * @param {unknown} parts.object as it came; unknown keys are ignored
 * @param {string} parts.chat
 * @param {string} parts.failure the name of whatever is wrong with its form
 * @param {(fields: Record<string, any>) => T | null} parts.form what the kind adds, null where it is not of its form
 * @returns {Promise<Read & T>}
 */
export async function readSigned({ kind, object, chat, failure, form }) {
  const refuse = (/** @type {string} */ detail) => new ChatSecError(failure, detail);
  const fields = parseFields(object, refuse);
  const { by, keys, alg, kid, at } = fields;
  const common =
    fields.v === 1 && fields.chat === chat && isUsername(by) && isHash(keys) && isHash(kid) && isTime(at);
  if (!common || typeof alg !== 'string') throw refuse('not a signed object of this chat');
  if (!algorithms.mayLink(alg)) throw refuse(`${alg} signs messages only`);
  const added = form(fields);
  if (!added) throw refuse(`not of the form of a ${kind}`);
  const { protected: text, signature } = /** @type {SignedObject} */ (object);
  const own = { kind, chat, by, keys, alg, kid, at, protected: text, signature };
  return { ...own, hash: await signedHash({ protected: text, signature }), ...added };
}

/** @param {unknown} object @param {(detail: string) => ChatSecError} refuse @returns {Record<string, any>} */
function parseFields(object, refuse) {
  try {
    if (!isObject(object)) throw refuse('not an object');
    decodeB64u(object.signature);
    const fields = parseStrictJson(decodeB64u(object.protected));
    if (!isObject(fields)) throw refuse('not an object inside');
    return fields;
  } catch (error) {
    if (error instanceof ChatSecError) throw refuse(error.detail);
    throw error;
  }
}

/**
 * Whether the signature is by the key it names, of the bundle it names, in the author's line.
 * @param {Read} read @param {import('./lines.js').Line | undefined} line of `by`; undefined: nobody knows them
 * @returns {Promise<boolean>}
 */
export async function isSigned(read, line) {
  const link = line?.username === read.by ? linkOf(line, read.keys) : undefined;
  const key = link && signingKey(link.bundle, read.kid);
  if (!key || key.alg !== read.alg || !algorithms.mayLink(key.alg)) return false;
  const signature = decodeB64u(read.signature);
  return algorithms.verifySignature(key.alg, key.spki, signature, signedBytes(read.kind, read.protected));
}
