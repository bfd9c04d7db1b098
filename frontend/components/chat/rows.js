/**
 * From a chat's items to its timeline: days, and in each the divider before what is new, events, and messages in
 * runs. Pure.
 */
import { dateOf, dayKey, dayWords } from '../ui/time.js';

/** A pause that ends a run, ms. */
const RUN_PAUSE = 5 * 60_000;

/** @typedef {import('../../lib/types.js').Item} Item @typedef {import('../../lib/types.js').MessageItem} MessageItem */
/**
 * @typedef {{type: 'new', key: string}} NewRow
 * @typedef {{type: 'event', key: string, item: import('../../lib/types.js').EventItem}} EventRow
 * @typedef {{type: 'message', key: string, item: MessageItem, first: boolean, last: boolean}} MessageRow
 *   first, last: of its run
 * @typedef {NewRow|EventRow|MessageRow} Row
 * @typedef {{key: string, words: string, rows: Row[]}} Day  the reader's own calendar day
 */

/** The server's time of an item; the author's clock while it has none. @param {Item} item */
export function timeOf(item) {
  return item.receivedAt ?? (item.kind === 'message' ? item.at : null);
}

/** @param {Item|undefined} before @param {Item|undefined} after */
function sameRun(before, after) {
  if (before?.kind !== 'message' || after?.kind !== 'message' || before.from !== after.from) return false;
  const [a, b] = [dateOf(timeOf(before)), dateOf(timeOf(after))];
  if (!a || !b) return true;
  return b.getTime() - a.getTime() < RUN_PAUSE && dayKey(timeOf(before)) === dayKey(timeOf(after));
}

/**
 * The key of the first of the last `unread` messages of others; null if there is none, or if it is on an older page.
 * @param {Item[]} items
 * @param {number} unread  may count events too, so it can exceed the messages of a whole chat
 * @param {boolean} atStart  there is no older page
 */
export function firstUnread(items, unread, atStart) {
  let left = unread;
  let first = null;
  for (let i = items.length - 1; i >= 0 && left > 0; i -= 1) {
    const item = items[i];
    if (item.kind !== 'message' || item.mine) continue;
    left -= 1;
    first = item.key;
  }
  return left === 0 || atStart ? first : null;
}

/**
 * @param {Item[]} items oldest first
 * @param {string|null} newFrom  key of the first item below the divider
 * @returns {Day[]}
 */
export function daysOf(items, newFrom) {
  /** @type {Day[]} */
  const days = [];
  items.forEach((item, i) => {
    const key = dayKey(timeOf(item));
    if (days.length === 0 || (key && key !== days[days.length - 1].key)) {
      days.push({ key, words: dayWords(timeOf(item)), rows: [] });
    }
    const { rows } = days[days.length - 1];
    if (item.key === newFrom) rows.push({ type: 'new', key: 'new' });
    if (item.kind === 'event') {
      rows.push({ type: 'event', key: item.key, item });
      return;
    }
    const first = item.key === newFrom || !sameRun(items[i - 1], item);
    const last = items[i + 1]?.key === newFrom || !sameRun(item, items[i + 1]);
    rows.push({ type: 'message', key: item.key, item, first, last });
  });
  return days;
}
