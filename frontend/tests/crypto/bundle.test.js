// Bundles: what is made is judged good; what is weak, foreign, unproved or unlinked is named.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';

/** @typedef {Awaited<ReturnType<typeof crypto.generateKeys>>} Keys */
/** @type {Keys[]} */
const sets = [];
before(async () => {
  for (let i = 0; i < 3; i++) sets.push(await crypto.generateKeys());
});

const failsWith = (/** @type {string} */ code) => (/** @type {any} */ error) => error.code === code;
const pick = (/** @type {Keys} */ keys, /** @type {string} */ alg) => {
  const key = keys.find((candidate) => candidate.alg === alg);
  assert.ok(key);
  return key;
};
const first = (/** @type {Keys} */ keys = sets[0], version = 1) =>
  crypto.makeBundle({ username: 'alice', version, keys });
/** @param {{hash: string}} previous @param {Keys} keys @param {Keys} oldKeys */
const next = (previous, keys, oldKeys, version = 2, alg = 'RSA-PSS-SHA256') =>
  crypto.makeBundle({ username: 'alice', version, keys, previous: previous.hash, link: pick(oldKeys, alg) });

/** @param {(bundle: any) => unknown} change @param {string} code */
async function refusedWhen(change, code) {
  const { bundle } = await first();
  const changed = structuredClone(bundle);
  await change(changed);
  await assert.rejects(crypto.judgeBundle('alice', changed), failsWith(code), `${change}`);
}

test('a bundle is judged good, and its hash is that of the statement', async () => {
  const { bundle, hash } = await first();
  const judged = await crypto.judgeBundle(
    'alice',
    JSON.parse(JSON.stringify({ ...bundle, created_at: 'x', history: [] })),
  );
  assert.equal(judged.hash, hash);
  assert.equal(judged.signing.length, 3);
  const [version, name] = judged.statement.split('\n').slice(1).reverse().slice(-2);
  assert.deepEqual([name, version], ['alice', '1']);
  assert.equal(crypto.signingKey(judged, pick(sets[0], 'Ed25519').kid)?.alg, 'Ed25519');
});

test('the order of the signing keys does not matter', async () => {
  const { bundle, hash } = await first();
  const judged = await crypto.judgeBundle('alice', { ...bundle, signing: [...bundle.signing].reverse() });
  assert.equal(judged.hash, hash);
});

test('every wrong part is named', async () => {
  const rsa = pick(sets[1], 'RSA-PSS-SHA256');
  for (const change of [
    (/** @type {any} */ b) => (b.version = 0),
    (/** @type {any} */ b) => (b.version = '1'),
    (/** @type {any} */ b) => (b.version = true),
    (/** @type {any} */ b) => (b.previous = null),
    (/** @type {any} */ b) => (b.previous = 'AA'),
    (/** @type {any} */ b) => (b.signing = {}),
    (/** @type {any} */ b) => (b.signing = []),
    (/** @type {any} */ b) => (b.signing[0] = null),
    (/** @type {any} */ b) => delete b.encryption,
    (/** @type {any} */ b) => (b.proofs = null),
    (/** @type {any} */ b) => (b.encryption.spki += '='),
    (/** @type {any} */ b) => (b.proofs[pick(sets[0], 'Ed25519').kid] += '='),
    (/** @type {any} */ b) =>
      (b.signing = b.signing.filter((/** @type {any} */ { alg }) => alg === 'DSA-SHA256')),
    (/** @type {any} */ b) => b.signing.push({ alg: rsa.alg, spki: crypto.encodeB64u(rsa.spki) }),
  ]) {
    await refusedWhen(change, 'malformed');
  }
  for (const change of [
    (/** @type {any} */ b) => (b.signing[0].alg = 'RS256'),
    (/** @type {any} */ b) => (b.signing[0].alg = 'RSA-OAEP-256'),
    (/** @type {any} */ b) => (b.encryption.alg = 'RSA-PSS-SHA256'),
    (/** @type {any} */ b) => (b.encryption.alg = '__proto__'),
  ]) {
    await refusedWhen(change, 'unsupported_algorithm');
  }
  await refusedWhen((b) => (b.signing[0].spki = b.signing[1].spki), 'malformed_key');
  await refusedWhen((b) => (b.encryption.spki = b.encryption.spki.slice(0, -4)), 'malformed_key');
  await refusedWhen((b) => (b.encryption.spki = 'A'.repeat(8000)), 'malformed_key');
  await refusedWhen((b) => (b.encryption.spki = b.signing[0].spki), 'weak_key');
  await refusedWhen((b) => b.signing.push(b.signing[0]), 'weak_key');
});

