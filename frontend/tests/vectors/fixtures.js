// What the generator of the vectors needs to make the same bytes every time: fixed keys, a stream of bytes from a
// label, and RSA-PSS and RSA-OAEP with a chosen salt and seed (RFC 8017 §7.1.1, §9.1.1), which WebCrypto does not
// offer. For tests only: nothing here is random.

import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  privateEncrypt,
  publicEncrypt,
} from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import * as dsa from '../../lib/crypto/dsa.js';
import * as ed25519 from '../../lib/crypto/ed25519.js';
import { concat, decodeB64u, encodeB64u, encodeText, generateKeys } from '../../lib/crypto/index.js';

/** @typedef {import('../../lib/crypto/bytes.js').Bytes} Bytes */
/** @typedef {{alg: string, kid: string, spki: Bytes, pkcs8: Bytes}} Key */

export const CHAT = '5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a10';
export const OTHER_CHAT = '5a1d7f04-3c7e-4d0b-9b52-7d6f1c2e9a11';

const KEYS = new URL('./keys.json', import.meta.url);

/** Test keys by name and alg; made once, then kept. @returns {Promise<Record<string, Record<string, Key>>>} */
export async function testKeys() {
  if (!existsSync(KEYS)) {
    /** @type {Record<string, unknown>} */
    const made = {};
    for (const name of ['alice', 'bob']) {
      made[name] = (await generateKeys()).map(({ alg, kid, spki, pkcs8 }) => ({
        alg,
        kid,
        spki: encodeB64u(spki),
        pkcs8: encodeB64u(pkcs8),
      }));
    }
    writeFileSync(KEYS, `${JSON.stringify(made, null, 2)}\n`);
  }
  const read = (/** @type {any} */ key) => [
    key.alg,
    { ...key, spki: decodeB64u(key.spki), pkcs8: decodeB64u(key.pkcs8) },
  ];
  return Object.fromEntries(
    Object.entries(JSON.parse(readFileSync(KEYS, 'utf8'))).map(([name, keys]) => [
      name,
      Object.fromEntries(keys.map(read)),
    ]),
  );
}

/** Bytes that depend on a label alone. @param {string} label @param {number} length @returns {Bytes} */
export function stream(label, length) {
  let out = new Uint8Array(0);
  for (let i = 0; out.length < length; i++) {
    out = concat(out, createHash('sha256').update(`chatsec/vectors\n${label}\n${i}`).digest());
  }
  return out.slice(0, length);
}

/** @param {string} label @returns {(length: number) => Bytes} a new part of the stream at each call */
export function generator(label) {
  let calls = 0;
  return (length) => stream(`${label}\n${calls++}`, length);
}

/** @param {Uint8Array} data @param {string} [name] */
const digest = (data, name = 'sha256') => new Uint8Array(createHash(name).update(data).digest());
const xor = (/** @type {Uint8Array} */ a, /** @type {Uint8Array} */ b) =>
  Uint8Array.from(a, (byte, i) => byte ^ b[i]);

/** MGF1. @param {Uint8Array} seed @param {number} length @param {string} [name] of the hash */
function mgf1(seed, length, name) {
  let out = new Uint8Array(0);
  for (let i = 0; out.length < length; i++)
    out = concat(out, digest(concat(seed, Uint8Array.of(0, 0, 0, i)), name));
  return out.slice(0, length);
}

const raw = { padding: constants.RSA_NO_PADDING };

/** RSASSA-PSS with a chosen salt. @param {Uint8Array} pkcs8 @param {Uint8Array} data @param {Uint8Array} salt @returns {Bytes} */
export function signPss(pkcs8, data, salt) {
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  const length = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const h = digest(concat(new Uint8Array(8), digest(data), salt));
  const db = concat(new Uint8Array(length - salt.length - 34), Uint8Array.of(1), salt);
  const masked = xor(db, mgf1(h, db.length));
  masked[0] &= 0x7f;
  return new Uint8Array(privateEncrypt({ key, ...raw }, concat(masked, h, Uint8Array.of(0xbc))));
}

/**
 * RSAES-OAEP with a chosen seed, which is as long as the hash.
 * @param {Uint8Array} spki @param {Uint8Array} secret @param {Uint8Array} label @param {Uint8Array} seed
 * @param {string} [name] of the hash @returns {Bytes}
 */
export function encryptOaep(spki, secret, label, seed, name) {
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  const length = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const zeros = new Uint8Array(length - secret.length - 2 * seed.length - 2);
  const db = concat(digest(label, name), zeros, Uint8Array.of(1), secret);
  const maskedDb = xor(db, mgf1(seed, db.length, name));
  const maskedSeed = xor(seed, mgf1(maskedDb, seed.length, name));
  return new Uint8Array(publicEncrypt({ key, ...raw }, concat(Uint8Array.of(0), maskedSeed, maskedDb)));
}

/** Signs alike every time, by the algorithm of the key. @param {Key} key @param {Uint8Array} data @param {string} label */
export async function signFixed(key, data, label) {
  const salt = stream(`${label}\nsalt`, 32);
  switch (key.alg) {
    case 'RSA-PSS-SHA256':
      return { signature: signPss(key.pkcs8, data, salt), salt: encodeB64u(salt) };
    case 'DSA-SHA256':
      return {
        signature: dsa.sign(dsa.parsePrivate(key.pkcs8), data, { extra: salt }),
        extra: encodeB64u(salt),
      };
    default:
      return { signature: await ed25519.signInScript(ed25519.parsePrivate(key.pkcs8), data) };
  }
}

/** The bytes with one bit of one byte changed. @param {Uint8Array} bytes @param {number} at */
export const flip = (bytes, at) => Uint8Array.from(bytes, (byte, i) => (i === at ? byte ^ 1 : byte));

/** b64u of a text's bytes. @param {string} text */
export const b64uText = (text) => encodeB64u(encodeText(text));
