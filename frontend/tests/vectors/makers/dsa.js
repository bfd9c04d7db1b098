// DSA signatures with known nonces on the published domain, and the malleable and misencoded ones (protocol §2).

import * as dsa from '../../../lib/crypto/dsa.js';
import { sha256 as hashBytes, toBigInt, fromBigInt } from '../../../lib/crypto/bytes.js';
import { concat, encodeB64u, encodeText } from '../../../lib/crypto/index.js';
import { flip, stream, testKeys } from '../fixtures.js';

const none = new Uint8Array(0);

/** @param {bigint} base @param {bigint} exponent @param {bigint} modulus */
function power(base, exponent, modulus) {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus;
    if (bit === '1') result = (result * base) % modulus;
  }
  return result;
}

/** INTEGER content of a value, with what stands before it. @param {bigint} value @param {...number} before */
function integer(value, ...before) {
  const bytes = fromBigInt(value, 32);
  const start = bytes.findIndex((byte) => byte !== 0);
  const body = concat(Uint8Array.from(before), bytes.slice(start));
  return concat(Uint8Array.of(2, body.length), body);
}

/** A SEQUENCE in short form. @param {...Uint8Array} parts */
function sequence(...parts) {
  const body = concat(...parts);
  return concat(Uint8Array.of(0x30, body.length), body);
}

/** The shortest INTEGER. @param {bigint} value */
const shortest = (value) => (value >> 255n === 1n ? integer(value, 0) : integer(value));

/** Cases of dsa.json. */
export async function make() {
  const { alice, bob } = await testKeys();
  const { spki, pkcs8 } = alice['DSA-SHA256'];
  const key = dsa.parsePrivate(pkcs8);
  const { q } = dsa.DOMAIN;
  const shared = { alg: 'DSA-SHA256', spki: encodeB64u(spki) };

  const good = async (/** @type {string} */ name, /** @type {Uint8Array} */ message, extra = none) => {
    const signature = dsa.sign(key, message, { extra });
    const { r, s } = dsa.parseSignature(signature);
    const z = toBigInt(await hashBytes(message));
    const k = (power(s, q - 2n, q) * (z + key.x * r)) % q;
    return {
      name,
      valid: true,
      ...shared,
      private_key: encodeB64u(pkcs8),
      message: encodeB64u(message),
      extra: encodeB64u(extra),
      k: encodeB64u(fromBigInt(k, 32)),
      signature: encodeB64u(signature),
    };
  };
  const message = encodeText('sample');
  const signature = dsa.sign(key, message, { extra: none });
  const { r, s } = dsa.parseSignature(signature);
  const bad = (/** @type {string} */ name, /** @type {Uint8Array} */ wrong, changes = {}) => ({
    name,
    valid: false,
    failure: 'bad_signature',
    ...shared,
    message: encodeB64u(message),
    signature: encodeB64u(wrong),
    ...changes,
  });
  const body = signature.slice(2);
  return {
    construction: 'dsa',
    source: 'protocol §2, FIPS 186-4 §4, RFC 6979 §3.2 and §3.6',
    cases: [
      await good('RFC 6979, no extra data: sample', encodeText('sample')),
      await good('RFC 6979, no extra data: test', encodeText('test')),
      await good('RFC 6979, no extra data: empty', none),
      await good('RFC 6979, no extra data: a kilobyte', stream('dsa message', 1024)),
      await good('hedged with 32 bytes of extra data', encodeText('sample'), stream('dsa extra', 32)),
      await good('hedged with other 32 bytes', encodeText('sample'), stream('dsa extra 2', 32)),
      bad('other message', signature, { message: encodeB64u(encodeText('Sample')) }),
      bad('other key', signature, { spki: encodeB64u(bob['DSA-SHA256'].spki) }),
      bad('q − s', dsa.encodeSignature(r, q - s)),
      bad('q − r', dsa.encodeSignature(q - r, s)),
      bad('r + q', dsa.encodeSignature(r + q, s)),
      bad('s + q', dsa.encodeSignature(r, s + q)),
      bad('r = 0', dsa.encodeSignature(0n, s)),
      bad('s = 0', dsa.encodeSignature(r, 0n)),
      bad('r = q', dsa.encodeSignature(q, s)),
      bad('s = q', dsa.encodeSignature(r, q)),
      bad('r = 1, s = 1', dsa.encodeSignature(1n, 1n)),
      bad('r and s swapped', dsa.encodeSignature(s, r)),
      bad('r‖s without DER (P1363)', concat(fromBigInt(r, 32), fromBigInt(s, 32))),
      bad('nothing', none),
      bad('trailing byte', concat(signature, Uint8Array.of(0))),
      bad('trailing NULL inside the sequence', sequence(body, Uint8Array.of(5, 0))),
      bad('third integer', sequence(body, shortest(1n))),
      bad('one integer', sequence(shortest(r))),
      bad('long form of the length', concat(Uint8Array.of(0x30, 0x81, body.length), body)),
      bad('long form with a leading zero', concat(Uint8Array.of(0x30, 0x82, 0, body.length), body)),
      bad('indefinite length', concat(Uint8Array.of(0x30, 0x80), body, Uint8Array.of(0, 0))),
      bad('padded r', sequence(integer(r, 0, 0), shortest(s))),
      bad('padded s', sequence(shortest(r), integer(s, 0, 0))),
      bad('a set', concat(Uint8Array.of(0x31), signature.slice(1))),
      bad('truncated', signature.slice(0, -1)),
      bad('bit of r changed', flip(signature, 10)),
      bad('bit of s changed', flip(signature, signature.length - 5)),
    ],
  };
}
