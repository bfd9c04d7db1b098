// The judge of entries and shares, rule by rule, beside the vectors: people, entries and shares that stand for
// themselves.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { History, kh } from '../lib/log.js';
import { CHAT, testKeys } from '../vectors/fixtures.js';
import { failureOf } from '../vectors/load.js';

/** What a client says to the next entry of a history. */
const judge = (h, op, by, change = {}, place = {}) =>
  failureOf(() => crypto.judgeEntry(h.entry(op, by, change), { before: h.head, lineOf: h.lineOf, ...place }));
const INVALID = 'invalid_membership';

test('an author whose keys the log does not reach, whatever the last share names', async () => {
  const h = new History();
  assert.equal(await judge(h, 'rename', 'alice'), null);
  h.renew('alice');
  assert.equal(await judge(h, 'rename', 'alice'), null);
  h.renew('alice', false);
  assert.equal(await judge(h, 'rename', 'alice'), INVALID);
  assert.equal(
    await judge(h, 'rename', 'alice', { keys: kh('alice', 2) }),
    null,
    'who knows of no reset yet',
  );
  assert.equal(await judge(h, 'rename', 'alice', { keys: kh('bob') }), INVALID);
  assert.equal(await judge(h, 'rename', 'dave'), INVALID);
});

test('only a rename renames, and nobody is named whom nobody knows', async () => {
  const h = new History();
  const role = { members: h.members({ bob: { role: 'owner' } }) };
  assert.equal(await judge(h, 'role', 'alice', role), null);
  assert.equal(await judge(h, 'role', 'alice', { ...role, name: 'x' }), INVALID);
  assert.equal(await judge(h, 'leave', 'bob', { members: h.members({ bob: null }), name: 'x' }), INVALID);
  const add = { members: h.members({ dave: { role: 'owner' } }) };
  assert.equal(await judge(h, 'add', 'alice', add), null);
  const without = { lineOf: (who) => (who === 'dave' ? undefined : h.lineOf(who)) };
  assert.equal(await judge(h, 'add', 'alice', add, without), INVALID);
});

test('keys: of one person, after a reset, and nothing beside', async () => {
  const h = new History().renew('bob', false).renew('carol', false);
  const keys = (changes, by = 'alice', place = {}) =>
    judge(h, 'keys', by, { members: h.members(changes) }, place);
  const [bob, carol] = [{ keys: kh('bob', 2) }, { keys: kh('carol', 2) }];
  assert.equal(await keys({ bob }), null);
  assert.equal(await keys({ bob, carol }), INVALID);
  assert.equal(await keys({ bob: { ...bob, role: 'owner' } }), INVALID);
  assert.equal(await keys({ bob, carol: null }), INVALID);
  assert.equal(await keys({}), INVALID);
  assert.equal(await keys({ bob }, 'bob'), INVALID);
  h.renew('alice');
  assert.equal(await keys({ alice: { keys: kh('alice', 2) } }), INVALID, 'not after a step of continuity');
  h.change('keys', 'alice', { members: h.members({ bob }) });
  assert.equal(await keys({ bob: { keys: kh('bob') } }), INVALID, 'never back');
});

test('keys: an owner does not confirm their own reset with a key from before it', async () => {
  const h = new History();
  h.change('role', 'alice', { members: h.members({ bob: { role: 'owner' } }) }).renew('bob', false);
  const members = h.members({ bob: { role: 'owner', keys: kh('bob', 2) } });
  assert.equal(await judge(h, 'keys', 'alice', { members }), null);
  assert.equal(await judge(h, 'keys', 'bob', { members, keys: kh('bob') }), INVALID);
});

test('keys by a member: only where no owner who is here can sign', async () => {
  const h = new History();
  h.change('role', 'alice', { members: h.members({ bob: { role: 'owner' } }) });
  h.renew('alice', false);
  const confirm = (place) =>
    judge(h, 'keys', 'carol', { members: h.members({ alice: { keys: kh('alice', 2) } }) }, place);
  assert.equal(await confirm(), INVALID, 'bob could');
  assert.equal(await confirm({ gone: new Set(['bob']) }), null);
  h.renew('bob');
  assert.equal(await confirm(), INVALID, 'by newer keys too');
  h.renew('bob', false);
  assert.equal(await confirm(), null);
});

