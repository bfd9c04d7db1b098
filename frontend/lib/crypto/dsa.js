// DSA over SHA-256 (FIPS 186-4 §4) on BigInt: the signatures that are shown as "legacy" (protocol §2).
//
// Signs and makes keys on the protocol's domain; verifies on any, so that public vectors can be run. Refuses keys
// and signatures that are not strict DER, r and s outside 1 … q−1, and (judgeKey) a foreign domain or a y outside
// the group. BigInt is not constant time: secret exponents are blinded by a random multiple of q and recoded so
// that every power takes the same multiplications, and s is computed on blinded values. That mitigates timing and
// does not remove it; the other algorithms run in native code.

import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { ChatSecError } from '../errors.js';
import { concat, fromBigInt, randomBytes, toBigInt } from './bytes.js';
import { DerReader, derBits, derOctets, derSequence, derUnsigned, derValue, TAG } from './der.js';
import { G, P, Q } from './dsa_domain.js';

/**
 * @typedef {import('./bytes.js').Bytes} Bytes
 * @typedef {{p: bigint, q: bigint, g: bigint, bits: number}} Domain `bits` is the length of q
 * @typedef {{domain: Domain, y: bigint, uses: number, table: bigint[][] | null}} DsaPublicKey
 * @typedef {{domain: Domain, x: bigint}} DsaPrivateKey
 * @typedef {(length: number) => Uint8Array} Random
 */

const OID_DSA = Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01); // 1.2.840.10040.4.1
const MAX_P_BITS = 4096; // a foreign domain costs the verifier time: no more than this
const MAX_Q_BITS = 512;
const USES_BEFORE_TABLE = 2; // a table for y pays off from the third signature of a key

/** @param {bigint} p @param {bigint} q @param {bigint} g @returns {Domain} */
export const makeDomain = (p, q, g) => ({ p, q, g, bits: q.toString(2).length });

/** The protocol's domain (docs/dsa/parameters.json, 3072/256). */
export const DOMAIN = Object.freeze(makeDomain(P, Q, G));

/** @type {WeakMap<Domain, bigint[][]>} */
const generatorTables = new WeakMap();

// ---- arithmetic ----

/** @param {bigint} value @param {bigint} modulus */
const mod = (value, modulus) => {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
};

/** 4-bit windows, variable time, for public values. @param {bigint} base @param {bigint} exponent @param {bigint} p */
function power(base, exponent, p) {
  const powers = [1n, base % p];
  for (let i = 2; i < 16; i++) powers.push((powers[i - 1] * powers[1]) % p);
  let result = 1n;
  for (const digit of exponent.toString(16)) {
    for (let i = 0; i < 4; i++) result = (result * result) % p;
    const value = parseInt(digit, 16);
    if (value !== 0) result = (result * powers[value]) % p;
  }
  return result;
}

/** Inverse by extended Euclid, variable time, for public values; 0 where there is none. @param {bigint} a @param {bigint} m */
function inverse(a, m) {
  let [r0, r1, t0, t1] = [m, mod(a, m), 0n, 1n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - quotient * r1, t1, t0 - quotient * t1];
  }
  return r0 === 1n ? mod(t0, m) : 0n;
}

/** table[i][d] = base^(d·16^i), d = 1 … 16 (0 is unused). @param {bigint} base @param {bigint} p @param {number} digits */
function windowTable(base, p, digits) {
  const table = [];
  for (let i = 0, first = base; i < digits; i++) {
    const row = [1n, first];
    for (let d = 2; d <= 16; d++) row.push((row[d - 1] * first) % p);
    table.push(row);
    first = row[16];
  }
  return table;
}

/** Digits of a blinded exponent: 4 for each nibble of q, and 16 for the 64 bits of blinding. @param {Domain} domain */
const digitsOf = (domain) => Math.ceil(domain.bits / 4) + 16;

/** @param {Domain} domain */
function generatorTable(domain) {
  let table = generatorTables.get(domain);
  if (!table) {
    table = windowTable(domain.g, domain.p, digitsOf(domain));
    generatorTables.set(domain, table);
  }
  return table;
}

/** Public exponent through a table. @param {bigint[][]} table @param {bigint} exponent @param {bigint} p */
function tablePower(table, exponent, p) {
  const hex = exponent.toString(16);
  let result = 1n;
  for (let i = 0; i < hex.length; i++) {
    const digit = parseInt(hex[hex.length - 1 - i], 16);
    if (digit !== 0) result = (result * table[i][digit]) % p;
  }
  return result;
}

/**
 * g^e mod p for a secret e: e + t·q with t of exactly 64 bits, its digits moved from 0 … 15 to 1 … 16 by taking
 * away (16^n − 1)/15 first, so that there are always n − 1 multiplications and never a zero digit.
 * @param {bigint} exponent @param {Domain} domain @param {Random} random
 */
