// The algorithm table: all that is known about an `alg` is one entry here, and nothing else branches on alg names
// (protocol §2).
//
// Keys are opaque to callers: a CryptoKey where the platform has the algorithm, else an object of this library
// (isNative tells; only a CryptoKey can be kept where no script reads it). Refuses unknown ids with
// `unsupported_algorithm`, encodings that are no such key with `malformed_key`, and (judgeKey) keys that must not be
// used with `weak_key`.

import { ChatSecError } from '../errors.js';
import { encodeB64u, hash, randomBytes } from './bytes.js';
import * as dsa from './dsa.js';
import * as ed25519 from './ed25519.js';
import * as rsa from './rsa.js';

/**
 * @typedef {import('./bytes.js').Bytes} Bytes
 * @typedef {object} PublicKey opaque; made by importPublic
 * @typedef {object} PrivateKey opaque; made by importPrivate
 * @typedef {{spki: Bytes, pkcs8: Bytes}} KeyBytes
 *
 * @typedef {object} Algorithm
 * @property {string} id
 * @property {string} label for people
 * @property {'sign' | 'wrap'} use
 * @property {boolean} legacy shown as such, never the default
 * @property {boolean} links may sign what is not a message: continuity, membership, shares (protocol §2)
 * @property {() => Promise<KeyBytes>} generate
 * @property {(spki: Uint8Array) => Promise<PublicKey>} importPublic any size and domain
 * @property {(pkcs8: Uint8Array) => Promise<PrivateKey>} importPrivate not extractable where the platform can
 * @property {(pkcs8: Uint8Array) => Promise<Bytes>} publicOf the SPKI that belongs to a private key
 * @property {(spki: Uint8Array) => Promise<void>} judge key policy; throws `malformed` or a §8 name
 * @property {(key: any, data: Uint8Array) => Promise<Bytes>} [sign]
 * @property {(key: any, signature: Uint8Array, data: Uint8Array) => Promise<boolean>} [verify]
 * @property {(key: any, secret: Uint8Array, label: Uint8Array) => Promise<Bytes>} [wrap]
 * @property {(key: any, wrapped: Uint8Array, label: Uint8Array) => Promise<Bytes>} [unwrap]
 */

const subtle = () => globalThis.crypto.subtle;
const bytesOf = async (/** @type {Promise<ArrayBuffer>} */ buffer) => new Uint8Array(await buffer);
const source = (/** @type {Uint8Array} */ bytes) => /** @type {Bytes} */ (bytes);

// ---- RSA, by WebCrypto ----

/**
 * @param {string} name of WebCrypto
 * @param {KeyUsage} publicUse @param {KeyUsage} privateUse
 * @returns {Pick<Algorithm, 'generate' | 'importPublic' | 'importPrivate' | 'publicOf' | 'judge'>}
 */
function rsaKeys(name, publicUse, privateUse) {
  const parameters = { name, hash: 'SHA-256' };
  return {
    async generate() {
      const size = { modulusLength: 3072, publicExponent: Uint8Array.of(1, 0, 1) };
      return exportPair(
        await subtle().generateKey({ ...parameters, ...size }, true, [publicUse, privateUse]),
      );
    },
    // The SPKI is encoded again, so that no platform's tolerance for other encodings or OIDs matters.
    importPublic: async (spki) =>
      subtle().importKey('spki', rsa.encodePublic(rsa.parsePublic(spki)), parameters, false, [publicUse]),
    importPrivate: (pkcs8) => subtle().importKey('pkcs8', source(pkcs8), parameters, false, [privateUse]),
    publicOf: async (pkcs8) => rsa.publicOf(pkcs8),
    judge: async (spki) => rsa.judgePublic(rsa.parsePublic(spki)),
  };
}

/** @param {CryptoKeyPair} pair extractable @returns {Promise<KeyBytes>} */
async function exportPair({ publicKey, privateKey }) {
  return {
    spki: await bytesOf(subtle().exportKey('spki', publicKey)),
    pkcs8: await bytesOf(subtle().exportKey('pkcs8', privateKey)),
  };
}

