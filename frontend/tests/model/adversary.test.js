/**
 * A lying server and lying members against `combined` chats: each lie, its name (protocol §5), and where it shows, in the
 * tables of lies-*.js. Who is not lied to is never alarmed, and what was refused is not followed: nobody came in by it, and
 * no client asked for a wrap for whom it brought.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { chatOf, itemsOf, scene } from './hostile.js';
import { LOG } from './lies-log.js';
import { KEYS, MESSAGES } from './lies-messages.js';
import { SHARES } from './lies-shares.js';
import { until } from './people.js';
import { recipientsAsked } from './telling.js';
import { noAlarm } from './world.js';

/** What a client has named, by place. @type {Record<string, (client: any, id: string) => string[]>} */
const NAMED = {
  chat: (client, id) => chatOf(client, id)?.warnings ?? [],
  message: (client, id) => itemsOf(client, id).flatMap(({ reason }) => (reason ? [reason] : [])),
  'beside a message': (client, id) => itemsOf(client, id).flatMap(({ warnings }) => warnings),
  person: (client) => Object.values(client.getSnapshot().people).flatMap(({ warnings }) => warnings),
  account: (client) => client.getSnapshot().accountWarnings.map(({ name }) => name),
};

const STRANGERS = ['erin', 'mallory'];

/** @param {any} row of a table */
async function happens({ name, on, tell, all = false, then }) {
  const world = await scene(['alice', 'bob', 'carol', 'dave', 'erin'], 'combined');
  try {
    const told = [await tell(world)].flat();
    for (const client of told) {
      await until(() => NAMED[on](client, world.id).includes(name), `${name} for ${client.device}`);
      const members = chatOf(client, world.id)?.members.map(({ username }) => username) ?? [];
      assert.ok(!members.some((each) => STRANGERS.includes(each)), 'nobody came in by it');
    }
    const others = all ? [] : [world.alice, world.bob];
    for (const client of others) noAlarm(client.getSnapshot(), client.device);
    const asked = recipientsAsked(world);
    assert.ok(!asked.some(([who]) => STRANGERS.includes(who)), 'nothing was wrapped for a stranger');
    await then?.(world, told[0]);
  } finally {
    for (const client of world.clients) client.close();
  }
}

describe('lies in combined chats', { concurrency: 4 }, () => {
  for (const row of [...LOG, ...SHARES, ...MESSAGES, ...KEYS]) {
    const place = row.on.startsWith('beside') ? row.on : `on the ${row.on}`;
    test(`${row.lie}: ${row.name} ${place}`, () => happens(row));
  }
});
