/** Names as they are drawn: nothing in them looks like a mark of the page, and the same is given for the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownChats, shownName, shownPeople } from '../../hooks/names.js';

test('signs that look like marks are not drawn; other signs and scripts are', () => {
  for (const name of ['Ann ✔', 'Ann ✔️', '✅ Ann', 'Ann 🔒', '🛡️Ann', 'Ann\u202E', ' Ann ☑ '])
    assert.equal(shownName(name), 'Ann', name);
  for (const name of ['Ann', 'Zoë 🎉', 'Ян', '山田 太郎', 'مرحبا', '👩‍👩‍👧 & co.', "d'Arc (x)"])
    assert.equal(shownName(name), name);
  assert.equal(shownName('✔✔'), '?');
  assert.equal(shownName('✔', 'ann'), 'ann');
});

test('chats and people keep everything else, and their reference while nothing changes', () => {
  const member = { username: 'bob', displayName: 'Bob ✓', role: 'member', waiting: false };
  const chats = /** @type {any} */ ([{ id: 'c', title: 'Bob ✓', name: 'Bob ✓', members: [member] }]);
  const [chat] = shownChats(chats);
  assert.deepEqual(chat, {
    id: 'c',
    title: 'Bob',
    name: 'Bob ✓',
    members: [{ ...member, displayName: 'Bob' }],
  });
  assert.equal(shownChats(chats), shownChats(chats));
  assert.equal(shownChats([...chats])[0], chat);
  const people = /** @type {any} */ ({ bob: { username: 'bob', displayName: '✓', verified: false } });
  assert.deepEqual(shownPeople(people), { bob: { username: 'bob', displayName: 'bob', verified: false } });
  assert.equal(shownPeople(people), shownPeople(people));
});
