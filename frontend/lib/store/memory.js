/**
 * A store that lasts as long as the process: for Node, for tests, and for a browser that denies storage.
 * Values are cloned in and out, as IndexedDB does; it refuses what cannot be cloned.
 */

import { checkKind, KINDS } from './port.js';

/** @returns {import('./port.js').Store} */
export function memoryStore() {
  /** @type {Map<string, Map<string, any>>} */
  const tables = new Map(KINDS.map((kind) => [kind, new Map()]));
  /** @param {string} kind */
  const table = (kind) => {
    checkKind(kind);
    return /** @type {Map<string, any>} */ (tables.get(kind));
  };
  return {
    async get(kind, id) {
      return structuredClone(table(kind).get(id));
    },
    async list(kind) {
      return [...table(kind)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => structuredClone(value));
    },
    async write(ops) {
      // Cloned first, so that a value that cannot be kept changes nothing.
      const ready = ops.map((op) => ({
        op,
        at: table(op.kind),
        copy: 'value' in op ? structuredClone(op.value) : null,
      }));
      for (const { op, at, copy } of ready) {
        if ('value' in op) at.set(op.id, copy);
        else at.delete(op.id);
      }
    },
    async clear() {
      for (const each of tables.values()) each.clear();
    },
    close() {},
  };
}
