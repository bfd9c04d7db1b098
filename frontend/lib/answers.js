/**
 * The shapes of what the server answers, judged before anything uses them (protocol §6, §7).
 * Each returns its argument, or throws `bad_answer` naming the thing. Values inside envelopes, events and bundles
 * are judged where they are used, by name of §5.
 */

import { isCount, isHash, isObject, isOrdinal, isTime, isUsername, isUuid } from './crypto/index.js';
import { ChatSecError } from './errors.js';

/**
 * @typedef {{number: number, opened_seq: number, members?: string[], kid?: string|null, wrapped?: string|null,
 *   client_share?: {protected: string, signature: string, wrapped: string|null}|null}} Epoch
 * @typedef {{id: string, name: string|null, key_mode: 'server'|'combined', created_by: string, created_at: string,
 *   members: {username: string, display_name: string, role: 'owner'|'member', joined_seq: number}[],
 *   membership: {n: number, hash: string}|null, share_due: boolean,
 *   epoch: Epoch, first_seq: number, last_seq: number, read: Record<string, number>, delivered: Record<string, number>}} Chat
 * @typedef {{items: Record<string, any>[], before: string, epochs: Epoch[], last_seq: number}} Page
 * @typedef {{username: string, display_name: string, status: string, last_seen: string|null, keys_version: number}} User
 */

/** @param {unknown} fits @param {string} what */
function check(fits, what) {
  if (!fits) throw new ChatSecError('bad_answer', `the server's ${what} is not of the protocol's form`);
}

const isMarks = (/** @type {unknown} */ marks) => isObject(marks) && Object.values(marks).every(isCount);
const isText = (/** @type {unknown} */ value) => typeof value === 'string';

/** @param {any} epoch @param {boolean} [brief] as lists give it: number and opening only @returns {Epoch} */
export function judgeEpoch(epoch, brief = false) {
  check(isObject(epoch) && isOrdinal(epoch.number) && isOrdinal(epoch.opened_seq), 'epoch');
  if (brief && epoch.members === undefined) return epoch;
  check(Array.isArray(epoch.members) && epoch.members.every(isUsername), 'epoch');
  check(
    (epoch.kid === null || isHash(epoch.kid)) && (epoch.wrapped === null || isText(epoch.wrapped)),
    'epoch',
  );
  return epoch;
}

/** @param {any} member */
const isMember = (member) =>
  isObject(member) &&
  isUsername(member.username) &&
  isText(member.display_name) &&
  ['owner', 'member'].includes(member.role) &&
  isCount(member.joined_seq);

/** @param {any} chat @param {boolean} [brief] @returns {Chat} */
export function judgeChat(chat, brief = false) {
  check(isObject(chat) && isUuid(chat.id) && (chat.name === null || isText(chat.name)), 'chat');
  check(isText(chat.key_mode) && isUsername(chat.created_by), 'chat');
  check(Array.isArray(chat.members) && chat.members.every(isMember), 'chat');
  check(
    isCount(chat.first_seq) && isCount(chat.last_seq) && isMarks(chat.read) && isMarks(chat.delivered),
    'chat',
  );
  const { membership = null } = chat;
  check(membership === null || (isOrdinal(membership.n) && isHash(membership.hash)), 'chat');
  judgeEpoch(chat.epoch, brief);
  return chat;
}

/**
 * A page of one chat: gapless, ascending, inside what was asked for.
 * @param {any} page @param {{after?: number, before?: number}} asked @returns {Page}
 */
export function judgePage(page, { after, before }) {
  check(isObject(page) && Array.isArray(page.items) && isHash(page.before) && isCount(page.last_seq), 'page');
  check(Array.isArray(page.epochs) && page.items.every(isObject), 'page');
  page.epochs.forEach((/** @type {any} */ epoch) => judgeEpoch(epoch));
  check(
    page.items.every((/** @type {any} */ item) => isOrdinal(item.seq) && isTime(item.received_at)),
    'page',
  );
  const seqs = page.items.map((/** @type {any} */ item) => item.seq);
  check(
    seqs.every((/** @type {number} */ seq, /** @type {number} */ i) => i === 0 || seq > seqs[i - 1]),
    'page order',
  );
  if (after !== undefined && seqs.length > 0) check(seqs[0] > after, 'page');
  if (before !== undefined && seqs.length > 0) check(seqs.at(-1) < before, 'page');
  return page;
}

/** @param {any} user @returns {User} */
export function judgeUser(user) {
  check(isObject(user) && isUsername(user.username) && isText(user.display_name), 'user');
  check(
    isText(user.status) && (user.last_seen === null || isTime(user.last_seen)) && isCount(user.keys_version),
    'user',
  );
  return user;
}

/** A list answer. @template T @param {any} answer @param {(item: any) => T} judge @returns {T[]} */
export function judgeItems(answer, judge) {
  check(isObject(answer) && Array.isArray(answer.items), 'list');
  return answer.items.map((/** @type {any} */ item) => judge(item));
}

/** The ack of a message. @param {any} ack @param {{chat: string, id: string}} sent */
export function judgeAck(ack, { chat, id }) {
  check(
    ack.chat === chat && ack.id === id && isOrdinal(ack.seq) && isTime(ack.received_at) && isHash(ack.before),
    'ack',
  );
  return /** @type {{seq: number, received_at: string, before: string, duplicate?: boolean}} */ (ack);
}

/** A pushed item's frame. @param {any} item */
export function judgePushed(item) {
  check(
    isObject(item) && isOrdinal(item.seq) && isTime(item.received_at) && isHash(item.before),
    'pushed item',
  );
  return item;
}
