/**
 * What is begun in each chat while the page lives: the text, the algorithm, the message that is answered or edited. In
 * memory only. An edit has a text of its own, so that the one begun is there again after it.
 */
import { useSyncExternalStore } from 'react';

/** The algorithm that signs until another is chosen. */
const DEFAULT_ALG = 'RSA-PSS-SHA256';

/** @typedef {{kind: 'reply'|'edit', item: import('../../lib/types.js').MessageItem}} Target */
/** @typedef {{text: string, alg: string, target: Target|null, edit: string}} Draft  immutable */

/** @type {Draft} */
const EMPTY = Object.freeze({ text: '', alg: DEFAULT_ALG, target: null, edit: '' });

export function createDrafts() {
  /** @type {Map<string, Draft>} */
  const drafts = new Map();
  /** @type {Set<() => void>} */
  const listeners = new Set();
  /** @param {string} chat */
  const get = (chat) => drafts.get(chat) ?? EMPTY;
  /** @param {string} chat @param {Partial<Draft>} change */
  const set = (chat, change) => {
    drafts.set(chat, Object.freeze({ ...get(chat), ...change }));
    for (const listener of listeners) listener();
  };

  return {
    get,
    set,
    /** @param {() => void} listener */
    subscribe(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    /** Begins an answer or an edit; null ends it. @param {string} chat @param {Target|null} target */
    aim(chat, target) {
      set(chat, { target, edit: target?.kind === 'edit' ? (target.item.payload?.body ?? '') : '' });
    },
    /** It is on its way: the field is free. @param {string} chat @param {Target|null} target */
    taken(chat, target) {
      set(chat, { target: null, edit: '', ...(target?.kind !== 'edit' && { text: '' }) });
    },
    /** It was refused: the user's again, unless they have gone on writing. @param {string} chat @param {Target|null} target @param {string} body */
    refused(chat, target, body) {
      const now = get(chat);
      if (target?.kind === 'edit') set(chat, { target, edit: body });
      else set(chat, { text: now.text || body, target: now.target ?? target });
    },
  };
}

/** @typedef {ReturnType<typeof createDrafts>} Drafts */

/** @param {Drafts} drafts @param {string} chat */
export function useDraft(drafts, chat) {
  const read = () => drafts.get(chat);
  return useSyncExternalStore(drafts.subscribe, read, read);
}
