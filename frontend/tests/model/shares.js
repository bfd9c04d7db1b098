/**
 * Client shares as the model server judges them, in the order of docs/protocol.md §4: what moved meanwhile is
 * `epoch_conflict`, what could never be right `invalid_share`.
 */

import { decodeB64u, hash, isHash, isObject, isOrdinal, isUsername } from '../../lib/crypto/index.js';
import { ChatSecError } from '../../lib/errors.js';
import { lineOf, mayBind, reaches } from './keys.js';
import { conflictOf } from './membership.js';
import { need, Refusal } from './refusal.js';
import { readSigned } from './signed.js';

const isRecipient = (value) => isObject(value) && isHash(value.keys) && isHash(value.wrap);

const FORM = {
  epoch: isOrdinal,
  commit: isHash,
  membership: isHash,
  recipients: (value) =>
    isObject(value) && Object.entries(value).every(([name, one]) => isUsername(name) && isRecipient(one)),
  excluded: (value) => Array.isArray(value) && value.every(isUsername),
};

/** @param {any} given `{protected, signature, wraps}` */
export async function readShare(given) {
  const share = await readSigned('share', given, FORM);
  const { wraps } = given;
  need(isObject(wraps) && Object.values(wraps).every((wrapped) => typeof wrapped === 'string'));
  return { ...share, wraps: { ...wraps } };
}

const fits = (value) => need(value, 'invalid_share');

/**
 * @param {any} server @param {any} chat @param {string} username @param {any} share read
 * @param {any} entry the entry of the same request, or null
 */
export async function judgeShare(server, chat, username, share, entry) {
  const conflict = (moved) => {
    throw new Refusal('epoch_conflict', conflictOf(chat, moved));
  };
  fits(share.chat === chat.id && share.by === username);
  if (entry) fits(share.membership === entry.hash);
  if (share.epoch !== (chat.epochs.at(-1)?.number ?? 0) + 1) chat.log.length ? conflict([]) : fits(false);
  if (!entry && share.membership !== chat.log.at(-1).hash) conflict([]);
  if (chat.waiting.size > 0 && entry?.op !== 'retire') conflict([...chat.waiting]);
  const { members } = entry ?? chat.log.at(-1);
  judgeNames(share, members);
  await judgeWraps(server, share);
  const moved = await judgeBundles(server, share, members);
  const line = await lineOf(server.accounts.get(username));
  fits(line.some((bundle) => bundle.hash === share.keys && holds(bundle, share)));
  if (!mayBind(line.at(-1), share)) moved.add(username);
  if (moved.size > 0) conflict([...moved]);
  fits(await share.verify(line.at(-1).signing.find(({ kid }) => kid === share.kid).spki));
}

const holds = ({ signing }, { alg, kid }) => signing.some((key) => key.kid === kid && key.alg === alg);

/** Recipients and excluded are the members, each once; the author is a recipient; who is one has a wrap. */
function judgeNames({ recipients, excluded, wraps, by }, members) {
  const all = [...Object.keys(recipients), ...excluded].sort().join();
  fits(all === Object.keys(members).sort().join() && Object.hasOwn(recipients, by));
  fits(Object.keys(recipients).sort().join() === Object.keys(wraps).sort().join());
}

/** @returns {Promise<Set<string>>} whose bundle has moved since */
async function judgeBundles(server, { recipients, excluded }, members) {
  const moved = new Set();
  for (const [name, { keys }] of Object.entries(recipients)) {
    const line = await lineOf(server.accounts.get(name));
    fits(reaches(line, members[name].keys, keys));
    if (line.at(-1).hash !== keys) moved.add(name);
  }
  for (const name of excluded) {
    const line = await lineOf(server.accounts.get(name));
    fits(!reaches(line, members[name].keys, line.at(-1).hash));
  }
  return moved;
}

/** Every wrap has the hash that is signed, and the length of its recipient's modulus. */
async function judgeWraps(server, { recipients, wraps }) {
  for (const [name, { wrap }] of Object.entries(recipients)) {
    const bytes = bytesOf(wraps[name]);
    fits(bytes.length >= 384 && bytes.length <= 512 && (await hash(bytes)) === wrap);
  }
}

function bytesOf(text) {
  try {
    return decodeB64u(text);
  } catch (error) {
    if (error instanceof ChatSecError) throw new Refusal('invalid');
    throw error;
  }
}
