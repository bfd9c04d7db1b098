/** The timeline's lines: days, runs, and where the new messages begin. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { daysOf, firstUnread } from '../../components/chat/rows.js';

let made = 0;

/** @param {string} from @param {string} at local time @param {object} [more] @returns {any} */
function message(from, at, more = {}) {
  made += 1;
  return {
    kind: 'message',
    key: `m${made}`,
    from,
    mine: from === 'me',
    receivedAt: new Date(at).toISOString(),
    ...more,
  };
}

/** @param {string} at @returns {any} */
function event(at) {
  made += 1;
  return { kind: 'event', key: `e${made}`, event: { kind: 'rekey' }, receivedAt: new Date(at).toISOString() };
}

/** @param {any} row */
const shape = ({ type, first, last }) =>
  type === 'message' ? `${first ? '[' : '·'}${last ? ']' : '·'}` : type;

test('one sender within five minutes is one run', () => {
  const items = [
    message('ann', '2026-03-01T10:00'),
    message('ann', '2026-03-01T10:04'),
    message('ann', '2026-03-01T10:09:30'),
    message('me', '2026-03-01T10:10'),
  ];
  const [day] = daysOf(items, null);
  assert.deepEqual(day.rows.map(shape), ['[·', '·]', '[]', '[]']);
});

test('an event, a day and the divider each end a run', () => {
  const items = [
    message('ann', '2026-03-01T23:57'),
    event('2026-03-01T23:58'),
    message('ann', '2026-03-01T23:59'),
    message('ann', '2026-03-02T00:00'),
    message('ann', '2026-03-02T00:01'),
  ];
  const days = daysOf(items, items[4].key);
  assert.deepEqual(
    days.map(({ rows }) => rows.map(shape)),
    [
      ['[]', 'event', '[]'],
      ['[]', 'new', '[]'],
    ],
  );
  assert.notEqual(days[0].words, days[1].words);
});

test('a message without a readable time stays in the day before it', () => {
  const items = [
    message('ann', '2026-03-01T10:00'),
    { ...message('ann', '2026-03-01T10:00'), receivedAt: null, at: 'x' },
  ];
  assert.equal(daysOf(items, null).length, 1);
  assert.equal(daysOf([items[1]], null).length, 1);
  assert.deepEqual(daysOf([], null), []);
});

test('what is unread is counted from the end, own messages and events aside', () => {
  const items = [
    message('ann', '2026-03-01T10:00'),
    message('ann', '2026-03-01T10:01'),
    message('me', '2026-03-01T10:02'),
    event('2026-03-01T10:03'),
    message('ann', '2026-03-01T10:04'),
  ];
  assert.equal(firstUnread(items, 0, true), null);
  assert.equal(firstUnread(items, 1, false), items[4].key);
  assert.equal(firstUnread(items, 2, false), items[1].key);
  assert.equal(firstUnread(items, 9, false), null); // the first unread one is on an older page
  assert.equal(firstUnread(items, 9, true), items[0].key); // events were counted too
});
