/**
 * The browser's store, on IndexedDB: one object store per kind, one strict transaction per write.
 * Refuses unknown kinds; a browser that denies storage makes every call reject with the platform's own error.
 */

import { openDB } from 'idb';

import { checkKind, KINDS } from './port.js';

const VERSION = 1;

/**
 * @param {string} [name] of the database; one per origin is enough
 * @returns {import('./port.js').Store} opened at the first use, so that making one does no work
 */
export function openStore(name = 'chatsec') {
  /** @type {Promise<import('idb').IDBPDatabase>|null} */
  let opened = null;
  const database = () => {
    opened ??= openDB(name, VERSION, {
      upgrade(db) {
        for (const kind of KINDS) db.createObjectStore(kind);
      },
      // Another tab upgrades: let go, and open again at the next use.
      blocking(_current, _blocked, event) {
        /** @type {IDBDatabase} */ (event.target).close();
        opened = null;
      },
      terminated() {
        opened = null;
      },
    });
    return opened;
  };
  return {
    async get(kind, id) {
      checkKind(kind);
      return (await database()).get(kind, id);
    },
    async list(kind) {
      checkKind(kind);
      return (await database()).getAll(kind);
    },
    async write(ops) {
      if (ops.length === 0) return;
      for (const { kind } of ops) checkKind(kind);
      const kinds = [...new Set(ops.map(({ kind }) => kind))];
      const tx = (await database()).transaction(kinds, 'readwrite', { durability: 'strict' });
      const requests = [];
      try {
        for (const op of ops) {
          const at = tx.objectStore(op.kind);
          requests.push('value' in op ? at.put(op.value, op.id) : at.delete(op.id));
        }
      } catch (error) {
        // A value that cannot be kept: what was asked for before it must not be kept either.
        tx.abort();
        await Promise.allSettled([...requests, tx.done]);
        throw error;
      }
      await Promise.all([...requests, tx.done]);
    },
    async clear() {
      const tx = (await database()).transaction(KINDS, 'readwrite', { durability: 'strict' });
      await Promise.all([...KINDS.map((kind) => tx.objectStore(kind).clear()), tx.done]);
    },
    close() {
      opened?.then((db) => db.close()).catch(() => undefined); // one that never opened needs no closing
      opened = null;
    },
  };
}