test('retire: who was there and is not, the last owner’s role to its author', async () => {
  const h = new History();
  const gone = new Set(['alice', 'carol']);
  const retire = (changes, by = 'bob', who = gone) =>
    judge(h, 'retire', by, { members: h.members(changes) }, { gone: who });
  const heir = { bob: { role: 'owner' } };
  assert.equal(await retire({ alice: null, carol: null, ...heir }), null);
  assert.equal(await retire({ alice: null, carol: null }), INVALID);
  assert.equal(await retire({ alice: null, carol: { role: 'owner' } }), INVALID);
  assert.equal(await retire({ carol: null, ...heir }), INVALID, 'an owner is left');
  assert.equal(await retire({ carol: null }), null);
  assert.equal(await retire({ carol: null }, 'bob', new Set()), INVALID);
  assert.equal(await retire({ carol: null }, 'bob', null), null, 'who had gone is not known');
  assert.equal(await retire({ bob: null, carol: null }, 'bob', null), INVALID, 'never oneself');
});

// ---- shares ----

/** @type {any} */
let signer;
before(async () => {
  const { alice } = await testKeys();
  const { kid, pkcs8 } = alice.Ed25519;
  signer = { alg: 'Ed25519', kid, key: await crypto.importPrivate('Ed25519', pkcs8) };
});

const HASH = crypto.CHAIN_START;
const SHARE = {
  chat: CHAT,
  by: 'alice',
  keys: HASH,
  at: '2026-11-24T18:00:00.123Z',
  epoch: 1,
  commit: HASH,
  membership: HASH,
  recipients: { alice: { keys: HASH, wrap: HASH } },
  excluded: ['bob'],
};

test('the form of a share', async () => {
  const read = async (change) => {
    const fields = { ...SHARE, alg: signer.alg, kid: signer.kid, ...change };
    const object = await crypto.signObject({ kind: 'share', fields, signer });
    return failureOf(() => crypto.readShare(object, CHAT));
  };
  assert.equal(await read({}), null);
  assert.equal(await read({ excluded: [] }), null);
  const { recipients } = SHARE;
  const wrong = [
    { epoch: 0 },
    { epoch: '1' },
    { commit: '' },
    { membership: '' },
    { recipients: [] },
    { recipients: { ...recipients, carol: null } },
    { recipients: { ...recipients, carol: { keys: HASH } } },
    { recipients: { ...recipients, carol: { keys: HASH, wrap: 'x' } } },
    { recipients: { ...recipients, carol: { keys: 'x', wrap: HASH } } },
    { recipients: { ...recipients, Carol: recipients.alice } },
    { excluded: {} },
    { excluded: ['Bob'] },
    { excluded: ['bob', 'bob'] },
    { excluded: ['alice'] },
    { by: 'Alice' },
    { keys: 'x' },
    { at: '2026-11-24' },
    { chat: 'x' },
  ];
  for (const change of wrong) assert.equal(await read(change), 'bad_share', JSON.stringify(change));
  assert.equal(await failureOf(() => crypto.readShare(null, CHAT)), 'bad_share');
});

test('a share: each recipient under keys that the entry reaches, none older than before', async () => {
  const h = new History().renew('bob');
  const refused = (change, place) =>
    failureOf(() =>
      crypto.judgeShare(h.share('alice', h.head, change), {
        epoch: 2,
        entry: h.head,
        lineOf: h.lineOf,
        ...place,
      }),
    );
  assert.equal(await refused({}), null);
  assert.equal(await refused({}, { before: h.share('alice', h.head) }), null);
  const { recipients } = h.share('alice', h.head);
  const older = new Map(recipients).set('bob', { keys: kh('bob'), wrap: '' });
  assert.equal(await refused({ recipients: older }), null, 'as far as a client sees');
  assert.equal(await refused({ recipients: older }, { before: { recipients } }), 'bad_share');
  const without = (who) => ({ lineOf: (name) => (name === who ? undefined : h.lineOf(name)) });
  assert.equal(await refused({}, without('bob')), 'bad_share');
  assert.equal(await refused({}, without('alice')), 'bad_share');
  h.renew('carol', false);
  assert.equal(await refused({ recipients, excluded: new Set() }), null, 'who knows of no reset yet');
  const reset = new Map(recipients).set('carol', { keys: kh('carol', 2), wrap: '' });
  assert.equal(await refused({ recipients: reset, excluded: new Set() }), 'bad_share');
  assert.equal(await refused({ by: 'carol', keys: kh('carol') }), 'bad_share', 'its author is excluded');
});
