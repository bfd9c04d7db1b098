/**
 * Honest people and an honest server, whatever happens in whatever order: nobody is ever alarmed, and everyone who is
 * a member reads every message since they joined, once and in order. CHATSEC_MODEL_RUNS sets how many histories.
 */

import { test } from 'node:test';

import fc from 'fast-check';

import { World } from './world.js';

const RUNS = Number(process.env.CHATSEC_MODEL_RUNS ?? 200);
const OPERATIONS = [
  'send',
  'send',
  'send',
  'sendAtOnce',
  'lose',
  'cut',
  'mend',
  'add',
  'remove',
  'rekey',
  'leave',
  'older',
  'second',
  'reload',
  'clean',
  'renew',
];

const operation = fc.tuple(fc.constantFrom(...OPERATIONS), fc.nat(9), fc.nat(9));

test('honest histories never alarm and are read by their members', async () => {
  const history = fc.tuple(
    fc.integer({ min: 3, max: 5 }),
    fc.array(operation, { minLength: 1, maxLength: 14 }),
  );
  const property = fc.asyncProperty(history, async ([people, operations]) => {
    const world = new World();
    try {
      await world.begin(people);
      for (const [name, a, b] of operations) await world[name](a, b);
      await world.finish();
    } finally {
      world.close();
    }
  });
  await fc.assert(property, {
    numRuns: RUNS,
    ...(process.env.CHATSEC_MODEL_SEED && { seed: Number(process.env.CHATSEC_MODEL_SEED) }),
    endOnFailure: process.env.CHATSEC_MODEL_FAST === '1',
  });
});
