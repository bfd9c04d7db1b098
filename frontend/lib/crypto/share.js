// Client shares of a `combined` chat: made, read, judged and opened (protocol §4).
//
// A share that a client refuses is `bad_share`; one that is good but was not wrapped for this reader, or opens to
// something else than was committed to, `wrong_recipient_key`. judgeShare is synchronous: the signature is verified
// apart (isSigned), and who is excluded, and which bundle was current, only poster and server can judge.

import { ChatSecError } from '../errors.js';
import * as algorithms from './algorithms.js';
import { concat, decodeB64u, encodeB64u, hash, isObject, randomBytes } from './bytes.js';
import { combinedSecret, epochKey, unwrapSecret, wrapLabel } from './epoch.js';
import { isHash, isOrdinal, isUsername } from './forms.js';
import { confirmed, currentLink, reaches, versionIn } from './lines.js';
import { readSigned, signObject } from './signed.js';
import { KEY_BYTES } from './symmetric.js';

/**
 * @typedef {import('./bytes.js').Bytes} Bytes
 * @typedef {import('./lines.js').LineOf} LineOf
 * @typedef {import('./membership.js').Entry} Entry
 * @typedef {{keys: string, wrap: string}} Recipient kh of their bundle, hash of the wrapped bytes
 * @typedef {object} ShareFields
 * @property {number} epoch
 * @property {string} commit to C
 * @property {string} membership hash of the entry it serves
 * @property {ReadonlyMap<string, Recipient>} recipients
 * @property {ReadonlySet<string>} excluded
 * @typedef {import('./signed.js').Read & ShareFields} Share
 * @typedef {{username: string, keys: string, spki: Bytes}} Wrapping whom to wrap for, under which bundle's key
 */

/** The commitment to C. @param {string} chat @param {number} epoch @param {Uint8Array} secret @returns {Promise<string>} */
export const shareCommitment = (chat, epoch, secret) =>
  hash(concat(`chatsec/share-commit/v1\n${chat}\n${epoch}\n`, secret));

// ---- making ----

/**
 * For whom a share of these members is made: each under their current bundle, unconfirmed resets excluded.
 * @param {Entry} entry which the share serves @param {LineOf} lineOf
 * @returns {{recipients: Wrapping[], excluded: string[]}} throws `member_without_keys` for whom nothing is known
 */
export function recipientsFor({ members }, lineOf) {
  const unknown = [...members.keys()].filter((who) => !lineOf(who));
  if (unknown.length > 0) throw new ChatSecError('member_without_keys', undefined, { usernames: unknown });
  const recipients = [];
  const excluded = [];
  for (const [username, { keys }] of members) {
    const line = /** @type {import('./lines.js').Line} */ (lineOf(username));
    const current = currentLink(line);
    if (current && confirmed(line, keys))
      recipients.push({ username, keys: current.hash, spki: current.bundle.encryption.spki });
    else excluded.push(username);
  }
  return { recipients, excluded: excluded.sort() };
}

/**
 * A share with a fresh C, which nobody keeps: the poster opens it like everybody else.
 * @param {object} parts
 * @param {string} parts.chat @param {number} parts.epoch the one that it opens
 * @param {string} parts.membership hash of the entry it serves
 * @param {readonly Wrapping[]} parts.recipients @param {readonly string[]} parts.excluded
 * @param {{by: string, keys: string}} parts.author a recipient; `keys`: kh of the own current bundle
 * @param {string} parts.at now, as the protocol writes times
 * @param {{alg: string, kid: string, key: algorithms.PrivateKey}} parts.signer RSA-PSS or Ed25519
 * @param {Bytes} [parts.secret] C, for vectors; else 32 fresh bytes
 * @param {typeof algorithms.wrap} [parts.wrap] for vectors
 * @returns {Promise<{object: {protected: string, signature: string, wraps: Record<string, string>}, share: Share}>}
 */
