// Entries and shares as the library makes them: what it refuses to make, who may do what, and that a log and its shares
// are read back as they were made, by the worker's tasks too.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { keyAad, runTask } from '../../lib/worker.js';
import { CHAT, OTHER_CHAT, testKeys } from '../vectors/fixtures.js';
import { failureOf } from '../vectors/load.js';
import { kh, line } from '../lib/log.js';

const AT = '2026-11-24T18:00:00.123Z';

/** People with real bundles of the two key sets. @type {Map<string, any>} */
const people = new Map();
const lineOf = (/** @type {string} */ username) => people.get(username)?.line;
/** @type {any} */
let sets;

/** Somebody's bundles: each by these keys, linked to the one before or not. */
async function meet(username, ...bundles) {
  const made = [];
  let previous = null;
  for (const { set, linked = false } of bundles) {
    const keys = [set.Ed25519, set['RSA-OAEP-256']];
    const link = linked && previous ? { previous: previous.hash, link: previous.set.Ed25519 } : {};
    const { bundle, hash } = await crypto.makeBundle({ username, version: made.length + 1, keys, ...link });
    made.push(bundle);
    previous = { hash, set };
  }
  const { steps, current } = await crypto.walkBundles(username, null, made);
  const { Ed25519: own } = /** @type {any} */ (previous).set;
  const signer = { alg: 'Ed25519', kid: own.kid, key: await crypto.importPrivate('Ed25519', own.pkcs8) };
  const author = { by: username, keys: current?.hash };
  people.set(username, { line: crypto.lineOf(username, steps), signer, author, set: previous?.set });
}

before(async () => {
  sets = await testKeys();
  const { alice, bob } = sets;
  await meet('alice', { set: alice });
  await meet('bob', { set: bob }, { set: alice, linked: true });
  await meet('carol', { set: bob });
});

/** The next entry of a log, signed by who makes it. */
async function entry(log, op, by, wanted = {}) {
  const next = crypto.nextEntry({ op, by, before: log.entries.at(-1) ?? null, lineOf, ...wanted });
  const { signer, author } = people.get(by);
  return crypto.makeEntry({ chat: CHAT, author, at: AT, next, signer });
}

const place = { chat: CHAT, lineOf };

/** A log of these changes. */
async function logOf(...changes) {
  let log = crypto.emptyLog();
  const objects = [];
  for (const [op, by, wanted] of changes) {
    const { object } = await entry(log, op, by, wanted);
    objects.push(object);
    log = await crypto.extendLog(log, [object], place);
    assert.equal(log.failure, null, op);
  }
  return { log, objects };
}

const CREATE = ['create', 'alice', { usernames: ['bob'], name: 'Team' }];
const ADD = ['add', 'alice', { usernames: ['carol'] }];

test('a log that was made is read back, by parts or at once, and compared with what was held', async () => {
  const { log, objects } = await logOf(CREATE, ADD, ['leave', 'alice', { heir: 'carol' }]);
  const whole = await crypto.extendLog(crypto.emptyLog(), objects, place);
  assert.deepEqual(whole, log);
  assert.deepEqual(crypto.ownersOf(whole.entries[2].members), ['carol']);
  const { hash } = whole.entries[1];
  assert.equal(crypto.compareLog({ n: 2, hash }, whole), null);
  assert.equal(crypto.compareLog({ n: 0, hash: '' }, whole), null);
  assert.equal(crypto.compareLog({ n: 3, hash }, whole), 'history_fork');
  assert.equal(crypto.compareLog({ n: 4, hash }, whole), 'server_rollback');
  assert.deepEqual(await crypto.strangersIn(objects, { chat: CHAT, lineOf: () => undefined }), [
    'alice',
    'bob',
    'carol',
  ]);
  assert.deepEqual(await crypto.strangersIn([...objects, {}], place), []);
});

