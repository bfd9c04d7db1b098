/**
 * What `combined` chats add to the judge (protocol §4): the head of the membership log, the share of the epoch, and who
 * of the log is in the chat no more, moved by every event. Pure and synchronous; signatures are facts.
 *
 * A refused entry or share moves nothing: the head stays, and an epoch whose share was refused has none, so that nothing
 * in it is accepted. Who begins in the middle takes the head from the log, and may not know who had gone before.
 */

import { changedBy, isForked, judgeEntry, judgeShare } from '../crypto/index.js';
import { ChatSecError } from '../errors.js';

/**
 * @typedef {import('../crypto/membership.js').Entry} Entry
 * @typedef {import('../crypto/membership.js').Log} Log
 * @typedef {import('../crypto/share.js').Share} Share
 * @typedef {import('../crypto/lines.js').LineOf} LineOf
 * @typedef {import('../crypto/chain.js').ChatEvent} ChatEvent
 * @typedef {import('./examine.js').Facts} Facts
 * @typedef {import('./examine.js').EventFacts} EventFacts
 *
 * @typedef {Object} Combined
 * @property {number} first  seq of the first item held
 * @property {Log} log  as it verified by itself; may hold later entries than those named so far
 * @property {Entry|null} head  the last entry named by an item; null before the first
 * @property {boolean} exact  whether that is known
 * @property {Share|null} share  of the current epoch; null: refused, or there is none
 * @property {Entry|null} served  the entry that it serves
 * @property {Share|null} lastShare  the last good one
 * @property {Set<string>} gone  members of the log who are in the chat no more
 * @property {boolean} partial  more may have gone, before the first item held
 * @property {Map<number, string>} named  seq → hash of the last entry named up to there: where that changes
 * @property {Set<string>|null} members  of the chat
 *
 * @typedef {Object} Start  where the items held begin
 * @property {Log} log
 * @property {Entry|null|undefined} head  that holds just before the first item; null before entry 1; undefined: not known
 * @property {{share: Share, signed: boolean}|null} share  of the epoch that holds there; null where none does
 */

/**
 * @param {Start} start @param {{first: number, epoch: number|null, lineOf: LineOf}} at `epoch`: the one that holds before
 *   the first item
 * @returns {{combined: Combined, warnings: string[]}}
 */
export function beginCombined({ log, head, share }, { first, epoch, lineOf }) {
  /** @type {Combined} */
  const combined = {
    first,
    log,
    head: head ?? null,
    exact: head !== undefined,
    share: null,
    served: null,
    lastShare: null,
    gone: new Set(),
    partial: first > 1,
    named: new Map(),
    members: null,
  };
  if (head !== undefined) combined.named.set(first - 1, head?.hash ?? '');
  const warnings = epoch === null ? [] : takeHeld(combined, share, epoch, lineOf);
  count(combined);
  return { combined, warnings };
}

/** The share of an epoch that was opened before the first item held. @param {Combined} combined a draft
 * @param {Start['share']} held @param {number} epoch @param {LineOf} lineOf @returns {string[]} */
function takeHeld(combined, held, epoch, lineOf) {
  const { log, head, exact } = combined;
  const served = held && log.entries.find(({ hash }) => hash === held.share.membership);
  if (!held?.signed || !served) return ['bad_share'];
  if (exact && (head?.n ?? 0) < served.n) return ['history_fork']; // it serves what no item has named
  return named(() => {
    judgeShare(held.share, { epoch, entry: served, lineOf });
    Object.assign(combined, { share: held.share, served, lastShare: held.share });
  });
}

/** Names the refusal of `work`. @param {() => void} work @returns {string[]} */
function named(work) {
  try {
    work();
    return [];
  } catch (error) {
    if (error instanceof ChatSecError) return [error.code];
    throw error;
  }
}

/** Who is in the chat, as far as is known. @param {Combined} combined a draft */
function count(combined) {
  const { head, served, gone } = combined;
  const names = (head ?? served)?.members.keys();
  combined.members = names ? new Set([...names].filter((who) => !gone.has(who))) : null;
}

/** @param {unknown} fits @param {string} detail */
function want(fits, detail) {
  if (!fits) throw new ChatSecError('invalid_membership', detail);
}

/**
 * Moves log, share and members by one event.
 * @param {Combined} combined a draft @param {EventFacts} facts @param {ChatEvent} event
 * @param {{opens: boolean, lineOf: LineOf}} parts
 * @returns {string[]} names of what was refused
 */
export function judgeCombined(combined, facts, event, { opens, lineOf }) {
  const names = named(() => {
    want(event.keys === '', 'it announces keys');
    want((event.by === '') === (event.kind === 'ended'), 'by nobody, or by somebody');
    want((event.kind === 'create') === (facts.seq === 1), 'not where a chat begins');
    if (event.log === '') takeWithout(combined, event);
    else takeEntry(combined, facts, event, lineOf);
  });
  const { entry } = facts;
  if (entry?.signed && isForked(entry.entry, combined.head)) names.push('history_fork');
  count(combined);
  return [...names, ...takeShare(combined, facts, event, opens, lineOf)];
}

