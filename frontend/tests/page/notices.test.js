/** What is said about a chat, and what can be done about it: every failure that concerns a chat or a person has a button. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noticesOf } from '../../components/chat/notices.js';
import { rightsOver } from '../../components/chat/rights.js';
import { FAILURES } from '../../lib/index.js';

const member = (/** @type {string} */ username, role = 'member') => ({
  username,
  displayName: username.toUpperCase(),
  role,
  waiting: false,
});

/** @param {object} [more] @returns {any} */
function chatOf(more = {}) {
  const members = [member('me', 'owner'), member('ann'), member('bob')];
  const calm = { warnings: [], unconfirmed: [], waiting: [], stuck: false, shareDue: false, held: null };
  return { id: 'c', keyMode: 'combined', members, myRole: 'owner', ...calm, ...more };
}

/** @param {string[]} warnings @returns {any} */
const person = (warnings, more = {}) => ({ username: 'ann', displayName: 'ANN', warnings, ...more });

/** "title of each: its buttons". @param {any} chat @param {Record<string, any>} [people] @param {boolean} [waits] */
function acts(chat, people = {}, waits = false) {
  return noticesOf(chat, people, 'me', waits).map(({ key, actions }) => [
    key,
    ...actions.map(({ act, username }) => (username ? `${act} ${username}` : act)),
  ]);
}

test('a chat where all is well says nothing', () => {
  assert.deepEqual(acts(chatOf(), { ann: person([]) }), []);
  assert.deepEqual(acts(chatOf({ shareDue: true })), []); // nothing waits for it
});

test('every failure of a chat has its title, its sentence and one button', () => {
  const remedies = {
    bad_share: 'replace',
    wrong_recipient_key: 'replace',
    invalid_membership: 'members',
    history_fork: 'new',
    server_rollback: 'again',
    mode_changed: 'new',
  };
  for (const [name, act] of Object.entries(remedies)) {
    const [notice, ...none] = noticesOf(chatOf({ warnings: [name] }), {}, 'me', false);
    assert.deepEqual([notice.title, notice.text], [FAILURES[name].title, FAILURES[name].explain]);
    assert.deepEqual(
      notice.actions.map((each) => each.act),
      [act],
    );
    assert.deepEqual(none, []);
  }
});

test('a reset: accepting moves the pin, confirming the log, each only where it is due', () => {
  const reset = { ann: person(['identity_reset']) };
  assert.deepEqual(acts(chatOf(), reset), [['reset ann', 'accept ann']]);
  assert.deepEqual(acts(chatOf({ unconfirmed: ['ann'] }), { ann: person([]) }), [
    ['reset ann', 'confirm ann'],
  ]);
  assert.deepEqual(acts(chatOf({ unconfirmed: ['ann'] }), reset), [
    ['reset ann', 'accept ann', 'confirm ann'],
  ]);
});

test('a verified person with other keys: compare again, or go on without', () => {
  const chat = chatOf({ held: { username: 'ann' } });
  const answers = [['held ann', 'verify ann', 'accept ann']];
  assert.deepEqual(acts(chat, { ann: person(['identity_reset']) }), answers);
  // In a chat that goes on under the keys that were verified, that comes first, and confirming after it.
  const was = person(['identity_reset'], { wasVerified: true });
  assert.deepEqual(acts(chatOf({ unconfirmed: ['ann'] }), { ann: was }), answers);
  assert.equal(rightsOver(chatOf({ unconfirmed: ['ann'] }), chat.members[1], was, 'me').confirm, false);
});

test('unsafe keys, a standstill, and who has to confirm mine', () => {
  assert.deepEqual(acts(chatOf(), { ann: person(['weak_key']) }), [['weak ann', 'members']]);
  assert.deepEqual(acts(chatOf({ stuck: true, waiting: ['ann'] })), [['stuck', 'new']]);
  const [waiting] = noticesOf(chatOf({ waiting: ['ann', 'bob'], shareDue: true }), {}, 'me', true);
  assert.equal(waiting.title, 'ANN or BOB has to confirm your new keys');
  assert.deepEqual(acts(chatOf({ shareDue: true }), {}, true), [['due', 'replace']]);
});

test('who is no longer in it is told, and can do nothing', () => {
  const chat = chatOf({ removed: true, warnings: ['bad_share'], unconfirmed: ['ann'] });
  assert.deepEqual(acts(chat, { ann: person(['identity_reset']) }), [['bad_share']]);
});

test('rights: owners change others, never take themselves out, and the last one stays owner', () => {
  const chat = chatOf({ unconfirmed: ['bob'] });
  const [me, ann, bob] = chat.members;
  const known = person([], { canVerify: true });
  assert.deepEqual(rightsOver(chat, ann, known, 'me'), {
    verify: true,
    role: 'owner',
    remove: true,
    confirm: false,
  });
  assert.equal(rightsOver(chat, bob, undefined, 'me').confirm, true);
  assert.equal(rightsOver(chat, bob, undefined, 'me').verify, false);
  assert.deepEqual(rightsOver(chat, me, known, 'me'), {
    verify: false,
    role: null,
    remove: false,
    confirm: false,
  });
  const two = chatOf({ members: [me, { ...ann, role: 'owner' }] });
  assert.equal(rightsOver(two, me, undefined, 'me').role, 'member');
  for (const powerless of [{ myRole: 'member' }, { myRole: null }, { removed: true }]) {
    const { role, remove } = rightsOver(chatOf(powerless), ann, known, 'me');
    assert.deepEqual([role, remove], [null, false]);
  }
});
