/** The ways back: recovery code, new password, everything new; and the sessions and the end of an account. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openBackup, sealBackup, unwrapBackupKey } from '../../lib/crypto/index.js';
import { memoryStore } from '../../lib/index.js';
import { KINDS } from '../../lib/store/port.js';
import { runTask } from '../../lib/worker.js';
import { cheapKdf, clientOf, enter, loadAll, newKeys, settle, until } from '../model/people.js';
import { ModelServer } from '../model/server.js';

const NEW = 'another long password';
/** Ready keys: making them is tested elsewhere. */
const runner = {
  run: (task, args) => (task === 'generateKeys' ? newKeys() : runTask(task, args)),
  close() {},
};
const names = (client) => client.getSnapshot().accountWarnings.map(({ name }) => name);
const bodies = async (client, chat) =>
  (await loadAll(client, chat)).filter(({ kind }) => kind === 'message').map(({ payload }) => payload?.body);

/** Alice, who verified Bob and wrote to him, and him. `answers`: what becomes of the answers to her, and what happens
 * before a call of hers. */
async function scene(answers = {}) {
  const server = new ModelServer();
  const people = await settle(server, ['alice', 'bob']);
  const { fetch } = server.transport('alice');
  const told = async (url, init) => {
    const call = `${init.method} ${new URL(String(url), 'http://model').pathname.replace('/api/v1', '')}`;
    await answers[`before ${call}`]?.();
    const answer = await fetch(url, init);
    return answers[call] ? answers[call](answer) : answer;
  };
  const identity = people.get('alice');
  const [alice, bob] = [
    await enter(server, identity, 'alice', { fetch: told, runner }),
    await enter(server, people.get('bob')),
  ];
  const chat = await alice.startChat({ usernames: ['bob'] });
  for (const client of [alice, bob]) await client.openChat(chat);
  await alice.send(chat, { body: 'before' }, 'Ed25519');
  await until(() => bob.getSnapshot().open[chat].items.at(-1)?.payload?.body === 'before', 'read');
  await alice.safetyNumber('bob');
  await alice.setVerified('bob', true);
  const clients = [alice, bob];
  const another = (device) => clients[clients.push(clientOf(server, device)) - 1];
  const close = () => clients.forEach((client) => client.close());
  return { server, people, identity, alice, bob, chat, another, close };
}

const login = (client, password) => client.login({ username: 'alice', password });
const lostAnswer = async () => {
  throw new TypeError('fetch failed');
};

async function says({ bob, chat }, client, body) {
  await client.openChat(chat);
  await client.send(chat, { body }, 'Ed25519');
  await until(() => bob.getSnapshot().open[chat].items.at(-1)?.payload?.body === body, `bob reads ${body}`);
  assert.equal(bob.getSnapshot().open[chat].items.at(-1).state, 'verified');
  assert.deepEqual(bob.getSnapshot().people.alice.warnings, []);
}

