/**
 * A store that takes nothing any more once the session is over: what was under way at log-out must not leave a trace
 * behind the clearing. Whoever still writes gets `unauthorized`.
 */

import { ChatSecError } from '../errors.js';

/**
 * @param {import('./port.js').Store} store
 * @returns {import('./port.js').Store & {closed: boolean}}
 */
export function guardStore(store) {
  const guarded = {
    closed: false,
    /** @type {import('./port.js').Store['get']} */
    get: (kind, id) => store.get(kind, id),
    /** @type {import('./port.js').Store['list']} */
    list: (kind) => store.list(kind),
    /** @type {import('./port.js').Store['write']} */
    async write(ops) {
      if (guarded.closed) throw new ChatSecError('unauthorized', 'the session is over');
      await store.write(ops);
    },
    clear: () => store.clear(),
    close: () => store.close(),
  };
  return guarded;
}
