/**
 * The membership logs of `combined` chats as this client holds them: fetched when an item names an entry that is not
 * here, verified from entry 1 on, and compared with what was held before (protocol §4).
 *
 * Whatever is wrong is named on the chat: an entry that does not verify `invalid_membership`, another one in its place
 * `history_fork`, fewer than were held `server_rollback`. Nothing is taken from behind a failure.
 */

import { judgeItems } from './answers.js';
import { compareLog, emptyLog, extendLog, strangersIn } from './crypto/index.js';
import { ChatSecError } from './errors.js';

const PAGE = 50; // entries fetched at once: each holds all members

/** @typedef {import('./crypto/membership.js').Log} Log */

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {ReturnType<typeof import('./pins.js').createPins>} parts.pins
 * @param {ReturnType<typeof import('./chats.js').createChats>} parts.chats
 */
export function createMembership({ api, pins, chats }) {
  /** @type {Map<string, {log: Log, objects: any[]}>} the log, and its entries as they came */
  const logs = new Map();

  const lineOf = (/** @type {string} */ username) => pins.get(username)?.line;

  /** @param {string} chat @returns {Log} */
  const logOf = (chat) => logs.get(chat)?.log ?? emptyLog();

  /** Entries that follow those held. @param {string} chat @param {any[]} objects */
  async function take(chat, objects) {
    const { log, objects: before } = logs.get(chat) ?? { log: emptyLog(), objects: [] };
    for (const username of await strangersIn(objects, { chat, lineOf })) await load(username);
    let next = await extendLog({ ...log, failure: null }, objects, { chat, lineOf });
    const all = [...before, ...objects];
    if (next.failure) {
      // It may name bundles that are newer than those known here.
      await pins.loadChat(chat);
      next = await extendLog(emptyLog(), all, { chat, lineOf });
    }
    logs.set(chat, { log: next, objects: all.slice(0, next.entries.length) });
    if (next.failure) await chats.warn(chat, [next.failure]);
    return next.failure === null;
  }

  /** @param {string} username */
  async function load(username) {
    try {
      await pins.load(username);
    } catch (error) {
      // Whoever has no keys cannot be in a log: it does not verify, and says so.
      if (!(error instanceof ChatSecError) || error.code !== 'not_found') throw error;
    }
  }

  return {
    lineOf,
    logOf,
    /** Every entry there is above those held. @param {string} chat */
    async fetch(chat) {
      for (;;) {
        const query = { after: logOf(chat).entries.length, limit: PAGE };
        const answer = await api.request('GET', `/chats/${chat}/membership`, { query });
        const objects = judgeItems(answer, (item) => item);
        const sound = objects.length === 0 || (await take(chat, objects));
        if (!sound || objects.length === 0 || !answer.next) return;
      }
    },
    /** What was held once must still be so. @param {string} chat @param {{log_n?: number, log_hash?: string}} position */
    async compare(chat, { log_n: n = 0, log_hash: hash = '' }) {
      const wrong = compareLog({ n, hash }, logOf(chat));
      if (wrong) await chats.warn(chat, [wrong]);
      return wrong === null;
    },
    /** The server has lost some of it: it is read anew. @param {string} chat */
    forget: (chat) => logs.delete(chat),
    clear: () => logs.clear(),
  };
}
