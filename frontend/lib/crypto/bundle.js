// Key bundles: the public keys of a user, their proofs, and the line from one version to the next (protocol §2).
//
// Judges everything again that the server says it has judged, primality of an RSA modulus aside. Refuses with
// `malformed` (not a bundle), `malformed_key`, `weak_key`, `unsupported_algorithm` and `invalid_proof`, keys before
// proofs. A step between two versions that is missing or wrong is no error: it is a reset, and said so.

import { ChatSecError } from '../errors.js';
import * as algorithms from './algorithms.js';
import { decodeB64u, encodeB64u, encodeText, hash, isObject } from './bytes.js';
import { isHashOrEmpty, isOrdinal, isUsername } from './forms.js';

/**
 * @typedef {import('./bytes.js').Bytes} Bytes
 * @typedef {{alg: string, kid: string, spki: Bytes}} BundleKey
 * @typedef {BundleKey & {pkcs8: Bytes}} OwnKey
 * @typedef {object} Judged a bundle that passed every check
 * @property {string} username
 * @property {number} version
 * @property {string} previous kh of the version before, or ""
 * @property {string} hash kh, the bundle hash
 * @property {string} statement
 * @property {BundleKey} encryption
 * @property {BundleKey[]} signing
 * @property {{kid: string, signature: Bytes} | null} continuity not yet verified: see continues()
 * @typedef {{version: number, keys: string}} Pin
 * @typedef {{version: number, bundle: Judged | null, failure: string | null, continuous: boolean}} Step
 */

/** `kid` = H(SPKI DER). @param {Uint8Array} spki @returns {Promise<string>} */
export const kidOf = (spki) => hash(spki);

/**
 * The text that each proof and the continuity signature sign.
 * @param {{username: string, version: number, previous: string, encryption: {kid: string}, signing: {alg: string, kid: string}[]}} bundle
 * @returns {string}
 */
export function statementOf({ username, version, previous, encryption, signing }) {
  // Ids and kids are ASCII, so the order of UTF-16 units is that of the bytes.
  const keys = signing.map(({ alg, kid }) => `${alg}:${kid}`).sort();
  return ['chatsec/keys/v1', username, version, previous, encryption.kid, keys.join(',')].join('\n');
}

// ---- making ----

/** Fresh keys for a first or a next bundle: all signing algorithms and the wrapping one. @returns {Promise<OwnKey[]>} */
export async function generateKeys() {
  const keys = [];
  for (const alg of [algorithms.WRAPPING, ...algorithms.SIGNING]) {
    const { spki, pkcs8 } = await algorithms.generateKey(alg);
    keys.push({ alg, kid: await kidOf(spki), spki, pkcs8 });
  }
  return keys;
}

/** @param {OwnKey} key @param {string} statement @returns {Promise<string>} b64u */
async function signStatement({ alg, pkcs8 }, statement) {
  const key = await algorithms.importPrivate(alg, pkcs8);
  return encodeB64u(await algorithms.sign(alg, key, encodeText(statement)));
}

/**
 * The bundle to upload.
 * @param {object} parts
 * @param {string} parts.username
 * @param {number} parts.version
 * @param {OwnKey[]} parts.keys one of the wrapping algorithm, the others sign
 * @param {string} [parts.previous] kh of the version before; with `link` or not at all
 * @param {OwnKey} [parts.link] a key of the previous bundle that signs the continuity
 * @returns {Promise<{bundle: Record<string, any>, hash: string}>}
 */
