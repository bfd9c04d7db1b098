/** The memory that survives the browser: what it holds, who catches what by it, and what a server that lost it shows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { hash, openState, stateKey } from '../../lib/crypto/index.js';
import { runTask } from '../../lib/worker.js';
import { clientOf, enter, newKeys, settle, until } from '../model/people.js';
import { ModelServer } from '../model/server.js';

const H = await hash('something');

const pinsOf = async (client) =>
  Object.fromEntries((await client.store.list('pins')).map(({ username, ...pin }) => [username, pin]));
const names = (client) => client.getSnapshot().accountWarnings.map(({ name }) => name);
const warningsOf = (client, chat) => client.getSnapshot().chats.find(({ id }) => id === chat)?.warnings;

/** Alice and Bob in a chat with a message each way; Alice has verified Bob. */
async function friends(keyMode = 'server') {
  const server = new ModelServer();
  const people = await settle(server, ['alice', 'bob']);
  const [alice, bob] = [
    await enter(server, people.get('alice'), 'alice', { stateDelay: 1 }),
    await enter(server, people.get('bob')),
  ];
  const chat = await alice.startChat({ usernames: ['bob'], keyMode });
  await alice.openChat(chat);
  await alice.send(chat, { body: 'one' }, 'Ed25519');
  await until(() => alice.getSnapshot().open[chat].items.at(-1)?.seq === 2, 'sent');
  await alice.safetyNumber('bob');
  await alice.setVerified('bob', true);
  return { server, people, alice, bob, chat, close: () => [alice, bob].forEach((client) => client.close()) };
}

/** What the server holds of it, opened as its owner would. */
async function stored(server, identity) {
  const { state } = server.accounts.get(identity.username);
  return openState({ username: identity.username, state, key: await stateKey(identity.backupKey) });
}

const clean = (server, people, device = 'clean') =>
  enter(server, people.get('alice'), device, { stateDelay: 1 });

test('a yes is stored before it counts, and a clean browser knows it', { timeout: 60_000 }, async () => {
  const { server, people, alice, chat, close } = await friends();
  const { pins, chats } = await stored(server, people.get('alice'));
  assert.equal(pins.get('bob')?.verified, true);
  assert.equal(pins.get('bob')?.keys, people.get('bob').hash);
  assert.deepEqual([...pins.keys()], ['bob'], 'pins are of others');
  assert.equal(chats.get(chat)?.mode, 'server');
  await until(async () => (await stored(server, people.get('alice'))).chats.get(chat)?.seq === 2, 'position');
  assert.equal(alice.getSnapshot().people.bob.verified, true);
  const again = await clean(server, people);
  await again.openChat(chat);
  assert.equal((await pinsOf(again)).bob.verified, true);
  assert.equal(again.getSnapshot().people.bob.verified, true);
  assert.deepEqual([names(again), warningsOf(again, chat)], [[], []]);
  await again.setVerified('bob', false);
  assert.equal((await stored(server, people.get('alice'))).pins.get('bob')?.verified, false);
  again.close();
  close();
});

test('a yes that cannot be stored does not count', { timeout: 60_000 }, async () => {
  const { server, people, alice, close } = await friends();
  await alice.setVerified('bob', false);
  server.offline.add('alice');
  await assert.rejects(alice.setVerified('bob', true), { code: 'offline' });
  assert.equal((await pinsOf(alice)).bob.verified, false);
  assert.equal(alice.getSnapshot().people.bob.verified, false);
  server.offline.clear();
  const { bundle, backup } = await people.get('bob').renew({ linked: false });
  await server.renewKeys('bob', bundle, backup);
  await until(() => alice.getSnapshot().people.bob.warnings.includes('identity_reset'), 'reset');
  await alice.safetyNumber('bob');
  server.offline.add('alice');
  await assert.rejects(alice.setVerified('bob', true), { code: 'offline' });
  assert.deepEqual(alice.getSnapshot().people.bob.warnings, ['identity_reset'], 'nor were the keys accepted');
  close();
});

test('the key backup says how far the state was', { timeout: 60_000 }, async () => {
  const { server, people, close } = await friends();
  const again = await clean(server, people);
  const { n } = server.accounts.get('alice').state;
  assert.ok(n >= 2);
  await until(async () => {
    await people.get('alice').catchUp(server.accounts.get('alice'));
    return people.get('alice').stateN >= n;
  }, 'anchored');
  again.close();
  close();
});