test('a log is taken up to what is refused, and nothing behind it', async () => {
  const { objects } = await logOf(CREATE, ADD, ['rename', 'alice', { name: 'Us' }]);
  const [first, second, third] = objects;
  const read = async (/** @type {any[]} */ given, parts = place) => {
    const { entries, failure } = await crypto.extendLog(crypto.emptyLog(), given, parts);
    return [entries.length, failure];
  };
  assert.deepEqual(await read([first, third]), [1, 'invalid_membership']);
  assert.deepEqual(await read([second]), [0, 'invalid_membership']);
  assert.deepEqual(await read([first, { ...second, signature: first.signature }, third]), [
    1,
    'invalid_membership',
  ]);
  assert.deepEqual(await read([first], { ...place, chat: OTHER_CHAT }), [0, 'invalid_membership']);
  assert.deepEqual(await read([first], { ...place, lineOf: () => undefined }), [0, 'invalid_membership']);
  const other = await logOf(
    CREATE,
    ['rename', 'alice', { name: 'Them' }],
    ['rename', 'alice', { name: 'Us' }],
  );
  assert.deepEqual(await read([first, second, other.objects[2]]), [2, 'history_fork']);
  const failed = await crypto.extendLog(crypto.emptyLog(), [second], place);
  assert.deepEqual(await crypto.extendLog(failed, [first], place), failed, 'after a failure nothing more');
});

test('the form of an entry: at most 200 members, each a username with a role and a hash; an op of the page', async () => {
  const { signer, author } = people.get('alice');
  const { keys } = author;
  const read = async (/** @type {any} */ change) => {
    const next = {
      n: 1,
      prev: '',
      op: 'create',
      name: null,
      members: { alice: { role: 'owner', keys } },
      ...change,
    };
    return failureOf(() => crypto.makeEntry({ chat: CHAT, author, at: AT, next, signer }));
  };
  const many = (/** @type {number} */ count) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`user${i}`, { role: 'member', keys }]));
  assert.equal(await read({}), null);
  assert.equal(await read({ members: many(200) }), null);
  assert.equal(await read({ members: many(201) }), 'invalid_membership');
  const member = (/** @type {any} */ value) => read({ members: { alice: value } });
  for (const wrong of [
    { role: 'owner' },
    { role: 'owner', keys: 'x' },
    { keys },
    { role: 'admin', keys },
    null,
    'owner',
  ])
    assert.equal(await member(wrong), 'invalid_membership');
  assert.equal(await read({ members: { Alice: { role: 'owner', keys } } }), 'invalid_membership');
  for (const wrong of [{ n: 0 }, { prev: 'x' }, { op: 'grant' }, { name: 5 }, { members: [] }])
    assert.equal(await read(wrong), 'invalid_membership');
});

test('a log begins with `create`, and it is no other entry', async () => {
  const { log } = await logOf(CREATE);
  const { entries } = log;
  const judge = (/** @type {any} */ change, /** @type {any} */ before) =>
    failureOf(() => crypto.judgeEntry({ ...entries[0], ...change }, { before, lineOf }));
  assert.equal(await judge({}, null), null);
  assert.equal(await judge({ op: 'rename' }, null), 'invalid_membership');
  assert.equal(await judge({ n: 2, prev: entries[0].hash, op: 'rename' }, entries[0]), null);
  assert.equal(await judge({ n: 2, prev: entries[0].hash }, entries[0]), 'invalid_membership');
});

test('what the others would refuse is not made', async () => {
  const { log } = await logOf(CREATE);
  const refusal = (op, by, wanted) => failureOf(() => entry(log, op, by, wanted));
  assert.equal(await refusal('add', 'bob', { usernames: ['carol'] }), 'forbidden');
  assert.equal(await refusal('remove', 'bob', { usernames: ['alice'] }), 'forbidden');
  assert.equal(await refusal('role', 'bob', { usernames: ['bob'], role: 'owner' }), 'forbidden');
  assert.equal(await refusal('rename', 'bob', { name: 'x' }), 'forbidden');
  assert.equal(await refusal('keys', 'alice', { usernames: ['bob'] }), 'forbidden');
  assert.equal(await refusal('add', 'alice', { usernames: ['nobody'] }), 'member_without_keys');
  assert.equal(await refusal('add', 'alice', { usernames: ['bob'] }), 'invalid_membership');
  assert.equal(await refusal('remove', 'alice', { usernames: ['carol'] }), 'invalid_membership');
  assert.equal(await refusal('role', 'alice', { usernames: ['carol'], role: 'owner' }), 'invalid_membership');
  assert.equal(await refusal('role', 'alice', { usernames: ['alice'], role: 'member' }), 'last_owner');
  assert.equal(await refusal('grant', 'alice'), 'invalid_membership');
  const { signer, author } = people.get('alice');
  const { alice } = sets;
  const dsa = {
    ...signer,
    alg: 'DSA-SHA256',
    key: await crypto.importPrivate('DSA-SHA256', alice['DSA-SHA256'].pkcs8),
  };
  const next = crypto.nextEntry({ op: 'rename', by: 'alice', before: log.entries[0], lineOf, name: 'x' });
  const legacy = () => crypto.makeEntry({ chat: CHAT, author, at: AT, next, signer: dsa });
  assert.equal(await failureOf(legacy), 'unsupported_algorithm');
});

