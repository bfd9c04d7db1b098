/**
 * What members with real keys and a server that judges nothing can put into a `combined` chat: entries and shares with
 * any field, items that nobody vouched for. Made from the page alone, never with the library's makers.
 */

import {
  encodeB64u,
  encodeText,
  hash,
  hkdf,
  importPrivate,
  randomBytes,
  unwrap,
  wrap,
} from '../../lib/crypto/index.js';
import { happen } from './events.js';
import { currentOf } from './keys.js';
import { readEntry } from './membership.js';
import { TIME } from './refusal.js';
import { readShare } from './shares.js';
import { makeSigned } from './signed.js';

const bytes = (...parts) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? encodeText(part) : part)));
const labelOf = (chat, epoch, half) => encodeText(`chatsec/wrap/v1\n${chat}\n${epoch}\n${half}`);

/** @param {any[]} keys of an Identity @param {string} [alg] */
export async function signerOf(keys, alg = 'Ed25519') {
  const { kid, pkcs8 } = keys.find((key) => key.alg === alg);
  return { alg, kid, key: await importPrivate(alg, pkcs8) };
}

/** What every signed object of `by` has. */
async function commonOf({ id, identities }, by, keys) {
  const identity = identities.get(by);
  const signer = await signerOf(keys ?? identity.keys);
  const { alg, kid } = signer;
  return { signer, body: { v: 1, chat: id, by, alg, kid, keys: identity.hash, at: TIME } };
}

/**
 * The next entry of the log, signed with keys that `by` really holds.
 * @param {any} world @param {string} by @param {any} change fields to set; `signedWith`: other keys
 * @returns {Promise<{object: any, hash: string, body: any}>}
 */
export async function forgeEntry(world, by, { signedWith, ...change }) {
  const head = world.chat.log.at(-1);
  const { signer, body } = await commonOf(world, by, signedWith);
  const { n, hash: prev, name, members } = head;
  return makeSigned('membership', { ...body, n: n + 1, prev, name, members, ...change }, signer);
}

/**
 * A share of the next epoch for these people, each under their current bundle.
 * @param {any} world @param {string} by
 * @param {any} [change] fields to set; `names` of recipients, `serves` an entry, `secret` C,
 *   `wrapFor(name, secret, wrapIt)`, `under`: other bundles that it names for them
 */
export async function forgeShare(world, by, change = {}) {
  const { server, chat, id } = world;
  const { names, serves, secret = randomBytes(32), signedWith, wrapFor, under = {}, ...fields } = change;
  const entry = serves ?? chat.log.at(-1);
  const epoch = fields.epoch ?? chat.epochs.at(-1).number + 1;
  const { signer, body } = await commonOf(world, by, signedWith);
  const [recipients, wraps] = [{}, {}];
  for (const name of names ?? Object.keys(entry.members ?? entry.body.members)) {
    const { encryption, hash: keys } = await currentOf(server.accounts.get(name));
    const wrapIt = (c) => wrap(encryption.spki, c, labelOf(id, epoch, 'client'));
    const wrapped = wrapFor ? await wrapFor(name, secret, wrapIt) : await wrapIt(secret);
    wraps[name] = encodeB64u(wrapped);
    recipients[name] = { keys: under[name] ?? keys, wrap: await hash(wrapped) };
  }
  const commit = await hash(bytes(`chatsec/share-commit/v1\n${id}\n${epoch}\n`, secret));
  const whole = { ...body, epoch, commit, membership: entry.hash, recipients, excluded: [], ...fields };
  const made = await makeSigned('share', whole, signer);
  return { ...made, object: { ...made.object, wraps }, secret };
}

/**
 * A server that takes it: entry, share and event stand in the chat, and members are told, whatever they are.
 * @param {any} world @param {any} event `kind`, `by`, `usernames`
 * @param {{entry?: any, share?: any, admit?: string[], expel?: string[]}} [parts]
 */
export async function put({ server, chat }, event, { entry, share, admit = [], expel = [] } = {}) {
  if (entry) chat.log.push(await readEntry(entry.object));
  for (const name of admit) {
    chat.members.set(name, { role: 'member', joined_seq: chat.items.length + 1 });
    chat.marks.set(name, { read: 0, delivered: 0 });
    chat.past.add(name);
  }
  for (const name of expel) chat.members.delete(name);
  const judged = share ? await readShare(share.object) : null;
  await happen(server, chat, { usernames: [], log: entry?.hash ?? '', ...event }, judged);
}

/** C of an epoch, opened as one of its recipients can. @param {any} world @param {any} epoch */
export async function clientSecretOf({ id, identities }, { number, share, wraps }) {
  const name = Object.keys(share.recipients).find((each) => identities.has(each));
  const { keys, retired } = identities.get(name);
  const { pkcs8 } = [...keys, ...retired].find(({ kid }) => kid === wraps.get(name).kid);
  const key = await importPrivate('RSA-OAEP-256', pkcs8);
  return unwrap(key, Buffer.from(share.wraps[name], 'base64url'), labelOf(id, number, 'client'));
}

/** K_e of any epoch, as its members have it. @param {any} world @param {any} epoch of the model's chat */
export async function secretOf(world, epoch) {
  if (!epoch.share) return epoch.secret;
  const { number, share, secret } = epoch;
  const both = bytes(secret, await clientSecretOf(world, epoch));
  return hkdf(both, encodeText(`chatsec/epoch/v1\n${world.id}\n${number}\n${share.hash}`), 32);
}
