/** Lies about messages, keys and what an account keeps, in `combined` chats (protocol §2, §3, §5). */

import assert from 'node:assert/strict';

import { craft, flip, reader, say } from './hostile.js';
import { append } from './items.js';
import { tell as tellItem } from './events.js';
import { clientOf, until } from './people.js';
import { bend, falseBundle, recipientsAsked, toldTo } from './telling.js';

/** A message that the server puts at the end, and tells to everybody. */
async function placed(world, username, change) {
  const { server, chat } = world;
  const { body } = await craft(world, username, change);
  const item = await append(chat, body);
  await tellItem(server, chat, item, null);
}

/** Carol is there when it comes. */
async function live(world, username, change) {
  const carol = await reader(world);
  await placed(world, username, change);
  return [carol, world.alice];
}

const nth = (items, n) => items.filter(({ body }) => body.envelope)[n];
const renewed = async ({ server, identities }, name) => {
  const { bundle, backup } = await identities.get(name).renew();
  await server.renewKeys(name, bundle, backup);
};

/** Carol logs in on a clean device, where a lie keeps her from it or not. */
async function entered(world, device) {
  const client = clientOf(world.server, device, { pageSize: 50 });
  world.clients.push(client);
  const { username, password } = world.identities.get('carol');
  await client.login({ username, password });
  return client;
}

/** State is stored, then the server tells another one. */
async function stateTold(world, lie) {
  const first = await reader(world);
  await first.setVerified('alice', true);
  const old = structuredClone(world.server.accounts.get('carol').state);
  await first.setVerified('bob', true);
  await first.logout();
  world.clients.splice(world.clients.indexOf(first), 1);
  world.server.lies.state = (username, honest) => (username === 'carol' ? lie(honest, old) : honest);
  return entered(world, 'carol clean');
}

const nobodyVerified = (world, client) =>
  assert.ok(
    Object.values(client.getSnapshot().people).every(({ verified }) => !verified),
    'nobody shows as verified',
  );

export const MESSAGES = [
  {
    lie: "a removed member's late message",
    name: 'not_a_member',
    on: 'message',
    all: true,
    async tell(world) {
      const secret = world.chat.epochs.at(-1).secret;
      await world.alice.changeChat(world.id, { kind: 'remove', usernames: ['bob'] });
      return live(world, 'bob', { secret });
    },
  },
  {
    lie: "a removed member's late message under the epoch that they knew",
    name: 'wrong_epoch',
    on: 'message',
    all: true,
    async tell(world) {
      await world.alice.changeChat(world.id, { kind: 'remove', usernames: ['bob'] });
      return live(world, 'bob', { epoch: 2 });
    },
  },
  {
    lie: 'a message under a bundle that the share does not name',
    name: 'unknown_key',
    on: 'message',
    all: true,
    async tell(world) {
      const old = world.identities.get('dave').keys;
      await renewed(world, 'dave');
      await until(() => world.chat.epochs.length === 3, 'a share under the new keys');
      return live(world, 'dave', { keys: old });
    },
  },
  {
    lie: 'a message that names another head of the log',
    name: 'history_fork',
    on: 'beside a message',
    all: true,
    tell: (world) => live(world, 'dave', { log: world.chat.log[0].hash }),
  },
  {
    lie: 'a message that had seen another history',
    name: 'history_fork',
    on: 'beside a message',
    all: true,
    tell: (world) => live(world, 'dave', { seen: { seq: 7, hash: world.chat.items[5].chain } }),
  },
  {
    lie: 'a message dropped, and the rest renumbered',
    name: 'history_fork',
    on: 'chat',
    tell: (world) => toldTo(world, { history: (items) => items.filter((item) => item !== nth(items, 3)) }),
  },
  {
    lie: 'the first message of a lane dropped',
    name: 'chain_gap',
    on: 'beside a message',
    tell: (world) => toldTo(world, { history: (items) => items.filter((item) => item !== nth(items, 0)) }),
  },
  {
    lie: 'a hole in the numbers',
    name: 'server_rollback',
    on: 'chat',
    tell: (world) =>
      toldTo(world, {
        history: (items) => items.filter(({ seq }) => seq !== 4).map((item) => ({ ...item, keepSeq: true })),
      }),
  },
  {
    lie: 'two messages that changed places',
    name: 'history_fork',
    on: 'chat',
    tell: (world) =>
      toldTo(world, {
        history(items) {
          const [one, two] = [nth(items, 3), nth(items, 4)];
          return items.map((item) => (item === one ? two : item === two ? one : item));
        },
      }),
  },
  {
    lie: 'an old message again',
    name: 'replayed',
    on: 'message',
    tell: (world) => toldTo(world, { history: (items) => [...items, structuredClone(nth(items, 3))] }),
  },
  {
    lie: 'one number of a lane twice',
    name: 'chain_fork',
    on: 'beside a message',
    all: true,
    async tell(world) {
      const dev = Buffer.alloc(16, 7).toString('base64url');
      const carol = await reader(world);
      await placed(world, 'dave', { dev });
      await placed(world, 'dave', { dev, payload: { type: 'text', body: 'the other one' } });
      return [carol, world.alice];
    },
  },
  {
    lie: 'a message of one member, another to the other',
    name: 'history_fork',
    on: 'chat',
    async tell(world) {
      const other = await craft(world, 'dave', { payload: { type: 'text', body: 'for carol' } });
      await placed(world, 'dave', { payload: { type: 'text', body: 'for bob' } });
      const seq = world.chat.items.length;
      const carol = await toldTo(world, {
        history: (items) => items.map((item) => (item.seq === seq ? { ...item, body: other.body } : item)),
      });
      world.clients.splice(world.clients.indexOf(carol), 1);
      await say(world, world.alice, 'what I have seen');
      world.clients.push(carol);
      return carol;
    },
  },
  {
    lie: 'a changed ciphertext',
    name: 'bad_signature',
    on: 'message',
    tell: (world) =>
      toldTo(world, {
        history: (items) =>
          items.map((item) => {
            if (item !== nth(items, 4)) return item;
            const { envelope } = item.body;
            return { ...item, body: { envelope: { ...envelope, ciphertext: flip(envelope.ciphertext) } } };
          }),
      }),
  },
  {
    lie: 'a message whose text decodes to the same, but is written differently',
    name: 'malformed',
    on: 'message',
    tell: (world) =>
      toldTo(world, {
        history: (items) =>
          items.map((item) => {
            if (item !== nth(items, 4)) return item;
            const { envelope } = item.body;
            return { ...item, body: { envelope: { ...envelope, signature: bend(envelope.signature) } } };
          }),
      }),
  },
  {
    lie: 'the newest items gone, which this browser had',
    name: 'server_rollback',
    on: 'chat',
    async tell(world) {
      const carol = await reader(world);
      world.server.lies.history = (username, items) => (username === 'carol' ? items.slice(0, 6) : items);
      world.server.cut(carol.device);
      return carol;
    },
  },
];

