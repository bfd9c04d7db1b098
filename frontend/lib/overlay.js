/**
 * What the view of a chat adds to its verdicts: the user's own edits, deletions and reactions that still wait to be
 * sent, shown where they will count, and the message that a reply answers. Refuses nothing; a change whose target is
 * not loaded shows nothing until it is judged, and a failed one is the outbox's to show.
 */

/**
 * @typedef {import('./types.js').Item} Item
 * @typedef {import('./types.js').MessageItem} MessageItem
 * @typedef {{type: string, target: string, [field: string]: any}} Waiting  payload of a change that waits
 */

const CHANGES = ['edit', 'delete', 'reaction'];

/** A payload that shows only in the message it names. @param {{type: string}|null} payload */
export const isChange = (payload) => payload !== null && CHANGES.includes(payload.type);

/**
 * @param {Item[]} items oldest first @param {Waiting[]} waiting in the order they will be sent @param {string} me
 * @returns {Item[]}
 */
export function overlay(items, waiting, me) {
  const changed = waiting.length === 0 ? items : items.map((item) => withWaiting(item, waiting, me));
  const replies = changed.filter((item) => item.kind === 'message' && item.payload?.reply_to);
  if (replies.length === 0) return changed;
  /** @type {Map<string, MessageItem>} the first that bears the id */
  const byId = new Map();
  for (const item of changed) {
    if (item.kind === 'message' && item.state !== 'failed' && item.payload && !byId.has(item.id))
      byId.set(item.id, item);
  }
  return changed.map((item) => (replies.includes(item) ? withTarget(/** @type {any} */ (item), byId) : item));
}

/** @param {MessageItem} item @param {Map<string, MessageItem>} byId @returns {MessageItem} */
function withTarget(item, byId) {
  const target = byId.get(item.payload?.reply_to ?? '');
  if (!target || target === item) return item;
  const body = target.payload?.type === 'text' ? (target.payload.body ?? '') : '';
  return { ...item, replyTo: { id: target.id, from: target.from, body } };
}

/** @param {Item} item @param {Waiting[]} waiting @param {string} me @returns {Item} */
function withWaiting(item, waiting, me) {
  if (item.kind !== 'message' || item.payload?.type !== 'text' || item.state === 'failed') return item;
  const concerns = waiting.filter(
    ({ type, target }) => target === item.id && (type === 'reaction' || item.mine),
  );
  return concerns.length === 0
    ? item
    : { ...item, payload: concerns.reduce((held, each) => applied(held, each, me), item.payload) };
}

/** @param {import('./types.js').Payload} payload @param {Waiting} change @param {string} me */
function applied(payload, { type, body, emoji, on }, me) {
  if (payload.deleted) return payload;
  if (type === 'delete') return { type: 'text', body: '', deleted: true };
  if (type === 'edit') return { ...payload, body, edited: true };
  const held = new Map(Object.entries(payload.reactions ?? {})); // any text may stand for an emoji
  const others = (held.get(emoji) ?? []).filter((username) => username !== me);
  held.delete(emoji);
  const who = on ? [...others, me] : others;
  if (who.length > 0) held.set(emoji, who);
  return { ...payload, reactions: Object.fromEntries(held) };
}