const PSS = { name: 'RSA-PSS', saltLength: 32 };

/** OAEP parameters; an empty label is none. @param {Uint8Array} label */
const oaep = (label) => ({ name: 'RSA-OAEP', ...(label.length > 0 && { label: source(label) }) });

// ---- Ed25519, by WebCrypto or in script ----

/** @type {Promise<boolean> | undefined} */
let nativeEd25519;

/** True where WebCrypto has Ed25519; asked once. */
function hasEd25519() {
  const base = Uint8Array.of(0x58, ...new Uint8Array(31).fill(0x66)); // the base point, a key like any other
  nativeEd25519 ??= subtle()
    .importKey('raw', base, { name: 'Ed25519' }, false, ['verify'])
    .then(
      () => true,
      () => false, // NotSupportedError, or what an older platform calls it: the script takes over
    );
  return nativeEd25519;
}

/** @type {Pick<Algorithm, 'generate' | 'importPublic' | 'importPrivate' | 'publicOf' | 'judge' | 'sign' | 'verify'>} */
const ed25519Keys = {
  async generate() {
    const seed = randomBytes(32);
    const spki = ed25519.encodePublic(await ed25519.pointOf(seed));
    return { spki, pkcs8: ed25519.encodePrivate(seed) };
  },
  async importPublic(spki) {
    const point = ed25519.parsePublic(spki);
    await ed25519.judgePoint(point); // no platform checks the order of the point
    if (!(await hasEd25519())) return { point };
    return subtle().importKey('raw', point, { name: 'Ed25519' }, false, ['verify']);
  },
  async importPrivate(pkcs8) {
    const seed = ed25519.parsePrivate(pkcs8);
    if (!(await hasEd25519())) return { seed };
    return subtle().importKey('pkcs8', ed25519.encodePrivate(seed), { name: 'Ed25519' }, false, ['sign']);
  },
  publicOf: async (pkcs8) => ed25519.encodePublic(await ed25519.pointOf(ed25519.parsePrivate(pkcs8))),
  judge: async (spki) => ed25519.judgePoint(ed25519.parsePublic(spki)),
  sign: async (key, data) =>
    isNative(key)
      ? bytesOf(subtle().sign({ name: 'Ed25519' }, key, source(data)))
      : ed25519.signInScript(key.seed, data),
  verify: async (key, signature, data) =>
    isNative(key)
      ? subtle().verify({ name: 'Ed25519' }, key, source(signature), source(data))
      : ed25519.verifyInScript(key.point, signature, data),
};

// ---- the table ----

/** @type {Readonly<Record<string, Algorithm>>} */
const TABLE = Object.freeze({
  'RSA-PSS-SHA256': {
    id: 'RSA-PSS-SHA256',
    label: 'RSA-PSS',
    use: 'sign',
    legacy: false,
    links: true,
    ...rsaKeys('RSA-PSS', 'verify', 'sign'),
    sign: (key, data) => bytesOf(subtle().sign(PSS, key, source(data))),
    verify: (key, signature, data) => subtle().verify(PSS, key, source(signature), source(data)),
  },
  Ed25519: { id: 'Ed25519', label: 'Ed25519', use: 'sign', legacy: false, links: true, ...ed25519Keys },
  'DSA-SHA256': {
    id: 'DSA-SHA256',
    label: 'DSA (legacy)',
    use: 'sign',
    legacy: true,
    links: false,
    async generate() {
      const key = dsa.generatePrivate();
      return { spki: dsa.encodePublic(dsa.publicOf(key)), pkcs8: dsa.encodePrivate(key) };
    },
    importPublic: async (spki) => dsa.parsePublic(spki),
    importPrivate: async (pkcs8) => dsa.parsePrivate(pkcs8),
    publicOf: async (pkcs8) => dsa.encodePublic(dsa.publicOf(dsa.parsePrivate(pkcs8))),
    judge: async (spki) => dsa.judgePublic(dsa.parsePublic(spki)),
    sign: async (key, data) => dsa.sign(key, data),
    verify: async (key, signature, data) => dsa.verify(key, signature, data),
  },
  'RSA-OAEP-256': {
    id: 'RSA-OAEP-256',
    label: 'RSA-OAEP',
    use: 'wrap',
    legacy: false,
    links: false,
    ...rsaKeys('RSA-OAEP', 'encrypt', 'decrypt'),
    wrap: (key, secret, label) => bytesOf(subtle().encrypt(oaep(label), key, source(secret))),
    unwrap: (key, wrapped, label) => bytesOf(subtle().decrypt(oaep(label), key, source(wrapped))),
  },
});

