/** What fits into a client state, and how two devices' memories are made one: pure rules, without a server. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fit, hash, MAX_STATE, sealState, stateKey, unjudged } from '../../lib/crypto/index.js';
import { mergeMemories, mergePins, sameMemory } from '../../lib/merge.js';

const NONE = { pins: new Map(), chats: new Map() };
const ID = (/** @type {number} */ n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const H = await hash('something');

// ---- what fits ----

const person = (/** @type {number} */ n, verified = false) => [
  `person.${n}`,
  { version: 1, keys: H, verified },
];
const room = (/** @type {number} */ n) => [
  ID(n),
  { mode: 'combined', log_n: 3, log_hash: H, epoch: 2, seq: 10 + n, chain: H },
];
const many = (/** @type {number} */ count, /** @type {any} */ make) =>
  new Map(Array.from({ length: count }, (_, n) => make(n)));

test('what fits is kept as it is', () => {
  const contents = { pins: many(500, person), chats: many(500, room) };
  assert.ok(sameMemory(fit(contents), contents));
});

test('the positions of the chats that changed longest ago go first', async () => {
  const contents = { pins: many(10, person), chats: many(3000, room) };
  const kept = fit(contents);
  assert.equal(kept.chats.size, 3000, 'every chat keeps its mode');
  const bare = [...kept.chats].filter(([, { seq }]) => seq === 0);
  assert.ok(bare.length > 0 && bare.length < 1500);
  assert.deepEqual(
    bare,
    [...contents.chats].slice(0, bare.length).map(([id]) => [id, unjudged('combined')]),
  );
  const key = await stateKey(new Uint8Array(32));
  const { ciphertext } = await sealState({ username: 'alice', n: 1, contents, key });
  const size = (ciphertext.length * 3) >> 2;
  assert.ok(size <= MAX_STATE && size > MAX_STATE - 1000, 'no more is dropped than has to be');
});

test('then chats, then pins that nobody verified; a verified pin never goes', () => {
  const pins = new Map([...many(5000, person), ...many(3000, (n) => [`friend.${n}`, person(0, true)[1]])]);
  const kept = fit({ pins, chats: many(100, room) });
  assert.equal(kept.chats.size, 0);
  assert.ok(kept.pins.size < 8000 && kept.pins.has('person.4999'), 'the newest of them stay');
  assert.equal([...kept.pins.values()].filter(({ verified }) => verified).length, 3000);
  const all = many(7000, (n) => person(n, true));
  assert.throws(() => fit({ pins: all, chats: new Map() }), { code: 'too_large' });
});

// ---- two memories made one ----

test('of two pins the later linked one; the mark is of its bundle', () => {
  const pin = (version, verified, linked = [], since = undefined) => ({
    version,
    keys: `k${version}`,
    verified,
    linked: [`k${version}`, ...linked],
    since,
  });
  const told = (version, verified) => ({ version, keys: `k${version}`, verified });
  const of = (mine, other, base) => {
    const { version, verified } = mergePins(mine, other, base);
    return [version, verified];
  };
  assert.deepEqual(of(pin(2, false, ['k1']), told(1, true)), [2, true], 'mine is later and linked');
  const base = told(1, true);
  assert.deepEqual(of(pin(2, false, ['k1']), base, base), [2, false], 'and doubted here');
  assert.deepEqual(of(pin(2, true, ['k1']), told(1, false), base), [2, false], 'doubted there');
  const accepted = pin(2, false, ['k1'], 2);
  assert.deepEqual(of(accepted, base, base), [2, false], 'no mark comes over a reset');
  assert.deepEqual(of(accepted, told(2, true), base), [2, true], 'compared again there');
  assert.deepEqual(of(pin(2, true, ['k1'], 2), base, base), [2, true], 'compared again here');
  assert.deepEqual(of(pin(2, false), told(1, true)), [1, true], 'mine was met after a reset that they saw');
  assert.deepEqual(of(pin(1, true), told(2, false)), [1, true], 'theirs was: they do not vouch for it');
  assert.deepEqual(of(pin(1, false, ['k2']), told(2, true)), [2, true], 'theirs is later and linked');
  for (const [began, mine, other, both] of [
    [undefined, true, false, true],
    [undefined, false, true, true],
    [told(1, false), true, false, true],
    [told(1, false), false, true, true],
    [told(1, true), false, true, false],
    [told(1, true), true, false, false],
    [told(1, true), true, true, true],
  ]) {
    assert.deepEqual(
      of(pin(1, mine), told(1, other), began),
      [1, both],
      JSON.stringify([began, mine, other]),
    );
  }
  const [mine, other] = [pin(1, false), { version: 1, keys: 'another', verified: true }];
  assert.equal(mergePins(mine, other, undefined).keys, 'another', 'two bundles in one place');
  assert.equal(mergePins({ ...mine, verified: true }, other, undefined).keys, 'k1', 'the compared one holds');
});

test('of two positions the further; what differs in one place is told', () => {
  const at = (seq, chain, log_n, log_hash, mode = 'combined') => ({
    ...unjudged(mode),
    epoch: seq,
    seq,
    chain,
    log_n,
    log_hash,
  });
  const merge = (mine, other) => {
    const local = { pins: new Map(), chats: new Map([[ID(1), mine]]) };
    const { contents, clashes } = mergeMemories(local, { ...NONE, chats: new Map([[ID(1), other]]) }, NONE);
    return [contents.chats.get(ID(1)), clashes.map(({ name }) => name)];
  };
  const [a, b] = ['a', 'b'];
  assert.deepEqual(merge(at(5, a, 1, a), at(3, b, 2, b)), [at(5, a, 2, b), []], 'each by itself');
  assert.deepEqual(merge(at(5, a, 1, a), at(5, b, 1, a))[1], ['history_fork']);
  assert.deepEqual(merge(at(5, a, 1, a), at(4, a, 1, b))[1], ['history_fork']);
  assert.deepEqual(merge(at(5, a, 1, a, 'server'), at(5, a, 1, a))[1], ['mode_changed']);
  assert.deepEqual(merge(at(0, '', 0, ''), at(5, a, 1, a)), [at(5, a, 1, a), []]);
});

test('what changed last stands last, and so is kept longest', () => {
  const told = { ...NONE, chats: many(3, room) };
  const moved = { ...room(0)[1], seq: 99 };
  const { contents } = mergeMemories({ ...NONE, chats: new Map([[ID(0), moved]]) }, told, told);
  assert.deepEqual([...contents.chats.keys()], [ID(1), ID(2), ID(0)]);
});
