/** What a person sees of a judged history: edits, deletions, reactions, receipts, failures. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CHAIN_START } from '../../lib/crypto/index.js';
import { begin, project, reduce } from '../../lib/timeline.js';
import { event, message, people, trusting } from './facts.js';

const members = people.map((username) => ({ username, joined_seq: 1 }));

/** Views a history by alice; each message is given as [from, payload, more]. */
function view(list, { receipts = {}, complete = true } = {}) {
  const create = { ...event(1, 'create', 'alice', people, 1), before: CHAIN_START };
  const counts = {};
  const items = list.map(([from, payload, more = {}], i) => {
    const n = (counts[from] = (counts[from] ?? 0) + 1);
    return message(i + 2, from, { payload, ...more, header: { dev: `${from} ${n}`, ...more.header } });
  });
  const context = { trustOf: trusting, position: null };
  const { verdicts } = reduce(begin({ first: 1, before: CHAIN_START, epoch: null, context }), [
    create,
    ...items,
  ]);
  return project({
    verdicts,
    me: 'alice',
    complete,
    receipts: { members, read: {}, delivered: {}, ...receipts },
  }).slice(1);
}

const text = (body) => ({ type: 'text', body });
const id = '00000000-0000-4000-8000-00000000aaaa';
const target = { header: { id } };

test('of several edits the highest seq counts, and only the author’s', () => {
  const items = view([
    ['bob', text('one'), target],
    ['bob', { type: 'edit', target: id, body: 'two' }],
    ['bob', { type: 'edit', target: id, body: 'three' }],
    ['carol', { type: 'edit', target: id, body: 'forged' }],
  ]);
  assert.deepEqual(
    items.map(({ payload }) => payload),
    [
      { type: 'text', body: 'three', edited: true },
      { type: 'edit', target: id, body: 'forged' },
    ],
  );
});

test('a delete is final, and only the author’s', () => {
  const deleted = { type: 'delete', target: id };
  const items = view([
    ['bob', text('gone'), target],
    ['bob', deleted],
    ['bob', { type: 'edit', target: id, body: 'back' }],
  ]);
  assert.deepEqual(
    items.map(({ payload }) => payload),
    [{ type: 'text', body: '', deleted: true }],
  );
  assert.equal(
    view([
      ['bob', text('stays'), target],
      ['carol', deleted],
    ])[0].payload.body,
    'stays',
  );
});

test('reactions of each person, on and off', () => {
  const react = (from, emoji, on) => [from, { type: 'reaction', target: id, emoji, on }];
  const items = view([
    ['bob', text('x'), target],
    react('carol', '👍', true),
    react('alice', '👍', true),
    react('carol', '👍', false),
    react('carol', '🎉', true),
  ]);
  assert.deepEqual(
    items.map(({ payload }) => payload.reactions),
    [{ '👍': ['alice'], '🎉': ['carol'] }],
  );
});

test('what names a message that is not there waits for its page, then stands by itself', () => {
  const list = [
    ['bob', { type: 'edit', target: id, body: 'x' }],
    ['bob', { type: 'reaction', target: id, emoji: '👍', on: true }],
  ];
  assert.deepEqual(view(list, { complete: false }), []);
  assert.deepEqual(
    view(list).map(({ payload }) => payload.type),
    ['edit', 'reaction'],
  );
});

test('a failed edit changes nothing and is shown as failed', () => {
  const items = view([
    ['bob', text('one'), target],
    ['bob', { type: 'edit', target: id, body: 'two' }, { signed: false }],
  ]);
  assert.deepEqual(
    items.map(({ state, reason, payload }) => [state, reason, payload?.body]),
    [
      ['verified', null, 'one'],
      ['failed', 'bad_signature', undefined],
    ],
  );
});

test('replies and unknown types stay as they are', () => {
  const items = view([
    ['bob', { ...text('x'), reply_to: id }],
    ['bob', { type: 'poll', question: '?' }],
  ]);
  assert.deepEqual(
    items.map(({ payload }) => payload),
    [
      { type: 'text', body: 'x', reply_to: id },
      { type: 'poll', question: '?' },
    ],
  );
});

test('what the view adds to a message is never its author’s to say', () => {
  const forged = { edited: true, deleted: true, reactions: { '👍': ['alice', 'carol'], '🎉': 3 } };
  const items = view([
    ['bob', { ...text('x'), ...forged }],
    ['bob', { type: 'poll', ...forged }],
  ]);
  assert.deepEqual(
    items.map(({ payload }) => payload),
    [text('x'), { type: 'poll' }],
  );
});

test('a warning on an edit shows on what it changed, one on a reaction beside it', () => {
  const gap = { header: { n: 3, prev: 'h' } };
  const items = view([
    ['bob', text('one'), target],
    ['bob', { type: 'edit', target: id, body: 'two' }, gap],
    ['carol', { type: 'reaction', target: id, emoji: '👍', on: true }, gap],
  ]);
  assert.deepEqual(
    items.map(({ from, payload, warnings }) => [from, payload.body, payload.reactions, warnings]),
    [
      ['bob', 'two', { '👍': ['carol'] }, ['chain_gap']],
      ['carol', undefined, undefined, ['chain_gap']],
    ],
  );
  const deleted = view([
    ['bob', text('one'), target],
    ['bob', { type: 'delete', target: id }, gap],
  ]);
  assert.deepEqual(deleted[0].warnings, ['chain_gap']);
});

test('own messages go as far as the least advanced of the others', () => {
  const own = (receipts) => view([['alice', text('x')]], { receipts })[0].state;
  assert.equal(own({}), 'sent');
  assert.equal(own({ delivered: { bob: 2 } }), 'sent');
  assert.equal(own({ delivered: { bob: 2, carol: 2 } }), 'delivered');
  assert.equal(own({ delivered: { bob: 2 }, read: { carol: 5 } }), 'delivered', 'who has read it has it');
  assert.equal(own({ read: { bob: 2, carol: 2 } }), 'read');
  const later = [...members.slice(0, 2), { username: 'carol', joined_seq: 9 }];
  assert.equal(own({ read: { bob: 2 }, members: later }), 'read', 'who joined later does not count');
  assert.equal(own({ members: members.slice(0, 1) }), 'sent');
});

test('keys are stable, and a failed message never takes the key of the one it imitates', () => {
  const items = view([
    ['bob', text('x'), target],
    ['bob', text('x'), target],
    ['alice', text('mine')],
  ]);
  assert.deepEqual(
    items.map(({ key }) => key.split(':')[0]),
    ['m', 's', 'm'],
  );
  assert.equal(new Set(items.map(({ key }) => key)).size, 3);
});
