/**
 * The model server judges entries and shares as the real one does: the vectors' verdicts of a server, one by one.
 * Without this a wrong model would teach the library wrong manners.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { newAccount } from './accounts.js';
import { judgeEntry, readEntry } from './membership.js';
import { judgeShare, readShare } from './shares.js';

/** @param {string} name @returns {{people: Record<string, any[]>, cases: any[]}} */
const load = (name) =>
  JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}.json`, import.meta.url), 'utf8'));

/** Accounts as they stand in a case. */
const serverOf = ({ versions }, people) => ({
  accounts: new Map(
    Object.entries(people).map(([username, bundles]) => [
      username,
      newAccount({ username, bundles: bundles.slice(0, versions[username] ?? bundles.length) }),
    ]),
  ),
});

/** A chat as it stands in a case. */
async function chatOf({ chat, previous, entry, last_share: last, waiting = [], epoch = 2 }, served) {
  const recipients = Object.fromEntries(Object.entries(last).map(([name, keys]) => [name, { keys }]));
  const head = served ? entry : previous;
  return {
    id: chat,
    log: head ? [await readEntry(head)] : [],
    waiting: new Set(waiting),
    epochs: Object.keys(last).length > 0 ? [{ number: epoch - 1, share: { recipients } }] : [],
  };
}

/** @param {() => Promise<unknown>} work @returns {Promise<string>} the code of a refusal, 'taken' without one */
async function verdictOf(work) {
  try {
    await work();
    return 'taken';
  } catch (error) {
    if (!error.code) throw error;
    return error.code;
  }
}

const codeOf = ({ valid, code }) => (valid ? 'taken' : code);

test('entries are judged as the vectors say', async () => {
  const { people, cases } = load('membership');
  for (const each of cases) {
    const server = serverOf(each, people);
    const verdict = await verdictOf(async () => {
      const chat = await chatOf(each, false);
      const entry = await readEntry(each.entry);
      const { kind, by, usernames } = each.event;
      await judgeEntry(server, chat, by, entry, { kind, usernames, name: entry.name });
    });
    assert.equal(verdict, codeOf(each), each.name);
  }
  assert.ok(cases.length > 50);
});

test('shares are judged as the vectors say', async () => {
  const { people, cases } = load('share');
  for (const each of cases) {
    const server = serverOf(each, people);
    const verdict = await verdictOf(async () => {
      const chat = await chatOf(each, true);
      await judgeShare(server, chat, each.by, await readShare(each.share), null);
    });
    assert.equal(verdict, codeOf(each), each.name);
  }
  assert.ok(cases.length > 20);
});
