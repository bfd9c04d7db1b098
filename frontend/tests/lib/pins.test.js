/** What a person's bundles are worth against the pin: linked, unconfirmed, of no use; quiet change, reset, rollback. */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { judgeBundle } from '../../lib/crypto/index.js';
import { acceptedPin, judgePerson } from '../../lib/pins.js';
import { Identity } from '../model/people.js';

const TIME = '2026-11-24T12:00:00.000Z';
/** @type {Record<string, any>} */
const forms = {};

const form = async (bundle) => ({
  ...bundle,
  username: 'bob',
  hash: (await judgeBundle('bob', bundle)).hash,
  created_at: TIME,
});
/** The server's answer: the newest first. */
const answer = (...names) => {
  const [current, ...history] = names.map((name) => forms[name]).reverse();
  return { ...current, history };
};
const pinOf = ({ version, hash }) => ({ username: 'bob', version, keys: hash, linked: [hash] });
const trustOf = (person) =>
  Object.fromEntries(
    Object.entries(forms)
      .filter(([, { hash }]) => person.trust.has(hash))
      .map(([name, { hash }]) => [name, person.trust.get(hash)]),
  );

before(async () => {
  const bob = new Identity('bob');
  for (const [name, linked] of [
    ['v1', true],
    ['v2', true],
    ['v3reset', false],
    ['v4', true],
  ]) {
    forms[name] = await form((await bob.renew({ linked })).bundle);
  }
  const other = new Identity('bob');
  forms.invented1 = await form((await other.renew()).bundle);
  forms.invented2 = await form((await other.renew()).bundle);
});

test('a first meeting pins the current bundle and what continuity links to it', async () => {
  const person = await judgePerson('bob', answer('v1', 'v2'), null);
  assert.deepEqual([person.pin.version, person.pin.keys], [2, forms.v2.hash]);
  assert.deepEqual(trustOf(person), { v1: 'linked', v2: 'linked' });
  assert.deepEqual(person.warnings, []);
});

test('a change with continuity moves the pin quietly', async () => {
  const person = await judgePerson('bob', answer('v1', 'v2'), pinOf(forms.v1));
  assert.deepEqual([person.pin.version, person.warnings], [2, []]);
});

test('a reset is told, moves nothing, and marks the new keys until they are accepted', async () => {
  const all = answer('v1', 'v2', 'v3reset', 'v4');
  const person = await judgePerson('bob', all, pinOf(forms.v2));
  assert.deepEqual([person.pin.version, person.warnings], [2, ['identity_reset']]);
  assert.deepEqual(trustOf(person), {
    v1: 'linked',
    v2: 'linked',
    v3reset: 'unconfirmed',
    v4: 'unconfirmed',
  });
  const accepted = await judgePerson('bob', all, acceptedPin(person));
  assert.deepEqual([accepted.pin.version, accepted.warnings], [4, []]);
  assert.deepEqual(
    new Set(Object.values(trustOf(accepted))),
    new Set(['linked']),
    'what was linked to an earlier pin stays',
  );
});

test('the mark of a compared number stays along continuity, and is lost with the yes to a reset', async () => {
  const compared = { ...pinOf(forms.v1), verified: true };
  const moved = await judgePerson('bob', answer('v1', 'v2'), compared);
  assert.deepEqual([moved.pin.version, moved.pin.verified], [2, true]);
  const reset = await judgePerson('bob', answer('v1', 'v2', 'v3reset'), compared);
  assert.deepEqual([reset.pin.version, reset.pin.verified, reset.warnings], [1, true, ['identity_reset']]);
  assert.equal(acceptedPin(reset).verified, false);
  assert.equal(acceptedPin(reset, true).verified, true, 'compared again');
  const older = await judgePerson('bob', answer('v1'), { ...pinOf(forms.v2), verified: true });
  assert.deepEqual([older.pin.version, older.pin.verified], [2, true]);
  assert.equal((await judgePerson('bob', answer('v1'), null)).pin.verified, false, 'nobody is born with it');
});

test('a first meeting after a reset does not vouch for the keys before it', async () => {
  const person = await judgePerson('bob', answer('v1', 'v2', 'v3reset', 'v4'), null);
  assert.deepEqual(trustOf(person), {
    v1: 'unconfirmed',
    v2: 'unconfirmed',
    v3reset: 'linked',
    v4: 'linked',
  });
  assert.deepEqual(person.warnings, []);
});

test('an older bundle that the next one does not name is of no use', async () => {
  const person = await judgePerson('bob', answer('invented1', 'v2'), null);
  assert.deepEqual(trustOf(person), { v2: 'linked' });
  assert.equal(person.kids.size, 1);
});

test('other keys in the place of the pinned ones', async () => {
  for (const told of [answer('invented1', 'invented2'), answer('v1', 'invented2')]) {
    const person = await judgePerson('bob', told, { ...pinOf(forms.v2), linked: [forms.v2.hash] });
    assert.deepEqual([person.pin.keys, person.warnings], [forms.v2.hash, ['identity_reset']]);
  }
});

test('older keys than the pinned ones are a rollback; what they signed stays theirs', async () => {
  const pin = { ...pinOf(forms.v2), linked: [forms.v1.hash, forms.v2.hash] };
  const person = await judgePerson('bob', answer('v1'), pin);
  assert.deepEqual(
    [person.pin.version, person.warnings, trustOf(person)],
    [2, ['server_rollback'], { v1: 'linked' }],
  );
});

test('a current bundle that must not be used is told, and pins nothing', async () => {
  const weak = {
    ...forms.v1,
    encryption: { alg: 'RSA-OAEP-256', spki: forms.v1.encryption.spki.slice(0, -4) },
  };
  const person = await judgePerson('bob', { ...weak, history: [] }, null);
  assert.deepEqual([person.pin, person.current, person.warnings], [null, null, ['weak_key']]);
  assert.throws(() => acceptedPin(person), { code: 'weak_key' });
  const proofs = Object.fromEntries(
    Object.entries(forms.v1.proofs).map(([kid, proof]) => [kid, `AAAA${proof.slice(4)}`]),
  );
  const forged = await judgePerson('bob', { ...forms.v1, proofs, history: [] }, pinOf(forms.v1));
  assert.deepEqual(forged.warnings, ['identity_reset']);
});

test('an answer of another form or person is refused', async () => {
  for (const told of [null, {}, { ...answer('v1'), history: 7 }, { ...answer('v1'), username: 'alice' }]) {
    await assert.rejects(judgePerson('bob', told, null), { code: 'bad_answer' });
  }
});
