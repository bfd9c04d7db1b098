/**
 * Honest people and an honest server, whatever happens in whatever order: nobody is ever alarmed, and everyone who is
 * a member reads every message since they joined, once and in order, and nobody else does. CHATSEC_MODEL_RUNS sets how
 * many histories, CHATSEC_MODEL_SEED which.
 */

import { test } from 'node:test';

import fc from 'fast-check';

import { history, play } from './histories.js';

const RUNS = Number(process.env.CHATSEC_MODEL_RUNS ?? 40);
const SEED = process.env.CHATSEC_MODEL_SEED && Number(process.env.CHATSEC_MODEL_SEED);
const AT_ONCE = 4; // histories in one process: while one waits another goes on

test('honest histories never alarm and are read by exactly their members', async () => {
  const seed = SEED ?? Math.floor(Math.random() * 2 ** 31);
  const lane = (i) =>
    fc.assert(fc.asyncProperty(history, play), {
      numRuns: Math.ceil(RUNS / AT_ONCE),
      seed: seed + i,
      endOnFailure: process.env.CHATSEC_MODEL_FAST === '1',
      includeErrorInReport: true,
    });
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => lane(i)));
});