// ---- who may do what; lines and logs that stand for themselves ----

/** A log's head of people with roles, under their first bundles. */
const headOf = (roles) =>
  /** @type {any} */ ({
    n: 1,
    hash: 'entry 1',
    name: null,
    members: new Map(Object.entries(roles).map(([who, role]) => [who, { role, keys: kh(who) }])),
  });

/** Lines: those of whom a list is given have more bundles than one. */
const linesOf = (more) => (/** @type {string} */ who) => line(who, false, ...(more[who] ?? []));
const RESET = [false];

test('who confirms whose new keys', () => {
  const roles = { alice: 'owner', bob: 'owner', carol: 'member', dave: 'member' };
  const at = (me, more, gone = []) => {
    const entryOf = headOf(roles);
    const { mayConfirm, confirmers, reset, stuck } = crypto.standing({
      entry: entryOf,
      gone: new Set(gone),
      lineOf: linesOf(more),
      me,
    });
    return { mayConfirm, confirmers, reset, stuck };
  };
  const calm = { reset: [], mayConfirm: [], confirmers: [], stuck: false };
  assert.deepEqual(at('alice', { carol: [true] }), calm, 'by continuity nothing is to be confirmed');
  assert.deepEqual(at('alice', { carol: RESET }), { ...calm, reset: ['carol'], mayConfirm: ['carol'] });
  assert.deepEqual(at('dave', { carol: RESET }), { ...calm, reset: ['carol'] }, 'owners can');
  assert.deepEqual(at('carol', { carol: RESET }), {
    ...calm,
    reset: ['carol'],
    confirmers: ['alice', 'bob'],
  });
  const one = { alice: RESET, carol: RESET };
  assert.deepEqual(at('dave', one).mayConfirm, [], 'bob can');
  const both = { alice: RESET, bob: RESET };
  assert.deepEqual(at('dave', both).mayConfirm, ['alice', 'bob']);
  assert.deepEqual(at('alice', both), { ...calm, reset: ['alice', 'bob'], confirmers: ['carol', 'dave'] });
  assert.deepEqual(at('dave', { alice: RESET }, ['bob']).mayConfirm, ['alice'], 'who is gone cannot');
  const all = { ...both, carol: RESET, dave: RESET };
  assert.deepEqual(at('dave', all), { ...calm, reset: ['alice', 'bob', 'carol', 'dave'], stuck: true });
});

test('who inherits: the heir that is named, else the first who can sign; who retires the last owner becomes one', () => {
  const head = headOf({ alice: 'owner', bob: 'member', carol: 'member', dave: 'member' });
  const made = (wanted) => {
    const { members } = crypto.nextEntry({
      op: 'leave',
      by: 'alice',
      before: head,
      lineOf: linesOf({}),
      ...wanted,
    });
    return Object.entries(members).map(([who, { role }]) => `${who} ${role}`);
  };
  assert.deepEqual(made({ heir: 'dave' }), ['bob member', 'carol member', 'dave owner']);
  assert.deepEqual(made({ lineOf: linesOf({ bob: RESET }) }), ['bob member', 'carol owner', 'dave member']);
  assert.deepEqual(made({ gone: new Set(['bob']) }), ['bob member', 'carol owner', 'dave member']);
  assert.deepEqual(made({ by: 'bob' }), ['alice owner', 'carol member', 'dave member']);
  const retire = { op: 'retire', by: 'carol', gone: new Set(['alice', 'bob']) };
  assert.deepEqual(made(retire), ['carol owner', 'dave member']);
  assert.deepEqual(made({ ...retire, gone: new Set(['bob']) }), [
    'alice owner',
    'carol member',
    'dave member',
  ]);
});