test('proofs: of every key, over this statement, and nothing beside them', async () => {
  const { bundle } = await first();
  for (const { kid, alg } of sets[0].filter(({ alg }) => alg !== crypto.WRAPPING)) {
    await refusedWhen((b) => delete b.proofs[kid], 'invalid_proof');
    await refusedWhen(
      (b) => (b.proofs[kid] = (b.proofs[kid][0] === 'A' ? 'B' : 'A') + b.proofs[kid].slice(1)),
      'invalid_proof',
    );
    const other = await crypto.makeBundle({ username: 'mallory', version: 1, keys: sets[0] });
    await refusedWhen((b) => (b.proofs[kid] = other.bundle.proofs[kid]), 'invalid_proof');
    assert.ok(alg);
  }
  await refusedWhen((b) => (b.proofs.extra = 'AAAA'), 'invalid_proof');
  await refusedWhen((b) => (b.version = 2), 'invalid_proof');
  await assert.rejects(crypto.judgeBundle('bob', bundle), failsWith('invalid_proof'));
  await assert.rejects(crypto.judgeBundle('Alice', bundle), failsWith('malformed'));
  // A proof of the wrapping key in another's place: the statement binds the kid.
  const swapped = pick(sets[1], crypto.WRAPPING);
  await refusedWhen((b) => (b.encryption.spki = crypto.encodeB64u(swapped.spki)), 'invalid_proof');
});

test('previous and continuity go together, and version 1 has neither', async () => {
  const one = await first();
  const two = await next(one, sets[1], sets[0]);
  const judged = await crypto.judgeBundle('alice', two.bundle);
  assert.ok(await crypto.continues(await crypto.judgeBundle('alice', one.bundle), judged));
  await assert.rejects(
    crypto.judgeBundle('alice', { ...two.bundle, continuity: null }),
    failsWith('invalid_proof'),
  );
  await refusedWhen((b) => (b.continuity = two.bundle.continuity), 'invalid_proof');
  await assert.rejects(
    crypto.makeBundle({
      username: 'alice',
      version: 2,
      keys: sets[1],
      previous: one.hash,
      link: pick(sets[0], 'DSA-SHA256'),
    }),
    failsWith('invalid_proof'),
  );
  await assert.rejects(
    crypto.makeBundle({ username: 'alice', version: 2, keys: sets[1], previous: one.hash }),
    failsWith('invalid_proof'),
  );
});

test('walk: linked versions follow the pin, forwards and back', async () => {
  const one = await first();
  const two = await next(one, sets[1], sets[0]);
  const three = await next(two, sets[2], sets[1], 3, 'Ed25519');
  const all = [three.bundle, one.bundle, two.bundle];
  for (const pin of [
    { version: 1, keys: one.hash },
    { version: 2, keys: two.hash },
    { version: 3, keys: three.hash },
    null,
  ]) {
    const walked = await crypto.walkBundles('alice', pin, all);
    assert.equal(walked.reset, false);
    assert.equal(walked.current?.hash, three.hash);
    assert.deepEqual(
      walked.linked.map(({ hash }) => hash),
      [one.hash, two.hash, three.hash],
    );
  }
});

test('walk: H2, a reset, a gap, a replayed, an invented and a refused bundle are resets', async () => {
  const one = await first();
  const two = await next(one, sets[1], sets[0]);
  const three = await next(two, sets[2], sets[1], 3);
  const pin = { version: 1, keys: one.hash };
  const walk = (/** @type {unknown[]} */ bundles, at = pin) => crypto.walkBundles('alice', at, bundles);

  const reset = await first(sets[1], 2); // version 2 without a link
  const walked = await walk([one.bundle, reset.bundle]);
  assert.equal(walked.reset, true);
  assert.deepEqual(
    walked.linked.map(({ hash }) => hash),
    [one.hash],
  );
  assert.equal((await walk([one.bundle, three.bundle])).reset, true, 'gap');
  assert.equal((await walk([two.bundle, three.bundle])).reset, true, 'pinned version withheld');
  assert.equal((await walk([])).reset, true);
  assert.equal((await walk([(await first(sets[1])).bundle])).reset, true, 'another version 1');

  const replayed = await first(sets[0], 3); // the first keys again, as the newest version
  assert.equal(
    (await walk([one.bundle, two.bundle, replayed.bundle], { version: 2, keys: two.hash })).reset,
    true,
  );
  // Two of one version: an honest server has none, so neither is the step after the other.
  assert.equal((await walk([one.bundle, two.bundle, reset.bundle])).reset, true);

  const broken = structuredClone(two.bundle);
  broken.proofs[pick(sets[1], 'Ed25519').kid] = 'AAAA';
  const refused = await walk([one.bundle, broken]);
  assert.deepEqual([refused.reset, refused.current, refused.steps[1].failure], [true, null, 'invalid_proof']);

  const forged = structuredClone(two.bundle); // continuity by a key that the pinned bundle does not hold
  forged.continuity.kid = pick(sets[1], 'RSA-PSS-SHA256').kid;
  assert.equal((await walk([one.bundle, forged])).reset, true);
  const meeting = await crypto.walkBundles('alice', null, [one.bundle, reset.bundle]);
  assert.deepEqual([meeting.reset, meeting.linked.map(({ hash }) => hash)], [false, [reset.hash]]);
});
