import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as crypto from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { everyFlipFails, bytes, load, reproduce } from './load.js';
import { lastShare, linesOf } from './people.js';

/** A client that held all before it. @param {any} vector @param {any} [object] */
async function judge(vector, object = vector.entry) {
  const { chat, event } = vector;
  const lineOf = await linesOf(vector);
  const before = vector.previous && (await crypto.readEntry(vector.previous, chat));
  const entry = await crypto.readEntry(object, chat);
  if (!(await crypto.isSigned(entry, lineOf(entry.by)))) throw new ChatSecError('invalid_membership');
  crypto.judgeEntry(entry, { before, lineOf, gone: new Set(vector.waiting), share: lastShare(vector) });
  const named = [entry.op, entry.by, crypto.changedBy(before, entry)];
  const told = [event.kind, event.by, [...event.usernames].sort()];
  if (JSON.stringify(named) !== JSON.stringify(told)) throw new ChatSecError('invalid_membership');
  return { entry, before, lineOf };
}

reproduce(
  'membership',
  async (vector) => {
    const { entry, before, lineOf } = await judge(vector);
    assert.equal(entry.hash, vector.hash);
    assert.equal(await crypto.signedHash(vector.entry), vector.hash);
    const log = { entries: before ? [before] : [], byHash: new Map(), failure: null };
    const grown = await crypto.extendLog(log, [vector.entry], { chat: vector.chat, lineOf });
    assert.deepEqual([grown.failure, grown.entries.at(-1)?.hash], [null, vector.hash]);
  },
  async (vector) => {
    if (!vector.server_only) return judge(vector);
    await judge(vector); // only who knows which bundle was current then can refuse it
    throw new ChatSecError(vector.failure);
  },
);

test('vectors membership: no changed byte is accepted', async () => {
  for (const name of ['add', 'by RSA-PSS']) {
    const vector = load('membership').find((one) => one.name === name);
    for (const field of ['protected', 'signature']) {
      await everyFlipFails(`${name} ${field}`, bytes(vector.entry[field]), (wrong) =>
        judge(vector, { ...vector.entry, [field]: crypto.encodeB64u(wrong) }),
      );
    }
  }
});

test('vectors membership: the library makes the entry that stands there', async () => {
  const now = { heir: 'bob', gone: new Set(), role: undefined };
  for (const vector of load('membership').filter(({ valid }) => valid)) {
    const { entry, before, lineOf } = await judge(vector);
    const { kind: op, by, usernames } = vector.event;
    if (vector.name === 'add under an older bundle') continue; // the library names current ones
    const [who] = usernames;
    const role = entry.members.get(who)?.role;
    const wanted = { ...now, op, by, before, lineOf, usernames, role, name: entry.name };
    const next = crypto.nextEntry({ ...wanted, gone: new Set(vector.waiting) });
    const { n, prev, name, members } = entry;
    assert.deepEqual(next, { n, prev, op, name, members: Object.fromEntries(members) }, vector.name);
  }
});
