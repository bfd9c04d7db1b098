'use client';
/** The chat pane: header, what should be known first, the messages, and the field to write in. */
import { useCallback, useState } from 'react';
import { useOffline } from '../../hooks/useConnection.js';
import { useMessages } from '../../hooks/useMessages.js';
import { usePeople } from '../../hooks/usePeople.js';
import { useSession } from '../../hooks/useSession.js';
import { errorWords } from '../../hooks/words.js';
import { VerifyDialog } from '../security/lazy-verify-dialog.js';
import { Button } from '../ui/button.js';
import { Empty } from '../ui/notice.js';
import { ChatDetails } from './chat-details.js';
import { ChatHeader } from './chat-header.js';
import { ChatNotices } from './chat-notices.js';
import { Composer } from './composer.js';
import { lastOwn } from './deed.js';
import { DeleteMessage } from './delete-message.js';
import { useDraft } from './drafts.js';
import { displayNameOf } from './people.js';
import { Timeline } from './timeline.js';
import { useDrop } from './use-drop.js';
import styles from './conversation.module.css';

/** @typedef {import('../../lib/types.js').ChatView} ChatView @typedef {import('../../lib/types.js').MessageItem} MessageItem */
/**
 * What stands over the chat.
 * @typedef {{kind: 'members'}|{kind: 'verify', username: string}|{kind: 'delete', item: MessageItem}} Over
 */

/** @param {{over: Over|null, chat: ChatView, people: Record<string, import('../../lib/types.js').PersonView>, me: string, onClose: () => void}} props */
function OverChat({ over, chat, people, me, onClose }) {
  if (over?.kind === 'members') return <ChatDetails chat={chat} people={people} me={me} onClose={onClose} />;
  if (over?.kind === 'verify') return <VerifyDialog username={over.username} onClose={onClose} />;
  if (over?.kind === 'delete') return <DeleteMessage chatId={chat.id} item={over.item} onClose={onClose} />;
  return null;
}

/** @param {{chat: ChatView, memory: import('./messenger.js').ChatMemory, onNewChat: (usernames: string[]) => void}} props */
export function Conversation({ chat, memory, onNewChat }) {
  const { user } = useSession();
  const me = user?.username ?? '';
  const people = usePeople();
  const offline = useOffline();
  const { view, opened, failure, reopen } = useMessages(chat.id);
  const { target } = useDraft(memory.drafts, chat.id);
  const [over, setOver] = useState(/** @type {Over|null} */ (null));
  const closed = failure && !view?.items.length;
  const dropping = useDrop(
    (files) => memory.trays.add(chat.id, files),
    !chat.removed && target?.kind !== 'edit',
  );

  /** @type {import('./timeline.js').OnDeed} */
  const onDeed = useCallback(
    (deed, item) => {
      if (deed === 'delete') setOver({ kind: 'delete', item });
      else if (deed === 'reply' || deed === 'edit') memory.drafts.aim(chat.id, { kind: deed, item });
    },
    [memory, chat.id],
  );

  return (
    <main className={styles.pane} aria-label={`Chat with ${chat.title}`} {...dropping.handlers}>
      <ChatHeader chat={chat} people={people} me={me} onDetails={() => setOver({ kind: 'members' })} />
      <ChatNotices
        chat={chat}
        view={view}
        people={people}
        me={me}
        offline={offline}
        onMembers={() => setOver({ kind: 'members' })}
        onVerify={(username) => setOver({ kind: 'verify', username })}
        onNewChat={onNewChat}
        onAgain={reopen}
      />
      {closed ? (
        <div className={styles.broken}>
          <Empty icon="alert" action={<Button onClick={reopen}>Try again</Button>}>
            {errorWords(failure)}
          </Empty>
        </div>
      ) : (
        <Timeline chat={chat} view={view} opened={opened} people={people} me={me} onDeed={onDeed} />
      )}
      {chat.removed ? (
        <p className={styles.removed}>You are no longer in this chat.</p>
      ) : (
        <Composer
          chat={chat}
          memory={memory}
          targetName={
            target ? (target.item.mine ? 'yourself' : displayNameOf(people, chat, target.item.from)) : ''
          }
          lastOwn={lastOwn(view?.items ?? [])}
        />
      )}
      {dropping.over ? <p className={styles.drop}>Drop files to attach them</p> : null}
      <OverChat over={over} chat={chat} people={people} me={me} onClose={() => setOver(null)} />
    </main>
  );
}
