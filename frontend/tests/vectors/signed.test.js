import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { bytes, load, reproduce } from './load.js';
import { make } from './makers/signed.js';
import { linesOf, peopleOf } from './people.js';

const people = peopleOf('signed');

/** A log from its first entry on. @param {any} vector */
async function judgeLog(vector) {
  const { chat, entries } = vector;
  const lineOf = await linesOf(vector, people);
  /** @type {import('../../lib/crypto/membership.js').Entry | null} */
  let before = null;
  const hashes = [];
  for (const object of entries) {
    const entry = await crypto.readEntry(object, chat);
    if (!(await crypto.isSigned(entry, lineOf(entry.by)))) throw new ChatSecError('invalid_membership');
    crypto.judgeEntry(entry, { before, lineOf });
    hashes.push(entry.hash);
    before = entry;
  }
  return { hashes, lineOf };
}

/** A recipient of the first share that they see. @param {any} vector */
async function judgeShare(vector) {
  const { chat, epoch, username } = vector;
  const lineOf = await linesOf(vector, people);
  const entry = await crypto.readEntry(vector.entry, chat);
  const share = await crypto.readShare(vector.share, chat);
  if (!(await crypto.isSigned(share, lineOf(share.by)))) throw new ChatSecError('bad_share');
  crypto.judgeShare(share, { epoch, entry, lineOf });
  const key = await crypto.importPrivate(crypto.WRAPPING, bytes(vector.private_key));
  const wrapped = vector.share.wraps[username];
  const clientSecret = await crypto.openShare({ share, username, wrapped, key });
  const parts = { chat, epoch, serverSecret: bytes(vector.server_secret), clientSecret, share: share.hash };
  return { share, clientSecret, secret: await crypto.combinedSecret(parts) };
}

reproduce(
  'signed',
  async (vector) => {
    if (vector.kind === 'log') {
      const { hashes, lineOf } = await judgeLog(vector);
      assert.deepEqual(hashes, vector.hashes);
      const log = await crypto.extendLog(crypto.emptyLog(), vector.entries, { chat: vector.chat, lineOf });
      assert.deepEqual([log.failure, log.entries.map(({ hash }) => hash)], [null, hashes]);
      return;
    }
    const { share, clientSecret, secret } = await judgeShare(vector);
    assert.equal(share.hash, vector.hash);
    assert.equal(crypto.encodeB64u(clientSecret), vector.secret);
    assert.equal(crypto.encodeB64u(secret), vector.epoch_key);
    assert.equal((await crypto.epochKey(secret)).kc, vector.kc);
  },
  (vector) => (vector.kind === 'log' ? judgeLog(vector) : judgeShare(vector)),
);

test('vectors signed: the library makes the same bytes again', async () => {
  const { cases, people: made } = await make();
  assert.deepEqual(JSON.parse(JSON.stringify(cases)), load('signed'));
  assert.deepEqual(made, people);
});
