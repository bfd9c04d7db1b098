import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { bytes, everyFlipFails, load, reproduce } from './load.js';

/** A bundle and its step from the one before. @param {any} vector */
async function judge({ username, bundle, previous_bundle: previousBundle, link }) {
  const judged = await crypto.judgeBundle(username, bundle);
  const previous = previousBundle && (await crypto.judgeBundle(username, previousBundle));
  const continuous = Boolean(previous) && (await crypto.continues(previous, judged));
  if (link) {
    // To a client such a step is no error but a reset: nothing links the bundle to the pin.
    const pin = { version: previous.version, keys: previous.hash };
    const walked = await crypto.walkBundles(username, pin, [previousBundle, bundle]);
    assert.deepEqual([continuous, walked.reset, walked.linked.length], [false, true, 1]);
    throw new ChatSecError('invalid_proof');
  }
  return { judged, continuous };
}

reproduce(
  'bundle',
  async (vector) => {
    const { judged, continuous } = await judge(vector);
    assert.equal(judged.statement, crypto.decodeText(bytes(vector.statement)));
    assert.equal(judged.hash, vector.hash);
    assert.equal(continuous, vector.continuous);
    const kids = [judged.encryption, ...judged.signing].map(({ alg, kid }) => [alg, kid]);
    assert.deepEqual(Object.fromEntries(kids), vector.kids);
  },
  async (vector) => {
    if (!vector.server_only) return judge(vector);
    // Primality is the server's to judge: here the key passes, and the proof, which is another key's, does not.
    await assert.rejects(judge(vector), (/** @type {any} */ error) => error.code === 'invalid_proof');
    throw new ChatSecError(vector.failure);
  },
);

test('vectors bundle: no changed byte of a proof, a key or the link is accepted', async () => {
  const vector = load('bundle').find(({ name }) => name === 'second, linked by Ed25519');
  const { username, bundle, previous_bundle: previousBundle } = vector;
  const previous = await crypto.judgeBundle(username, previousBundle);
  const accept = async (/** @type {any} */ changed) => {
    if (!(await crypto.continues(previous, await crypto.judgeBundle(username, changed)))) {
      throw new ChatSecError('invalid_proof');
    }
  };
  await accept(bundle);
  const b64u = crypto.encodeB64u;
  const [alg, ...rest] = bundle.signing;
  const ed = Object.values(bundle.proofs).find((proof) => bytes(proof).length === 64);
  const kid = Object.keys(bundle.proofs).find((key) => bundle.proofs[key] === ed) ?? '';
  await everyFlipFails('proof', bytes(ed), (wrong) =>
    accept({ ...bundle, proofs: { ...bundle.proofs, [kid]: b64u(wrong) } }),
  );
  await everyFlipFails('link', bytes(bundle.continuity.signature), (wrong) =>
    accept({ ...bundle, continuity: { ...bundle.continuity, signature: b64u(wrong) } }),
  );
  await everyFlipFails('previous', bytes(bundle.previous), (wrong) =>
    accept({ ...bundle, previous: b64u(wrong) }),
  );
  await everyFlipFails('spki', bytes(alg.spki), (wrong) =>
    accept({ ...bundle, signing: [{ ...alg, spki: b64u(wrong) }, ...rest] }),
  );
  await everyFlipFails('wrapping spki', bytes(bundle.encryption.spki), (wrong) =>
    accept({ ...bundle, encryption: { ...bundle.encryption, spki: b64u(wrong) } }),
  );
});
