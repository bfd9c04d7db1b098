'use client';
/** Sends what stands in the composer: a text, an answer, files with it, or the edit of an own message. */
import { useState } from 'react';
import { useTray } from '../../hooks/useAttachments.js';
import { useMessageActions } from '../../hooks/useMessages.js';
import { errorWords } from '../../hooks/words.js';

/** @typedef {import('../../lib/types.js').ChatView} ChatView @typedef {import('./messenger.js').ChatMemory} ChatMemory */

/** @param {ChatView} chat @param {ChatMemory} memory */
export function useSending(chat, { drafts, trays }) {
  const { send, editMessage, markRead } = useMessageActions();
  const tray = useTray(trays, chat.id);
  /** The user tried to send before saying yes to a server-made key. */
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState(/** @type {string|null} */ (null));

  /** @param {string} body @param {import('./drafts.js').Draft} draft */
  async function deliver(body, { target, alg }) {
    const files = target?.kind !== 'edit' && trays.get(chat.id).pieces.length > 0;
    const attachments = files ? await trays.upload(chat.id) : undefined;
    if (attachments === null) return; // cancelled: everything stays as it was
    drafts.taken(chat.id, target);
    try {
      if (target?.kind === 'edit') {
        await editMessage(chat.id, target.item.id, body);
        return;
      }
      // Who answers has read: told first, since an own message ends what is unread.
      if (chat.unread > 0) await markRead(chat.id).catch(() => undefined);
      const reply = target ? { reply_to: target.item.id } : {};
      await send(chat.id, { body, ...reply, ...(attachments && { attachments }) }, alg);
      trays.clear(chat.id);
    } catch (error) {
      drafts.refused(chat.id, target, body);
      throw error;
    }
  }

  /** @param {string} body */
  async function sendNow(body) {
    const draft = drafts.get(chat.id);
    if (chat.needsConsent && !asked) {
      setAsked(true);
      return;
    }
    setProblem(null);
    setAsked(false);
    try {
      await deliver(body, draft);
    } catch (error) {
      if (error.code === 'consent_needed') setAsked(true);
      else setProblem(errorWords(error));
    }
  }
  return { sendNow, tray, asked, problem };
}
