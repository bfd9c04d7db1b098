// The membership log of a `combined` chat: entries made, read and judged as a member's client does (protocol §4).
//
// judgeEntry refuses with `invalid_membership` all that a client can see to be wrong; which bundle was current when an
// entry was made only poster and server can judge. It is synchronous: signatures are verified apart (isSigned).

import { ChatSecError } from '../errors.js';
import { isObject } from './bytes.js';
import { isHash, isHashOrEmpty, isOrdinal, isUsername } from './forms.js';
import { confirmed, reaches, versionIn } from './lines.js';
import { isSigned, readSigned } from './signed.js';

/**
 * @typedef {import('./lines.js').Line} Line
 * @typedef {import('./lines.js').LineOf} LineOf
 * @typedef {{role: 'owner' | 'member', keys: string}} LogMember `keys`: the bundle that the log stands by for them
 * @typedef {object} EntryFields
 * @property {number} n @property {string} prev hash of the entry before, or ""
 * @property {string} op
 * @property {string | null} name of the chat
 * @property {ReadonlyMap<string, LogMember>} members
 * @typedef {import('./signed.js').Read & EntryFields} Entry
 * @typedef {{came: string[], went: string[], roles: string[], keys: string[], renamed: boolean}} Difference
 * @typedef {{recipients: ReadonlyMap<string, {keys: string}>}} LastShare
 *
 * @typedef {object} Place where an entry stands
 * @property {Entry | null} before null for entry 1
 * @property {LineOf} lineOf
 * @property {ReadonlySet<string> | null} [gone] members of the log who are in the chat no more; null: not known
 * @property {LastShare | null} [share] the last good one held
 */

const OPS = new Set(['create', 'add', 'remove', 'leave', 'role', 'keys', 'rename', 'retire']);
/** Ops that only an owner may make. */
export const BY_OWNERS = new Set(['add', 'remove', 'role', 'rename']);
const MAX_MEMBERS = 200;

// ---- reading ----

/** @param {any} member @returns {member is LogMember} */
const isMember = (member) =>
  isObject(member) && (member.role === 'owner' || member.role === 'member') && isHash(member.keys);

/** @param {Record<string, any>} fields @returns {EntryFields | null} */
function entryForm({ n, prev, op, name, members }) {
  const formed =
    isOrdinal(n) &&
    isHashOrEmpty(prev) &&
    OPS.has(op) &&
    (name === null || typeof name === 'string') &&
    isObject(members);
  if (!formed) return null;
  const all = Object.entries(members);
  if (all.length > MAX_MEMBERS || !all.every(([who, member]) => isUsername(who) && isMember(member)))
    return null;
  return { n, prev, op, name, members: new Map(all.map(([who, { role, keys }]) => [who, { role, keys }])) };
}

/**
 * An entry of this chat; its form alone. @param {unknown} object @param {string} chat
 * @returns {Promise<Entry>} throws `invalid_membership`
 */
export const readEntry = (object, chat) =>
  readSigned({ kind: 'membership', object, chat, failure: 'invalid_membership', form: entryForm });

// ---- judging ----

/** @param {ReadonlyMap<string, LogMember> | undefined} members */
export const ownersOf = (members) =>
  [...(members ?? [])].filter(([, { role }]) => role === 'owner').map(([who]) => who);

/** What lies between two heads of a log. @param {EntryFields | null} before @param {EntryFields} after @returns {Difference} */
export function differenceOf(before, after) {
  const old = before?.members ?? new Map();
  const both = [...after.members.keys()].filter((who) => old.has(who));
  const differs = (/** @type {'role' | 'keys'} */ field) =>
    both.filter((who) => old.get(who)?.[field] !== after.members.get(who)?.[field]);
  return {
    came: [...after.members.keys()].filter((who) => !old.has(who)),
    went: [...old.keys()].filter((who) => !after.members.has(who)),
    roles: differs('role'),
    keys: differs('keys'),
    renamed: (before?.name ?? null) !== after.name,
  };
}

