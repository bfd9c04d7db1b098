/**
 * What is true of one item by itself: its form, its hash and place in the chain, under which keys its signature holds,
 * whether the reader's epoch key is the author's and opens it. No verdicts: those need the items before it.
 * Refuses nothing; whatever the server sends becomes facts. In `combined` chats the entry and the share that an event
 * names are facts too: read, and whether their signatures verify.
 */

import {
  chainStep,
  checkCommitment,
  envelopeHash,
  eventHash,
  isAttachment,
  isHash,
  isSigned,
  isUuid,
  judgeEvent,
  openEnvelope,
  parseEnvelope,
  parsePayload,
  verifyEnvelope,
  versionIn,
} from '../crypto/index.js';
import { ChatSecError } from '../errors.js';

/**
 * @typedef {import('../pins.js').Candidate} Candidate
 * @typedef {import('../crypto/membership.js').Entry} Entry
 * @typedef {import('../crypto/share.js').Share} Share
 * @typedef {'waiting_for_key'|'key_lost'|'undecryptable'|'bad_share'|'wrong_recipient_key'} KeyFailure the last two in
 *   `combined` chats: the share's wrap is not the one that was signed, or not one for this reader
 * @typedef {{key: import('../crypto/epoch.js').EpochKey}|{failure: KeyFailure}} HeldKey
 *
 * @typedef {Object} Material  what the reader holds while examining
 * @property {string} chat
 * @property {(username: string) => import('../pins.js').Person|undefined} personOf
 * @property {(epoch: number) => HeldKey} keyOf
 * @property {(epoch: number) => string[]|null} membersOf  as the Epoch says
 * @property {((hash: string) => Entry|undefined)|null} [entryOf]  `combined` chats: an entry of the log as it was shown
 * @property {((epoch: number) => Share|null|undefined)|null} [shareOf]  `combined` chats: the Epoch's share, if it could be read
 *
 * @typedef {Object} MessageFacts
 * @property {'message'} kind
 * @property {number} seq
 * @property {string} receivedAt
 * @property {string|null} before  c before it, as this delivery says
 * @property {string|null} after   c after it; null where the item has no hash
 * @property {string|null} hash
 * @property {any} item            as it came
 * @property {import('../crypto/envelope.js').Header|null} header  null: malformed
 * @property {{version: number, hash: string}[]} candidates  the bundles of `from` that hold alg and kid
 * @property {boolean} signed      the signature verifies under that key
 * @property {KeyFailure|'key_mismatch'|null} key
 * @property {'undecryptable'|'bad_padding'|'malformed'|null} opened
 * @property {{type: string, [field: string]: any}|null} payload
 *
 * @typedef {Object} EventFacts
 * @property {'event'} kind
 * @property {number} seq
 * @property {string} receivedAt
 * @property {string|null} before
 * @property {string|null} after
 * @property {string|null} hash
 * @property {any} item
 * @property {import('../crypto/chain.js').ChatEvent|null} event  null: malformed
 * @property {number|null} announced   version of the bundle that a `keys` event names, if it is known
 * @property {string[]|null} epochMembers  of the epoch that it opens
 * @property {{entry: Entry, signed: boolean}|null} entry  that it names; null: none, or the log does not show it
 * @property {{share: Share, signed: boolean}|null} share  of its epoch; null: it names none, or none could be read
 * @property {'bad_share'|'wrong_recipient_key'|null} epochKey  what is wrong with the own wrap of that share
 *
 * @typedef {MessageFacts|EventFacts} Facts
 */

/** Runs `work`; a failure in the closed list becomes its code. @param {() => Promise<void>} work @returns {Promise<any>} */
async function failureOf(work) {
  try {
    await work();
    return null;
  } catch (error) {
    if (error instanceof ChatSecError) return error.code;
    throw error;
  }
}

/**
 * @param {any} item of a page or pushed, with `seq`, `received_at`
 * @param {string|null} before c before it, b64u
 * @param {Material} material
 * @returns {Promise<Facts>}
 */
export async function examine(item, before, material) {
  const facts = Object.hasOwn(item, 'event')
    ? await examineEvent(item, material)
    : await examineMessage(item, material);
  const after = isHash(before) && facts.hash ? await chainStep(before, facts.hash) : null;
  return Object.freeze({ ...facts, seq: item.seq, receivedAt: item.received_at, item, before, after });
}

/** @param {any} item @param {Material} material @returns {Promise<any>} */
async function examineEvent(item, material) {
  const { chat, personOf, membersOf } = material;
  const none = {
    kind: 'event',
    hash: null,
    event: null,
    announced: null,
    epochMembers: null,
    entry: null,
    share: null,
    epochKey: null,
  };
  let hash = '';
  const failure = await failureOf(async () => {
    if (item.chat !== chat) throw new ChatSecError('malformed', 'event of another chat');
    hash = await eventHash(chat, item.event);
  });
  if (failure) return none;
  const event = judgeEvent(item.event);
  const announced = event.kind === 'keys' ? (personOf(event.by)?.versions.get(event.keys) ?? null) : null;
  const told = { ...none, hash, event, announced, epochMembers: membersOf(event.epoch) };
  return material.entryOf ? { ...told, ...(await examineNamed(event, material)) } : told;
}