function secretPower(exponent, domain, random) {
  const table = generatorTable(domain);
  const blind = toBigInt(random(8)) | (1n << 63n);
  const ones = (16n ** BigInt(table.length) - 1n) / 15n;
  const hex = (exponent + blind * domain.q - ones).toString(16).padStart(table.length, '0');
  let result = 1n;
  for (let i = 0; i < table.length; i++) {
    const digit = parseInt(hex[table.length - 1 - i], 16) + 1;
    result = i === 0 ? table[0][digit] : (result * table[i][digit]) % domain.p;
  }
  return result;
}

/** 1 … q−1 with 64 extra bits (FIPS 186-4 B.1.1). @param {Domain} domain @param {Random} random */
const randomScalar = (domain, random) =>
  (toBigInt(random(Math.ceil(domain.bits / 8) + 8)) % (domain.q - 1n)) + 1n;

// ---- keys ----

/** @param {Domain} domain */
const algorithmIdentifier = ({ p, q, g }) =>
  derSequence(derValue(TAG.OID, OID_DSA), derSequence(derUnsigned(p), derUnsigned(q), derUnsigned(g)));

/** @param {DerReader} reader @returns {Domain} */
function readAlgorithm(reader) {
  const identifier = reader.sequence();
  const oid = identifier.take(TAG.OID);
  if (oid.length !== OID_DSA.length || oid.some((byte, i) => byte !== OID_DSA[i])) {
    throw new ChatSecError('malformed', 'not a DSA key');
  }
  const parameters = identifier.sequence();
  identifier.end();
  const [p, q, g] = [parameters.unsigned(), parameters.unsigned(), parameters.unsigned()];
  parameters.end();
  return p === P && q === Q && g === G ? DOMAIN : makeDomain(p, q, g);
}

/** SubjectPublicKeyInfo of any domain, strict DER. @param {Uint8Array} spki @returns {DsaPublicKey} */
export function parsePublic(spki) {
  const outer = new DerReader(spki);
  const reader = outer.sequence();
  outer.end();
  const domain = readAlgorithm(reader);
  const inner = new DerReader(reader.bits());
  reader.end();
  const y = inner.unsigned();
  inner.end();
  return { domain, y, uses: 0, table: null };
}

/** @param {{domain: Domain, y: bigint}} key @returns {Bytes} SubjectPublicKeyInfo */
export const encodePublic = ({ domain, y }) =>
  derSequence(algorithmIdentifier(domain), derBits(derUnsigned(y)));

/** PKCS#8 (version 0, no attributes), strict DER. @param {Uint8Array} pkcs8 @returns {DsaPrivateKey} */
export function parsePrivate(pkcs8) {
  const outer = new DerReader(pkcs8);
  const reader = outer.sequence();
  outer.end();
  if (reader.unsigned() !== 0n) throw new ChatSecError('malformed', 'PKCS#8 of another version');
  const domain = readAlgorithm(reader);
  const inner = new DerReader(reader.take(TAG.OCTETS));
  reader.end();
  const x = inner.unsigned();
  inner.end();
  if (x < 1n || x >= domain.q) throw new ChatSecError('malformed', 'x is outside 1 … q−1');
  return { domain, x };
}

/** @param {DsaPrivateKey} key @returns {Bytes} PKCS#8 */
export const encodePrivate = ({ domain, x }) =>
  derSequence(derUnsigned(0n), algorithmIdentifier(domain), derOctets(derUnsigned(x)));

/** @param {DsaPrivateKey} key @param {Random} [random] @returns {DsaPublicKey} */
export const publicOf = ({ domain, x }, random = randomBytes) => ({
  domain,
  y: secretPower(x, domain, random),
  uses: 0,
  table: null,
});

/** A fresh key on the protocol's domain. @param {Random} [random] @returns {DsaPrivateKey} */
export const generatePrivate = (random = randomBytes) => ({
  domain: DOMAIN,
  x: randomScalar(DOMAIN, random),
});

/**
 * Key policy of protocol §2: the published domain, 1 < y < p−1, y^q = 1 mod p. Throws `weak_key`, or `malformed_key`
 * for a y that is no residue of p at all.
 * @param {DsaPublicKey} key
 */
export function judgePublic({ domain, y }) {
  if (domain !== DOMAIN) throw new ChatSecError('weak_key', 'DSA domain is not the published one');
  if (y < 1n || y >= P) throw new ChatSecError('malformed_key', 'DSA y is out of range');
  if (y === 1n || y === P - 1n || power(y, Q, P) !== 1n)
    throw new ChatSecError('weak_key', 'DSA y is outside the group');
}

