/** The door: exactly these names, and the words for every failure. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import * as door from '../../lib/index.js';
import { ModelServer } from '../model/server.js';
import { clientOf } from '../model/people.js';

test('exports these names and no others', () => {
  const names = ['ALGORITHMS', 'ChatSecError', 'FAILURES', 'createClient', 'memoryStore', 'openStore'];
  assert.deepEqual(Object.keys(door).sort(), names);
  assert.deepEqual(
    door.ALGORITHMS.map(({ id, legacy }) => [id, legacy]),
    [
      ['RSA-PSS-SHA256', false],
      ['Ed25519', false],
      ['DSA-SHA256', true],
    ],
  );
});

test('a client has what types.js says, and starts with nothing', () => {
  const client = clientOf(new ModelServer(), 'x');
  const types = readFileSync(new URL('../../lib/types.js', import.meta.url), 'utf8');
  const said = types
    .slice(types.indexOf('@typedef {Object} Client'))
    .matchAll(/@property \{[^\n]*\} (\w+)|onProgress[^\n]*\} (\w+)$/gm);
  const names = new Set([...said].map(([, a, b]) => a ?? b));
  for (const name of names) assert.equal(typeof client[name], 'function', name);
  assert.ok(names.size >= 20, [...names].join());
  assert.deepEqual(client.getSnapshot(), {
    phase: 'starting',
    user: null,
    connection: 'offline',
    chats: [],
    people: { __proto__: null },
    accountWarnings: [],
    account: { recovery: null, keyMode: null },
    open: {},
  });
  client.close();
});