/** The one wrapping algorithm. */
export const WRAPPING = 'RSA-OAEP-256';

/** The default for signing, and the order in which algorithms are offered. */
export const SIGNING = Object.freeze(['RSA-PSS-SHA256', 'Ed25519', 'DSA-SHA256']);

/** What a person may sign with. @type {ReadonlyArray<{id: string, label: string, legacy: boolean}>} */
export const ALGORITHMS = Object.freeze(
  SIGNING.map((id) => Object.freeze({ id, label: TABLE[id].label, legacy: TABLE[id].legacy })),
);

/**
 * The entry of an algorithm for this use. Throws `unsupported_algorithm`.
 * @param {unknown} id @param {'sign' | 'wrap'} use @returns {Algorithm}
 */
export function algorithm(id, use) {
  const entry = typeof id === 'string' && Object.hasOwn(TABLE, id) ? TABLE[id] : undefined;
  if (entry?.use !== use) throw new ChatSecError('unsupported_algorithm', `not an algorithm to ${use} with`);
  return entry;
}

/** @param {string} id @returns {Algorithm} of either use */
const anyAlgorithm = (id) => algorithm(id, id === WRAPPING ? 'wrap' : 'sign');

/** May sign continuity, membership and shares. @param {string} id */
export const mayLink = (id) => Object.hasOwn(TABLE, id) && TABLE[id].links;

/** True for a key that the platform holds, and that storage can keep without exposing it. @param {PrivateKey} key */
export const isNative = (key) => typeof CryptoKey !== 'undefined' && key instanceof CryptoKey;

/**
 * Names the failure of reading a key; what is no error about bytes stays what it is.
 * @template T @param {() => Promise<T>} read @returns {Promise<T>}
 */
async function readingKey(read) {
  try {
    return await read();
  } catch (error) {
    const bad = error instanceof ChatSecError ? error.code === 'malformed' : error instanceof DOMException;
    if (bad) throw new ChatSecError('malformed_key', /** @type {Error} */ (error).message);
    throw error;
  }
}

const MAX_SPKI = 4096; // bytes; the largest key that is taken has a third of that

/** No key larger than any of ours is worth the arithmetic. @param {Uint8Array} spki */
function bounded(spki) {
  if (spki.length > MAX_SPKI) throw new ChatSecError('malformed_key', 'the key is too long');
  return spki;
}

/** A fresh key pair, extractable once as bytes. @param {string} alg @returns {Promise<KeyBytes>} */
export const generateKey = async (alg) => anyAlgorithm(alg).generate();

/** @param {string} alg @param {Uint8Array} pkcs8 @returns {Promise<PrivateKey>} throws `malformed_key` */
export const importPrivate = (alg, pkcs8) => readingKey(async () => anyAlgorithm(alg).importPrivate(pkcs8));

/** The SPKI of a private key. @param {string} alg @param {Uint8Array} pkcs8 @returns {Promise<Bytes>} */
export const publicOf = (alg, pkcs8) => readingKey(async () => anyAlgorithm(alg).publicOf(pkcs8));

// Keys that passed, the oldest forgotten first: bundles are judged at every log-in and page, and their keys are the same.
const PASSED_KEYS = 1024;
/** @type {Set<string>} */
const passedKeys = new Set();

