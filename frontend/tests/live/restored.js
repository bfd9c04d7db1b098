/**
 * Two clients that live through a restore of their server from a backup that is older than what they saw. Their driver is
 * told on stdout how far they are, and says by a line on stdin that its part is done. CHATSEC_URL names the server.
 */

import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';

import { io } from 'socket.io-client';

import { createClient, memoryStore } from '../../lib/index.js';
import { until } from '../model/people.js';

const URL = process.env.CHATSEC_URL;
const PASSWORD = 'correct horse battery staple';
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** The driver's turn. @param {string} word */
async function turn(word) {
  process.stdout.write(`${word}\n`);
  await lines.next();
}

async function newcomer(username) {
  const client = createClient({ apiUrl: URL, socketUrl: URL, store: memoryStore(), fetch, io });
  await client.register({ username, displayName: username, password: PASSWORD });
  return Object.assign(client, { username });
}

const [ann, ben] = await Promise.all(['ann', 'ben'].map(newcomer));
const chat = await ann.startChat({ usernames: ['ben'] });
const shown = (client) =>
  (client.getSnapshot().open[chat]?.items ?? [])
    .filter(({ kind }) => kind === 'message')
    .map(({ payload }) => payload?.body);
const warnings = (client) => client.getSnapshot().chats.find(({ id }) => id === chat)?.warnings ?? [];
const all = (client, ...bodies) =>
  until(() => bodies.every((body) => shown(client).includes(body)), `${client.username}: ${bodies}`);

await ann.openChat(chat);
await until(() => ben.getSnapshot().chats.length === 1, 'the chat');
await ben.openChat(chat);
await ann.send(chat, { body: 'saved' });
await all(ben, 'saved');
await turn('save');
await ann.send(chat, { body: 'of ann' });
await all(ben, 'of ann');
assert.deepEqual([warnings(ann), warnings(ben)], [[], []]);
await turn('restore');
// Ben first: once Ann has sent hers again the places are taken by something else, which is `history_fork` to him.
for (const client of [ben, ann]) {
  await until(() => client.getSnapshot().phase === 'signed_out', 'sessions are over', 60_000);
  await client.login({ username: client.username, password: PASSWORD });
  await client.openChat(chat);
  assert.deepEqual(warnings(client), ['server_rollback']);
}
await all(ann, 'saved', 'of ann'); // who still has it sends it again
await all(ben, 'saved', 'of ann');
ann.close();
ben.close();
process.stdout.write('done\n');
process.exit(0);
