/**
 * A lying server, as trust.md's H2, H3, H4 and H10 describe it: each lie is named, on the message, the chat, the person
 * or the account, and nothing is sent because of it.
 */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, beforeEach, test } from 'node:test';

import { encodeB64u, judgeBundle, wrap, wrapLabel } from '../../lib/crypto/index.js';
import { anyHash, chatOf, craft, itemsOf, reader, say, scene } from '../model/hostile.js';
import { clientOf, enter, Identity, until } from '../model/people.js';

let world;
const close = () => world?.clients.forEach((client) => client.close());
beforeEach(async () => {
  close();
  world = await scene();
});
after(close);

/** Carol on a clean device, to whom the history is told as `lie` has it. */
async function told(lie) {
  world.server.lies.history = (username, items) => (username === 'carol' ? lie(items) : items);
  return reader(world);
}

const named = (client) =>
  itemsOf(client, world.id)
    .flatMap(({ reason, warnings }) => [reason, ...warnings])
    .filter(Boolean);
const messageAt = (items, nth) => items.filter(({ body }) => body.envelope)[nth];

// ---- H4: drops, forks, reorders, replays ----

test('drop: a message left out and the rest renumbered', async () => {
  for (const nth of [0, 2, 3, 4]) {
    const client = await told((items) => items.filter((item) => item !== messageAt(items, nth)));
    assert.ok(chatOf(client, world.id).warnings.includes('history_fork'), `message ${nth}`);
  }
  const lane = await told((items) => items.filter((item) => item !== messageAt(items, 0)));
  assert.ok(named(lane).includes('chain_gap'));
});

test('drop: an event left out', async () => {
  const client = await told((items) => items.filter(({ body }) => body.event?.kind !== 'rekey'));
  assert.ok(named(client).includes('wrong_epoch'));
});

test('drop: a hole in the numbers', async () => {
  const client = await told((items) =>
    items.filter(({ seq }) => seq !== 4).map((item) => ({ ...item, keepSeq: true })),
  );
  assert.deepEqual(chatOf(client, world.id).warnings.includes('server_rollback'), true);
});

test('drop: the newest ones, until somebody else has seen them', async () => {
  const client = await told((items) =>
    items.filter(({ body }) => body !== world.chat.items.at(-1).body).slice(0, 7),
  );
  assert.deepEqual(chatOf(client, world.id).warnings, [], 'nobody can know yet');
  world.server.lies.history = (username, items) =>
    username === 'carol' ? items.filter(({ seq }) => seq !== 8) : items;
  world.clients = world.clients.filter((each) => each !== client);
  await say(world, world.alice, 'a4');
  await until(() => chatOf(client, world.id).warnings.includes('history_fork'), 'named');
  client.close();
});

test('reorder: two messages change places', async () => {
  const client = await told((items) => {
    const [one, two] = [messageAt(items, 0), messageAt(items, 1)];
    return items.map((item) => (item === one ? two : item === two ? one : item));
  });
  assert.ok(chatOf(client, world.id).warnings.includes('history_fork'));
});

test('reorder: a message moved behind the change of epoch', async () => {
  const client = await told((items) => {
    const moved = messageAt(items, 2);
    const rest = items.filter((item) => item !== moved);
    return [...rest.slice(0, 5), moved, ...rest.slice(5)];
  });
  assert.ok(named(client).includes('wrong_epoch'));
});

test('replay: an old message again', async () => {
  const client = await told((items) => [...items.slice(0, 3), structuredClone(items[1]), ...items.slice(3)]);
  assert.ok(named(client).includes('replayed'));
  assert.ok(chatOf(client, world.id).warnings.includes('history_fork'));
});

test('fork: another `before` than the items make', async () => {
  const { server, id, clients } = world;
  server.lies.history = (username, items) =>
    username === 'carol'
      ? items.map((item) => ({ ...item, ...(item.seq === 5 && { toldBefore: anyHash() }) }))
      : items;
  const client = await enter(server, world.identities.get('carol'), 'carol', { pageSize: 4 });
  clients.push(client);
  await client.openChat(id);
  await client.loadOlder(id);
  assert.ok(chatOf(client, id).warnings.includes('history_fork'));
});

test('fork: a page tells other items than were pushed', async () => {
  const client = await reader(world);
  world.server.cut('carol 2');
  world.server.lies.history = (username, items) =>
    username === 'carol' ? [...items.slice(0, 6), items[7]] : items;
  await until(() => chatOf(client, world.id).warnings.length > 0, 'named');
  assert.ok(chatOf(client, world.id).warnings.includes('server_rollback'));
});

// ---- H2: keys ----

test('swapped bundle: new keys without a link to the pinned ones', async () => {
  const client = await reader(world);
  const false2 = new Identity('alice');
  await false2.renew();
  false2.version = 1;
  await false2.renew({ linked: false });
  await world.server.renewKeys('alice', false2.bundle);
  await until(() => client.getSnapshot().people.alice.warnings.includes('identity_reset'), 'on the person');
  await until(
    () => world.alice.getSnapshot().accountWarnings.some(({ name }) => name === 'identity_reset'),
    'on her own account',
  );
});