test('when one may send: names and keys are those that the share serves, and nobody has newer keys', () => {
  const entryOf = headOf({ alice: 'owner', bob: 'member' });
  const recipients = new Map(['alice', 'bob'].map((who) => [who, { keys: kh(who), wrap: '' }]));
  const share = /** @type {any} */ ({ recipients });
  const why = (head, more = {}) => crypto.servesHead({ share, entry: entryOf, head, lineOf: linesOf(more) });
  assert.equal(why(entryOf), null);
  assert.equal(why(headOf({ alice: 'member', bob: 'owner' })), null, 'roles are no matter of keys');
  assert.equal(why(headOf({ alice: 'owner' })), 'members');
  assert.equal(why(headOf({ alice: 'owner', carol: 'member' })), 'members');
  const other = headOf({ alice: 'owner', bob: 'member' });
  other.members.set('bob', { role: 'member', keys: kh('bob', 2) });
  assert.equal(why(other), 'keys');
  assert.equal(why(entryOf, { bob: [true] }), 'bundle');
  assert.equal(why(entryOf, { bob: RESET }), null, 'a reset is confirmed first');
});

// ---- shares, and the worker ----

test('a share that was made opens for each recipient, and for nobody else', async () => {
  const { log } = await logOf(CREATE, ADD);
  const head = log.entries[1];
  const { signer, author } = people.get('bob');
  const wanted = { ...crypto.recipientsFor(head, lineOf), chat: CHAT, epoch: 2, membership: head.hash };
  assert.deepEqual([wanted.recipients.length, wanted.excluded], [3, []]);
  const { object, share } = await crypto.makeShare({ ...wanted, author, at: AT, signer });
  assert.deepEqual(await crypto.readShare(object, CHAT), share);
  assert.ok(await crypto.isSigned(share, lineOf('bob')));
  assert.ok(!(await crypto.isSigned(share, lineOf('alice'))));
  crypto.judgeShare(share, { epoch: 2, entry: head, lineOf });
  const open = async (username, set, wrapped = object.wraps[username]) => {
    const key = await crypto.importPrivate(crypto.WRAPPING, set['RSA-OAEP-256'].pkcs8);
    return crypto.encodeB64u(await crypto.openShare({ share, username, wrapped, key }));
  };
  const secret = await open('alice', sets.alice);
  assert.equal(await open('bob', sets.alice), secret);
  assert.equal(await open('carol', sets.bob), secret);
  assert.equal(await failureOf(() => open('carol', sets.alice)), 'wrong_recipient_key');
  assert.equal(await failureOf(() => open('carol', sets.bob, object.wraps.alice)), 'bad_share');
  const again = await crypto.makeShare({ ...wanted, author, at: AT, signer });
  assert.notEqual(again.share.commit, share.commit, 'C is fresh each time');
  const nobody = () => crypto.recipientsFor(head, (who) => (who === 'carol' ? undefined : lineOf(who)));
  assert.equal(await failureOf(nobody), 'member_without_keys');
});

test('the worker signs entries and shares by a key that is held wrapped', async () => {
  const { log } = await logOf(CREATE);
  const [head] = log.entries;
  const { author, set } = people.get('alice');
  const { kid, pkcs8 } = set.Ed25519;
  const under = await crypto.importAesKey(crypto.randomBytes(32));
  const iv = crypto.randomBytes(12);
  const ciphertext = await crypto.aesGcmEncrypt(under, iv, pkcs8, keyAad(kid));
  const signer = { alg: 'Ed25519', kid, wrapped: { under, iv, ciphertext } };
  const own = { chat: CHAT, author, at: AT, signer };
  const next = crypto.nextEntry({ op: 'rename', by: 'alice', before: head, lineOf, name: 'Us' });
  const made = await runTask('makeEntry', { ...own, next });
  const grown = await crypto.extendLog(log, [structuredClone(made.object)], place);
  assert.deepEqual([grown.failure, grown.entries.at(-1)], [null, made.entry]);
  const wanted = { ...crypto.recipientsFor(head, lineOf), epoch: 2, membership: head.hash };
  const { share } = await runTask('makeShare', { ...own, ...wanted });
  assert.ok(await crypto.isSigned(structuredClone(share), lineOf('alice')));
  const [one, other] = ['alice', 'bob'].map((username) => {
    const statement = crypto.currentLink(lineOf(username))?.bundle.statement ?? '';
    return { username, statement };
  });
  assert.equal(await runTask('safetyNumber', { one, other }), crypto.safetyNumber(other, one));
});