export async function makeShare({
  chat,
  epoch,
  membership,
  recipients,
  excluded,
  author: { by, keys },
  at,
  signer,
  secret = randomBytes(KEY_BYTES),
  wrap = algorithms.wrap,
}) {
  const label = wrapLabel(chat, epoch, 'client');
  const made = await Promise.all(
    recipients.map(async ({ username, keys: kh, spki }) => {
      const wrapped = await wrap(spki, secret, label);
      return { username, keys: kh, wrapped: encodeB64u(wrapped), wrap: await hash(wrapped) };
    }),
  );
  const commit = await shareCommitment(chat, epoch, secret);
  secret.fill(0);
  const named = Object.fromEntries(
    made.map(({ username, keys: kh, wrap: of }) => [username, { keys: kh, wrap: of }]),
  );
  const own = { chat, by, alg: signer.alg, kid: signer.kid, keys, at };
  const fields = { ...own, epoch, commit, membership, recipients: named, excluded: [...excluded] };
  const object = await signObject({ kind: 'share', fields, signer });
  const wraps = Object.fromEntries(made.map(({ username, wrapped }) => [username, wrapped]));
  return { object: { ...object, wraps }, share: await readShare(object, chat) };
}

// ---- reading and judging ----

/** @param {any} value @returns {value is Recipient} */
const isRecipient = (value) => isObject(value) && isHash(value.keys) && isHash(value.wrap);

/** @param {Record<string, any>} fields @returns {ShareFields | null} */
function shareForm({ epoch, commit, membership, recipients, excluded }) {
  if (!isOrdinal(epoch) || !isHash(commit) || !isHash(membership)) return null;
  if (!isObject(recipients) || !Array.isArray(excluded) || !excluded.every(isUsername)) return null;
  const all = Object.entries(recipients);
  if (!all.every(([who, recipient]) => isUsername(who) && isRecipient(recipient))) return null;
  const twice = new Set([...excluded, ...Object.keys(recipients)]).size !== excluded.length + all.length;
  if (twice) return null;
  return {
    epoch,
    commit,
    membership,
    recipients: new Map(all.map(([who, { keys, wrap }]) => [who, { keys, wrap }])),
    excluded: new Set(excluded),
  };
}

/**
 * A share of this chat, whole or as an Epoch gives it; its form alone.
 * @param {unknown} object @param {string} chat @returns {Promise<Share>} throws `bad_share`
 */
export const readShare = (object, chat) =>
  readSigned({ kind: 'share', object, chat, failure: 'bad_share', form: shareForm });

/** @param {string} detail @returns {never} */
function refuse(detail) {
  throw new ChatSecError('bad_share', detail);
}

/**
 * Whether this share may open the epoch, its signature apart. Throws `bad_share`.
 * @param {Share} share
 * @param {object} place
 * @param {number} place.epoch that it opens
 * @param {Entry} place.entry the last one named by an item up to and with the one that opens the epoch
 * @param {LineOf} place.lineOf
 * @param {{recipients: ReadonlyMap<string, {keys: string}>} | null} [place.before] the previous good one held
 */
export function judgeShare(share, { epoch, entry, lineOf, before = null }) {
  if (share.epoch !== epoch) refuse('of another epoch');
  if (share.membership !== entry.hash) refuse('it serves another entry');
  const named = [...share.recipients.keys(), ...share.excluded];
  if (named.length !== entry.members.size || !named.every((who) => entry.members.has(who)))
    refuse('recipients and excluded are not the members of the entry');
  if (!share.recipients.has(share.by)) refuse('its author is no recipient');
  const keysOf = (/** @type {string} */ who) => entry.members.get(who)?.keys ?? '';
  const author = lineOf(share.by);
  if (!author || !reaches(author, keysOf(share.by), share.keys)) refuse("its author's keys are not reached");
  for (const [who, { keys }] of share.recipients) {
    const line = lineOf(who);
    if (!line || !reaches(line, keysOf(who), keys)) return refuse(`the bundle of ${who} is not reached`);
    const last = before?.recipients.get(who);
    if (last && versionIn(line, keys) < versionIn(line, last.keys)) refuse(`an older bundle of ${who}`);
  }
}

