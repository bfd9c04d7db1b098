// The people of the vectors of `combined` chats: their bundles, and their lines as far as a case knows them.

import { readFileSync } from 'node:fs';
import { lineOf, walkBundles } from '../../lib/crypto/index.js';

/** @type {Map<any, Promise<import('../../lib/crypto/lines.js').Line>>} by the newest bundle */
const lines = new Map();

/** @param {string} name of a vector file @returns {Record<string, any[]>} username → bundles, oldest first */
export const peopleOf = (name) =>
  JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}.json`, import.meta.url), 'utf8')).people;

const bundles = peopleOf('membership');

/** @param {string} username @param {any[]} known @returns {Promise<import('../../lib/crypto/lines.js').Line>} */
async function walk(username, known) {
  const { steps } = await walkBundles(username, null, known);
  return lineOf(username, steps);
}

/**
 * Lines of everybody in a case.
 * @param {{versions: Record<string, number>}} vector username → how many bundles are known
 * @param {Record<string, any[]>} [people] of its file @returns {Promise<import('../../lib/crypto/lines.js').LineOf>}
 */
export async function linesOf({ versions }, people = bundles) {
  const known = new Map();
  for (const [username, count] of Object.entries(versions)) {
    const all = people[username].slice(0, count);
    const line = lines.get(all.at(-1)) ?? walk(username, all);
    lines.set(all.at(-1), line);
    known.set(username, await line);
  }
  return (username) => known.get(username);
}

/** The last share that was held. @param {{last_share: Record<string, string>}} vector username → bundle hash */
export const lastShare = ({ last_share: last }) => ({
  recipients: new Map(Object.entries(last).map(([who, keys]) => [who, { keys }])),
});
