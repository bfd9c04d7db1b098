// The people of the vectors of `combined` chats: their bundles, and their lines as far as a case knows them.

import { readFileSync } from 'node:fs';
import { lineOf, walkBundles } from '../../lib/crypto/index.js';

/** @type {Map<string, Promise<import('../../lib/crypto/lines.js').Line>>} */
const lines = new Map();

/** @param {string} name of a vector file @returns {Record<string, any[]>} username → bundles, oldest first */
export const peopleOf = (name) =>
  JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}.json`, import.meta.url), 'utf8')).people;

const bundles = peopleOf('membership');

/** @param {string} username @param {number} versions @returns {Promise<import('../../lib/crypto/lines.js').Line>} */
async function walk(username, versions) {
  const { steps } = await walkBundles(username, null, bundles[username].slice(0, versions));
  return lineOf(username, steps);
}

/**
 * Lines of everybody in a case. @param {{versions: Record<string, number>}} vector username → how many bundles are known
 * @returns {Promise<import('../../lib/crypto/lines.js').LineOf>}
 */
export async function linesOf({ versions }) {
  const known = new Map();
  for (const [username, count] of Object.entries(versions)) {
    const name = `${username} ${count}`;
    const line = lines.get(name) ?? walk(username, count);
    lines.set(name, line);
    known.set(username, await line);
  }
  return (username) => known.get(username);
}

/** The last share that was held. @param {{last_share: Record<string, string>}} vector username → bundle hash */
export const lastShare = ({ last_share: last }) => ({
  recipients: new Map(Object.entries(last).map(([who, keys]) => [who, { keys }])),
});