test('a recovery code brings everything back, and is used up', { timeout: 60_000 }, async () => {
  const all = await scene();
  const { server, identity, alice, chat, another, close } = all;
  assert.equal(alice.getSnapshot().account.recovery, false);
  const code = alice.newRecoveryCode();
  assert.match(code, /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){7}$/);
  assert.notEqual(alice.newRecoveryCode(), code);
  await assert.rejects(alice.saveRecoveryCode({ code, password: 'wrong' }), { code: 'wrong_password' });
  await assert.rejects(alice.saveRecoveryCode({ code: code.slice(1), password: identity.password }), {
    code: 'invalid',
  });
  assert.equal(server.accounts.get('alice').recovery, null, 'nothing was stored');
  await alice.saveRecoveryCode({ code, password: identity.password });
  assert.equal(alice.getSnapshot().account.recovery, true);

  const clean = another('clean');
  const wanted = { username: 'Alice', newPassword: NEW };
  await assert.rejects(clean.recover({ ...wanted, code: 'not a code' }), { code: 'invalid' });
  await assert.rejects(clean.recover({ ...wanted, code: clean.newRecoveryCode() }), {
    code: 'invalid_credentials',
  });
  assert.equal(clean.getSnapshot().phase, 'signed_out');
  const steps = [];
  const typed = code.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l');
  const { recoveryCode } = await clean.recover(
    { ...wanted, code: typed },
    { onProgress: ({ step, done, of }) => steps.push([step, done, of]) },
  );
  assert.deepEqual(steps, [
    ['password', 0, 3],
    ['account', 1, 3],
    ['keys', 2, 3],
  ]);
  assert.notEqual(recoveryCode, code);
  assert.deepEqual(
    [clean.getSnapshot().user.username, clean.getSnapshot().account.recovery],
    ['alice', true],
  );
  assert.deepEqual(await bodies(clean, chat), ['before']);
  assert.equal(clean.getSnapshot().people.bob.verified, true, 'the memory of people came with it');
  await until(() => alice.getSnapshot().phase === 'signed_out', 'every other session has ended');
  await says(all, clean, 'after');

  await assert.rejects(another('x').recover({ ...wanted, code }), { code: 'invalid_credentials' }, 'used up');
  await assert.rejects(login(another('x'), identity.password), { code: 'invalid_credentials' });
  const second = another('second');
  await second.recover({ ...wanted, code: recoveryCode });
  assert.deepEqual(await bodies(second, chat), ['before', 'after']);
  assert.deepEqual(names(second), []);
  close();
});

test('a new password opens what the old one did', { timeout: 60_000 }, async () => {
  const all = await scene();
  const { server, identity, alice, chat, another, close } = all;
  const code = alice.newRecoveryCode();
  await alice.saveRecoveryCode({ code, password: identity.password });
  const before = structuredClone(server.accounts.get('alice'));
  const change = { password: 'wrong', newPassword: NEW, compromised: false };
  await assert.rejects(alice.changePassword(change), { code: 'wrong_password' });
  assert.deepEqual(server.accounts.get('alice').backup, before.backup, 'nothing was stored');
  const other = another('other');
  await login(other, identity.password);

  const done = await alice.changePassword({ ...change, password: identity.password });
  assert.deepEqual(done, { recoveryCode: null });
  assert.notDeepEqual(server.accounts.get('alice').kdf, before.kdf, 'a fresh salt');
  await until(() => other.getSnapshot().phase === 'signed_out', 'the other session has ended');
  await says(all, alice, 'after');
  const { backup } = server.accounts.get('alice');
  const { passwordKey: key } = await cheapKdf(NEW);
  const parts = { username: 'alice', backup, type: 'password', key };
  assert.deepEqual(await unwrapBackupKey(parts), identity.backupKey, 'B stays');

  await assert.rejects(login(another('x'), identity.password), { code: 'invalid_credentials' });
  const clean = another('clean');
  await login(clean, NEW);
  assert.deepEqual(await bodies(clean, chat), ['before', 'after']);
  assert.equal(clean.getSnapshot().account.recovery, true);
  assert.deepEqual(names(clean), []);
  await another('lost').recover({ username: 'alice', code, newPassword: NEW }); // the code is still good
  close();
});

test(
  'someone may know the password: all is new, and the old keys vouch for it',
  { timeout: 60_000 },
  async () => {
    const all = await scene();
    const { server, identity, alice, bob, chat, another, close } = all;
    const code = alice.newRecoveryCode();
    await alice.saveRecoveryCode({ code, password: identity.password });
    const copy = structuredClone(server.accounts.get('alice').backup);
    const { recoveryCode } = await alice.changePassword({
      password: identity.password,
      newPassword: NEW,
      compromised: true,
    });
    assert.deepEqual(names(alice), []);
    assert.equal(server.accounts.get('alice').bundles.length, 2);
    await says(all, alice, 'after');
    await until(() => bob.getSnapshot().chats[0].epoch === 2, 'a new epoch');

    // Who had the old password and a copy of the backup opens nothing of now.
    const { passwordKey: key } = await cheapKdf(identity.password);
    const username = 'alice';
    const backupKey = await unwrapBackupKey({ username, backup: copy, type: 'password', key });
    const now = server.accounts.get('alice').backup;
    await assert.rejects(openBackup({ username, backup: now, backupKey }), { code: 'undecryptable' });
    await assert.rejects(another('x').recover({ username, code, newPassword: NEW }), {
      code: 'invalid_credentials',
    });

    const clean = another('clean');
    await login(clean, NEW);
    assert.deepEqual(await bodies(clean, chat), ['before', 'after'], 'the old keys are kept for the history');
    assert.equal(clean.getSnapshot().people.bob.verified, true);
    assert.deepEqual(names(clean), []);
    await says(all, clean, 'from the clean one');
    const found = another('found');
    await found.recover({ username, code: recoveryCode, newPassword: NEW });
    assert.deepEqual(names(found), []);
    assert.deepEqual(await bodies(found, chat), ['before', 'after', 'from the clean one']);
    close();
  },
);

