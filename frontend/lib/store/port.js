/**
 * What the library asks of a store: five kinds of records, read by id, written all together or not at all.
 *
 * A store belongs to one account at a time and is emptied at logout. It never receives a readable private key, a
 * plaintext, a password or an epoch key: keys come as non-extractable CryptoKeys, or encrypted under one (decisions,
 * "Page"). Every adapter passes tests/store.test.js.
 *
 * @typedef {'meta'|'keys'|'pins'|'chats'|'outbox'} Kind
 *   `meta`: the account and its session. `keys`: by kid, and `storage`, `backup`. `pins`: by username.
 *   `chats`: by id: mode, position, lane, consent, warnings. `outbox`: by "<chat> <message id>".
 * @typedef {{kind: Kind, id: string, value: any}|{kind: Kind, id: string, remove: true}} Op
 *
 * @typedef {Object} Store
 * @property {(kind: Kind, id: string) => Promise<any>} get  a copy, or undefined
 * @property {(kind: Kind) => Promise<any[]>} list  copies of all values of a kind, by id
 * @property {(ops: Op[]) => Promise<void>} write  one transaction; durable once resolved
 * @property {() => Promise<void>} clear  everything, in one transaction
 * @property {() => void} close
 */

/** @type {readonly Kind[]} */
export const KINDS = Object.freeze(['meta', 'keys', 'pins', 'chats', 'outbox']);

/** Refuses a kind that is not of the port. @param {string} kind */
export function checkKind(kind) {
  if (!KINDS.includes(/** @type {Kind} */ (kind))) throw new TypeError(`no such kind of record: ${kind}`);
}
