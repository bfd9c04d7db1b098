import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { bytes, everyFlipFails, failureOf, load, reproduce } from './load.js';

/** A recipient who has judged the share. @param {any} vector @param {any} [changes] */
async function open(vector, changes = {}) {
  const { chat, epoch, username, server_secret: server, wrapped, keys } = { ...vector, ...changes };
  const share = await crypto.readShare(vector.share, chat);
  const mine = await crypto.importPrivate(crypto.WRAPPING, bytes(vector.private_key));
  const key = share.recipients.get(username)?.keys === keys ? mine : undefined;
  const clientSecret = await crypto.openShare({ share, username, wrapped, key });
  const serverSecret = bytes(server);
  const secret = await crypto.combinedSecret({ chat, epoch, serverSecret, clientSecret, share: share.hash });
  return { share, clientSecret, secret, mine };
}

reproduce(
  'combined',
  async (vector) => {
    const { share, clientSecret, secret } = await open(vector);
    const { chat, epoch } = vector;
    assert.equal(share.hash, vector.hash);
    assert.equal(crypto.encodeB64u(crypto.wrapLabel(chat, epoch, 'client')), vector.label);
    assert.equal(crypto.encodeB64u(clientSecret), vector.secret);
    assert.equal(await crypto.shareCommitment(chat, epoch, clientSecret), vector.commit);
    assert.equal(share.commit, vector.commit);
    assert.equal(crypto.encodeB64u(secret), vector.epoch_key);
    assert.equal((await crypto.epochKey(secret)).kc, vector.kc);
  },
  open,
);

test('vectors combined: a wrap with a changed byte is not the one that was signed; every byte of S_e counts', async () => {
  const vector = load('combined').find(({ name }) => name === 'a later epoch');
  await everyFlipFails('wrapped', bytes(vector.wrapped), (wrong) =>
    open(vector, { wrapped: crypto.encodeB64u(wrong) }),
  );
  await everyFlipFails('S_e', bytes(vector.server_secret), async (wrong) => {
    const { secret } = await open(vector, { server_secret: crypto.encodeB64u(wrong) });
    assert.notEqual(crypto.encodeB64u(secret), vector.epoch_key);
    crypto.checkCommitment(/** @type {any} */ ({ header: { kc: vector.kc } }), await crypto.epochKey(secret));
  });
});

test('a share that was not made for me: lost, excluded, never mine, no base64url', async () => {
  const vector = load('combined').find(({ name }) => name === 'a later epoch');
  const { share, mine } = await open(vector);
  const { wrapped } = vector;
  const failing = (/** @type {any} */ change) =>
    failureOf(() => crypto.openShare({ share, username: 'bob', wrapped, key: mine, ...change }));
  assert.equal(await failing({}), null);
  assert.equal(await failing({ key: null }), 'key_lost');
  assert.equal(await failing({ key: undefined }), 'wrong_recipient_key');
  assert.equal(await failing({ username: 'carol' }), 'key_lost');
  assert.equal(await failing({ wrapped: `${wrapped}=` }), 'bad_share');
  assert.equal(await failing({ wrapped: null }), 'bad_share');
  assert.equal(await failing({ wrapped: null, key: null }), 'bad_share');
});

test('from both wraps to the epoch key', async () => {
  const vector = load('combined').find(({ name }) => name === 'a later epoch');
  const { share, mine } = await open(vector);
  const { chat, epoch, username } = vector;
  const spki = await crypto.publicOf(crypto.WRAPPING, bytes(vector.private_key));
  const label = crypto.wrapLabel(chat, epoch);
  const wrapped = crypto.encodeB64u(await crypto.wrap(spki, bytes(vector.server_secret), label));
  const parts = { share, username, serverKey: mine, clientKey: mine, clientWrapped: vector.wrapped };
  assert.equal((await crypto.openCombinedEpoch({ ...parts, wrapped })).kc, vector.kc);
  const exchanged = { ...parts, wrapped: vector.wrapped };
  assert.equal(await failureOf(() => crypto.openCombinedEpoch(exchanged)), 'undecryptable');
});