/**
 * Key policy of protocol §2. Throws `malformed_key`, `weak_key`, `unsupported_algorithm`.
 * @param {string} alg @param {Uint8Array} spki
 */
export async function judgeKey(alg, spki) {
  const name = `${alg} ${await hash(spki)}`;
  if (passedKeys.has(name)) return;
  await readingKey(async () => anyAlgorithm(alg).judge(bounded(spki)));
  passedKeys.add(name);
  for (const oldest of passedKeys) {
    if (passedKeys.size <= PASSED_KEYS) break;
    passedKeys.delete(oldest);
  }
}

/** @param {string} alg @param {PrivateKey} key @param {Uint8Array} data @returns {Promise<Bytes>} */
export async function sign(alg, key, data) {
  return /** @type {Required<Algorithm>} */ (algorithm(alg, 'sign')).sign(key, data);
}

// Imported public keys, the latest used last: a key's import and its DSA table are paid once. 32 of them hold a
// table of about 0.4 MB each at most.
const PUBLIC_KEYS = 32;
/** @type {Map<string, PublicKey>} */
const publicKeys = new Map();

/** @param {string} alg @param {Uint8Array} spki @returns {Promise<PublicKey>} throws `malformed_key` */
export async function importPublic(alg, spki) {
  const name = `${alg} ${encodeB64u(spki)}`;
  const key =
    publicKeys.get(name) ?? (await readingKey(async () => anyAlgorithm(alg).importPublic(bounded(spki))));
  publicKeys.delete(name);
  publicKeys.set(name, key);
  for (const oldest of publicKeys.keys()) {
    if (publicKeys.size <= PUBLIC_KEYS) break;
    publicKeys.delete(oldest);
  }
  return key;
}

/**
 * Verifies under any size and DSA domain (policy is judged with the bundle). Bad bytes are false, never an error;
 * only an id that is no signature algorithm throws (`unsupported_algorithm`).
 * @param {string} alg @param {Uint8Array} spki @param {Uint8Array} signature @param {Uint8Array} data
 * @returns {Promise<boolean>}
 */
export async function verifySignature(alg, spki, signature, data) {
  const { verify } = /** @type {Required<Algorithm>} */ (algorithm(alg, 'sign'));
  try {
    return await verify(await importPublic(alg, spki), signature, data);
  } catch (error) {
    if (error instanceof ChatSecError || error instanceof DOMException) return false;
    throw error;
  }
}

/**
 * RSA-OAEP with SHA-256 and MGF1-SHA-256 to a public key. @param {Uint8Array} spki @param {Uint8Array} secret
 * @param {Uint8Array} label @returns {Promise<Bytes>}
 */
export async function wrap(spki, secret, label) {
  const entry = /** @type {Required<Algorithm>} */ (algorithm(WRAPPING, 'wrap'));
  return entry.wrap(await importPublic(WRAPPING, spki), secret, label);
}

/**
 * The inverse of wrap under an imported private key. Throws `undecryptable`.
 * @param {PrivateKey} key @param {Uint8Array} wrapped @param {Uint8Array} label @returns {Promise<Bytes>}
 */
export async function unwrap(key, wrapped, label) {
  const entry = /** @type {Required<Algorithm>} */ (algorithm(WRAPPING, 'wrap'));
  try {
    return await entry.unwrap(key, wrapped, label);
  } catch (error) {
    if (error instanceof DOMException) throw new ChatSecError('undecryptable', 'RSA-OAEP does not open');
    throw error;
  }
}

/**
 * RSA-OAEP decryption on bytes alone, for any size of key. Throws `malformed_key` or `undecryptable`.
 * @param {Uint8Array} pkcs8 @param {Uint8Array} ciphertext @param {Uint8Array} [label] @returns {Promise<Bytes>}
 */
export async function rsaOaepDecrypt(pkcs8, ciphertext, label = new Uint8Array(0)) {
  return unwrap(await importPrivate(WRAPPING, pkcs8), ciphertext, label);
}