/**
 * Whether one may send under a share: names and keys of the log's head are those of the entry that it serves, and no
 * newer continuous bundle of a recipient is known.
 * @param {{share: Share, entry: Entry, head: Entry, lineOf: LineOf}} parts `entry`: which the share serves
 * @returns {'members' | 'keys' | 'bundle' | null} what moved; null: one may
 */
export function servesHead({ share, entry, head, lineOf }) {
  const names = [...head.members.keys()];
  if (names.length !== entry.members.size || !names.every((who) => entry.members.has(who))) return 'members';
  if (names.some((who) => head.members.get(who)?.keys !== entry.members.get(who)?.keys)) return 'keys';
  for (const [who, { keys }] of share.recipients) {
    const line = lineOf(who);
    if (line && currentLink(line)?.hash !== keys && confirmed(line, keys)) return 'bundle';
  }
  return null;
}

// ---- opening ----

/**
 * C, out of one's own wrap.
 * @param {object} parts
 * @param {Share} parts.share judged
 * @param {string} parts.username
 * @param {string | null} parts.wrapped b64u, as the Epoch gives it
 * @param {algorithms.PrivateKey | null | undefined} parts.key the wrapping key of the bundle that the share names for
 *   them; null where it is lost, undefined where no bundle of theirs was ever that one
 * @returns {Promise<Bytes>} 32 bytes; throws `key_lost` (also for who is excluded), `wrong_recipient_key`, `bad_share`
 */
export async function openShare({ share, username, wrapped, key }) {
  const recipient = share.recipients.get(username);
  if (!recipient) throw new ChatSecError('key_lost', 'the share was not made for this person');
  if (key === undefined) throw new ChatSecError('wrong_recipient_key', 'never a bundle of theirs');
  const bytes = wrappedBytes(wrapped);
  if ((await hash(bytes)) !== recipient.wrap) return refuse('not the wrap that was signed');
  if (key === null) throw new ChatSecError('key_lost');
  const secret = await unwrap(key, bytes, wrapLabel(share.chat, share.epoch, 'client'));
  const fits =
    secret.length === KEY_BYTES && (await shareCommitment(share.chat, share.epoch, secret)) === share.commit;
  if (!fits)
    throw new ChatSecError('wrong_recipient_key', 'it opens to something else than was committed to');
  return secret;
}

/** @param {string | null} wrapped @returns {Bytes} */
function wrappedBytes(wrapped) {
  try {
    return decodeB64u(wrapped);
  } catch (error) {
    if (error instanceof ChatSecError) return refuse('the wrap is no base64url');
    throw error;
  }
}

/** @param {algorithms.PrivateKey} key @param {Bytes} bytes @param {Bytes} label */
async function unwrap(key, bytes, label) {
  try {
    return await algorithms.unwrap(key, bytes, label);
  } catch (error) {
    if (error instanceof ChatSecError)
      throw new ChatSecError('wrong_recipient_key', 'the wrap does not open');
    throw error;
  }
}

/**
 * From the two wraps of an Epoch to the epoch key of a `combined` chat.
 * @param {object} parts
 * @param {Share} parts.share judged
 * @param {string} parts.username
 * @param {algorithms.PrivateKey} parts.serverKey the wrapping key that the Epoch's `kid` names
 * @param {string} parts.wrapped b64u, S_e's
 * @param {algorithms.PrivateKey | null | undefined} parts.clientKey as openShare takes it
 * @param {string | null} parts.clientWrapped b64u, C's
 * @returns {Promise<import('./epoch.js').EpochKey>} throws as openShare does, and `undecryptable`, `malformed` for S_e
 */
export async function openCombinedEpoch({ share, username, serverKey, wrapped, clientKey, clientWrapped }) {
  const { chat, epoch } = share;
  const clientSecret = await openShare({ share, username, wrapped: clientWrapped, key: clientKey });
  const serverSecret = await unwrapSecret({ privateKey: serverKey, chat, epoch, wrapped });
  const secret = await combinedSecret({ chat, epoch, serverSecret, clientSecret, share: share.hash });
  const key = await epochKey(secret);
  for (const bytes of [clientSecret, serverSecret, secret]) bytes.fill(0);
  return key;
}