export const KEYS = [
  {
    lie: 'new keys of a member that nobody vouches for',
    name: 'identity_reset',
    on: 'person',
    async tell(world) {
      const carol = await reader(world);
      const { form, other } = await falseBundle('alice', 2);
      world.falseKeys = other.hash;
      world.server.lies.keys = (asker, { history, ...current }) =>
        asker === 'carol' && current.username === 'alice'
          ? { ...form, history: [current, ...history] }
          : { ...current, history };
      world.server.push(['carol'], 'keys', () => ({ username: 'alice', version: 2 }));
      return carol;
    },
    async then(world, carol) {
      await carol.changeChat(world.id, { kind: 'rekey' }).catch(() => undefined);
      const asked = recipientsAsked(world);
      assert.ok(
        asked.length > 0 && asked.every(([, { keys }]) => keys !== world.falseKeys),
        'nothing is wrapped to it',
      );
    },
  },
  {
    lie: 'an older bundle as the current one',
    name: 'server_rollback',
    on: 'person',
    async tell(world) {
      await renewed(world, 'dave');
      const carol = await reader(world);
      world.server.lies.keys = (asker, answer) =>
        asker === 'carol' && answer.username === 'dave' ? { ...answer.history[0], history: [] } : answer;
      world.server.push(['carol'], 'keys', () => ({ username: 'dave', version: 1 }));
      return carol;
    },
  },
  {
    lie: "keys for one's own account that one did not make",
    name: 'identity_reset',
    on: 'account',
    async tell(world) {
      const carol = await reader(world);
      const { form } = await falseBundle('carol', 2);
      world.server.lies.keys = (asker, { history, ...current }) =>
        current.username === 'carol' ? { ...form, history: [current, ...history] } : { ...current, history };
      world.server.push(['carol'], 'keys', () => ({ username: 'carol', version: 2 }));
      return carol;
    },
    all: true,
  },
  {
    lie: 'client state withheld',
    name: 'server_rollback',
    on: 'account',
    tell: (world) => stateTold(world, () => null),
    then: nobodyVerified,
  },
  {
    lie: 'client state that does not open',
    name: 'server_rollback',
    on: 'account',
    tell: (world) => stateTold(world, (state) => ({ ...state, ciphertext: flip(state.ciphertext) })),
    then: nobodyVerified,
  },
  {
    lie: 'client state older than the key backup knows',
    name: 'server_rollback',
    on: 'account',
    async tell(world) {
      const first = await reader(world);
      await first.setVerified('alice', true);
      const old = structuredClone(world.server.accounts.get('carol').state);
      await first.setVerified('bob', true);
      await first.logout();
      world.clients.splice(world.clients.indexOf(first), 1);
      const account = world.server.accounts.get('carol');
      const { version } = account.backup;
      const second = await entered(world, 'carol 2');
      await until(() => account.backup.version > version, 'the backup says how far the state is');
      await second.logout();
      world.clients.splice(world.clients.indexOf(second), 1);
      world.server.lies.state = (username, honest) => (username === 'carol' ? old : honest);
      return entered(world, 'carol 3');
    },
    then: nobodyVerified,
  },
];