// ---- signatures ----

/** Leftmost bits of SHA-256 that q can hold (FIPS 186-4 §4.2, RFC 6979 §2.3.2). @param {Uint8Array} data @param {Domain} domain */
function digest(data, domain) {
  const value = toBigInt(sha256(data));
  return domain.bits < 256 ? value >> BigInt(256 - domain.bits) : value;
}

/**
 * Nonces by RFC 6979 §3.2 with the extra data of §3.6, as many as are asked for.
 * @param {DsaPrivateKey} key @param {bigint} z @param {Uint8Array} extra
 */
function* nonces({ domain, x }, z, extra) {
  const length = Math.ceil(domain.bits / 8);
  const seed = concat(fromBigInt(x, length), fromBigInt(z % domain.q, length), extra);
  let v = new Uint8Array(32).fill(1);
  let k = new Uint8Array(32);
  const step = (/** @type {Uint8Array[]} */ ...more) => {
    k = new Uint8Array(hmac(sha256, k, concat(v, ...more)));
    v = new Uint8Array(hmac(sha256, k, v));
  };
  step(Uint8Array.of(0), seed);
  step(Uint8Array.of(1), seed);
  for (;;) {
    let bits = new Uint8Array(0);
    while (bits.length < length) {
      v = new Uint8Array(hmac(sha256, k, v));
      bits = concat(bits, v);
    }
    const nonce = toBigInt(bits.slice(0, length)) >> BigInt(length * 8 - domain.bits);
    if (nonce >= 1n && nonce < domain.q) yield nonce;
    step(Uint8Array.of(0));
  }
}

/**
 * @param {DsaPrivateKey} key
 * @param {Uint8Array} data
 * @param {{extra?: Uint8Array, random?: Random}} [options] `extra` hedges the nonce with 32 fresh bytes; empty gives
 *   the plain RFC 6979 nonce, for vectors. `random` feeds the blinding, which the signature does not depend on.
 * @returns {Bytes} strict DER SEQUENCE{r, s}
 */
export function sign(key, data, { extra = randomBytes(32), random = randomBytes } = {}) {
  const { domain, x } = key;
  const { q } = domain;
  const z = digest(data, domain);
  for (const k of nonces(key, z, extra)) {
    const r = secretPower(k, domain, random) % q;
    const b = randomScalar(domain, random);
    // s = k⁻¹(z + xr), on values blinded by b; the inverse by Fermat, q being prime.
    const s = (power((b * k) % q, q - 2n, q) * ((b * z + ((b * x) % q) * r) % q)) % q;
    if (r !== 0n && s !== 0n) return encodeSignature(r, s);
  }
  throw new Error('unreachable: nonces do not end');
}

/** @param {bigint} r @param {bigint} s @returns {Bytes} */
export const encodeSignature = (r, s) => derSequence(derUnsigned(r), derUnsigned(s));

/** Strict DER, whatever r and s are. @param {Uint8Array} signature */
export function parseSignature(signature) {
  const outer = new DerReader(signature);
  const reader = outer.sequence();
  outer.end();
  const [r, s] = [reader.unsigned(), reader.unsigned()];
  reader.end();
  return { r, s };
}

/** @param {DsaPublicKey} key */
function isUsable({ domain: { p, q, g, bits }, y }) {
  if (p.toString(2).length > MAX_P_BITS || bits > MAX_Q_BITS) return false;
  return q > 2n && p > q && g > 1n && g < p && y > 1n && y < p;
}

/** y^e mod p, by a table once the key has proved to be in use. @param {DsaPublicKey} key @param {bigint} exponent */
function publicPower(key, exponent) {
  const { domain, y } = key;
  if (!key.table && ++key.uses > USES_BEFORE_TABLE) {
    key.table = windowTable(y, domain.p, Math.ceil(domain.bits / 4));
  }
  return key.table ? tablePower(key.table, exponent, domain.p) : power(y, exponent, domain.p);
}

/**
 * FIPS 186-4 §4.7. Throws `malformed` for a signature that is not strict DER.
 * @param {DsaPublicKey} key of any domain
 * @param {Uint8Array} signature
 * @param {Uint8Array} data
 * @returns {boolean}
 */
export function verify(key, signature, data) {
  const { r, s } = parseSignature(signature);
  const { domain } = key;
  const { p, q, g } = domain;
  if (!isUsable(key) || r < 1n || r >= q || s < 1n || s >= q) return false;
  const w = inverse(s, q);
  const u1 = (digest(data, domain) * w) % q;
  const u2 = (r * w) % q;
  const first = domain === DOMAIN ? tablePower(generatorTable(domain), u1, p) : power(g, u1, p);
  return ((first * publicPower(key, u2)) % p) % q === r;
}
