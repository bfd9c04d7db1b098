/**
 * What is found out of one item by itself, with real keys: payloads of known types, and in `combined` chats the entry
 * and the share that an event names, and what has to be fetched first.
 */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import * as crypto from '../../lib/crypto/index.js';
import { judgePerson } from '../../lib/pins.js';
import { examine, examineShare, missing } from '../../lib/timeline.js';
import { CHAT, testKeys } from '../vectors/fixtures.js';

const AT = '2026-11-24T18:00:00.123Z';
const ID = '7b9e2a34-1111-4222-8333-444455556666';
const ZERO = crypto.CHAIN_START;

let alice;
let bob;
let epochKey;
let entry;
let share;

/** Somebody with a first bundle, as pins know them, and what they sign with. */
async function meet(username, { Ed25519, 'RSA-OAEP-256': wrapping }) {
  const { bundle, hash } = await crypto.makeBundle({ username, version: 1, keys: [Ed25519, wrapping] });
  const person = await judgePerson(username, { username, hash, ...bundle, history: [] }, null);
  const key = await crypto.importPrivate('Ed25519', Ed25519.pkcs8);
  const signer = { alg: 'Ed25519', kid: Ed25519.kid, key };
  return { person, signer, author: { by: username, keys: hash } };
}

before(async () => {
  const sets = await testKeys();
  alice = await meet('alice', sets.alice);
  bob = await meet('bob', sets.bob);
  epochKey = await crypto.epochKey(crypto.randomBytes(32));
  const { author, signer } = alice;
  const next = crypto.nextEntry({ op: 'create', by: 'alice', before: null, lineOf, usernames: ['bob'] });
  entry = (await crypto.makeEntry({ chat: CHAT, author, at: AT, next, signer })).entry;
  const whom = crypto.recipientsFor(entry, lineOf);
  const parts = { chat: CHAT, epoch: 1, membership: entry.hash, ...whom, author, at: AT, signer };
  share = (await crypto.makeShare(parts)).share;
});

const people = () => new Map([alice, bob].map(({ person }) => [person.username, person]));
const lineOf = (username) => people().get(username)?.line;

/** A reader of the chat who holds everything; `more` holds less. */
const material = (more = {}) => ({
  chat: CHAT,
  personOf: (username) => people().get(username),
  keyOf: () => ({ key: epochKey }),
  membersOf: () => ['alice', 'bob'],
  entryOf: (hash) => (hash === entry.hash ? entry : undefined),
  shareOf: () => share,
  ...more,
});

const event = (more = {}) => ({
  seq: 1,
  received_at: AT,
  chat: CHAT,
  event: {
    kind: 'create',
    by: 'alice',
    usernames: ['alice', 'bob'],
    epoch: 1,
    log: entry.hash,
    share: share.hash,
    keys: '',
    ...more,
  },
});

/** A message of alice with that payload, examined. */
async function say(payload, more) {
  const header = {
    chat: CHAT,
    epoch: 1,
    id: ID,
    from: 'alice',
    dev: crypto.newLane(),
    n: 1,
    prev: '',
    seen: { seq: 1, hash: ZERO },
    log: entry.hash,
    at: AT,
  };
  const { envelope } = await crypto.sealEnvelope({ header, payload, epochKey, signer: alice.signer });
  return examine({ seq: 2, received_at: AT, ...envelope }, ZERO, material(more));
}

test('payloads: each known type has its fields, an unknown type is kept', async () => {
  const file = {
    id: ID,
    key: crypto.encodeB64u(new Uint8Array(32)),
    nonce: crypto.encodeB64u(new Uint8Array(7)),
    name: 'a.txt',
    mime: 'text/plain',
    size: 0,
    sha256: ZERO,
  };
  const text = { type: 'text', body: '' };
  const good = [
    text,
    { ...text, reply_to: ID, attachments: [] },
    { ...text, attachments: [file, file] },
    { type: 'edit', target: ID, body: 'x' },
    { type: 'delete', target: ID },
    { type: 'reaction', target: ID, emoji: '🦊', on: false },
    { type: 'poll', attachments: 'whatever' },
  ];
  const bad = [
    { type: 'text' },
    { ...text, reply_to: 'x' },
    { ...text, attachments: file },
    { ...text, attachments: [{ ...file, key: 'short' }] },
    { ...text, attachments: [file, { ...file, size: -1 }] },
    { type: 'edit', target: ID },
    { type: 'delete', target: 'x' },
    { type: 'reaction', target: ID, emoji: '🦊' },
  ];
  for (const payload of good) {
    const { signed, key, opened, payload: read } = await say(payload);
    assert.deepEqual([signed, key, opened, read], [true, null, null, payload]);
  }
  for (const payload of bad) assert.equal((await say(payload)).opened, 'malformed', JSON.stringify(payload));
});

