/** Usernames, emoji and JSON that are also words of JavaScript, or deeper than its stack, are data like any other. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readJson } from '../../lib/api.js';
import { overlay } from '../../lib/overlay.js';
import { enter, settle, until } from '../model/people.js';
import { ModelServer } from '../model/server.js';

test('a person whose name every object has', async (t) => {
  const server = new ModelServer();
  const identities = await settle(server, ['alice', 'constructor']);
  const [alice, other] = [
    await enter(server, identities.get('alice')),
    await enter(server, identities.get('constructor')),
  ];
  t.after(() => [alice, other].forEach((client) => client.close()));
  assert.equal(
    alice.getSnapshot().people.constructor,
    undefined,
    'nobody is known by a name that was not told',
  );
  const chat = await alice.startChat({ usernames: ['constructor'] });
  const view = () => other.getSnapshot().chats[0];
  await alice.openChat(chat);
  await alice.send(chat, { body: 'x' }, 'Ed25519');
  await until(() => view()?.lastSeq === 2, 'told');
  assert.equal(view().unread, 2);
  await other.openChat(chat);
  assert.equal(view().unread, 1);
  await other.markRead(chat);
  assert.equal(view().unread, 0);
  await until(() => alice.getSnapshot().open[chat].items.at(-1).state === 'read', 'read');
});

test('a reaction by a word that every object has', () => {
  const item = { kind: 'message', id: 'm', state: 'verified', mine: false };
  const payload = { type: 'text', body: 'x', reactions: { '👍': ['bob'] } };
  for (const emoji of ['constructor', '__proto__']) {
    const waiting = [{ type: 'reaction', target: 'm', emoji, on: true }];
    const [shown] = overlay([{ ...item, payload }], waiting, 'alice');
    assert.deepEqual(Object.entries(shown.payload.reactions), [
      ['👍', ['bob']],
      [emoji, ['alice']],
    ]);
  }
});

test('an answer to a message of an unknown type quotes no body', () => {
  const item = { kind: 'message', state: 'verified', mine: false, from: 'bob' };
  const [, reply] = overlay(
    [
      { ...item, id: 'm', payload: { type: 'poll', body: { not: 'a text' } } },
      { ...item, id: 'n', payload: { type: 'text', body: 'x', reply_to: 'm' } },
    ],
    [],
    'alice',
  );
  assert.equal(reply.replyTo.body, '');
});

test('an answer of the server that is nested beyond reason is none', () => {
  const response = new Response(null, { headers: { 'content-type': 'application/json' } });
  const nested = (depth) => new TextEncoder().encode(`{"x":${'['.repeat(depth)}${']'.repeat(depth)}}`);
  assert.ok(readJson(response, nested(50), 'application/json').x);
  assert.throws(() => readJson(response, nested(200_000), 'application/json'), { code: 'bad_answer' });
});
