/**
 * The library's public door. The page, bots and tests import nothing deeper; the shapes are in types.js.
 */

export { createClient } from './client.js';
export { ALGORITHMS } from './crypto/index.js';
export { ChatSecError, FAILURES } from './errors.js';
export { openStore } from './store/indexeddb.js';
export { memoryStore } from './store/memory.js';
