/**
 * What outlives a browser, against a real server, which CHATSEC_URL names: memory, recovery code, new keys, files,
 * sessions, and the end of an account.
 */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';

import { io } from 'socket.io-client';

import { createClient, memoryStore } from '../../lib/index.js';
import { noAlarm } from '../model/world.js';
import { loadAll, until } from '../model/people.js';

const URL = process.env.CHATSEC_URL;
const PASSWORD = 'correct horse battery staple';
const unique = randomBytes(4).toString('hex');

const clients = [];
const open = (store = memoryStore()) => {
  const parts = { apiUrl: URL, socketUrl: URL, store, fetch, io, stateDelay: 1 };
  return clients[clients.push(Object.assign(createClient(parts), { store })) - 1];
};

async function newcomer(name) {
  const client = open();
  const username = `${name}-${unique}`;
  await client.register({ username, displayName: `The ${name}`, password: PASSWORD });
  await until(() => client.getSnapshot().connection === 'online', `${name} online`);
  return Object.assign(client, { username });
}

const shown = (client, chat) =>
  (client.getSnapshot().open[chat]?.items ?? []).filter(({ kind }) => kind === 'message');

test('what outlives a browser', { skip: !URL, timeout: 120_000 }, async (t) => {
  t.after(() => clients.forEach((client) => client.close()));
  const [ann, ben] = await Promise.all(['ann', 'ben'].map(newcomer));
  const chat = await ann.startChat({ usernames: [ben.username], keyMode: 'combined' });
  for (const client of [ann, ben]) await until(() => client.getSnapshot().chats[0], 'the chat');
  for (const client of [ann, ben]) await client.openChat(chat);
  const says = async (client, body, attachments) => {
    await client.send(chat, { body, ...(attachments && { attachments }) }, 'Ed25519');
    for (const reader of [ann, ben])
      await until(() => shown(reader, chat).some(({ payload }) => payload?.body === body), body, 20_000);
  };
  const username = ann.username;
  let password = PASSWORD;
  let code = '';
  const login = async () => {
    const client = open();
    await client.login({ username, password });
    await loadAll(client, chat);
    noAlarm(client.getSnapshot(), 'clean browser');
    return client;
  };

  await t.test('files of several segments, sent and opened', async () => {
    const file = new Blob([randomBytes(2 * 1024 * 1024 + 5)]);
    const sent = await ann.attach(chat, file, { name: 'a.bin', mime: 'image/png' });
    await says(ann, 'a file', [sent]);
    const [told] = shown(ben, chat).at(-1).payload.attachments;
    const opened = await ben.openAttachment(chat, told);
    assert.equal(opened.type, 'image/png');
    assert.ok(Buffer.from(await opened.arrayBuffer()).equals(Buffer.from(await file.arrayBuffer())));
    const empty = await ben.attach(chat, new Blob([]), { name: '', mime: '' });
    assert.equal((await ann.openAttachment(chat, empty)).size, 0);
    await assert.rejects(ben.openAttachment(chat, { ...told, sha256: told.key }), { code: 'bad_attachment' });
  });

  await t.test('whom one compared, and a code', async () => {
    assert.equal((await ann.safetyNumber(ben.username)).digits, (await ben.safetyNumber(username)).digits);
    await ann.setVerified(ben.username, true);
    code = ann.newRecoveryCode();
    await assert.rejects(ann.saveRecoveryCode({ code, password: 'wrong' }), { code: 'wrong_password' });
    await ann.saveRecoveryCode({ code, password });
    const clean = await login();
    assert.equal(clean.getSnapshot().people[ben.username].verified, true);
    assert.equal(clean.getSnapshot().account.recovery, true);
    assert.equal((await clean.sessions()).length, 2);
    await clean.logout();
  });

  await t.test('someone may know the password', async () => {
    const other = await login();
    const wanted = { password, newPassword: `${PASSWORD} 2`, compromised: true };
    ({ recoveryCode: code } = await ann.changePassword(wanted));
    password = wanted.newPassword;
    await until(() => other.getSnapshot().phase === 'signed_out', 'the other session has ended');
    await says(ann, 'under new keys');
    await says(ben, 'read');
    for (const client of [ann, ben]) noAlarm(client.getSnapshot(), client.username);
    const clean = await login();
    assert.deepEqual(
      shown(clean, chat).map(({ payload }) => payload?.body),
      ['a file', 'under new keys', 'read'],
    );
    await clean.logout();
  });

  await t.test('the password is forgotten', async () => {
    const found = open();
    const wanted = { username, code, newPassword: `${PASSWORD} 3` };
    const { recoveryCode } = await found.recover(wanted);
    password = wanted.newPassword;
    assert.notEqual(recoveryCode, code);
    await until(() => ann.getSnapshot().phase === 'signed_out', 'every other session has ended');
    await loadAll(found, chat);
    noAlarm(found.getSnapshot(), 'recovered');
    assert.equal(found.getSnapshot().people[ben.username].verified, true);
    await assert.rejects(open().recover(wanted), { code: 'invalid_credentials' }, 'used up');
    await found.changePassword({ password, newPassword: PASSWORD, compromised: false });
    password = PASSWORD;
    await found.send(chat, { body: 'still here' }, 'Ed25519');
    await until(() => shown(ben, chat).at(-1)?.payload?.body === 'still here', 'still here');
    await assert.rejects(found.deleteAccount({ password: 'wrong' }), { code: 'wrong_password' });
    await found.deleteAccount({ password });
    await until(() => ben.getSnapshot().chats[0].members.length === 1, 'ben is alone');
    await assert.rejects(open().login({ username, password }), { code: 'invalid_credentials' });
    noAlarm(ben.getSnapshot(), 'ben');
  });
});