/** What a clean browser and one with a memory say of a state that the server tells. */
async function shown(lie) {
  const { server, people, alice, chat, close } = await friends();
  const old = structuredClone(server.accounts.get('alice').state);
  const other = await clean(server, people, 'other');
  await other.setVerified('bob', true);
  await other.logout();
  await until(async () => {
    await people.get('alice').catchUp(server.accounts.get('alice'));
    return people.get('alice').stateN > old.n - 1;
  }, 'anchored');
  await alice.logout();
  const last = await clean(server, people, 'last'); // anchors the newest
  await until(async () => {
    await people.get('alice').catchUp(server.accounts.get('alice'));
    return people.get('alice').stateN === server.accounts.get('alice').state.n;
  }, 'anchored again');
  server.lies.state = (username, honest) => (username === 'alice' ? lie(honest, old) : honest);
  const again = await clean(server, people);
  await again.openChat(chat);
  const result = { names: names(again), bob: again.getSnapshot().people.bob?.verified, again, last, server };
  return { ...result, close: () => [again, last].forEach((client) => client.close()) || close() };
}

for (const [what, lie] of Object.entries({
  missing: () => null,
  unopenable: (honest) => ({ ...honest, ciphertext: honest.ciphertext.replace(/^..../, 'AAAA') }),
  malformed: (honest) => ({ ...honest, v: 2 }),
  'under another n': (honest) => ({ ...honest, n: honest.n + 1 }),
  'older than the backup says': (_, old) => ({ ...old, n: 1 }),
})) {
  test(`a state that is ${what}: told on the account, and nobody shows as verified`, async () => {
    const { names: told, bob, again, server, close } = await shown(lie);
    assert.deepEqual(told, ['server_rollback']);
    assert.equal(bob, false);
    delete server.lies.state;
    const { store } = again;
    again.close();
    const resumed = clientOf(server, 'clean', { store });
    assert.equal(await resumed.restore(), true);
    await until(() => resumed.getSnapshot().connection === 'online', 'online');
    assert.ok(names(resumed).includes('server_rollback'), 'a reload does not forget it');
    resumed.close();
    close();
  });
}

test('a state that is lost hides the marks that this browser kept, too', { timeout: 60_000 }, async () => {
  const { server, alice, close } = await friends();
  assert.equal(alice.getSnapshot().people.bob.verified, true);
  alice.close();
  server.lies.state = () => null;
  const resumed = clientOf(server, 'alice', { store: alice.store });
  assert.equal(await resumed.restore(), true);
  await until(() => names(resumed).includes('server_rollback'), 'told');
  await resumed.openChat(resumed.getSnapshot().chats[0].id);
  assert.equal((await pinsOf(resumed)).bob.verified, true);
  assert.equal(resumed.getSnapshot().people.bob.verified, false);
  resumed.close();
  close();
});

test('a clean browser catches what only the one before could', { timeout: 60_000 }, async (t) => {
  await t.test('a chat rolled back', async () => {
    const { server, people, alice, chat, close } = await friends();
    await alice.logout();
    server.rollBack(chat, 1);
    const again = await clean(server, people);
    await again.openChat(chat);
    assert.ok(warningsOf(again, chat).includes('server_rollback'));
    again.close();
    close();
  });
  await t.test('another history in its place', async () => {
    const { server, people, alice, bob, chat, close } = await friends();
    await alice.logout();
    server.rollBack(chat, 1);
    await bob.acceptServerMade(chat);
    await bob.openChat(chat);
    for (const body of ['two', 'three']) await bob.send(chat, { body }, 'Ed25519');
    await until(() => server.chats.get(chat).items.length === 3, 'sent');
    const again = await clean(server, people);
    await again.openChat(chat);
    assert.ok(warningsOf(again, chat).includes('history_fork'));
    again.close();
    close();
  });
  await t.test('another key mode', async () => {
    const { server, people, alice, chat, close } = await friends();
    await alice.logout();
    server.lies.chat = (_, view) => ({
      ...view,
      key_mode: 'combined',
      membership: { n: 1, hash: H },
    });
    const again = await clean(server, people);
    await until(() => warningsOf(again, chat)?.includes('mode_changed'), 'told');
    again.close();
    close();
  });
  await t.test('a person who began anew', async () => {
    const { server, people, alice, chat, close } = await friends();
    await alice.logout();
    const { bundle, backup } = await people.get('bob').renew({ linked: false });
    await server.renewKeys('bob', bundle, backup);
    const again = await clean(server, people);
    await again.openChat(chat);
    const { warnings, verified } = again.getSnapshot().people.bob;
    assert.deepEqual([warnings, verified], [['identity_reset'], false]);
    assert.equal((await pinsOf(again)).bob.version, 1, 'the pin stays where it was compared');
    await again.acceptKeys('bob');
    assert.deepEqual((await pinsOf(again)).bob.verified, false);
    again.close();
    close();
  });
});