/** The signed objects that an event names. @param {import('../crypto/chain.js').ChatEvent} event @param {Material} material */
async function examineNamed(event, material) {
  const { personOf, keyOf, entryOf, shareOf } = material;
  const entry = event.log === '' ? undefined : entryOf?.(event.log);
  const held = event.share === '' ? null : keyOf(event.epoch);
  const wrong = held && 'failure' in held ? held.failure : null;
  return {
    entry: entry ? { entry, signed: await isSigned(entry, personOf(entry.by)?.line) } : null,
    share: event.share === '' ? null : await examineShare(shareOf?.(event.epoch), material),
    epochKey: wrong === 'bad_share' || wrong === 'wrong_recipient_key' ? wrong : null,
  };
}

/**
 * A share with whether it is signed, for `begin`.
 * @param {Share|null|undefined} share @param {Pick<Material, 'personOf'>} material
 */
export async function examineShare(share, { personOf }) {
  return share ? { share, signed: await isSigned(share, personOf(share.by)?.line) } : null;
}

/**
 * What has to be fetched before the item can be examined fully; examined again after that, what is still missing is not
 * there.
 * @param {Facts} facts @param {Pick<Material, 'personOf' | 'entryOf'>} material
 * @returns {{people: string[], entries: boolean}} whose bundles, and whether entries of the log
 */
export function missing(facts, { personOf, entryOf }) {
  if (facts.kind === 'message') {
    const { header, candidates } = facts;
    return { people: header && candidates.length === 0 ? [header.from] : [], entries: false };
  }
  const { event, announced, entry, share } = facts;
  if (!entryOf) {
    const unknown = event?.kind === 'keys' && announced === null;
    return { people: unknown ? [event.by] : [], entries: false };
  }
  const named = [entry?.entry, share?.share].flatMap((read) => (read ? [[read.by, read.keys]] : []));
  for (const [who, { keys }] of entry?.entry.members ?? []) named.push([who, keys]);
  for (const [who, { keys }] of share?.share.recipients ?? []) named.push([who, keys]);
  const people = named.filter(([who, keys]) => {
    const line = personOf(who)?.line;
    return !line || versionIn(line, keys) === 0;
  });
  return { people: [...new Set(people.map(([who]) => who))], entries: Boolean(event?.log && !entry) };
}

/** @param {any} item @param {Material} material @returns {Promise<any>} */
async function examineMessage(item, material) {
  const facts = {
    kind: 'message',
    hash: /** @type {string|null} */ (null),
    header: /** @type {any} */ (null),
    candidates: /** @type {MessageFacts['candidates']} */ ([]),
    signed: false,
    key: null,
    opened: null,
    payload: /** @type {any} */ (null),
  };
  /** @type {any} */
  let parsed = null;
  const malformed = await failureOf(async () => {
    parsed = await parseEnvelope(item);
    if (parsed.header.chat !== material.chat) throw new ChatSecError('malformed', 'message of another chat');
  });
  if (malformed) return { ...facts, hash: await looseHash(item) };
  facts.hash = parsed.hash;
  facts.header = parsed.header;
  const { from, alg, kid, epoch } = parsed.header;
  const candidates = (material.personOf(from)?.kids.get(kid) ?? []).filter((key) => key.alg === alg);
  facts.candidates = candidates.map(({ version, hash }) => ({ version, hash }));
  if (candidates.length > 0)
    facts.signed = !(await failureOf(() => verifyEnvelope(parsed, /** @type {any} */ (candidates[0]))));
  if (!facts.signed) return facts; // nothing unsigned is opened
  const held = material.keyOf(epoch);
  facts.key =
    'failure' in held ? held.failure : await failureOf(async () => checkCommitment(parsed, held.key));
  if (facts.key || 'failure' in held) return facts;
  facts.opened = await failureOf(async () => {
    facts.payload = judgePayload(parsePayload(await openEnvelope(parsed, held.key)));
  });
  return facts;
}

/** The hash of what is no envelope, so that the chain goes on over it. @param {any} item */
async function looseHash({ protected: header, iv, ciphertext, signature }) {
  const parts = [header, iv, ciphertext, signature];
  if (!parts.every((part) => typeof part === 'string')) return null;
  const [hash] = await Promise.allSettled([
    envelopeHash({ chat: '', protected: header, iv, ciphertext, signature }),
  ]);
  return hash.status === 'fulfilled' ? hash.value : null; // a lone surrogate has no bytes
}

const isText = (/** @type {unknown} */ value) => typeof value === 'string';

/** The fields that each known type needs (protocol §5). @type {Record<string, (payload: any) => boolean>} */
const PAYLOADS = {
  text: ({ body, reply_to: reply, attachments: files }) =>
    isText(body) &&
    (reply === undefined || isUuid(reply)) &&
    (files === undefined || (Array.isArray(files) && files.every(isAttachment))),
  edit: ({ target, body }) => isUuid(target) && isText(body),
  delete: ({ target }) => isUuid(target),
  reaction: ({ target, emoji, on }) => isUuid(target) && isText(emoji) && typeof on === 'boolean',
};

/** @param {{type: string}} payload */
function judgePayload(payload) {
  const fits = Object.hasOwn(PAYLOADS, payload.type) ? PAYLOADS[payload.type](payload) : true;
  if (!fits) throw new ChatSecError('malformed', `not a payload of type ${payload.type}`);
  return payload;
}
