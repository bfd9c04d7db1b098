// From the typed password to what the server sees and what opens the backup (protocol §3).
//
// Refuses, as `weak_kdf`, every prelogin answer that is not Argon2id within the protocol's bounds, `null` above all:
// no server can talk a client into sending the typed password or deriving it cheaply. A password that is not
// well-formed text is `invalid`.

import { ChatSecError } from '../errors.js';
import { decodeB64u, encodeB64u, encodeText, isB64u, isCount, isObject, randomBytes } from './bytes.js';
import { hkdf, KEY_BYTES } from './symmetric.js';

/**
 * @typedef {import('./bytes.js').Bytes} Bytes
 * @typedef {{name: string, m: number, t: number, p: number, salt: string}} Kdf m in KiB, salt b64u of 16 bytes
 * @typedef {{auth: string, passwordKey: Bytes}} Login `auth` is sent as `password`; `passwordKey` never leaves
 */

const NAME = 'argon2id';
const SALT_BYTES = 16;
const LEAST = Object.freeze({ m: 65536, t: 3, p: 1 });
const MOST = Object.freeze({ m: 1048576, t: 16, p: 4 });

/** The parameters of a new account. @param {(length: number) => Uint8Array} [random] @returns {Kdf} */
export const newKdf = (random = randomBytes) => ({
  name: NAME,
  ...LEAST,
  salt: encodeB64u(random(SALT_BYTES)),
});

/**
 * Judges a prelogin answer before anything is derived. Throws `weak_kdf`.
 * @param {unknown} kdf
 * @returns {Kdf}
 */
export function judgeKdf(kdf) {
  const weak = (/** @type {string} */ why) => new ChatSecError('weak_kdf', why);
  if (!isObject(kdf) || kdf.name !== NAME) throw weak('not Argon2id');
  for (const name of /** @type {const} */ (['m', 't', 'p'])) {
    const value = kdf[name];
    if (!isCount(value) || value < LEAST[name] || value > MOST[name]) throw weak(`${name} is out of bounds`);
  }
  if (!isB64u(kdf.salt, SALT_BYTES)) throw weak('salt is not 16 bytes');
  return { name: NAME, m: kdf.m, t: kdf.t, p: kdf.p, salt: kdf.salt };
}

/** NFKC and UTF-8. @param {string} password @returns {Bytes} */
function passwordBytes(password) {
  try {
    return encodeText(password.normalize('NFKC'));
  } catch (error) {
    if (error instanceof ChatSecError) throw new ChatSecError('invalid', 'password is not well-formed text');
    throw error;
  }
}

/** True where WebAssembly exists and the page's policy lets it run. */
function hasWebAssembly() {
  if (typeof WebAssembly === 'undefined') return false;
  try {
    return (
      new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)) instanceof WebAssembly.Module
    );
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return false; // the policy forbids it: the script takes over
    throw error;
  }
}

/**
 * Argon2id (RFC 9106) of 32 bytes, by WebAssembly where it runs, else in script. Judges nothing.
 * @param {string} password @param {Uint8Array} salt @param {{m: number, t: number, p: number}} cost
 * @param {{script?: boolean}} [options] `script` asks for the slower way, for its tests
 * @returns {Promise<Bytes>}
 */
export async function argon2id(password, salt, { m, t, p }, { script = !hasWebAssembly() } = {}) {
  const bytes = passwordBytes(password);
  if (script) {
    const { argon2idAsync } = await import('@noble/hashes/argon2.js');
    return new Uint8Array(await argon2idAsync(bytes, salt, { m, t, p, dkLen: KEY_BYTES }));
  }
  const { argon2id: derive } = await import('hash-wasm');
  const cost = { memorySize: m, iterations: t, parallelism: p, hashLength: KEY_BYTES };
  return new Uint8Array(await derive({ password: bytes, salt, ...cost, outputType: 'binary' }));
}

/** @param {Uint8Array} master 32 bytes @returns {Promise<Login>} */
export async function splitMaster(master) {
  return {
    auth: encodeB64u(await hkdf(master, encodeText('chatsec/auth/v1'))),
    passwordKey: await hkdf(master, encodeText('chatsec/backup/v1')),
  };
}

/**
 * All that a client derives from a password. Takes about 0.2 s and 64 MiB: belongs into a worker.
 * @param {string} password @param {unknown} kdf as prelogin gave it
 * @returns {Promise<Login>} throws `weak_kdf`, `invalid`
 */
export async function deriveLogin(password, kdf) {
  const judged = judgeKdf(kdf);
  const master = await argon2id(password, decodeB64u(judged.salt, SALT_BYTES), judged);
  const login = await splitMaster(master);
  master.fill(0);
  return login;
}
