'use client';
/** The items of one open chat: opened while the caller is mounted, with paging, sending and read marks. */
import { useCallback, useEffect, useRef, useState } from 'react';
import { getClient } from './client.js';
import { useSnapshot } from './useSnapshot.js';

/** How long the newest message is in view before it counts as read, ms. */
const READ_AFTER = 1000;
/** The closest that two typing signals follow each other, ms. */
const TYPING_EVERY = 3000;

/**
 * `opened`: the newest page is here. Until then what is shown may be incomplete: own messages that wait, or what was
 * loaded before. Mount it anew for another chat.
 * @param {string} chatId
 * @returns {{view: import('../lib/types.js').OpenView|undefined, opened: boolean, failure: Error|null, reopen: () => void}}
 */
export function useMessages(chatId) {
  const view = useSnapshot((snapshot) => snapshot.open[chatId]);
  const [opened, setOpened] = useState(false);
  const [failure, setFailure] = useState(/** @type {Error|null} */ (null));
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const client = getClient();
    let gone = false;
    client.openChat(chatId).then(
      () => {
        if (gone) return;
        setOpened(true);
        setFailure(null);
      },
      (error) => gone || setFailure(error),
    );
    return () => {
      gone = true;
      client.closeChat(chatId);
    };
  }, [chatId, attempt]);
  const reopen = useCallback(() => setAttempt((n) => n + 1), []);
  return { view, opened, failure, reopen };
}

export function useMessageActions() {
  const { send, retry, discard, loadOlder, markRead, editMessage, deleteMessage, react } = getClient();
  return { send, retry, discard, loadOlder, markRead, editMessage, deleteMessage, react };
}

/**
 * Marks the chat read once the newest message has been in view for a second of a focused, visible window.
 * @param {string} chatId @param {boolean} inView @param {number} lastSeq @param {number} unread
 */
export function useReadMark(chatId, inView, lastSeq, unread) {
  useEffect(() => {
    if (!inView || unread === 0) return undefined;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    let timer;
    const check = () => {
      clearTimeout(timer);
      if (document.visibilityState !== 'visible' || !document.hasFocus()) return;
      timer = setTimeout(() => {
        getClient()
          .markRead(chatId)
          .catch(() => {
            // Offline: the mark is set again when the chat is next looked at.
          });
      }, READ_AFTER);
    };
    check();
    const events = /** @type {const} */ (['focus', 'blur']);
    for (const name of events) window.addEventListener(name, check);
    document.addEventListener('visibilitychange', check);
    return () => {
      clearTimeout(timer);
      for (const name of events) window.removeEventListener(name, check);
      document.removeEventListener('visibilitychange', check);
    };
  }, [chatId, inView, lastSeq, unread]);
}

/** Tells the others that the user writes, at most every three seconds. @param {string} chatId */
export function useTyping(chatId) {
  /** When the last signal went out; 0: none is standing. */
  const sent = useRef(0);
  return useCallback(
    (/** @type {boolean} */ active) => {
      const now = Date.now();
      if (active ? now - sent.current < TYPING_EVERY : sent.current === 0) return;
      sent.current = active ? now : 0;
      getClient()
        .typing(chatId, active)
        .catch(() => {
          // A lost typing signal is nothing to tell anybody.
        });
    },
    [chatId],
  );
}
