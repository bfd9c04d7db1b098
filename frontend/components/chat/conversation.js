'use client';
/** The chat pane: header, what should be known first, the messages, and the field to write in. */
import { useState } from 'react';
import { useConnection } from '../../hooks/useConnection.js';
import { useMessages } from '../../hooks/useMessages.js';
import { usePeople } from '../../hooks/usePeople.js';
import { useSession } from '../../hooks/useSession.js';
import { errorWords } from '../../hooks/words.js';
import { Button } from '../ui/button.js';
import { Empty } from '../ui/notice.js';
import { ChatDetails } from './chat-details.js';
import { ChatHeader } from './chat-header.js';
import { ChatNotices } from './chat-notices.js';
import { Composer } from './composer.js';
import { Timeline } from './timeline.js';
import styles from './conversation.module.css';

/** @typedef {import('../../lib/types.js').ChatView} ChatView */

/** @param {{chat: ChatView, memory: import('./messenger.js').ChatMemory}} props */
export function Conversation({ chat, memory }) {
  const { user } = useSession();
  const me = user?.username ?? '';
  const people = usePeople();
  const connection = useConnection();
  const { view, opened, failure, reopen } = useMessages(chat.id);
  const [details, setDetails] = useState(false);
  const closed = failure && !view?.items.length;

  return (
    <main className={styles.pane} aria-label={`Chat with ${chat.title}`}>
      <ChatHeader chat={chat} people={people} me={me} onDetails={() => setDetails(true)} />
      <ChatNotices chat={chat} view={view} people={people} offline={connection === 'offline'} />
      {closed ? (
        <div className={styles.broken}>
          <Empty icon="alert" action={<Button onClick={reopen}>Try again</Button>}>
            {errorWords(failure)}
          </Empty>
        </div>
      ) : (
        <Timeline chat={chat} view={view} opened={opened} people={people} me={me} />
      )}
      {chat.removed ? (
        <p className={styles.removed}>You are no longer in this chat.</p>
      ) : (
        <Composer chat={chat} memory={memory} />
      )}
      {details ? <ChatDetails chat={chat} people={people} me={me} onClose={() => setDetails(false)} /> : null}
    </main>
  );
}
