// The table: every algorithm makes, judges, signs and verifies; every weak or malformed key is refused by name.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, sign as nodeSign, verify as nodeVerify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ed25519 as noble } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import * as algorithms from '../../lib/crypto/algorithms.js';
import { concat, equal, fromBigInt, fromHex, toBigInt, toHex } from '../../lib/crypto/bytes.js';
import * as dsa from '../../lib/crypto/dsa.js';
import * as ed25519 from '../../lib/crypto/ed25519.js';
import * as rsa from '../../lib/crypto/rsa.js';

const data = new TextEncoder().encode('chatsec');
const failsWith = (/** @type {string} */ code) => (/** @type {any} */ error) => error.code === code;

for (const alg of algorithms.SIGNING) {
  test(`${alg}: a fresh key is judged good, signs, and only its own signature over the same bytes verifies`, async () => {
    const { spki, pkcs8 } = await algorithms.generateKey(alg);
    await algorithms.judgeKey(alg, spki);
    assert.deepEqual(await algorithms.publicOf(alg, pkcs8), new Uint8Array(spki));
    const signature = await algorithms.sign(alg, await algorithms.importPrivate(alg, pkcs8), data);
    assert.equal(await algorithms.verifySignature(alg, spki, signature, data), true);
    assert.equal(await algorithms.verifySignature(alg, spki, signature, concat(data, 'x')), false);
    const other = await algorithms.generateKey(alg);
    assert.equal(await algorithms.verifySignature(alg, other.spki, signature, data), false);
    for (let i = 0; i < signature.length; i++) {
      const flipped = Uint8Array.from(signature);
      flipped[i] ^= 1 << (i % 8);
      assert.equal(await algorithms.verifySignature(alg, spki, flipped, data), false, `byte ${i}`);
    }
    assert.equal(
      await algorithms.verifySignature(alg, spki, concat(signature, Uint8Array.of(0)), data),
      false,
    );
  });

  test(`${alg}: no byte changed in a key leaves it a key that is judged good`, async () => {
    const { spki, pkcs8 } = await algorithms.generateKey(alg);
    const signature = await algorithms.sign(alg, await algorithms.importPrivate(alg, pkcs8), data);
    const positions = spki.length < 64 ? spki.length : 60;
    for (let i = 0; i < positions; i++) {
      const flipped = Uint8Array.from(spki);
      flipped[Math.floor((i * spki.length) / positions)] ^= 1;
      assert.equal(await algorithms.verifySignature(alg, flipped, signature, data), false);
    }
    for (const wrong of [spki.slice(0, -1), concat(spki, Uint8Array.of(0)), new Uint8Array(0)]) {
      await assert.rejects(algorithms.judgeKey(alg, wrong), failsWith('malformed_key'));
      assert.equal(await algorithms.verifySignature(alg, wrong, signature, data), false);
    }
    await assert.rejects(algorithms.importPrivate(alg, pkcs8.slice(0, -1)), failsWith('malformed_key'));
  });

  test(`${alg}: another implementation verifies its signatures, and it theirs`, async () => {
    const { spki, pkcs8 } = await algorithms.generateKey(alg);
    const pss = alg.startsWith('RSA') && { padding: 6, saltLength: 32 };
    const publicKey = {
      key: createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }),
      ...pss,
    };
    const privateKey = {
      key: createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' }),
      ...pss,
    };
    const hash = alg === 'Ed25519' ? null : 'sha256';
    const ours = await algorithms.sign(alg, await algorithms.importPrivate(alg, pkcs8), data);
    assert.equal(nodeVerify(hash, data, publicKey, ours), true);
    const theirs = new Uint8Array(nodeSign(hash, data, privateKey));
    assert.equal(await algorithms.verifySignature(alg, spki, theirs, data), true);
    const exported = publicKey.key.export({ format: 'der', type: 'spki' });
    assert.equal(toHex(exported), toHex(spki));
    assert.equal(toHex(privateKey.key.export({ format: 'der', type: 'pkcs8' })), toHex(pkcs8));
  });
}

test('verifySignature answers false to any bytes, and throws only for what is no signature algorithm', async () => {
  const bytes = fc.uint8Array({ maxLength: 80 });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...algorithms.SIGNING),
      bytes,
      bytes,
      bytes,
      async (alg, spki, signature, message) => {
        assert.equal(await algorithms.verifySignature(alg, spki, signature, message), false);
      },
    ),
  );
  for (const alg of ['RSA-OAEP-256', 'none', '__proto__', 'toString', '']) {
    await assert.rejects(
      algorithms.verifySignature(alg, data, data, data),
      failsWith('unsupported_algorithm'),
    );
  }
});