test('swapped bundle in place of the pinned version', async () => {
  const client = await reader(world);
  const other = new Identity('alice');
  await other.renew();
  const { hash } = await judgeBundle('alice', other.bundle);
  world.server.lies.keys = (asker, answer) =>
    answer.username === 'alice' ? { ...answer, ...other.bundle, hash, history: [] } : answer;
  world.server.cut('carol 2');
  client.close();
  const again = clientOf(world.server, 'carol 3', { store: client.store });
  world.clients.push(again);
  await again.restore();
  await until(() => again.getSnapshot().chats.length > 0, 'chats');
  await again.openChat(world.id);
  assert.ok(again.getSnapshot().people.alice.warnings.includes('identity_reset'));
  const mine = itemsOf(again, world.id).filter(({ from }) => from === 'alice');
  assert.ok(
    mine.length > 0 && mine.every(({ reason }) => reason === 'unknown_key'),
    'the pinned keys are withheld',
  );
});

test('messages after a reset carry unconfirmed_key until the user accepts', async () => {
  const { server, identities, alice } = world;
  const client = await reader(world);
  await alice.logout();
  const { bundle, backup } = await identities.get('alice').renew({ linked: false });
  await server.renewKeys('alice', bundle, backup);
  const again = await enter(server, identities.get('alice'), 'alice 2');
  await again.openChat(world.id);
  world.clients = [client, again, world.bob];
  await say(world, again, 'new me');
  const last = () => itemsOf(client, world.id).at(-1);
  assert.deepEqual(
    [last().state, last().warnings, last().payload.body],
    ['verified', ['unconfirmed_key'], 'new me'],
  );
  await client.acceptKeys('alice');
  assert.deepEqual([last().warnings, client.getSnapshot().people.alice.warnings], [[], []]);
  assert.equal(itemsOf(client, world.id)[1].state, 'verified', 'what she signed before stays hers');
  assert.deepEqual(itemsOf(client, world.id)[1].warnings, []);
});

test('invented older bundle: what it signs is unknown', async () => {
  const { server, identities, chat, id } = world;
  await world.alice.logout();
  const { bundle, backup } = await identities.get('alice').renew();
  await server.renewKeys('alice', bundle, backup);
  const invented = new Identity('alice');
  await invented.renew();
  const { hash } = await judgeBundle('alice', invented.bundle);
  const form = { ...invented.bundle, username: 'alice', hash, created_at: '2026-11-24T12:00:00.000Z' };
  server.lies.keys = (asker, answer) =>
    answer.username === 'alice' ? { ...answer, history: [form] } : answer;
  const forged = await craft({ ...world, chat }, 'alice', {
    keys: invented.keys,
    epoch: 1,
    seen: { seq: 1, hash: chat.items[0].chain },
  });
  const client = await told((items) => [...items.slice(0, 2), forged, ...items.slice(2)]);
  assert.equal(itemsOf(client, id)[2].reason, 'unknown_key');
});

test('older bundle replayed: the pinned version is gone', async () => {
  const { server, identities } = world;
  await world.alice.logout();
  const { bundle, backup } = await identities.get('alice').renew();
  await server.renewKeys('alice', bundle, backup);
  const client = await reader(world);
  server.lies.keys = (asker, answer) =>
    answer.username === 'alice' ? { ...answer.history[0], history: [] } : answer;
  client.close();
  const again = clientOf(server, 'carol 4', { store: client.store });
  world.clients.push(again);
  await again.restore();
  await until(() => again.getSnapshot().chats.length > 0, 'chats');
  await again.openChat(world.id);
  assert.ok(again.getSnapshot().people.alice.warnings.includes('server_rollback'));
});

test('a message under keys older than an earlier one of theirs is unknown', async () => {
  const { server, identities, chat, id } = world;
  const old = identities.get('alice').keys;
  await world.alice.logout();
  const { bundle, backup } = await identities.get('alice').renew();
  await server.renewKeys('alice', bundle, backup);
  const late = await craft({ ...world, chat }, 'alice', { keys: old });
  const client = await told((items) => [...items, late]);
  assert.equal(itemsOf(client, id).at(-1).reason, 'unknown_key');
});

test('a keys event whose bundle is withheld', async () => {
  const { server, identities } = world;
  await world.alice.logout();
  const { bundle, backup } = await identities.get('alice').renew();
  await server.renewKeys('alice', bundle, backup);
  server.lies.keys = (asker, answer) =>
    answer.username === 'alice' && asker === 'carol' ? { ...answer.history[0], history: [] } : answer;
  const client = await reader(world);
  assert.ok(itemsOf(client, world.id).at(-1).warnings.includes('identity_reset'));
});

// ---- H3: members, epochs, wraps, rollback ----

