import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ChatSecError, FAILURES, isFailure } from '../../lib/errors.js';

const page = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');

/** Names in backticks of the rows of a table that follows a heading or header row. @param {string} from @param {string} to */
function namesBetween(from, to) {
  const start = page.indexOf(from);
  assert.ok(start >= 0, from);
  const part = page.slice(start, page.indexOf(to, start));
  return part.split('\n').filter((line) => line.startsWith('|'));
}
const ticks = (/** @type {string} */ text) => [...text.matchAll(/`([a-z_]+)`/g)].map((match) => match[1]);

test('every failure name of §5 has words', () => {
  const rows = namesBetween('| name | on | meaning |', '\n\n');
  const names = rows.flatMap((row) => ticks(row.split('|')[1]));
  assert.ok(names.length >= 20);
  for (const name of names) assert.ok(isFailure(name), name);
});

test('every problem code of §8 has words', () => {
  const rows = namesBetween('| status | codes |', '\n\n');
  const names = rows.flatMap((row) =>
    row
      .split('|')
      .slice(2)
      .flatMap((cell) => ticks(cell)),
  );
  assert.ok(names.length >= 35);
  for (const name of names.filter((name) => name !== 'server')) assert.ok(isFailure(name), name);
});

test('words are sentences for people', () => {
  for (const [name, { title, explain }] of Object.entries(FAILURES)) {
    assert.match(title, /^[A-Z].*[^.]$/, name);
    assert.match(explain, /^[A-Z].*\.$/, name);
  }
});

test('the list is closed', () => {
  assert.throws(() => new ChatSecError('toString'), TypeError);
  assert.throws(() => new ChatSecError('no_such_code'), TypeError);
  const error = new ChatSecError('stale_epoch', 'old', { epoch: 3 });
  assert.deepEqual(
    [error.code, error.detail, error.extra, error.message],
    ['stale_epoch', 'old', { epoch: 3 }, 'old'],
  );
  assert.equal(new ChatSecError('offline').detail, FAILURES.offline.title);
});
