/** Key bundles of the model server: every account's line of versions, and which is reached from which (protocol §2). */

import { continues, judgeBundle as judgeAnew, mayLink, signingKey } from '../../lib/crypto/index.js';
import { need, TIME } from './refusal.js';

const judged = new Map();

/** Judged once each: the server's share of the work is not what is tested. */
export function judgeBundle(username, bundle) {
  const text = `${username} ${JSON.stringify(bundle)}`;
  if (!judged.has(text)) judged.set(text, judgeAnew(username, bundle));
  return judged.get(text);
}

/** All versions of one account, judged, oldest first. */
export const lineOf = ({ username, bundles }) =>
  Promise.all(bundles.map((bundle) => judgeBundle(username, bundle)));

export const currentOf = async (account) => (await lineOf(account)).at(-1);

/** Is `to` reached from `from` by unbroken continuity? A bundle reaches itself. @param {any[]} line @param {string} from @param {string} to */
export function reaches(line, from, to) {
  const [start, end] = [from, to].map((keys) => line.findIndex(({ hash }) => hash === keys));
  if (start < 0 || end < start) return false;
  return line.slice(start + 1, end + 1).every(({ previous }) => previous !== '');
}

/** May `kid` sign what is no message, now? @param {any} current @param {{alg: string, kid: string}} signed */
export const mayBind = (current, { alg, kid }) => mayLink(alg) && signingKey(current, kid)?.alg === alg;

/** A bundle that is the next of its account, or the current one again. @returns {Promise<boolean>} is it new? */
export async function judgeNext(account, bundle) {
  const current = await currentOf(account);
  if (JSON.stringify(account.bundles.at(-1)) === JSON.stringify(bundle)) return false;
  const next = await judgeBundle(account.username, bundle);
  const conflict = { version: current.version, hash: current.hash };
  need(next.version === current.version + 1, 'keys_conflict', conflict);
  need(next.previous === '' || (await continues(current, next)), 'invalid_proof');
  return true;
}

/** A bundle and its history, as the API gives them. */
export async function keysOf(server, asker, account) {
  need(account?.bundles.length > 0, 'not_found');
  const line = await lineOf(account);
  const forms = account.bundles.map((bundle, i) => ({
    username: account.username,
    created_at: TIME,
    hash: line[i].hash,
    ...structuredClone(bundle),
  }));
  forms.reverse();
  const answer = { ...forms[0], history: forms.slice(1) };
  return (await server.lies.keys?.(asker, answer)) ?? answer;
}

/** `GET /keys?usernames=`: who is unknown or has none is left out. */
export async function keysOfMany(server, asker, names) {
  const accounts = names.map((name) => server.accounts.get(name)).filter((each) => each?.bundles.length > 0);
  return { items: await Promise.all(accounts.map((account) => keysOf(server, asker, account))) };
}