/**
 * Whom the item that names an entry must name: exactly who changed; of `leave` and `retire` who was taken out.
 * @param {Entry | null} before @param {Entry} entry @returns {string[]} sorted
 */
export function changedBy(before, entry) {
  const { came, went, roles, keys } = differenceOf(before, entry);
  const others = ['leave', 'retire'].includes(entry.op) ? [] : [...came, ...roles, ...keys];
  return [...new Set([...went, ...others])].sort();
}

/** @param {string} detail @returns {never} */
function refuse(detail) {
  throw new ChatSecError('invalid_membership', detail);
}

/**
 * Whether this is the next entry of the log, its signature apart. Throws `invalid_membership`.
 * @param {Entry} entry @param {Place} place
 */
export function judgeEntry(entry, { before, lineOf, gone = null, share = null }) {
  if (entry.n !== (before?.n ?? 0) + 1) refuse('not the next number');
  if (entry.prev !== (before?.hash ?? '')) refuse('`prev` is not the hash of the entry before');
  if ((entry.op === 'create') !== (before === null)) refuse('`create` is the first entry, and no other');
  for (const [who, { keys }] of entry.members) {
    const line = lineOf(who);
    if (!line || versionIn(line, keys) === 0) refuse(`the bundle of ${who} is not one of theirs`);
  }
  judgeAuthor(entry, before ?? entry, lineOf, share);
  const owners = ownersOf(entry.members);
  if (owners.length === 0 && entry.members.size > 0) refuse('no owner is left');
  if (!before) {
    if (!owners.includes(entry.by)) refuse('not created by an owner');
    return;
  }
  judgeChange(entry, before, gone);
  if (entry.op === 'keys') judgeConfirmation(entry, before, lineOf, gone);
}

/** @param {Entry} entry @param {Entry} known which names its author @param {LineOf} lineOf @param {LastShare | null} share */
function judgeAuthor({ by, keys }, known, lineOf, share) {
  const member = known.members.get(by);
  const line = lineOf(by);
  if (!member || !line) return refuse('its author was no member');
  if (!reaches(line, member.keys, keys)) refuse("its author's keys are not reached from the log's");
  const last = share?.recipients.get(by);
  if (last && !reaches(line, last.keys, keys)) refuse("its author's keys are older than in the last share");
}

/** The op makes just the change that is its own. @param {Entry} entry @param {Entry} before @param {Place['gone']} gone */
function judgeChange(entry, before, gone) {
  const { by, op } = entry;
  const owners = ownersOf(before.members);
  if (BY_OWNERS.has(op) && !owners.includes(by)) refuse('not by an owner');
  const changed = differenceOf(before, entry);
  const { came, went, roles, keys, renamed } = changed;
  if (renamed && op !== 'rename') refuse('another name');
  const orphaned = entry.members.size > 0 && owners.every((who) => went.includes(who));
  const just = (/** @type {Partial<Record<'came' | 'went' | 'roles' | 'keys', boolean>>} */ wanted) =>
    came.length > 0 === Boolean(wanted.came) &&
    went.length > 0 === Boolean(wanted.went) &&
    roles.length > 0 === Boolean(wanted.roles) &&
    keys.length > 0 === Boolean(wanted.keys);
  /** @type {Record<string, () => boolean>} */
  const fits = {
    add: () => just({ came: true }),
    remove: () => just({ went: true }) && !went.includes(by),
    role: () => just({ roles: true }),
    rename: () => just({}),
    leave: () =>
      just({ went: true, roles: orphaned }) && went.length === 1 && went[0] === by && roles.length <= 1,
    retire: () =>
      just({ went: true, roles: orphaned }) &&
      !went.includes(by) &&
      went.every((who) => gone?.has(who) ?? true) &&
      roles.every((who) => who === by),
    keys: () => just({ keys: true }) && keys.length === 1 && keys[0] !== by,
  };
  if (!fits[op]()) refuse(`not what \`${op}\` may change`);
}