test('H9: RSA-PSS with another salt length is refused', async () => {
  const { spki, pkcs8 } = await algorithms.generateKey('RSA-PSS-SHA256');
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  for (const saltLength of [0, 20, 31, 33, 64, 32]) {
    const signature = new Uint8Array(nodeSign('sha256', data, { key, padding: 6, saltLength }));
    assert.equal(
      await algorithms.verifySignature('RSA-PSS-SHA256', spki, signature, data),
      saltLength === 32,
    );
  }
  const pkcs1 = new Uint8Array(nodeSign('sha256', data, key));
  assert.equal(await algorithms.verifySignature('RSA-PSS-SHA256', spki, pkcs1, data), false);
});

test('ASVS 11.2.3: RSA policy: size, exponent, parity, small factors, form', async () => {
  const { spki } = await algorithms.generateKey('RSA-PSS-SHA256');
  const { n, e } = rsa.parsePublic(spki);
  const judge = (/** @type {bigint} */ modulus, /** @type {bigint} */ exponent) =>
    algorithms.judgeKey('RSA-PSS-SHA256', rsa.encodePublic({ n: modulus, e: exponent }));
  await judge(n, e);
  const big = (/** @type {number} */ bits) => 2n ** BigInt(bits) - 1n;
  for (const weak of [
    n >> 1n,
    n >> 1024n,
    big(2048),
    big(8192),
    n + 1n,
    3n * (n >> 1n),
    65521n * (n >> 15n),
    0n,
    1n,
  ]) {
    await assert.rejects(judge(weak, e), failsWith('weak_key'));
  }
  for (const exponent of [1n, 3n, 65535n, 65539n, 2n ** 64n + 1n]) {
    await assert.rejects(judge(n, exponent), failsWith('weak_key'));
  }
  const pssOid = fromHex('300b06092a864886f70d01010a'); // no parameters
  const noNull = fromHex('300b06092a864886f70d010101');
  for (const identifier of [pssOid, noNull]) {
    const body = concat(identifier, spki.slice(4 + 15));
    const other = concat(Uint8Array.of(0x30, 0x82, body.length >> 8, body.length & 255), body);
    await assert.rejects(algorithms.judgeKey('RSA-PSS-SHA256', other), failsWith('malformed_key'));
  }
});

test('DSA: the domain is the published one', () => {
  const url = new URL('../../../docs/dsa/parameters.json', import.meta.url);
  const set = JSON.parse(readFileSync(url, 'utf8')).sets.find(
    (/** @type {any} */ { L, N }) => L === 3072 && N === 256,
  );
  const { p, q, g } = dsa.DOMAIN;
  assert.deepEqual(
    [p, q, g].map((value) => value.toString(16)),
    [set.p, set.q, set.g],
  );
});

test('DSA: RFC 6979 A.2.2 (2048/256, SHA-256)', () => {
  const p = BigInt(
    '0x9DB6FB5951B66BB6FE1E140F1D2CE5502374161FD6538DF1648218642F0B5C48C8F7A41AADFA187324B87674FA1822B00F1ECF8136943D7C55757264E5A1A44FFE012E9936E00C1D3E9310B01C7D179805D3058B2A9F4BB6F9716BFE6117C6B5B3CC4D9BE341104AD4A80AD6C94E005F4B993E14F091EB51743BF33050C38DE235567E1B34C3D6A5C0CEAA1A0F368213C3D19843D0B4B09DCB9FC72D39C8DE41F1BF14D4BB4563CA28371621CAD3324B6A2D392145BEBFAC748805236F5CA2FE92B871CD8F9C36D3292B5509CA8CAA77A2ADFC7BFD77DDA6F71125A7456FEA153E433256A2261C6A06ED3693797E7995FAD5AABBCFBE3EDA2741E375404AE25B',
  );
  const q = BigInt('0xF2C3119374CE76C9356990B465374A17F23F9ED35089BD969F61C6DDE9998C1F');
  const g = BigInt(
    '0x5C7FF6B06F8F143FE8288433493E4769C4D988ACE5BE25A0E24809670716C613D7B0CEE6932F8FAA7C44D2CB24523DA53FBE4F6EC3595892D1AA58C4328A06C46A15662E7EAA703A1DECF8BBB2D05DBE2EB956C142A338661D10461C0D135472085057F3494309FFA73C611F78B32ADBB5740C361C9F35BE90997DB2014E2EF5AA61782F52ABEB8BD6432C4DD097BC5423B285DAFB60DC364E8161F4A2A35ACA3A10B1C4D203CC76A470A33AFDCBDD92959859ABD8B56E1725252D78EAC66E71BA9AE3F1DD2487199874393CD4D832186800654760E1E34C09E4D155179F9EC0DC4473F996BDCE6EED1CABED8B6F116F7AD9CF505DF0F998E34AB27514B0FFE7',
  );
  const x = BigInt('0x69C7548C21D0DFEA6B9A51C9EAD4E27C33D3B3F180316E5BCAB92C933F0E4DBC');
  const domain = dsa.makeDomain(p, q, g);
  const key = { domain, x };
  for (const [text, r, s] of [
    [
      'sample',
      'EACE8BDBBE353C432A795D9EC556C6D021F7A03F42C36E9BC87E4AC7932CC809',
      '7081E175455F9247B812B74583E9E94F9EA79BD640DC962533B0680793A38D53',
    ],
    [
      'test',
      '8190012A1969F9957D56FCCAAD223186F423398D58EF5B3CEFD5A4146A4476F0',
      '7452A53F7075D417B4B013B278D1BB8BBD21863F5E7B1CEE679CF2188E1AB19E',
    ],
  ]) {
    const message = new TextEncoder().encode(text);
    const signature = dsa.sign(key, message, { extra: new Uint8Array(0) });
    const parsed = dsa.parseSignature(signature);
    assert.deepEqual([parsed.r, parsed.s], [BigInt(`0x${r}`), BigInt(`0x${s}`)]);
    assert.equal(dsa.verify(dsa.publicOf(key), signature, message), true);
  }
});

