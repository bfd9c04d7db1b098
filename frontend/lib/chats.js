/**
 * The chats the user is in: their Chat records, and what is remembered of each (mode, consent, warnings). What changes one
 * is in changes.js.
 *
 * Refuses a chat whose key mode is another than at first sight (`mode_changed`); a `server` chat of somebody else wants
 * the user's yes first (protocol §1). Warnings stay: what a server did once is not
 * undone by behaving.
 */

import { judgeChat, judgeItems } from './answers.js';
import { ChatSecError } from './errors.js';

/**
 * @typedef {import('./answers.js').Chat} Chat
 * @typedef {{id: string, mode: string, consent: boolean, warnings: string[]}} Remembered
 * @typedef {{seq: number, n: number}} Anchor  of a `combined` chat: the n of the last log entry named up to that seq, as
 *   one Chat told both
 * @typedef {{chat: Chat, removed: boolean, active: number, anchor: Anchor|null}} Held  `active`: for the order of the list
 */

const PAGE = 200;

/**
 * @param {object} parts
 * @param {import('./api.js').Api} parts.api
 * @param {import('./store/port.js').Store} parts.store
 * @param {() => string} parts.me
 * @param {() => number} parts.now
 * @param {(chat: string) => void} parts.onChange
 * @param {() => void} parts.onStored  something of what the client state remembers was written
 */
