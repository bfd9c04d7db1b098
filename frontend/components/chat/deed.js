/** Which messages can be answered, and which own ones changed: those that have their place and can be read. Pure. */

/** @typedef {import('../../lib/types.js').Item} Item @typedef {import('../../lib/types.js').MessageItem} MessageItem */

/** @param {MessageItem} item */
export function canAct(item) {
  return (
    item.seq !== null && item.state !== 'failed' && item.payload?.type === 'text' && !item.payload.deleted
  );
}

/** The newest own message that can be edited. @param {readonly Item[]} items @returns {MessageItem|null} */
export function lastOwn(items) {
  for (let i = items.length - 1; i >= 0; i -= 1) {
    const item = items[i];
    if (item.kind === 'message' && item.mine && canAct(item)) return item;
  }
  return null;
}

/** The first words of a message, for a bar or a quotation. @param {{body?: string, attachments?: {name: string}[]}|null} payload */
export function preview(payload) {
  return payload?.body || payload?.attachments?.map(({ name }) => name).join(', ') || '';
}