test('DSA: the nonce is hedged, and the blinding leaves no trace', () => {
  const key = dsa.generatePrivate();
  assert.equal(equal(dsa.sign(key, data), dsa.sign(key, data)), false);
  const extra = new Uint8Array(32).fill(7);
  assert.deepEqual(dsa.sign(key, data, { extra }), dsa.sign(key, data, { extra }));
  const constant = (/** @type {number} */ byte) => (/** @type {number} */ length) =>
    new Uint8Array(length).fill(byte);
  for (const byte of [0, 1, 0x80, 0xff]) {
    const random = constant(byte);
    assert.deepEqual(dsa.sign(key, data, { extra, random }), dsa.sign(key, data, { extra }));
    assert.equal(dsa.publicOf(key, random).y, dsa.publicOf(key).y);
  }
});

test('DSA: with its table and without, a key verifies alike', () => {
  const key = dsa.generatePrivate();
  const publicKey = dsa.publicOf(key);
  for (let i = 0; i < 6; i++) {
    const message = Uint8Array.of(i);
    const signature = dsa.sign(key, message);
    assert.equal(dsa.verify(publicKey, signature, message), true);
    assert.equal(dsa.verify(publicKey, signature, data), false);
  }
  assert.ok(publicKey.table);
});

test('DSA policy: foreign domain, y out of range or outside the group', async () => {
  const { p, q, g } = dsa.DOMAIN;
  const judge = (/** @type {bigint} */ y, domain = dsa.DOMAIN) =>
    algorithms.judgeKey('DSA-SHA256', dsa.encodePublic({ domain, y }));
  const { y } = dsa.publicOf(dsa.generatePrivate());
  await judge(y);
  for (const weak of [1n, p - 1n, p - y, 2n]) await assert.rejects(judge(weak), failsWith('weak_key'));
  for (const none of [0n, p, p + 1n, p + y]) await assert.rejects(judge(none), failsWith('malformed_key'));
  for (const foreign of [
    dsa.makeDomain(p, q, (g * g) % p),
    dsa.makeDomain(p + 2n, q, g),
    dsa.makeDomain(p, q + 2n, g),
  ]) {
    await assert.rejects(judge(y, foreign), failsWith('weak_key'));
  }
});

test('H9: DSA signatures are strict DER with 0 < r, s < q; q − s is another signature of the same key', async () => {
  const key = dsa.generatePrivate();
  const spki = dsa.encodePublic(dsa.publicOf(key));
  const { q } = dsa.DOMAIN;
  const { r, s } = dsa.parseSignature(dsa.sign(key, data));
  const verifies = (/** @type {Uint8Array} */ signature) =>
    algorithms.verifySignature('DSA-SHA256', spki, signature, data);
  assert.equal(await verifies(dsa.encodeSignature(r, s)), true);
  // (r, q − s) solves no equation of FIPS 186-4 §4.7: only the sign of k would have to change, and r with it.
  assert.equal(await verifies(dsa.encodeSignature(r, q - s)), false);
  for (const [badR, badS] of [
    [r + q, s],
    [r, s + q],
    [0n, s],
    [r, 0n],
    [q, s],
    [r, q],
    [s, r],
  ]) {
    assert.equal(await verifies(dsa.encodeSignature(badR, badS)), false);
  }
});

// ---- Ed25519 ----

const TORSION = noble.Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', true); // order 8
const P25519 = 2n ** 255n - 19n;
const littleEndian = (/** @type {bigint} */ value) => fromBigInt(value, 32).reverse();