test('another secret wrapped for one reader: key_mismatch', async () => {
  const { server, chat, id } = world;
  const { encryption } = await judgeBundle('carol', server.accounts.get('carol').bundles.at(-1));
  const wrapped = encodeB64u(await wrap(encryption.spki, randomBytes(32), wrapLabel(id, 2)));
  server.lies.epoch = (username, told) =>
    username === 'carol' && told.number === 2 ? { ...told, wrapped } : told;
  const client = await reader(world);
  const after2 = itemsOf(client, id).filter(
    ({ kind, seq }) => kind === 'message' && seq > chat.epochs[1].opened_seq,
  );
  assert.ok(after2.length > 0 && after2.every(({ reason }) => reason === 'key_mismatch'));
});

test('a member put into an epoch without an event', async () => {
  world.server.lies.epoch = (username, told) =>
    told.number === 2 ? { ...told, members: [...told.members, 'mallory'] } : told;
  const client = await reader(world);
  assert.ok(chatOf(client, world.id).warnings.includes('history_fork'));
});

test('a chat whose kind of encryption changes, and nothing is sent into it', async () => {
  const client = await reader(world);
  await client.acceptServerMade(world.id);
  world.server.lies.chat = (username, view) =>
    username === 'carol' ? { ...view, key_mode: 'combined' } : view;
  world.server.cut('carol 2');
  await until(() => chatOf(client, world.id).warnings.includes('mode_changed'), 'named');
  await assert.rejects(client.send(world.id, { body: 'no' }, 'Ed25519'), { code: 'mode_changed' });
});

test('a chat made in another mode than was asked for', async () => {
  world.server.lies.chat = (username, view) =>
    username === 'alice' ? { ...view, key_mode: 'combined' } : view;
  await assert.rejects(world.alice.startChat({ usernames: ['bob'] }), { code: 'mode_changed' });
});

test('log rolled back while connected: named, and the own message is sent again', async () => {
  const { server, alice, chat, id } = world;
  server.rollBack(id, 6);
  server.cut('alice');
  await until(() => chatOf(alice, id).warnings.includes('server_rollback'), 'named');
  await until(() => chat.items.some(({ id: sent, seq }) => sent && seq === 7), 'sent again');
  await until(
    () => itemsOf(alice, id).at(-1)?.payload?.body === 'a3' && itemsOf(alice, id).at(-1).seq !== null,
    'shown',
  );
});

test('log rolled back behind what the store remembers', async () => {
  const { server, id } = world;
  const client = await reader(world);
  client.close();
  server.rollBack(id, 4);
  const again = clientOf(server, 'carol 5', { store: client.store });
  world.clients.push(again);
  await again.restore();
  await until(() => again.getSnapshot().chats.length > 0, 'chats');
  await again.openChat(id);
  assert.ok(chatOf(again, id).warnings.includes('server_rollback'));
});

test('another history than the store remembers, of the same length', async () => {
  const { server, id } = world;
  const client = await reader(world);
  client.close();
  server.lies.history = (username, items) =>
    username === 'carol' ? [...items.slice(0, 3), structuredClone(items[1]), ...items.slice(3, -1)] : items;
  const again = clientOf(server, 'carol 6', { store: client.store });
  world.clients.push(again);
  await again.restore();
  await until(() => again.getSnapshot().chats.length > 0, 'chats');
  await again.openChat(id);
  assert.ok(chatOf(again, id).warnings.includes('history_fork'));
});

// ---- H10, backups ----

test('weak_kdf: null, weaker, absurd; nothing of the password is sent', async () => {
  const { server, identities } = world;
  const carol = identities.get('carol');
  for (const change of [null, { m: 1024 }, { t: 1 }, { name: 'pbkdf2' }, { m: 2 ** 31 }, { salt: 'AA' }]) {
    server.lies.prelogin = () => ({ kdf: change && { ...carol.kdf, ...change } });
    server.sent.length = 0;
    const client = clientOf(server, 'carol 7');
    await assert.rejects(client.login({ username: 'carol', password: carol.password }), { code: 'weak_kdf' });
    assert.equal(client.getSnapshot().phase, 'signed_out');
    assert.ok(server.sent.every((text) => !text.includes(carol.password) && !text.includes('auth')));
    assert.ok(server.sent.every((text) => !('password' in JSON.parse(text))));
    client.close();
  }
});

test('keys_unavailable: no backup, a broken one, one of older keys; no keys are made', async () => {
  const { server, identities } = world;
  const carol = identities.get('carol');
  const old = carol.backup;
  const { bundle, backup } = await carol.renew();
  await server.renewKeys('carol', bundle, backup);
  for (const lie of [
    () => null,
    (name, honest) => ({ ...honest, iv: encodeB64u(randomBytes(12)) }),
    () => old,
  ]) {
    server.lies.backup = lie;
    const client = clientOf(server, 'carol 8');
    await assert.rejects(client.login({ username: 'carol', password: carol.password }), {
      code: 'keys_unavailable',
    });
    assert.deepEqual(await client.store.list('keys'), []);
    client.close();
  }
  assert.equal(server.accounts.get('carol').bundles.length, 2, 'no bundle was uploaded');
});