export async function makeBundle({ username, version, keys, previous = '', link }) {
  if (Boolean(link) !== (previous !== '') || (link && !algorithms.mayLink(link.alg))) {
    throw new ChatSecError('invalid_proof', 'continuity needs the previous hash and a key that may link');
  }
  const encryption = keys.find(({ alg }) => alg === algorithms.WRAPPING);
  if (!encryption) throw new ChatSecError('malformed_key', 'no wrapping key');
  const signing = keys.filter((key) => key !== encryption);
  const statement = statementOf({ username, version, previous, encryption, signing });
  const proofs = await Promise.all(
    signing.map(async (key) => [key.kid, await signStatement(key, statement)]),
  );
  const publicKey = (/** @type {OwnKey} */ { alg, spki }) => ({ alg, spki: encodeB64u(spki) });
  const bundle = {
    version,
    previous,
    encryption: publicKey(encryption),
    signing: signing.map(publicKey),
    proofs: Object.fromEntries(proofs),
    ...(link && { continuity: { kid: link.kid, signature: await signStatement(link, statement) } }),
  };
  return { bundle, hash: await hash(statement) };
}

// ---- judging ----

/**
 * One key of a bundle, judged. @param {unknown} key @param {'sign' | 'wrap'} use @returns {Promise<BundleKey>}
 */
async function judgeKey(key, use) {
  if (!isObject(key) || typeof key.alg !== 'string' || typeof key.spki !== 'string') {
    throw new ChatSecError('malformed', 'a key is not {alg, spki}');
  }
  algorithms.algorithm(key.alg, use);
  const spki = decodeB64u(key.spki);
  await algorithms.judgeKey(key.alg, spki);
  return { alg: key.alg, kid: await kidOf(spki), spki };
}

/** @param {BundleKey} encryption @param {BundleKey[]} signing */
function judgeSet(encryption, signing) {
  const kids = new Set([encryption.kid, ...signing.map(({ kid }) => kid)]);
  if (kids.size !== signing.length + 1) throw new ChatSecError('weak_key', 'a kid twice');
  if (new Set(signing.map(({ alg }) => alg)).size !== signing.length) {
    throw new ChatSecError('malformed', 'two signing keys of one algorithm');
  }
  if (!signing.some(({ alg }) => algorithms.mayLink(alg))) {
    throw new ChatSecError('malformed', 'neither an RSA-PSS nor an Ed25519 key');
  }
}

/** Possession of every signing key, and nothing beside it. @param {Record<string, unknown>} proofs @param {BundleKey[]} signing @param {string} statement */
async function judgeProofs(proofs, signing, statement) {
  if (Object.keys(proofs).length !== signing.length)
    throw new ChatSecError('invalid_proof', 'one proof for each key');
  for (const { alg, kid, spki } of signing) {
    if (!Object.hasOwn(proofs, kid)) throw new ChatSecError('invalid_proof', `no proof of the ${alg} key`);
    const proof = decodeB64u(proofs[kid]);
    const proved = await algorithms.verifySignature(alg, spki, proof, encodeText(statement));
    if (!proved) throw new ChatSecError('invalid_proof', `proof of the ${alg} key`);
  }
}

/** @param {Record<string, any>} bundle @returns {Judged['continuity']} */
function judgeContinuity({ previous, continuity }) {
  const absent = continuity === undefined || continuity === null;
  if (absent !== (previous === ''))
    throw new ChatSecError('invalid_proof', 'previous and continuity go together');
  if (absent) return null;
  if (!isObject(continuity) || typeof continuity.kid !== 'string') {
    throw new ChatSecError('malformed', 'continuity is not {kid, signature}');
  }
  return { kid: continuity.kid, signature: decodeB64u(continuity.signature) };
}

/**
 * Every check of §2 that needs no other bundle.
 * @param {string} username whose bundle it is said to be @param {unknown} bundle as §2 and `GET …/keys` give it
 * @returns {Promise<Judged>}
 */
