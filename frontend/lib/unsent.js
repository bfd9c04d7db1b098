/**
 * What a person sees of the outbox: messages that wait, failed, or were acknowledged a moment ago, and changes of what
 * stands in the timeline. Pure; refuses nothing.
 */

import { FAILURES } from './errors.js';
import { isChange } from './overlay.js';

/** @typedef {import('./outbox.js').Entry} Entry @typedef {import('./types.js').MessageItem} MessageItem */

/**
 * The entries of a chat that its timeline does not show: items, and changes of what stands there.
 * @param {Entry[]} entries of one chat @param {(entry: Entry) => any} payloadOf
 * @param {{me: string, last: number|null}} place  `last`: seq of the last item that is loaded
 * @returns {{items: MessageItem[], changes: import('./overlay.js').Waiting[]}}
 */
export function unsentOf(entries, payloadOf, { me, last }) {
  // Acknowledged ones bridge the moment until their item is judged; older pages are not this view's concern.
  const shown = (/** @type {Entry} */ { state, seq }) =>
    state === 'acked' && (last === null || (seq ?? 0) <= last);
  const waiting = entries
    .filter((entry) => !shown(entry))
    .sort((a, b) => a.order - b.order)
    .map((entry) => itemOf(entry, me, payloadOf(entry)));
  const isFolded = (/** @type {MessageItem} */ { payload, state }) => isChange(payload) && state !== 'failed';
  return {
    items: waiting.filter((item) => !isFolded(item)),
    changes: /** @type {any[]} */ (waiting.filter(isFolded).map(({ payload }) => payload)),
  };
}

/** @param {Entry} entry @param {string} me @param {any} payload @returns {import('./types.js').MessageItem} */
function itemOf({ id, at, alg, state, reason }, me, payload) {
  return {
    kind: 'message',
    key: `m:${me}:${id}`,
    id,
    seq: null,
    from: me,
    at,
    receivedAt: null,
    alg,
    mine: true,
    state: state === 'acked' ? 'sent' : state === 'failed' ? 'failed' : 'queued',
    reason,
    explain: reason ? FAILURES[reason].explain : null,
    warnings: [],
    payload,
  };
}
