// Project Wycheproof, judged by the plain primitives of the door.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aesGcmDecrypt, rsaOaepDecrypt, verifySignature } from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { groupsOf, hex } from './wycheproof.js';

/**
 * Runs every vector of the groups; `open` resolves to whether the vector was accepted.
 * @param {string} name @param {(group: any) => boolean} chosen @param {number} expected
 * @param {(group: any, vector: any) => Promise<boolean>} accepted
 */
function suite(name, chosen, expected, accepted) {
  test(`Wycheproof ${name}`, async () => {
    let run = 0;
    for (const group of groupsOf(name).filter(chosen)) {
      for (const vector of group.tests) {
        const result = await accepted(group, vector);
        const what = `${name} #${vector.tcId} ${vector.comment} (${vector.result})`;
        if (vector.result !== 'acceptable') assert.equal(result, vector.result === 'valid', what);
        run += 1;
      }
    }
    assert.equal(run, expected, `${name}: number of vectors`);
  });
}

const all = () => true;
const sha256 = (/** @type {any} */ group) => group.sha === 'SHA-256' && group.mgfSha === 'SHA-256';

/** @param {string} alg */
const verifies = (alg) => (/** @type {any} */ group, /** @type {any} */ vector) =>
  verifySignature(alg, hex(group.publicKeyDer), hex(vector.sig), hex(vector.msg));

/** @param {() => Promise<Uint8Array>} open @param {string} expected */
async function opensTo(open, expected) {
  try {
    return Buffer.from(await open()).toString('hex') === expected;
  } catch (error) {
    assert.ok(error instanceof ChatSecError, String(error));
    assert.equal(error.code, 'undecryptable');
    return false;
  }
}

/** @param {any} group @param {any} vector */
const oaepOpens = (group, vector) =>
  opensTo(() => rsaOaepDecrypt(hex(group.privateKeyPkcs8), hex(vector.ct), hex(vector.label)), vector.msg);

/** @param {any} group @param {any} vector */
const gcmOpens = (group, vector) =>
  opensTo(
    () => aesGcmDecrypt(hex(vector.key), hex(vector.iv), hex(vector.ct + vector.tag), hex(vector.aad)),
    vector.msg,
  );

suite('dsa_2048_256_sha256', all, 366, verifies('DSA-SHA256'));
suite('dsa_3072_256_sha256', all, 366, verifies('DSA-SHA256'));
suite('dsa_2048_224_sha256', all, 364, verifies('DSA-SHA256'));
suite('ed25519', all, 210, verifies('Ed25519'));
for (const bits of [2048, 3072, 4096]) {
  suite(`rsa_pss_${bits}_sha256_mgf1_32`, all, 108, verifies('RSA-PSS-SHA256'));
  suite(`rsa_oaep_${bits}_sha256_mgf1sha256`, all, 37, oaepOpens);
}
for (const bits of [2048, 3072]) {
  suite(`rsa_pss_${bits}_sha256_mgf1_32_params`, all, 108, verifies('RSA-PSS-SHA256'));
}
suite('rsa_pss_misc', (group) => sha256(group) && group.sLen === 32, 1, verifies('RSA-PSS-SHA256'));
suite('rsa_oaep_misc', sha256, 34, oaepOpens);
suite('aes_gcm', (group) => group.ivSize === 96, 197, gcmOpens);

test('Wycheproof aes_gcm with an IV of another length: what opens is right, the rest is refused', async () => {
  // The protocol's IVs have 96 bits; platforms differ in which others they take (Node: 96 to 1,024 bits).
  let opened = 0;
  for (const group of groupsOf('aes_gcm').filter((/** @type {any} */ { ivSize }) => ivSize !== 96)) {
    for (const vector of group.tests) {
      const accepted = await gcmOpens(group, vector);
      if (vector.result !== 'valid') assert.equal(accepted, false, `#${vector.tcId}`);
      opened += Number(accepted);
    }
  }
  assert.ok(opened > 0);
});

test('Wycheproof with another salt length or hash: nothing valid there is accepted', async () => {
  for (const name of [
    'rsa_pss_2048_sha256_mgf1_0',
    'rsa_pss_2048_sha256_mgf1sha1_20',
    'rsa_pss_2048_sha384_mgf1_48',
  ]) {
    for (const group of groupsOf(name)) {
      for (const vector of group.tests.filter((/** @type {any} */ { result }) => result === 'valid')) {
        assert.equal(await verifies('RSA-PSS-SHA256')(group, vector), false, `${name} #${vector.tcId}`);
      }
    }
  }
});