test('an answer that is lost leaves nobody outside', { timeout: 60_000 }, async (t) => {
  for (const compromised of [false, true]) {
    await t.test(compromised ? 'everything new' : 'a new password', async () => {
      const answers = {};
      const all = await scene(answers);
      const { identity, alice, chat, another, close } = all;
      answers['PUT /me/password'] = lostAnswer;
      await alice.changePassword({ password: identity.password, newPassword: NEW, compromised });
      await says(all, alice, 'after');
      assert.deepEqual(names(alice), []);
      const clean = another('clean');
      await login(clean, NEW);
      assert.deepEqual(await bodies(clean, chat), ['before', 'after']);
      close();
    });
  }
  await t.test('a request that never arrived changes nothing', async () => {
    const answers = {};
    const all = await scene(answers);
    const { server, identity, alice, close } = all;
    const before = structuredClone(server.accounts.get('alice').backup);
    answers['POST /auth/prelogin'] = (answer) => {
      server.offline.add('alice'); // right after the old password was derived
      return answer;
    };
    const change = { password: identity.password, newPassword: NEW, compromised: false };
    await assert.rejects(alice.changePassword(change), { code: 'offline' });
    server.offline.clear();
    delete answers['POST /auth/prelogin'];
    assert.deepEqual(server.accounts.get('alice').backup, before);
    await until(() => alice.getSnapshot().connection === 'online', 'online');
    await says(all, alice, 'after');
    close();
  });
});

test(
  'a process that dies before it kept its new keys says to log in again',
  { timeout: 60_000 },
  async () => {
    const { server, identity, alice, close } = await scene();
    const store = memoryStore();
    const copied = async (kind, id) => ({ kind, id, value: await alice.store.get(kind, id) });
    const kids = (await alice.store.list('keys')).map(({ kid }) => copied('keys', kid));
    await store.write(await Promise.all([...kids, copied('meta', 'account'), copied('meta', 'state')]));
    await alice.changePassword({ password: identity.password, newPassword: NEW, compromised: true });
    const old = clientOf(server, 'old', { store });
    assert.equal(await old.restore(), true);
    await until(() => names(old).length > 0, 'told');
    await until(() => old.getSnapshot().account.recovery !== null, 'asked everything');
    assert.deepEqual(names(old), ['keys_unavailable'], 'and not that the server lost anything');
    await old.logout();
    await login(old, NEW);
    assert.deepEqual(names(old), []);
    old.close();
    close();
  },
);

test('a password that is changed right after a log-in alarms nobody', { timeout: 60_000 }, async () => {
  const { identity, another, close } = await scene();
  const clean = another('clean');
  await login(clean, identity.password);
  await clean.setVerified('bob', false); // so that the backup is behind the state
  const again = another('again');
  await login(again, identity.password);
  const change = { password: identity.password, newPassword: NEW, compromised: false };
  await again.changePassword(change);
  await until(() => again.getSnapshot().account.recovery === false, 'settled');
  await again.setVerified('bob', true);
  assert.deepEqual(names(again), []);
  close();
});