/** New keys after a reset, confirmed by who may. @param {Entry} entry @param {Entry} before @param {LineOf} lineOf @param {Place['gone']} gone */
function judgeConfirmation(entry, before, lineOf, gone) {
  const [who] = differenceOf(before, entry).keys;
  const line = /** @type {Line} */ (lineOf(who));
  const [old, now] = [before, entry].map(({ members }) => members.get(who)?.keys ?? '');
  if (versionIn(line, now) < versionIn(line, old) || reaches(line, old, now)) refuse('there was no reset');
  const owners = ownersOf(before.members);
  // Whoever can sign by all that is known now could then: a reset is never undone.
  const able = owners.some((name) => {
    const keys = before.members.get(name)?.keys ?? '';
    return !gone?.has(name) && confirmed(/** @type {Line} */ (lineOf(name)), keys);
  });
  if (!owners.includes(entry.by) && able) refuse('an owner could do it');
}

// ---- the log by itself ----

/**
 * @typedef {object} Log a chat's log as far as it verifies without the items that name its entries
 * @property {readonly Entry[]} entries entry n at n − 1
 * @property {ReadonlyMap<string, Entry>} byHash those, and the one that was read and refused
 * @property {string | null} failure why it stops there: `invalid_membership`, or `history_fork`
 */

/** @returns {Log} */
export const emptyLog = () => ({ entries: [], byHash: new Map(), failure: null });

/**
 * The log with these entries after those that it has. After a failure nothing more is taken.
 * @param {Log} log @param {readonly unknown[]} objects in order @param {{chat: string, lineOf: LineOf}} parts
 * @returns {Promise<Log>}
 */
export async function extendLog(log, objects, { chat, lineOf }) {
  const entries = [...log.entries];
  const byHash = new Map(log.byHash);
  let { failure } = log;
  for (const object of objects) {
    if (failure) break;
    const { entry, failure: wrong } = await nextOf(entries.at(-1) ?? null, object, chat, lineOf);
    if (entry) byHash.set(entry.hash, entry);
    if (entry && !wrong) entries.push(entry);
    failure = wrong;
  }
  return { entries, byHash, failure };
}

/** @param {Entry | null} before @param {unknown} object @param {string} chat @param {LineOf} lineOf
 * @returns {Promise<{entry: Entry | null, failure: string | null}>} */
async function nextOf(before, object, chat, lineOf) {
  /** @type {Entry | null} */
  let entry = null;
  try {
    entry = await readEntry(object, chat);
    if (!(await isSigned(entry, lineOf(entry.by)))) refuse('the signature does not verify');
    if (isForked(entry, before)) return { entry, failure: 'history_fork' };
    judgeEntry(entry, { before, lineOf });
    return { entry, failure: null };
  } catch (error) {
    if (error instanceof ChatSecError) return { entry, failure: error.code };
    throw error;
  }
}

/** Follows another entry than the one that is held. @param {Entry} entry @param {Entry | null} before */
export const isForked = (entry, before) =>
  before !== null && entry.n === before.n + 1 && entry.prev !== before.hash;

/**
 * What was held of the log once, against the log as it is shown now.
 * @param {{n: number, hash: string}} held @param {Log} log
 * @returns {'history_fork' | 'server_rollback' | null}
 */
export function compareLog({ n, hash }, { entries, failure }) {
  if (n === 0) return null;
  if (entries.length < n) return failure ? null : 'server_rollback'; // what does not verify is named already
  return entries[n - 1].hash === hash ? null : 'history_fork';
}

/**
 * Whose bundles must be known before these can be judged, and are not. What cannot be read names nobody.
 * @param {readonly unknown[]} objects entries as they came @param {{chat: string, lineOf: LineOf}} parts
 * @returns {Promise<string[]>}
 */
export async function strangersIn(objects, { chat, lineOf }) {
  const read = await Promise.allSettled(objects.map((object) => readEntry(object, chat)));
  const entries = read.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const named = new Set(entries.flatMap(({ by, members }) => [by, ...members.keys()]));
  return [...named].filter((who) => !lineOf(who));
}
