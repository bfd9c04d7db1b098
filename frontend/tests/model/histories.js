/** Random histories of honest people, for the test and for long runs. */

import fc from 'fast-check';

import { World } from './world.js';

const OFTEN = ['send', 'send', 'send', 'race', 'add', 'remove', 'rekey', 'cut', 'mend'];
const OPERATIONS = [
  ...OFTEN,
  ...OFTEN,
  ...['lose', 'loseAnswer', 'crash', 'older', 'second', 'reload', 'clean'],
  ...['leave', 'leaveUnsigned', 'role', 'rename', 'renew', 'renew', 'password', 'recover', 'reset', 'verify'],
  ...['end', 'endUnsigned'],
];

const operation = fc.tuple(fc.constantFrom(...OPERATIONS), fc.nat(9), fc.nat(9));

export const history = fc.record({
  keyMode: fc.constantFrom('combined', 'combined', 'server'),
  epochMessages: fc.constantFrom(100_000, 4),
  people: fc.integer({ min: 3, max: 5 }),
  operations: fc.array(operation, { minLength: 3, maxLength: 24 }),
});

/** Lives one through; whatever must hold is asserted on the way and at the end. */
export async function play({ keyMode, epochMessages, people, operations }) {
  const world = new World(keyMode, epochMessages);
  try {
    await world.begin(people);
    for (const [name, a, b] of operations) await world[name](a, b);
    await world.finish();
  } finally {
    world.close();
  }
}