test('another device stored a backup at the same time: it is read first', { timeout: 60_000 }, async () => {
  const answers = {};
  const { server, identity, alice, another, close } = await scene(answers);
  let others = 0;
  answers['GET /me/key-backup'] = async (answer) => {
    if (others++ > 0) return answer;
    const account = server.accounts.get('alice');
    const parts = { username: 'alice', backup: account.backup, backupKey: identity.backupKey };
    const secrets = await openBackup(parts);
    const { version, wraps } = account.backup;
    account.backup = await sealBackup({ ...parts, version: version + 1, secrets, wraps });
    return answer;
  };
  await alice.changePassword({ password: identity.password, newPassword: NEW, compromised: false });
  await login(another('clean'), NEW);
  assert.ok(others > 1);
  close();
});

test('other devices store their state all the while: five times is not in vain', async () => {
  let [left, marked, other] = [0, true, null];
  const all = await scene({
    async 'before PUT /me/password'() {
      if (left-- > 0) await other.setVerified('bob', (marked = !marked));
    },
  });
  const { alice, identity, server, close } = all;
  other = await enter(server, identity, 'other', { stateDelay: 1_000_000 });
  const account = server.accounts.get('alice');
  await until(async () => {
    await identity.catchUp(account);
    return identity.stateN === account.state.n;
  }, 'the log-in has stored its backup');
  const wanted = { password: identity.password, newPassword: NEW, compromised: true };
  left = 5;
  await assert.rejects(alice.changePassword(wanted), { code: 'state_conflict' });
  left = 4;
  await alice.changePassword(wanted);
  const again = all.another('again');
  await login(again, NEW);
  await until(() => again.getSnapshot().people.bob, 'people');
  assert.equal(again.getSnapshot().people.bob.verified, false, 'stored last, by the other');
  assert.deepEqual(names(again), []);
  other.close();
  close();
});

test('what was not stored as it was sent is never called saved', { timeout: 60_000 }, async () => {
  const answers = {};
  const { identity, alice, close } = await scene(answers);
  const { password } = identity;
  const tampered = async (answer) => {
    const body = await answer.json();
    const { ciphertext } = body.key_backup;
    body.key_backup.ciphertext = `${ciphertext.startsWith('AAAA') ? 'BBBB' : 'AAAA'}${ciphertext.slice(4)}`;
    return new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
  };
  answers['GET /me/key-backup'] = tampered;
  await assert.rejects(alice.saveRecoveryCode({ code: alice.newRecoveryCode(), password }), {
    code: 'keys_unavailable',
  });
  assert.equal(alice.getSnapshot().account.recovery, false);
  delete answers['GET /me/key-backup'];
  answers['PUT /me/password'] = tampered;
  await assert.rejects(alice.changePassword({ password, newPassword: NEW, compromised: false }), {
    code: 'keys_unavailable',
  });
  close();
});

test('devices are listed, and logged out from here', { timeout: 60_000 }, async () => {
  const { identity, alice, another, close } = await scene();
  const other = another('other');
  await login(other, identity.password);
  const sessions = await alice.sessions();
  assert.deepEqual(sessions.map(({ current }) => current).sort(), [false, true]);
  assert.ok(sessions.every(({ id, createdAt, usedAt, agent }) => id && createdAt && usedAt && agent));
  await alice.endSession(sessions.find(({ current }) => !current).id);
  await until(() => other.getSnapshot().phase === 'signed_out', 'logged out');
  assert.deepEqual((await alice.sessions()).length, 1);
  close();
});

test('an account ends with the password alone', { timeout: 60_000 }, async () => {
  const { server, identity, alice, bob, chat, close } = await scene();
  await assert.rejects(alice.deleteAccount({ password: 'wrong' }), { code: 'wrong_password' });
  assert.equal(server.accounts.get('alice').ended, false);
  await alice.changeChat(chat, { kind: 'role', usernames: ['bob'], role: 'owner' });
  await alice.deleteAccount({ password: identity.password });
  assert.equal(alice.getSnapshot().phase, 'signed_out');
  for (const kind of KINDS) assert.deepEqual(await alice.store.list(kind), []);
  await until(() => bob.getSnapshot().open[chat].items.at(-1).event?.kind === 'ended', 'bob is told');
  await assert.rejects(login(alice, identity.password), { code: 'invalid_credentials' });
  close();
});