test('in an end-to-end encrypted chat the log is remembered, too', { timeout: 60_000 }, async (t) => {
  const renamed = async () => {
    const all = await friends('combined');
    const { server, people, alice, chat } = all;
    await alice.changeChat(chat, { kind: 'rename', name: 'Lunch' });
    await until(async () => {
      const { log_n: n, log_hash: head, seq } = (await stored(server, people.get('alice'))).chats.get(chat);
      return n === 2 && head === server.chats.get(chat).log[1].hash && seq === 3;
    }, 'the head of the log');
    await alice.logout();
    return all;
  };
  await t.test('an honest one is the same', async () => {
    const { server, people, chat, close } = await renamed();
    const again = await clean(server, people);
    await again.openChat(chat);
    assert.deepEqual([names(again), warningsOf(again, chat)], [[], []]);
    assert.equal(again.getSnapshot().people.bob.verified, true);
    again.close();
    close();
  });
  await t.test('a shorter one is a rollback', async () => {
    const { server, people, chat, close } = await renamed();
    server.rollBack(chat, 2);
    const again = await clean(server, people);
    await again.openChat(chat);
    assert.ok(warningsOf(again, chat).includes('server_rollback'));
    again.close();
    close();
  });
  await t.test('another one in its place is a fork', async () => {
    const { server, people, bob, chat, close } = await renamed();
    server.rollBack(chat, 2);
    const other = await enter(server, people.get('bob'), 'bob 2');
    await other.leaveChat(chat);
    const again = await clean(server, people);
    await again.openChat(chat);
    assert.ok(warningsOf(again, chat).includes('history_fork'));
    for (const client of [other, again, bob]) client.close();
    close();
  });
});

test('a change that the old keys vouch for keeps the mark', { timeout: 60_000 }, async () => {
  const { server, people, alice, chat, close } = await friends();
  await alice.logout();
  const { bundle, backup } = await people.get('bob').renew({ linked: true });
  await server.renewKeys('bob', bundle, backup);
  const again = await clean(server, people);
  await again.openChat(chat);
  const pin = (await pinsOf(again)).bob;
  assert.deepEqual([pin.version, pin.verified], [2, true]);
  assert.deepEqual(again.getSnapshot().people.bob.warnings, []);
  again.close();
  close();
});

test('two devices at once: nothing of either is lost', { timeout: 60_000 }, async () => {
  const { server, people, alice, close } = await friends();
  await settle(server, ['carol', 'dave']);
  const other = await clean(server, people, 'other');
  await Promise.all([
    alice.safetyNumber('carol').then(() => alice.setVerified('carol', true)),
    other.safetyNumber('dave').then(() => other.setVerified('dave', true)),
    other.setVerified('bob', false),
  ]);
  const { pins } = await stored(server, people.get('alice'));
  const marks = ['bob', 'carol', 'dave'].map((name) => pins.get(name)?.verified);
  assert.deepEqual(marks, [false, true, true]);
  await alice.setVerified('dave', true); // stores, and takes what the other one did
  assert.equal((await pinsOf(alice)).bob.verified, false);
  assert.deepEqual([names(alice), names(other)], [[], []]);
  other.close();
  close();
});

