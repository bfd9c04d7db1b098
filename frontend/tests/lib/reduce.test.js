/** The judge by itself: order of checks, lanes, epochs, members, positions, and that it is pure. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CHAIN_START } from '../../lib/crypto/index.js';
import { begin, reduce } from '../../lib/timeline.js';
import { chainAt, event, message, people, trusting } from './facts.js';

const context = { trustOf: trusting, position: null };
const start = (more = {}) => begin({ first: 1, before: CHAIN_START, epoch: null, context, ...more });
const create = () => ({ ...event(1, 'create', 'alice', people, 1), before: CHAIN_START });
const run = (facts, state = start()) => reduce(state, facts);
const last = (state) => {
  const { reason, warnings } = state.verdicts.at(-1);
  return [reason, ...warnings];
};
const after = (...facts) => run([create(), ...facts]);

test('an honest history has no names', () => {
  const state = after(
    message(2, 'alice'),
    message(3, 'bob'),
    message(4, 'alice', { header: { n: 2, prev: 'h2' } }),
  );
  assert.deepEqual(
    state.verdicts.flatMap(({ reason, warnings }) => [reason, ...warnings]),
    [null, null, null, null],
  );
  assert.equal(state.warnings.size, 0);
});

test('nothing given is changed, and one by one is the same as all at once', () => {
  const items = [create(), message(2, 'alice'), message(3, 'bob'), event(4, 'remove', 'alice', ['bob'], 2)];
  const empty = start();
  let state = empty;
  for (const item of items) state = reduce(state, item);
  assert.deepEqual(state, run(items));
  assert.deepEqual(empty, start());
  const copy = structuredClone({ ...state, context: null });
  reduce(state, message(5, 'alice', { header: { epoch: 2, seen: { seq: 4, hash: 'other' } } }));
  assert.deepEqual({ ...state, context: null }, copy);
});

test('takes the next item only', () => {
  assert.throws(() => run([create(), message(3, 'bob')]), RangeError);
  assert.throws(() => run([message(2, 'bob')]), RangeError);
});

test('the first check that fails gives the name', () => {
  const all = { candidates: [], signed: false, key: 'key_mismatch', opened: 'undecryptable' };
  const wrong = { header: { epoch: 2, from: 'mallory' } };
  const order = [
    ['malformed', { ...all, header: null }],
    ['wrong_epoch', { ...all, ...wrong }],
    ['not_a_member', { ...all, header: { from: 'mallory' } }],
    ['unknown_key', all],
    ['bad_signature', { ...all, candidates: [{ version: 1, hash: 'bob 1' }] }],
    ['key_mismatch', { key: 'key_mismatch', opened: 'undecryptable' }],
    ['waiting_for_key', { key: 'waiting_for_key' }],
    ['key_lost', { key: 'key_lost' }],
    ['undecryptable', { opened: 'undecryptable' }],
    ['bad_padding', { opened: 'bad_padding' }],
    ['malformed', { opened: 'malformed' }],
  ];
  for (const [name, facts] of order) {
    const item = {
      ...message(2, 'bob', { ...facts, header: facts.header ?? {} }),
      ...(facts.header === null && { header: null }),
    };
    assert.deepEqual(last(after(item)), [name]);
  }
});

test('replayed comes last of the failures; an unsigned copy takes no id', () => {
  const first = message(2, 'bob');
  const again = { header: { id: first.header.id } };
  assert.deepEqual(last(after(first, message(3, 'bob', again))), ['replayed']);
  assert.deepEqual(last(after(first, message(3, 'bob', { ...again, opened: 'bad_padding' }))), [
    'bad_padding',
  ]);
  const forged = { ...message(2, 'bob', { signed: false, ...again }) };
  const real = message(3, 'bob', again);
  assert.deepEqual(last(after(forged, real)), [null]);
  assert.deepEqual(last(after(first, message(3, 'carol', again))), [null], 'ids are per author');
});

test('a lane advances on every signed message, opened or not, and on no other', () => {
  const second = message(4, 'bob', { header: { n: 2, prev: 'h3' } });
  for (const opened of ['undecryptable', 'bad_padding']) {
    assert.deepEqual(last(after(message(2, 'alice'), message(3, 'bob', { opened }), second)), [null]);
  }
  assert.deepEqual(last(after(message(2, 'alice'), message(3, 'bob', { key: 'key_lost' }), second)), [null]);
  const unsigned = after(message(2, 'alice'), message(3, 'bob', { signed: false }), second);
  assert.deepEqual(last(unsigned), [null, 'chain_gap']);
});

test('lanes: gap, fork, copy, and one lane per epoch', () => {
  const one = message(2, 'bob');
  const next = (seq, header, more) => message(seq, 'bob', { header, ...more });
  assert.deepEqual(last(after(one, next(3, { n: 3, prev: 'x' }))), [null, 'chain_gap']);
  assert.deepEqual(last(after(one, next(3, { n: 2, prev: 'x' }))), [null, 'chain_fork']);
  assert.deepEqual(last(after(one, next(3, { n: 1, prev: '' }))), [null, 'chain_fork']);
  const gap = after(one, next(3, { n: 3, prev: 'x' }), next(4, { n: 4, prev: 'h3' }));
  assert.deepEqual(last(gap), [null], 'after a gap it goes on');
  const fork = after(one, next(3, { n: 1 }), next(4, { n: 2, prev: 'h2' }));
  assert.deepEqual(last(fork), [null], 'the first of two stays');
  const copy = after(one, { ...next(3, { id: one.header.id }), hash: 'h2' }, next(4, { n: 2, prev: 'h2' }));
  assert.deepEqual(last(copy), [null], 'a copy moves nothing');
  const rekeyed = after(
    one,
    event(3, 'rekey', 'alice', [], 2),
    next(4, { epoch: 2, seen: { seq: 3, hash: chainAt(3) } }),
  );
  assert.deepEqual(last(rekeyed), [null]);
  assert.deepEqual(
    last(after(next(2, { n: 4, prev: 'x' }))),
    [null, 'chain_gap'],
    'it began before its beginning',
  );
});

test('a page that does not begin its epoch anchors a lane silently', () => {
  const epoch = { number: 1, opened_seq: 1, members: people };
  const page = begin({ first: 7, before: chainAt(6), epoch, context });
  const state = reduce(page, [
    message(7, 'bob', { header: { n: 4, prev: 'x' } }),
    message(8, 'bob', { header: { n: 5, prev: 'h7' } }),
  ]);
  assert.deepEqual(
    state.verdicts.map(({ warnings }) => [...warnings]),
    [[], []],
  );
  assert.deepEqual(last(reduce(page, message(7, 'bob', { header: { n: 2, prev: '' } }))), [
    null,
    'chain_gap',
  ]);
});

test('members and epochs follow the events', () => {
  const seen = { seen: { seq: 2, hash: chainAt(2) } };
  const removed = event(2, 'remove', 'alice', ['bob'], 2);
  assert.deepEqual(last(after(removed, message(3, 'bob', { header: { epoch: 2, ...seen } }))), [
    'not_a_member',
  ]);
  assert.deepEqual(last(after(removed, message(3, 'carol', { header: { epoch: 2, ...seen } }))), [null]);
  assert.deepEqual(last(after(removed, message(3, 'carol'))), ['wrong_epoch']);
  const back = [removed, event(3, 'add', 'alice', ['bob'], 3)];
  assert.deepEqual(
    last(after(...back, message(4, 'bob', { header: { epoch: 3, seen: { seq: 3, hash: chainAt(3) } } }))),
    [null],
  );
  for (const kind of ['leave', 'ended']) {
    assert.deepEqual([...after(event(2, kind, 'bob', ['bob'], 2)).members], ['alice', 'carol']);
  }
  for (const kind of ['role', 'rename'])
    assert.equal(after(event(2, kind, 'alice', ['bob'], 1)).epoch.number, 1);
});

test('events that cannot be: an epoch back, one skipped, other members than were wrapped for, a log', () => {
  const named = (...facts) => [...after(...facts).warnings];
  assert.deepEqual(named(event(2, 'rekey', 'alice', [], 2), event(3, 'rekey', 'alice', [], 2)), [
    'server_rollback',
  ]);
  assert.deepEqual(named(event(2, 'rekey', 'alice', [], 4)), ['history_fork']);
  assert.deepEqual(named(event(2, 'rename', 'alice', [], 2)), ['history_fork']);
  assert.deepEqual(named(event(2, 'rekey', 'alice', [], 2, { epochMembers: [...people, 'mallory'] })), [
    'history_fork',
  ]);
  assert.deepEqual(named(event(2, 'rekey', 'alice', [], 2, { epochMembers: people })), []);
  assert.deepEqual(named(event(2, 'rekey', 'alice', [], 2, { event: { log: 'x' } })), ['mode_changed']);
  assert.deepEqual(last(after({ ...event(2, 'rekey', 'alice', [], 2), event: null })), ['malformed']);
});

test('the chain: what a delivery says comes before it must be what came before it', () => {
  assert.deepEqual([...after({ ...message(2, 'bob'), before: 'other' }).warnings], ['history_fork']);
  assert.deepEqual(
    [...start({ before: chainAt(0) }).warnings],
    ['history_fork'],
    'c before the first item is zero',
  );
});

test('where the server makes the keys there is no log to have seen', () => {
  const named = message(2, 'bob', { header: { log: 'an entry' } });
  assert.deepEqual([...after(named).warnings], ['history_fork']);
  assert.deepEqual([...after(message(2, 'bob')).warnings], []);
});

test('a seen beyond what is held is judged when its item is here', () => {
  const ahead = (hash) => message(2, 'bob', { header: { seen: { seq: 3, hash } } });
  const honest = after(ahead(chainAt(3)), message(3, 'alice'));
  assert.deepEqual([...honest.verdicts[1].warnings], ['server_rollback']);
  const forked = after(ahead('other'), message(3, 'alice'));
  assert.deepEqual([...forked.verdicts[1].warnings], ['server_rollback', 'history_fork']);
  assert.ok(forked.warnings.has('history_fork'));
  const page = begin({
    first: 7,
    before: chainAt(6),
    epoch: { number: 1, opened_seq: 1, members: people },
    context,
  });
  assert.deepEqual(
    last(reduce(page, message(7, 'bob', { header: { seen: { seq: 3, hash: 'x' } } }))),
    [null],
    'not held, not judged',
  );
  assert.deepEqual(last(reduce(page, message(7, 'bob', { header: { seen: { seq: 6, hash: 'x' } } }))), [
    null,
    'history_fork',
  ]);
});

test('keys: never older than an earlier message or a keys event of theirs', () => {
  const under = (version) => ({ candidates: [{ version, hash: `bob ${version}` }] });
  const bob = (seq, version, header = {}) => message(seq, 'bob', { ...under(version), header });
  assert.deepEqual(last(after(bob(2, 2), bob(3, 1))), ['unknown_key']);
  assert.deepEqual(last(after(bob(2, 1), bob(3, 2, { n: 2, prev: 'h2' }))), [null]);
  const renewed = event(2, 'keys', 'bob', ['bob'], 2, { announced: 2 });
  const later = { epoch: 2, seen: { seq: 2, hash: chainAt(2) } };
  assert.deepEqual(last(after(renewed, bob(3, 1, later))), ['unknown_key']);
  assert.deepEqual(last(after(renewed, bob(3, 2, later))), [null]);
  assert.deepEqual(last(after({ ...renewed, announced: null })), [null, 'identity_reset']);
  const forged = message(2, 'bob', { ...under(2), signed: false });
  assert.deepEqual(last(after(forged, bob(3, 1))), [null], 'what is not signed announces nothing');
});

test('keys: unconfirmed ones are marked, untrusted ones unknown, linked ones preferred', () => {
  const trust = new Map([
    ['bob 1', 'linked'],
    ['bob 2', 'unconfirmed'],
  ]);
  const state = start({ context: { trustOf: () => trust, position: null } });
  const judged = (...versions) => {
    const candidates = versions.map((version) => ({ version, hash: `bob ${version}` }));
    return last(run([create(), message(2, 'bob', { candidates })], state));
  };
  assert.deepEqual(judged(2), [null, 'unconfirmed_key']);
  assert.deepEqual(judged(2, 1), [null]);
  assert.deepEqual(judged(3), ['unknown_key']);
});

test('what was judged before must still be so', () => {
  const with_ = (position) => [
    ...run([create(), message(2, 'bob')], start({ context: { trustOf: trusting, position } })).warnings,
  ];
  assert.deepEqual(with_({ seq: 2, chain: chainAt(2), epoch: 1 }), []);
  assert.deepEqual(with_({ seq: 2, chain: 'other', epoch: 1 }), ['history_fork']);
  assert.deepEqual(with_({ seq: 2, chain: chainAt(2), epoch: 3 }), ['server_rollback']);
  assert.deepEqual(with_({ seq: 9, chain: chainAt(9), epoch: 1 }), [], 'not here yet');
  const page = begin({
    first: 7,
    before: 'other',
    epoch: null,
    context: { trustOf: trusting, position: { seq: 6, chain: chainAt(6), epoch: 1 } },
  });
  assert.deepEqual([...page.warnings], ['history_fork']);
});
