/**
 * From verdicts to what a person sees: edits, deletions and reactions folded into the messages they name, own
 * messages with how far they have come, everything else as it is. Nothing vanishes: a failed message keeps its place
 * and name, an unknown type is shown as such, and what names a message that is not there stands by itself.
 */

import { FAILURES } from '../errors.js';

/**
 * @typedef {import('../types.js').Item} Item
 * @typedef {import('./reduce.js').Verdict} Verdict
 * @typedef {{username: string, joined_seq: number}} Reader
 * @typedef {{delivered: Record<string, number>, read: Record<string, number>, members: Reader[]}} Receipts
 */

/**
 * @param {object} parts
 * @param {readonly Verdict[]} parts.verdicts in order of seq
 * @param {string} parts.me
 * @param {Receipts} parts.receipts
 * @param {boolean} parts.complete the first item of the chat is held, so that a missing target is truly missing
 * @returns {Item[]}
 */
export function project({ verdicts, me, receipts, complete }) {
  const { changes, targets } = collect(verdicts);
  /** @type {Item[]} */
  const items = [];
  for (const verdict of verdicts) {
    const { facts } = verdict;
    if (facts.kind === 'event') items.push(eventItem(verdict));
    else if (!isFolded(verdict, targets, complete)) items.push(messageItem(verdict, me, receipts, changes));
  }
  return items;
}

/** @param {Verdict} verdict @returns {import('../types.js').EventItem} */
function eventItem({ facts, reason, warnings }) {
  const event = facts.kind === 'event' ? facts.event : null;
  const { kind = 'unknown', by = '', usernames = [], epoch = 0 } = event ?? {};
  const named = reason ? [reason, ...warnings] : [...warnings];
  return {
    kind: 'event',
    key: `e:${facts.seq}`,
    seq: facts.seq,
    event: { kind, by, usernames: [...usernames], epoch },
    receivedAt: facts.receivedAt,
    warnings: named,
  };
}

/**
 * @param {Verdict} verdict @param {string} me @param {Receipts} receipts @param {Changes} changes
 * @returns {import('../types.js').MessageItem}
 */
function messageItem({ facts, reason, warnings }, me, receipts, changes) {
  const { header, payload } = /** @type {import('./examine.js').MessageFacts} */ (facts);
  const from = header?.from ?? '';
  const id = header?.id ?? '';
  const mine = from === me && reason === null;
  const change = changes.get(`${from} ${id}`);
  return {
    kind: 'message',
    // A failed one may claim the id of another: its place is all that is its own.
    key: reason ? `s:${facts.seq}` : `m:${from}:${id}`,
    id,
    seq: facts.seq,
    from,
    at: header?.at ?? null,
    receivedAt: facts.receivedAt,
    alg: header?.alg ?? '',
    mine,
    state: reason ? 'failed' : mine ? reach(facts.seq, me, receipts) : 'verified',
    reason,
    explain: reason ? FAILURES[reason].explain : null,
    // What is wrong with an edit is said on what it changed: nowhere else is it seen.
    warnings: reason ? [] : [...new Set([...warnings, ...(change?.warnings ?? [])])],
    payload: reason ? null : changed(payload, change, reactionsTo(id, changes)),
  };
}

/** How far an own message has come: the least advanced of the others counts.
 * @param {number} seq @param {string} me @param {Receipts} receipts @returns {'sent'|'delivered'|'read'} */
function reach(seq, me, { members, delivered, read }) {
  const others = members.filter(({ username, joined_seq: joined }) => username !== me && joined <= seq);
  const all = (/** @type {Record<string, number>} */ marks) =>
    others.length > 0 && others.every(({ username }) => (marks[username] ?? 0) >= seq);
  if (all(read)) return 'read';
  return others.length > 0 &&
    others.every(({ username: u }) => Math.max(delivered[u] ?? 0, read[u] ?? 0) >= seq)
    ? 'delivered'
    : 'sent';
}

// ---- edits, deletions, reactions ----

/**
 * @typedef {{body?: string, deleted?: boolean, reactions: Map<string, Set<string>>, warnings: string[]}} Change
 * @typedef {Map<string, Change>} Changes by "from id" for edits and deletions, by " id" for reactions
 */

/** @param {readonly Verdict[]} verdicts */
function collect(verdicts) {
  /** @type {Changes} */
  const changes = new Map();
  /** @type {Map<string, Set<string>>} id → who wrote a message with it */
  const targets = new Map();
  const at = (/** @type {string} */ name) => {
    /** @type {Change} */
    const change = changes.get(name) ?? { reactions: new Map(), warnings: [] };
    changes.set(name, change);
    return change;
  };
  for (const { facts, reason, warnings } of verdicts) {
    if (facts.kind !== 'message' || reason || !facts.header || !facts.payload) continue;
    const { from, id } = facts.header;
    const { type, target, body, emoji, on } = facts.payload;
    if (type === 'edit' || type === 'delete') {
      const change = at(`${from} ${target}`);
      if (type === 'edit')
        change.body = body; // in order of seq: the highest stays
      else change.deleted = true;
      change.warnings.push(...warnings);
    } else if (type === 'reaction') react(at(` ${target}`).reactions, emoji, from, on);
    else targets.set(id, (targets.get(id) ?? new Set()).add(from));
  }
  return { changes, targets };
}

/** @param {Map<string, Set<string>>} reactions @param {string} emoji @param {string} from @param {boolean} on */
function react(reactions, emoji, from, on) {
  const who = reactions.get(emoji) ?? new Set();
  if (on) who.add(from);
  else who.delete(from);
  reactions.set(emoji, who);
}

/** @param {string} id @param {Changes} changes @returns {Record<string, string[]>|null} */
function reactionsTo(id, changes) {
  const held = [...(changes.get(` ${id}`)?.reactions ?? [])].filter(([, who]) => who.size > 0);
  return held.length > 0 ? Object.fromEntries(held.map(([emoji, who]) => [emoji, [...who]])) : null;
}

/** True for a message that shows only in the one it names; a reaction that is warned of shows by itself too, since that
 * message is another person's. @param {Verdict} verdict
 * @param {Map<string, Set<string>>} targets @param {boolean} complete */
function isFolded({ facts, reason, warnings }, targets, complete) {
  if (facts.kind !== 'message' || reason || !facts.payload || !facts.header) return false;
  const { type, target } = facts.payload;
  if (!['edit', 'delete', 'reaction'].includes(type)) return false;
  const authors = targets.get(target);
  if (!authors) return !complete; // the target may stand on a page that is not loaded yet
  return type === 'reaction' ? warnings.length === 0 : authors.has(facts.header.from); // by others, they count for nothing and show so
}

/** What a view adds is never the author's to say: it is left out of what they sent.
 * @param {any} payload @param {Change|undefined} change @param {Record<string, string[]>|null} reactions */
function changed({ edited: _e, deleted: _d, reactions: _r, ...payload }, change, reactions) {
  if (payload.type !== 'text') return payload;
  if (change?.deleted) return { type: 'text', body: '', deleted: true };
  const edited = change?.body === undefined ? {} : { body: change.body, edited: true };
  return { ...payload, ...edited, ...(reactions && { reactions }) };
}
