import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { flip } from './fixtures.js';
import { bytes, load, reproduce } from './load.js';

/** @param {{username: string, statement: string}} user */
const user = ({ username, statement }) => ({ username, statement: crypto.decodeText(bytes(statement)) });

reproduce(
  'safety',
  ({ users, number, scanned, matches }) => {
    const [one, other] = users.map(user);
    assert.equal(crypto.safetyNumber(one, other), number);
    assert.equal(crypto.safetyNumber(other, one), number);
    assert.deepEqual(
      [crypto.fingerprint(one), crypto.fingerprint(other)],
      users.map((/** @type {any} */ { fingerprint }) => fingerprint),
    );
    assert.equal(crypto.readQr(scanned) === number, matches);
    assert.equal(crypto.qrText(number) === scanned, matches);
  },
  ({ scanned }) => crypto.readQr(scanned),
);

test('vectors safety: every part of a statement counts', () => {
  const [first] = load('safety')[0].users;
  const statement = bytes(first.statement);
  for (let at = 0; at < statement.length; at += 64) {
    const changed = { username: first.username, statement: crypto.decodeText(flip(statement, at)) };
    assert.notEqual(crypto.fingerprint(changed), first.fingerprint);
  }
  assert.notEqual(crypto.fingerprint({ ...user(first), username: 'alicf' }), first.fingerprint);
});