export function createChats({ api, store, me, now, onChange, onStored }) {
  /** @type {Map<string, Held>} */
  const chats = new Map();
  /** @type {Map<string, Remembered>} */
  const remembered = new Map();

  /** @param {string} id @param {Partial<Remembered>} change */
  async function remember(id, change) {
    const held = remembered.get(id) ??
      (await store.get('chats', id)) ?? { id, mode: '', consent: false, warnings: [] };
    const next = { ...held, ...change };
    remembered.set(id, next);
    if (JSON.stringify(next) !== JSON.stringify(held) || change.mode) {
      await store.write([{ kind: 'chats', id, value: next }]);
      onStored();
    }
    return next;
  }

  /** @param {string} id @param {string[]} names */
  async function warn(id, names) {
    const held = await remember(id, {});
    const added = names.filter((name) => !held.warnings.includes(name));
    if (added.length === 0) return;
    await remember(id, { warnings: [...held.warnings, ...added] });
    onChange(id);
  }

  /** Takes a Chat as the server tells it now. @param {any} given @param {boolean} [brief] */
  async function take(given, brief = false) {
    const told = judgeChat(given, brief);
    const held = chats.get(told.id);
    let { mode } = await remember(told.id, {});
    if (mode === '') ({ mode } = await remember(told.id, { mode: told.key_mode }));
    else if (mode !== told.key_mode) await warn(told.id, ['mode_changed']);
    // A chat stays what it was at first sight.
    const chat = /** @type {Chat} */ ({ ...told, key_mode: mode });
    const position = await store.get('chats', `${chat.id} position`);
    // Epochs only go up; a Chat that was under way while items were pushed is merely older.
    if (position && chat.last_seq >= position.seq && chat.epoch.number < position.epoch) {
      await warn(chat.id, ['server_rollback']);
    }
    const older = held && !held.removed && held.chat.last_seq > chat.last_seq;
    chats.set(chat.id, {
      chat: older ? held.chat : { ...chat, ...mergeMarks(held?.chat, chat) },
      removed: false,
      active: held && held.chat.last_seq >= chat.last_seq ? held.active : now(),
      anchor: older ? held.anchor : anchorOf(chat),
    });
    onChange(chat.id);
    return chat;
  }

  return {
    /** @param {string} id */
    get: (id) => chats.get(id)?.chat,
    all: () => [...chats.values()],
    /** Is the user in it, as far as is known? @param {string} id */
    isMine: (id) => chats.has(id) && !chats.get(id)?.removed,
    /** Where the log's head is known from the server's word. @param {string} id */
    anchor: (id) => chats.get(id)?.anchor ?? null,
    /** @param {string} id */
    memory: (id) => remembered.get(id),
    take,
    warn,

    /**
     * All chats, as they are now. @returns {Promise<{lost: Map<string, number>}>} `lost`: chats of which the server
     * has less than it had told before, with its last seq
     */
    async refresh() {
      const before = new Map([...chats].map(([id, { chat }]) => [id, chat.last_seq]));
      const seen = new Set();
      const lost = new Map();
      let cursor;
      do {
        const query = { limit: PAGE, cursor };
        const answer = await api.request('GET', '/chats', { query });
        for (const chat of judgeItems(answer, (item) => judgeChat(item, true))) {
          seen.add(chat.id);
          if (chat.last_seq < (before.get(chat.id) ?? 0)) {
            lost.set(chat.id, chat.last_seq);
            chats.delete(chat.id);
          }
          await take(chat, true);
        }
        cursor = answer.next ?? undefined;
      } while (cursor);
      for (const id of before.keys()) if (!seen.has(id)) this.drop(id);
      return { lost };
    },
    /** @param {string} id */
    async load(id) {
      return take(await api.request('GET', `/chats/${id}`));
    },
    /** An item has its place. @param {string} id @param {number} seq @param {boolean} mine */
    noteItem(id, seq, mine) {
      const held = chats.get(id);
      if (!held) return;
      const marks = mergeMarks(held.chat, { delivered: {}, read: mine ? { [me()]: seq } : {} });
      const last_seq = Math.max(held.chat.last_seq, seq);
      chats.set(id, { ...held, chat: { ...held.chat, ...marks, last_seq }, active: now() });
      onChange(id);
    },
    /** @param {string} id @param {string} username @param {{delivered?: number, read?: number}} marks */
    noteMarks(id, username, { delivered = 0, read = 0 }) {
      const held = chats.get(id);
      if (!held) return;
      const told = { delivered: { [username]: delivered }, read: { [username]: read } };
      chats.set(id, { ...held, chat: { ...held.chat, ...mergeMarks(held.chat, told) } });
      onChange(id);
    },
    /** The user is no longer in it. @param {string} id */
    drop(id) {
      const held = chats.get(id);
      if (held) chats.set(id, { ...held, removed: true });
      onChange(id);
    },

    /** Throws `mode_changed`, or `unsupported_algorithm` of a mode that this client does not know. @param {string} id */
    checkMode(id) {
      const memory = remembered.get(id);
      if (memory?.warnings.includes('mode_changed'))
        throw new ChatSecError('mode_changed', 'nothing is sent into this chat');
      if (memory?.mode !== 'server' && memory?.mode !== 'combined')
        throw new ChatSecError('unsupported_algorithm', `chats of mode ${memory?.mode}`);
    },
    /** @param {string} id */
    needsConsent(id) {
      const chat = chats.get(id)?.chat;
      return chat?.key_mode === 'server' && chat.created_by !== me() && !remembered.get(id)?.consent;
    },
    /** @param {string} id */
    async accept(id) {
      await remember(id, { consent: true });
      onChange(id);
    },

    /** @param {string} id */
    async erase(id) {
      await api.request('DELETE', `/chats/${id}`);
      this.drop(id);
    },
    clear() {
      chats.clear();
      remembered.clear();
    },
  };
}

/** @param {Chat} chat @returns {Anchor|null} */
const anchorOf = ({ membership, last_seq: seq }) => (membership ? { seq, n: membership.n } : null);

/** Marks only move forward; by name, whatever the name: nothing is inherited. @param {Pick<Chat, 'read'|'delivered'>|undefined} held @param {Pick<Chat, 'read'|'delivered'>} told */
function mergeMarks(held, told) {
  const furthest = (
    /** @type {Record<string, number>} */ a = {},
    /** @type {Record<string, number>} */ b = {},
  ) => {
    /** @type {Record<string, number>} */
    const all = Object.assign(Object.create(null), a);
    for (const [username, seq] of Object.entries(b)) all[username] = Math.max(all[username] ?? 0, seq);
    return all;
  };
  return { read: furthest(held?.read, told.read), delivered: furthest(held?.delivered, told.delivered) };
}
