'use client';
/** Asked once, before the first message into a `server` chat that someone else made (docs/protocol.md §1). */
import { useEffect, useRef, useState } from 'react';
import { useChatActions } from '../../hooks/useChats.js';
import { errorWords } from '../../hooks/words.js';
import { Button } from '../ui/button.js';
import { Notice } from '../ui/notice.js';

/**
 * @param {{chat: import('../../lib/types.js').ChatView, urgent: boolean, onAccepted: () => void}} props
 *   urgent: the user tried to send, and the text waits for the answer
 */
export function Consent({ chat, urgent, onAccepted }) {
  const { acceptServerMade } = useChatActions();
  const [problem, setProblem] = useState(/** @type {string|null} */ (null));
  const button = useRef(/** @type {HTMLButtonElement|null} */ (null));
  useEffect(() => {
    if (urgent) button.current?.focus();
  }, [urgent]);

  async function accept() {
    try {
      await acceptServerMade(chat.id);
      onAccepted();
    } catch (error) {
      setProblem(errorWords(error));
    }
  }

  return (
    <Notice
      tone="warning"
      icon="key"
      label="Server-made key"
      live={false}
      title={urgent ? 'Before this goes out' : 'Before you write here'}
      action={
        <Button ref={button} small onClick={() => void accept()}>
          Accept
        </Button>
      }
    >
      {problem ??
        `@${chat.createdBy} chose a server-made key: for a moment, the server knew the key that opens this chat.`}
    </Notice>
  );
}