export async function judgeBundle(username, bundle) {
  const formed =
    isUsername(username) &&
    isObject(bundle) &&
    isOrdinal(bundle.version) &&
    isHashOrEmpty(bundle.previous) &&
    Array.isArray(bundle.signing) &&
    isObject(bundle.proofs);
  if (!formed) throw new ChatSecError('malformed', 'not a key bundle');
  const { version, previous, proofs } = bundle;
  const encryption = await judgeKey(bundle.encryption, 'wrap');
  const signing = [];
  // One key more than there are algorithms is enough to be refused, however many follow.
  for (const key of bundle.signing.slice(0, algorithms.SIGNING.length + 1))
    signing.push(await judgeKey(key, 'sign'));
  judgeSet(encryption, signing);
  const statement = statementOf({ username, version, previous, encryption, signing });
  await judgeProofs(proofs, signing, statement);
  const continuity = judgeContinuity(bundle);
  if (version === 1 && previous !== '') throw new ChatSecError('invalid_proof', 'version 1 has no previous');
  return {
    username,
    version,
    previous,
    hash: await hash(statement),
    statement,
    encryption,
    signing,
    continuity,
  };
}

/** The signing key with that kid. @param {Judged} bundle @param {string} kid @returns {BundleKey | undefined} */
export const signingKey = (bundle, kid) => bundle.signing.find((key) => key.kid === kid);

/**
 * True if `next` is the version right after `before` and one of its RSA-PSS or Ed25519 keys says so.
 * @param {Judged} before @param {Judged} next @returns {Promise<boolean>}
 */
export async function continues(before, next) {
  const { continuity } = next;
  if (!continuity || next.version !== before.version + 1 || next.previous !== before.hash) return false;
  const key = signingKey(before, continuity.kid);
  if (!key || !algorithms.mayLink(key.alg) || next.username !== before.username) return false;
  return algorithms.verifySignature(key.alg, key.spki, continuity.signature, encodeText(next.statement));
}

/**
 * Walks the versions of one user and says how far unbroken continuity reaches from the pin, forwards and back.
 * @param {string} username
 * @param {Pin | null} pin null at a first meeting: then the current bundle is what will be pinned
 * @param {unknown[]} bundles in any order, the pinned version among them
 * @returns {Promise<{steps: Step[], current: Judged | null, linked: Judged[], reset: boolean}>} steps by version;
 *   `current` is null if the newest is refused; `reset`: the current one is not linked to the pin
 */
export async function walkBundles(username, pin, bundles) {
  const steps = await judgeSteps(username, bundles);
  const last = steps.length - 1;
  const isPinned = (/** @type {Step} */ { bundle }) =>
    bundle?.hash === pin?.keys && bundle?.version === pin?.version;
  const anchor = pin ? steps.findIndex(isPinned) : last;
  const current = steps[last]?.bundle ?? null;
  if (anchor < 0 || !steps[anchor].bundle) return { steps, current, linked: [], reset: pin !== null };
  let [from, to] = [anchor, anchor];
  while (steps[from].continuous) from -= 1;
  while (to < last && steps[to + 1].continuous) to += 1;
  const linked = steps.slice(from, to + 1).map(({ bundle }) => /** @type {Judged} */ (bundle));
  return { steps, current, linked, reset: pin !== null && to !== last };
}

/** @param {string} username @param {unknown[]} bundles @returns {Promise<Step[]>} */
async function judgeSteps(username, bundles) {
  /** @type {Step[]} */
  const steps = [];
  for (const bundle of [...bundles].sort((a, b) => versionOf(a) - versionOf(b))) {
    const step = await judgeStep(username, bundle);
    const before = steps.at(-1)?.bundle;
    step.continuous = Boolean(before && step.bundle && (await continues(before, step.bundle)));
    steps.push(step);
  }
  return steps;
}

/** @param {unknown} bundle */
const versionOf = (bundle) => (isObject(bundle) && isOrdinal(bundle.version) ? bundle.version : 0);

/** @param {string} username @param {unknown} bundle @returns {Promise<Step>} */
async function judgeStep(username, bundle) {
  const version = versionOf(bundle);
  try {
    return { version, bundle: await judgeBundle(username, bundle), failure: null, continuous: false };
  } catch (error) {
    if (!(error instanceof ChatSecError)) throw error;
    return { version, bundle: null, failure: error.code, continuous: false };
  }
}