test('Ed25519 keys that are not canonical or not on the curve are malformed, of small or mixed order weak', async () => {
  const judge = (/** @type {Uint8Array} */ point) =>
    algorithms.judgeKey('Ed25519', ed25519.encodePublic(point));
  const good = noble.Point.BASE.multiply(12345n);
  await judge(good.toBytes());
  let small = noble.Point.ZERO;
  for (let i = 0; i < 8; i++, small = small.add(TORSION)) {
    await assert.rejects(judge(small.toBytes()), failsWith('weak_key'), `small ${i}`);
    if (i > 0) await assert.rejects(judge(good.add(small).toBytes()), failsWith('weak_key'), `mixed ${i}`);
  }
  const signed = (/** @type {Uint8Array} */ bytes) =>
    Uint8Array.from(bytes, (byte, i) => (i === 31 ? byte | 0x80 : byte));
  const bad = [
    littleEndian(P25519),
    littleEndian(P25519 + 1n),
    signed(littleEndian(1n)),
    littleEndian(2n),
    new Uint8Array(32).fill(255),
  ];
  for (const point of bad) await assert.rejects(judge(point), failsWith('malformed_key'), toHex(point));
  await assert.rejects(judge(new Uint8Array(31)), failsWith('malformed_key'));
});

test('Ed25519: under a key of small or mixed order nothing verifies', async () => {
  const identity = ed25519.encodePublic(noble.Point.ZERO.toBytes());
  const trivial = concat(noble.Point.ZERO.toBytes(), new Uint8Array(32)); // 0·B = 0 + k·0, for every message
  assert.equal(await algorithms.verifySignature('Ed25519', identity, trivial, data), false);
  const a = 987654321n;
  const mixed = noble.Point.BASE.multiply(a).add(TORSION);
  const r = 1234567n;
  for (let i = 0; i < 16; i++) {
    const message = Uint8Array.of(i);
    const R = noble.Point.BASE.multiply(r).toBytes();
    const signature = concat(R, signScalar(r, a, concat(R, mixed.toBytes(), message)));
    assert.equal(
      await algorithms.verifySignature('Ed25519', ed25519.encodePublic(mixed.toBytes()), signature, message),
      false,
    );
  }
});

/** S = r + SHA-512(input)·a mod L. @param {bigint} r @param {bigint} a @param {Uint8Array} input */
function signScalar(r, a, input) {
  const order = noble.Point.Fn.ORDER;
  const k = toBigInt(sha512(input).reverse()) % order;
  return littleEndian((r + k * a) % order);
}

test('Ed25519 in script agrees with the platform, and refuses S ≥ L and an R with torsion or not canonical', async () => {
  const { spki, pkcs8 } = await algorithms.generateKey('Ed25519');
  const seed = ed25519.parsePrivate(pkcs8);
  const point = ed25519.parsePublic(spki);
  const signature = await ed25519.signInScript(seed, data);
  assert.deepEqual(
    signature,
    await algorithms.sign('Ed25519', await algorithms.importPrivate('Ed25519', pkcs8), data),
  );
  const both = async (/** @type {Uint8Array} */ bytes, expected = false, message = data) => {
    assert.equal(await ed25519.verifyInScript(point, bytes, message), expected);
    assert.equal(await algorithms.verifySignature('Ed25519', spki, bytes, message), expected);
  };
  await both(signature, true);
  for (let i = 0; i < 64; i++)
    await both(Uint8Array.from(signature, (byte, at) => (at === i ? byte ^ 4 : byte)));
  const s = toBigInt(signature.slice(32).reverse());
  await both(concat(signature.slice(0, 32), littleEndian(s + noble.Point.Fn.ORDER)));
  await both(signature.slice(0, 63));
  // R with torsion satisfies the equation with the factor 8, and must not be taken for it.
  const { scalar } = noble.utils.getExtendedPublicKey(seed);
  const torsioned = noble.Point.BASE.multiply(77n).add(TORSION).toBytes();
  const cofactored = concat(torsioned, signScalar(77n, scalar, concat(torsioned, point, data)));
  assert.equal(noble.verify(cofactored, data, point, { zip215: true }), true, 'the test itself');
  await both(cofactored);
});

test('Ed25519 in script judges Wycheproof-like edge cases of R', async () => {
  const seed = new Uint8Array(32).fill(9);
  const point = await ed25519.pointOf(seed);
  const { scalar } = noble.utils.getExtendedPublicKey(seed);
  // r = 0: R is the identity, encoded canonically (1) and not (p + 1, and 1 with the sign bit).
  for (const R of [littleEndian(P25519 + 1n), Uint8Array.of(1, ...new Uint8Array(30), 0x80)]) {
    const signature = concat(R, signScalar(0n, scalar, concat(R, point, data)));
    assert.equal(await ed25519.verifyInScript(point, signature, data), false);
    assert.equal(
      await algorithms.verifySignature('Ed25519', ed25519.encodePublic(point), signature, data),
      false,
    );
  }
});