test('a client that is closed while it stores has lost nothing', { timeout: 60_000 }, async () => {
  const server = new ModelServer();
  const people = await settle(server, ['alice', 'bob']);
  const one = await enter(server, people.get('alice'), 'one');
  const two = await enter(server, people.get('alice'), 'two');
  await two.setVerified('bob', true); // what `one` stores next meets a conflict
  const { fetch } = server.transport('three');
  /** @type {(value?: unknown) => void} */
  let open = () => undefined;
  const gate = new Promise((resolve) => (open = resolve));
  let asked = 0;
  const slow = async (/** @type {any} */ url, /** @type {any} */ init) => {
    const response = await fetch(url, init);
    if (String(url).endsWith('/me/state') && (init.method ?? 'GET') === 'GET') {
      asked += 1;
      await gate;
    }
    return response;
  };
  one.close();
  const three = clientOf(server, 'three', { store: one.store, fetch: slow, stateDelay: 1 });
  assert.equal(await three.restore(), true);
  await until(() => asked > 0, 'the state is asked for');
  three.close();
  open();
  await until(
    async () => (await one.store.get('meta', 'state')).n === server.accounts.get('alice').state.n,
    'taken',
  );
  const four = clientOf(server, 'four', { store: one.store });
  assert.equal(await four.restore(), true);
  assert.deepEqual(four.getSnapshot().accountWarnings, []);
  for (const client of [two, four]) client.close();
});

test(
  'a tab that does not know of the new keys stores nothing under the old',
  { timeout: 60_000 },
  async () => {
    let turn = Promise.resolve();
    const request = (_name, work) => (turn = turn.then(work, work));
    const locks = /** @type {any} */ ({ request });
    const runner = {
      run: (task, args) => (task === 'generateKeys' ? newKeys() : runTask(task, args)),
      close() {},
    };
    const server = new ModelServer();
    const people = await settle(server, ['alice', 'bob']);
    const alice = await enter(server, people.get('alice'), 'alice', { locks, runner });
    const tab = clientOf(server, 'tab', { store: alice.store, locks });
    assert.equal(await tab.restore(), true);
    await until(() => tab.getSnapshot().connection === 'online', 'online');
    server.lies.push = (_username, name, honest) => (name === 'keys' ? null : honest);
    const { password } = people.get('alice');
    const [, , last] = await Promise.all([
      alice.changePassword({ password, newPassword: 'a new password', compromised: true }),
      tab.setVerified('bob', true),
      tab.setVerified('bob', true).then(() => tab.setVerified('bob', false)),
    ]);
    assert.equal(last, undefined);
    await tab.setVerified('bob', true);
    people.get('alice').password = 'a new password';
    const again = await clean(server, people);
    assert.deepEqual(names(again), []);
    assert.equal((await pinsOf(again)).bob.verified, true);
    for (const client of [alice, tab, again]) client.close();
  },
);

test('two devices that were shown different things are told so', { timeout: 60_000 }, async () => {
  const { server, people, alice, chat, close } = await friends();
  await until(async () => (await stored(server, people.get('alice'))).chats.get(chat)?.seq === 2, 'position');
  const other = await clean(server, people, 'other');
  const at = await other.store.get('chats', `${chat} position`);
  await other.store.write([{ kind: 'chats', id: `${chat} position`, value: { ...at, chain: H } }]);
  await alice.setVerified('bob', false); // the other's n is behind now
  await other.safetyNumber('bob');
  await other.setVerified('bob', true);
  await until(() => warningsOf(other, chat)?.includes('history_fork'), 'told');
  other.close();
  close();
});

test('nobody is compared by keys that are not theirs or mine', { timeout: 60_000 }, async () => {
  const { server, people, alice, close } = await friends();
  const number = await alice.safetyNumber('bob');
  assert.match(number.digits, /^\d{5}( \d{5}){11}$/);
  assert.equal(number.qr, `chatsec:verify:1:${number.digits.replaceAll(' ', '')}`);
  const { bundle, backup } = await people.get('bob').renew({ linked: false });
  await server.renewKeys('bob', bundle, backup);
  await until(() => alice.getSnapshot().people.bob.warnings.includes('identity_reset'), 'reset');
  await assert.rejects(alice.setVerified('bob', true), { code: 'keys_conflict' }, 'not what was shown');
  assert.notEqual((await alice.safetyNumber('bob')).digits, number.digits);
  await alice.setVerified('bob', true);
  assert.deepEqual(alice.getSnapshot().people.bob.warnings, [], 'comparing accepts them');
  server.lies.keys = (_, answer) =>
    answer.username === 'bob' ? { ...answer.history[0], history: [] } : null;
  await alice.openChat(alice.getSnapshot().chats[0].id);
  const again = await clean(server, people);
  await assert.rejects(again.safetyNumber('bob'), { code: 'server_rollback' });
  again.close();
  close();
});
