import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { bytes, everyFlipFails, load, reproduce } from './load.js';
import { lastShare, linesOf, peopleOf } from './people.js';

/** A client that holds the share before it. @param {any} vector @param {any} [object] */
async function judge(vector, object = vector.share) {
  const { chat, epoch } = vector;
  const lineOf = await linesOf(vector);
  const entry = await crypto.readEntry(vector.entry, chat);
  const share = await crypto.readShare(object, chat);
  const signed = share.by === vector.by && (await crypto.isSigned(share, lineOf(share.by)));
  if (!signed) throw new ChatSecError('bad_share');
  crypto.judgeShare(share, { epoch, entry, lineOf, before: lastShare(vector) });
  return { share, entry, lineOf };
}

reproduce(
  'share',
  async (vector) => {
    const { share, entry, lineOf } = await judge(vector);
    assert.equal(share.hash, vector.hash);
    for (const [who, wrapped] of Object.entries(vector.share.wraps))
      assert.equal(await crypto.hash(bytes(wrapped)), share.recipients.get(who)?.wrap);
    const wanted = crypto.recipientsFor(entry, lineOf);
    assert.deepEqual(
      new Map(wanted.recipients.map(({ username, keys }) => [username, keys])),
      new Map([...share.recipients].map(([who, { keys }]) => [who, keys])),
    );
    assert.deepEqual(new Set(wanted.excluded), share.excluded);
    assert.equal(crypto.servesHead({ share, entry, head: entry, lineOf }), null);
  },
  async (vector) => {
    if (!vector.server_only) return judge(vector);
    await judge(vector); // wraps and what was current are the server's and each recipient's to judge
    throw new ChatSecError(vector.failure);
  },
);

test('vectors share: no changed byte is accepted', async () => {
  const vector = load('share').find(({ name }) => name === 'one excluded after a reset');
  for (const field of ['protected', 'signature']) {
    await everyFlipFails(field, bytes(vector.share[field]), (wrong) =>
      judge(vector, { ...vector.share, [field]: crypto.encodeB64u(wrong) }),
    );
  }
});

test('vectors share: one sends under a superseded bundle no more', async () => {
  const vector = load('share').find(({ name }) => name === 'a superseded bundle');
  const { share, entry, lineOf } = await judge(vector);
  assert.equal(crypto.servesHead({ share, entry, head: entry, lineOf }), 'bundle');
  assert.deepEqual(peopleOf('share'), peopleOf('membership'));
});