/** What the server takes from anyone: it cannot know who has lost a key. @param {Combined} combined a draft @param {ChatEvent} event */
function takeWithout({ gone, members }, { kind, by, usernames }) {
  const here = (/** @type {string} */ who) => members?.has(who) ?? true;
  /** @type {Record<string, () => boolean>} */
  const fits = {
    rekey: () => usernames.length === 0,
    leave: () => usernames.length === 1 && usernames[0] === by && here(by),
    ended: () => usernames.length > 0 && usernames.every(here),
  };
  want(Object.hasOwn(fits, kind) && fits[kind](), 'not without an entry');
  for (const who of usernames) gone.add(who);
}

/** @param {Combined} combined a draft @param {EventFacts} facts @param {ChatEvent} event @param {LineOf} lineOf */
function takeEntry(combined, facts, event, lineOf) {
  if (!facts.entry) return want(false, 'the log does not show the entry');
  const { entry, signed } = facts.entry;
  want(signed, 'the signature does not verify');
  const before = combined.exact ? combined.head : beforeIn(combined, entry);
  const { gone, partial, lastShare: share } = combined;
  judgeEntry(entry, { before, lineOf, gone: partial ? null : gone, share });
  const same = changedBy(before, entry).join() === [...event.usernames].sort().join();
  want(entry.op === event.kind && entry.by === event.by && same, 'the entry says something else');
  moveHead(combined, before, entry, facts.seq);
  for (const who of gone) if (!entry.members.has(who)) gone.delete(who);
  return undefined;
}

/** @param {Combined} combined a draft @param {Entry|null} before which held until `seq` @param {Entry} entry @param {number} seq */
function moveHead(combined, before, entry, seq) {
  if (!combined.exact) combined.named.set(combined.first - 1, before?.hash ?? '');
  if (combined.head !== entry) combined.named.set(seq, entry.hash);
  Object.assign(combined, { head: entry, exact: true });
}

/** The head before an entry, where it was not known so far. @param {Combined} combined @param {Entry} entry */
function beforeIn({ log, served }, entry) {
  want(log.entries[entry.n - 1]?.hash === entry.hash && entry.n > (served?.n ?? 0), 'not in the log');
  return log.entries[entry.n - 2] ?? null;
}

/** The share with which an event opens an epoch. @param {Combined} combined a draft @param {EventFacts} facts
 * @param {ChatEvent} event @param {boolean} opens @param {LineOf} lineOf @returns {string[]} */
function takeShare(combined, { seq, share: held, epochKey }, event, opens, lineOf) {
  if (!opens) return event.share === '' ? [] : ['bad_share'];
  Object.assign(combined, { share: null, served: null });
  const names = named(() => {
    const share = held?.signed && held.share.hash === event.share ? held.share : null;
    const entry = combined.exact
      ? combined.head
      : combined.log.entries.find(({ hash }) => hash === share?.membership);
    if (!share || !entry || share.by !== event.by) throw new ChatSecError('bad_share');
    judgeShare(share, { epoch: event.epoch, entry, lineOf, before: combined.lastShare });
    moveHead(combined, entry, entry, seq);
    // The server takes no share while somebody waits to be retired.
    Object.assign(combined, { share, served: entry, lastShare: share, partial: false });
    count(combined);
  });
  return epochKey ? [...names, epochKey] : names;
}

/**
 * The last entry that an item up to `seq` names: its hash, "" for none, null where that is not known.
 * @param {Combined} combined @param {number} seq @returns {string|null}
 */
export function namedAt({ named: places }, seq) {
  const before = [...places.keys()].filter((place) => place <= seq);
  return places.get(Math.max(...before)) ?? null;
}

/**
 * The entry that holds just before the first of these items, for `begin`.
 * @param {object} parts
 * @param {readonly Facts[]} parts.facts all that will be judged, the first one of the chat or not
 * @param {Log} parts.log
 * @param {{seq: number, n: number}|null} [parts.anchor] `last_seq` and `membership.n` of a Chat, as told together
 * @returns {Entry|null|undefined} null before entry 1; undefined where it cannot be known yet: `anchor` lies outside
 */
export function headBefore({ facts, log, anchor = null }) {
  if (facts.length === 0) return undefined;
  if (facts[0].seq === 1) return null;
  for (const fact of facts) {
    const hash = fact.kind === 'event' ? fact.event?.log : '';
    const at = hash ? log.entries.findIndex((entry) => entry.hash === hash) : -1;
    if (at >= 0) return log.entries[at - 1] ?? null;
  }
  const [first, last] = [facts[0].seq, /** @type {Facts} */ (facts.at(-1)).seq];
  if (!anchor || anchor.seq < first - 1 || anchor.seq > last) return undefined;
  return log.entries[anchor.n - 1];
}