test('a key that is not there, or not mine, is a fact, and nothing is opened', async () => {
  for (const failure of ['waiting_for_key', 'key_lost', 'bad_share', 'wrong_recipient_key']) {
    const { signed, key, payload } = await say({ type: 'text', body: 'x' }, { keyOf: () => ({ failure }) });
    assert.deepEqual([signed, key, payload], [true, failure, null]);
  }
});

test('what nobody is known to have signed is not opened, though it would open', async () => {
  const payload = { type: 'text', body: 'x' };
  const { header, hash, ...unsigned } = await say(payload, { personOf: () => undefined });
  assert.ok(header && hash);
  assert.deepEqual(
    [unsigned.candidates, unsigned.signed, unsigned.key, unsigned.opened, unsigned.payload],
    [[], false, null, null, null],
  );
  const { item } = await say(payload);
  const signature = crypto.encodeB64u(new Uint8Array(64));
  const forged = await examine({ ...item, signature }, ZERO, material());
  assert.deepEqual(
    [forged.candidates.length, forged.signed, forged.opened, forged.payload],
    [1, false, null, null],
  );
});

test('an event with its entry and its share, and whether they are signed', async () => {
  const read = async (item, more) => {
    const facts = await examine(item, ZERO, material(more));
    return [facts.entry?.signed, facts.share?.signed, facts.epochKey];
  };
  assert.deepEqual(await read(event()), [true, true, null]);
  const forged = (object) => ({ ...object, signature: crypto.encodeB64u(new Uint8Array(64)) });
  assert.deepEqual(await read(event(), { entryOf: () => forged(entry) }), [false, true, null]);
  assert.deepEqual(await read(event(), { shareOf: () => forged(share) }), [true, false, null]);
  const nobody = { personOf: () => undefined };
  assert.deepEqual(await read(event(), nobody), [false, false, null]);
  assert.deepEqual(await read(event(), { shareOf: () => null }), [true, undefined, null]);
  assert.deepEqual(await read(event({ log: ZERO })), [undefined, true, null]);
  assert.deepEqual(await read(event({ log: '', share: '' })), [undefined, undefined, null]);
  for (const name of ['bad_share', 'wrong_recipient_key']) {
    const keyOf = () => ({ failure: name });
    assert.deepEqual(await read(event(), { keyOf }), [true, true, name]);
    assert.deepEqual(await read(event({ share: '' }), { keyOf }), [true, undefined, null]);
  }
  assert.deepEqual(await read(event(), { keyOf: () => ({ failure: 'key_lost' }) }), [true, true, null]);
  const server = await examine(event(), ZERO, { ...material(), entryOf: undefined, shareOf: undefined });
  assert.deepEqual([server.entry, server.share], [null, null]);
  assert.deepEqual(await examineShare(share, material()), { share, signed: true });
  assert.equal(await examineShare(null, material()), null);
});

test('what has to be fetched first: entries that the log does not show, bundles that nobody here knows', async () => {
  const lacks = async (item, more = {}) => {
    const held = material(more);
    return missing(await examine(item, ZERO, held), held);
  };
  const nothing = { people: [], entries: false };
  assert.deepEqual(await lacks(event()), nothing);
  assert.deepEqual(await lacks(event({ log: ZERO })), { people: [], entries: true });
  const onlyAlice = { personOf: (username) => (username === 'alice' ? alice.person : undefined) };
  assert.deepEqual(await lacks(event(), onlyAlice), { people: ['bob'], entries: false });
  const older = { ...bob.person, line: { ...bob.person.line, links: [] } };
  const without = { personOf: (username) => (username === 'alice' ? alice.person : older) };
  assert.deepEqual(
    await lacks(event(), without),
    { people: ['bob'], entries: false },
    'a newer bundle of theirs',
  );
  const server = { entryOf: undefined };
  assert.deepEqual(await lacks(event({ kind: 'keys', keys: ZERO }), server), {
    people: ['alice'],
    entries: false,
  });
  const message = await say({ type: 'text', body: 'x' }, { personOf: () => undefined });
  assert.deepEqual(missing(message, material()), { people: ['alice'], entries: false });
  assert.deepEqual(missing(await say({ type: 'text', body: 'x' }), material()), nothing);
});
