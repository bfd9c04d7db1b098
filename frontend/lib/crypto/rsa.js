// RSA keys as bytes: SubjectPublicKeyInfo read strictly, and the key policy of protocol §2.
//
// Refuses SPKI that is not strict DER or not `rsaEncryption` with NULL parameters (a verifier may also take
// id-RSASSA-PSS with exactly this protocol's parameters, RFC 4055 §3.1; a bundle may not), and, as `weak_key`,
// other sizes and exponents than the protocol's, even moduli and those with a small factor. That a modulus is not
// prime itself is judged by the server alone.

import { ChatSecError } from '../errors.js';
import { equal, fromHex } from './bytes.js';
import { DerReader, derBits, derSequence, derUnsigned, TAG } from './der.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */
/** @typedef {{n: bigint, e: bigint, pss: boolean}} RsaPublicKey `pss`: the SPKI names id-RSASSA-PSS */

const RSA_ENCRYPTION = fromHex('300d06092a864886f70d0101010500'); // AlgorithmIdentifier with NULL
const RSASSA_PSS_SHA256 = fromHex(
  '304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108' +
    '300d06096086480165030402010500a203020120',
);
const MIN_BITS = 3072;
const MAX_BITS = 4096;
const EXPONENT = 65537n;
const SMALL_FACTORS_BELOW = 2 ** 16;

/** @type {{product: bigint, primes: number[]}[] | null} */
let smallPrimes = null;

/** Odd primes below 2^16 in threes, whose product a Number still holds: one long division tries three. */
function threesOfPrimes() {
  if (smallPrimes) return smallPrimes;
  const composite = new Uint8Array(SMALL_FACTORS_BELOW);
  smallPrimes = [];
  /** @type {number[]} */
  let primes = [];
  for (let i = 3; i < SMALL_FACTORS_BELOW; i += 2) {
    if (composite[i]) continue;
    for (let k = i * i; k < SMALL_FACTORS_BELOW; k += 2 * i) composite[k] = 1;
    if (primes.push(i) === 1) smallPrimes.push({ product: 1n, primes });
    smallPrimes[smallPrimes.length - 1].product *= BigInt(i);
    if (primes.length === 3) primes = [];
  }
  return smallPrimes;
}

/** @param {bigint} n */
const hasSmallFactor = (n) =>
  threesOfPrimes().some(({ product, primes }) => {
    const rest = Number(n % product);
    return primes.some((prime) => rest % prime === 0);
  });

/**
 * @param {Uint8Array} spki strict DER
 * @returns {RsaPublicKey} throws `malformed`
 */
export function parsePublic(spki) {
  const outer = new DerReader(spki);
  const reader = outer.sequence();
  outer.end();
  const identifier = derSequence(reader.take(TAG.SEQUENCE));
  const pss = equal(identifier, RSASSA_PSS_SHA256);
  if (!pss && !equal(identifier, RSA_ENCRYPTION)) throw new ChatSecError('malformed', 'not an RSA key');
  const key = new DerReader(reader.bits());
  reader.end();
  const numbers = key.sequence();
  key.end();
  const [n, e] = [numbers.unsigned(), numbers.unsigned()];
  numbers.end();
  return { n, e, pss };
}

/** SubjectPublicKeyInfo with `rsaEncryption` and NULL. @param {{n: bigint, e: bigint}} key @returns {Bytes} */
export const encodePublic = ({ n, e }) =>
  derSequence(RSA_ENCRYPTION, derBits(derSequence(derUnsigned(n), derUnsigned(e))));

/** Key policy of protocol §2, primality aside. Throws `weak_key`. @param {RsaPublicKey} key */
export function judgePublic({ n, e, pss }) {
  const weak = (/** @type {string} */ why) => new ChatSecError('weak_key', `RSA ${why}`);
  if (pss) throw new ChatSecError('malformed_key', 'RSA key is not rsaEncryption');
  const bits = n.toString(2).length;
  if (bits < MIN_BITS || bits > MAX_BITS) throw weak(`modulus of ${bits} bits`);
  if (e !== EXPONENT) throw weak('exponent is not 65537');
  if (n % 2n === 0n) throw weak('modulus is even');
  if (hasSmallFactor(n)) throw weak('modulus has a small factor');
}

/** Length of the modulus in bytes. @param {RsaPublicKey} key */
export const modulusBytes = ({ n }) => Math.ceil(n.toString(16).length / 2);

/** The public half of a PKCS#8 RSA key (RFC 8017 A.1.2), strict DER. @param {Uint8Array} pkcs8 */
export function publicOf(pkcs8) {
  const outer = new DerReader(pkcs8);
  const reader = outer.sequence();
  outer.end();
  if (reader.unsigned() !== 0n || !equal(derSequence(reader.take(TAG.SEQUENCE)), RSA_ENCRYPTION)) {
    throw new ChatSecError('malformed', 'not an RSA private key');
  }
  const inner = new DerReader(reader.take(TAG.OCTETS));
  reader.end();
  const numbers = inner.sequence();
  inner.end();
  if (numbers.unsigned() !== 0n) throw new ChatSecError('malformed', 'multi-prime RSA key');
  return encodePublic({ n: numbers.unsigned(), e: numbers.unsigned() });
}
