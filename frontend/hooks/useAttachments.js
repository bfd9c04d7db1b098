'use client';
/** Files: those that wait to be sent with a chat's next message, and those that came with one. */
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { getClient } from './client.js';
import { createTrays } from './trays.js';
import { errorWords } from './words.js';

/** @typedef {import('../lib/types.js').Attachment} Attachment */

/** @returns {import('./trays.js').Trays} */
export function makeTrays() {
  return createTrays((...given) => getClient().attach(...given));
}

/** @param {import('./trays.js').Trays} trays @param {string} chatId */
export function useTray(trays, chatId) {
  const read = () => trays.get(chatId);
  return useSyncExternalStore(trays.subscribe, read, read);
}

/**
 * @typedef {{state: 'closed'|'opening'|'open'|'failed', done: number, url: string, problem: string}} Opened
 *   done: 0 … 1; url: of the decrypted bytes, good while the caller is mounted
 */

/** @type {Opened} */
const CLOSED = { state: 'closed', done: 0, url: '', problem: '' };

/** Fetches, checks and decrypts an attachment when asked to. @param {string} chatId @param {Attachment} attachment */
export function useOpened(chatId, attachment) {
  const [opened, setOpened] = useState(CLOSED);
  const control = useRef(/** @type {AbortController|null} */ (null));
  const url = useRef('');

  useEffect(
    () => () => {
      control.current?.abort();
      control.current = null;
      if (url.current) URL.revokeObjectURL(url.current);
      url.current = '';
    },
    [],
  );

  /** @returns {Promise<string>} the URL, '' if it failed or was cancelled */
  const open = useCallback(async () => {
    if (url.current) return url.current;
    control.current?.abort();
    const own = new AbortController();
    control.current = own;
    setOpened({ ...CLOSED, state: 'opening' });
    try {
      const blob = await getClient().openAttachment(chatId, attachment, {
        signal: own.signal,
        onProgress: ({ done, of }) =>
          setOpened({ ...CLOSED, state: 'opening', done: of > 0 ? done / of : 0 }),
      });
      if (own.signal.aborted) return '';
      url.current = URL.createObjectURL(blob);
      setOpened({ ...CLOSED, state: 'open', done: 1, url: url.current });
      return url.current;
    } catch (error) {
      if (!own.signal.aborted) setOpened({ ...CLOSED, state: 'failed', problem: errorWords(error) });
      return '';
    }
  }, [chatId, attachment]);

  const cancel = useCallback(() => {
    control.current?.abort();
    setOpened(CLOSED);
  }, []);
  return { ...opened, open, cancel };
}
