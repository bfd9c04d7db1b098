/**
 * Honest people and an honest server, whatever happens in whatever order: nobody is ever alarmed, and everyone who is
 * a member reads every message since they joined, once and in order, and nobody else does. CHATSEC_MODEL_RUNS sets how
 * many histories, CHATSEC_MODEL_SEED which; without it they are the same ones at every run.
 */

import { test } from 'node:test';

import fc from 'fast-check';

import { history, play } from './histories.js';

const RUNS = Number(process.env.CHATSEC_MODEL_RUNS ?? 40);
const SEED = Number(process.env.CHATSEC_MODEL_SEED ?? 20261127);
const AT_ONCE = 4; // histories in one process: while one waits another goes on

test('honest histories never alarm and are read by exactly their members', async () => {
  const lane = (i) =>
    fc.assert(fc.asyncProperty(history, play), {
      numRuns: Math.ceil(RUNS / AT_ONCE),
      seed: SEED + i,
      endOnFailure: process.env.CHATSEC_MODEL_FAST === '1',
      includeErrorInReport: true,
    });
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => lane(i)));
});

/** Each was a defect once. @type {[string, number, string, number?][]} kind of encryption, people, operations, messages an
 * epoch takes */
const ONCE = [
  // A client was closed while it stored its state.
  ['server', 3, 'second:0:4,renew:6:4,reload:7:8,send:8:0'],
  // The password changed while the log-in before it still wrote to the backup.
  ['combined', 3, 'clean:1:6,password:1:1'],
  // Others left, with entries, while the last one took out who had left without.
  ['combined', 5, 'leaveUnsigned:3:3,race:3:7,crash:8:5'],
  // Added again, and a message in the moment in which the chat was read anew.
  ['combined', 3, 'race:7:3,cut:2:1,race:5:3'],
  // A message was acknowledged while the chat was caught up after a reload, and looked lost.
  ['server', 3, 'send:6:1,reload:0:9,rekey:3:2,send:8:1,reload:8:7,send:6:0'],
  // Entries of others overtook the share that a full epoch asked for, and the message failed for good.
  [
    'combined',
    4,
    'send:0:9,rename:7:8,send:2:8,verify:1:5,endUnsigned:3:4,add:8:1,mend:9:5,loseAnswer:4:5,send:7:2,send:8:4,send:9:7,race:6:4',
    4,
  ],
  // Whoever ended their account was removed from a chat in that moment, and could not end it.
  [
    'combined',
    3,
    'leave:1:9,send:3:1,password:1:4,leaveUnsigned:1:2,renew:9:8,end:6:2,send:3:8,end:9:0,send:6:2,rekey:3:5,send:9:3,leave:1:6,remove:6:6',
    4,
  ],
  // A retirement was signed with a key that was renewed meanwhile, and stood in the way of every share.
  [
    'combined',
    3,
    'leave:5:4,add:1:1,rename:3:6,rekey:2:4,renew:7:3,rekey:7:4,send:4:2,race:4:1,leaveUnsigned:6:1,renew:8:1,send:9:2,send:0:8',
  ],
  // A mark was lost: the other device had moved on along the keys that were compared.
  [
    'combined',
    4,
    'reset:7:8,renew:0:5,loseAnswer:6:3,reset:8:8,renew:4:9,add:1:7,password:4:8,lose:0:7,second:4:2,renew:8:6,add:9:0,verify:0:7,rekey:6:9,verify:5:2',
  ],
];

test('histories that failed once', async () => {
  for (const [keyMode, people, text, epochMessages = 100_000] of ONCE) {
    const operations = text.split(',').map((each) => {
      const [name, a, b] = each.split(':');
      return [name, Number(a), Number(b)];
    });
    await play({ keyMode, people, operations, epochMessages });
  }
});
