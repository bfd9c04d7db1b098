/**
 * What a lying server presses a client of a `combined` chat to do, and it does not: sign two entries of one number, go on
 * under an epoch that somebody left, wrap for keys that are not the newest, post shares for ever, show what no member
 * signed.
 */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { chatOf, itemsOf, scene } from './hostile.js';
import { currentOf } from './keys.js';
import { until } from './people.js';
import { recipientsAsked } from './telling.js';

let world;
beforeEach(async () => {
  world = await scene(['alice', 'bob', 'carol', 'dave', 'erin'], 'combined');
});
afterEach(() => world.clients.forEach((client) => client.close()));

const read = ({ protected: text }) => JSON.parse(Buffer.from(text, 'base64url').toString());

/** Entries that clients sent: n → the different ones. */
function signed({ server }) {
  const all = new Map();
  for (const { membership } of server.sent
    .map((text) => JSON.parse(text))
    .filter((body) => body.membership)) {
    const { n } = read(membership);
    all.set(n, (all.get(n) ?? new Set()).add(membership.protected));
  }
  return all;
}

const sharesSent = ({ server }) =>
  new Set(server.sent.map((text) => JSON.parse(text).client_share?.protected).filter(Boolean));

const messagesAfter = ({ chat }, seq) =>
  chat.items.filter((item) => item.seq > seq && item.body.envelope).map(({ body }) => read(body.envelope));

describe('a refusal without its cause', () => {
  const refusals = [
    ['membership_conflict', { n: 3 }],
    ['epoch_conflict', { epoch: 9, membership: '', moved: ['bob'] }],
    ['invalid_membership', {}],
    ['invalid_share', {}],
    ['forbidden', {}],
  ];
  for (const [code, extra] of refusals) {
    test(`${code}: no second entry of that number is signed`, async () => {
      world.server.lies.refuse = (username, body) => (body.kind === 'add' ? { code, extra } : undefined);
      await assert.rejects(world.alice.changeChat(world.id, { kind: 'add', usernames: ['erin'] }));
      await world.alice.changeChat(world.id, { kind: 'rename', name: 'in its place' }).catch(() => undefined);
      for (const [n, different] of signed(world)) assert.equal(different.size, 1, `entries ${n}`);
      world.server.lies.refuse = undefined;
      await world.alice.changeChat(world.id, { kind: 'rename', name: 'after it' });
      assert.deepEqual(
        world.chat.log.slice(2).map(({ op }) => op),
        ['add', 'rename'],
        'what was signed first comes first',
      );
    });
  }
});

test('somebody leaves, and the server says that no share is due: nothing is sent under what they know', async () => {
  world.server.lies.chat = (username, view) => ({ ...view, share_due: false });
  const { length } = world.chat.items;
  await world.bob.leaveChat(world.id);
  world.chat.shareDue = false;
  await until(() => itemsOf(world.alice, world.id).some(({ event }) => event?.kind === 'leave'), 'seen');
  await world.alice.send(world.id, { body: 'without bob' }, 'Ed25519');
  await until(() => messagesAfter(world, length).length > 0, 'sent');
  const [header] = messagesAfter(world, length);
  assert.ok(header.epoch > 2);
  assert.ok(!Object.hasOwn(world.chat.epochs.at(-1).share.recipients, 'bob'));
});

test('the server takes no share after that: nothing is sent, and the client stops asking', async () => {
  world.server.lies.refuse = (username, { kind }) =>
    kind === 'rekey' ? { code: 'epoch_conflict', extra: { epoch: 2, membership: '', moved: [] } } : undefined;
  await world.bob.leaveChat(world.id);
  world.chat.shareDue = false;
  await until(() => itemsOf(world.alice, world.id).some(({ event }) => event?.kind === 'leave'), 'seen');
  const { length } = world.chat.items;
  await world.alice.send(world.id, { body: 'without bob' }, 'Ed25519');
  const own = () => itemsOf(world.alice, world.id).find(({ payload }) => payload?.body === 'without bob');
  await until(() => own().reason === 'share_due', 'it says why');
  const { size } = sharesSent(world);
  await world.alice.retry(world.id, own().id);
  await until(() => own().reason === 'share_due', 'and again');
  assert.equal(sharesSent(world).size, size, 'no more shares than before');
  assert.equal(messagesAfter(world, length).length, 0);
});

test('a newer bundle is known, and the server says that no share is due: it is wrapped for the newer', async () => {
  const { server, identities, chat } = world;
  const { bundle, backup } = await identities.get('dave').renew();
  server.lies.chat = (username, view) => ({ ...view, share_due: false });
  await server.renewKeys('dave', bundle, backup);
  chat.shareDue = false;
  await until(() => chat.epochs.length > 2, 'a share that nobody asked for');
  const { hash } = await currentOf(server.accounts.get('dave'));
  assert.equal(chat.epochs[2].share.recipients.dave.keys, hash);
});

test('members, roles and name that no entry says are not shown, and nothing is wrapped for them', async () => {
  world.server.lies.chat = (username, view) => ({
    ...view,
    name: 'a name of the server',
    members: [
      ...view.members.map((member) => ({ ...member, role: 'owner' })),
      { username: 'erin', display_name: 'Erin', role: 'owner', joined_seq: 1 },
    ],
  });
  await world.alice.changeChat(world.id, { kind: 'rekey' });
  const { members, name } = chatOf(world.alice, world.id);
  const roles = Object.fromEntries(members.map(({ username, role }) => [username, role]));
  assert.deepEqual(roles, { alice: 'owner', bob: 'member', carol: 'member', dave: 'member' });
  assert.equal(name, null);
  assert.ok(recipientsAsked(world).every(([who]) => who !== 'erin'));
});
