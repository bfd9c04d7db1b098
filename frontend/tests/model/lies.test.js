/**
 * Random honest histories, one random lie to one reader, then a word from everybody else: the lie is always named to
 * that reader, and nobody else is alarmed. CHATSEC_MODEL_RUNS sets how many.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { chatOf, flip, itemsOf, say } from './hostile.js';
import { enter, settle } from './people.js';
import { ModelServer } from './server.js';
import { noAlarm } from './truth.js';

const RUNS = Number(process.env.CHATSEC_MODEL_RUNS ?? 40);
const AT_ONCE = 4; // in one process: while one waits another goes on

/** Each makes of an honest list of items a false one; `at` and `to` are places in it behind the first item. */
const LIES = {
  drop: (items, at) => items.filter((_, i) => i !== at),
  swap(items, at) {
    const to = at + 1 < items.length ? at + 1 : at - 1;
    return items.map((item, i) => (i === at ? items[to] : i === to ? items[at] : item));
  },
  move(items, at, to) {
    const rest = items.filter((_, i) => i !== at);
    return [...rest.slice(0, to), items[at], ...rest.slice(to)];
  },
  replay: (items, at, to) => [...items.slice(0, to), structuredClone(items[at]), ...items.slice(to)],
  /** An event that says something else. */
  event: (items, at) =>
    items.map((item, i) => {
      const { event } = item.body;
      return i === at && event ? { ...item, body: { event: { ...event, epoch: event.epoch + 1 } } } : item;
    }),
  change: (items, at) =>
    items.map((item, i) => {
      if (i !== at || !item.body.envelope) return item;
      return {
        ...item,
        body: { envelope: { ...item.body.envelope, ciphertext: flip(item.body.envelope.ciphertext) } },
      };
    }),
};

const step = fc.constantFrom('alice', 'bob', 'alice', 'bob', 'rekey', 'rename', 'add', 'remove');
const history = fc.record({
  keyMode: fc.constantFrom('combined', 'server'),
  steps: fc.array(step, { minLength: 3, maxLength: 8 }),
  lie: fc.constantFrom(...Object.keys(LIES)),
  hides: fc.boolean(), // entries of the log that no item names any more
  at: fc.nat(100),
  to: fc.nat(100),
});

/** @returns the honest people, and the chat with its history */
async function play(keyMode, steps) {
  const server = new ModelServer();
  server.keyMode = keyMode;
  const identities = await settle(server, ['alice', 'bob', 'carol', 'dave']);
  const [alice, bob] = [
    await enter(server, identities.get('alice')),
    await enter(server, identities.get('bob')),
  ];
  const id = await alice.startChat({ usernames: ['bob', 'carol'], keyMode });
  const world = { server, identities, id, chat: server.chats.get(id), clients: [alice, bob], alice, bob };
  for (const client of world.clients) await client.openChat(id);
  let count = 0;
  const changes = {
    rekey: () => ({ kind: 'rekey' }),
    rename: () => ({ kind: 'rename', name: `name ${(count += 1)}` }),
    add: () => ({ kind: 'add', usernames: ['dave'] }),
    remove: () => ({ kind: 'remove', usernames: ['dave'] }),
  };
  for (const each of steps) {
    const there = world.chat.members.has('dave');
    if ((each === 'add' && there) || (each === 'remove' && !there)) continue;
    if (changes[each]) await alice.changeChat(id, changes[each]());
    else await say(world, world[each], `text ${(count += 1)}`);
  }
  return world;
}

test('every lie about a history is named to whom it is told', async () => {
  const property = fc.asyncProperty(history, async ({ keyMode, steps, lie, hides, at, to }) => {
    const world = await play(keyMode, steps);
    const { server, id, chat } = world;
    try {
      const places = chat.items.length - 1;
      const [from, where] = [1 + (at % places), 1 + (to % places)];
      const told = LIES[lie](structuredClone(chat.items), from, where);
      const bodies = (items) => JSON.stringify(items.map(({ body }) => body));
      fc.pre(bodies(told) !== bodies(chat.items));
      const length = chat.items.length;
      server.lies.history = (username, items) =>
        username === 'carol' ? [...structuredClone(told), ...items.slice(length)] : items;
      server.lies.membership = (username, entries) => {
        if (username !== 'carol' || !hides) return entries;
        const named = new Set([...told, ...chat.items.slice(length)].map(({ body }) => body.event?.log));
        return entries.filter(({ n }) => named.has(chat.log[n - 1].hash));
      };
      for (const client of [world.alice, world.bob]) await say(world, client, `after it ${client.device}`);
      const carol = await enter(server, world.identities.get('carol'), 'carol', { pageSize: 50 });
      world.clients.push(carol);
      await carol.openChat(id);
      const items = itemsOf(carol, id).flatMap(({ reason, warnings }) => [reason, ...warnings]);
      const named = [...items, ...chatOf(carol, id).warnings].filter(Boolean);
      assert.ok(named.length > 0, `${lie} of ${from} to ${where} went unnoticed`);
      for (const client of [world.alice, world.bob]) noAlarm(client.getSnapshot(), client.device);
    } finally {
      for (const client of world.clients) client.close();
    }
  });
  const lane = () => fc.assert(property, { numRuns: Math.ceil(RUNS / AT_ONCE) });
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
});
