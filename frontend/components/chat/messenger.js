'use client';
/** The app itself: list and chat side by side, one of the two below 600 px. The open chat's id is the URL's fragment. */
import { useEffect, useState } from 'react';
import { makeTrays } from '../../hooks/useAttachments.js';
import { useChats } from '../../hooks/useChats.js';
import { useConnection } from '../../hooks/useConnection.js';
import { useFragment } from '../../hooks/useFragment.js';
import { useDirectory } from '../../hooks/usePeople.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Empty } from '../ui/notice.js';
import { Conversation } from './conversation.js';
import { createDrafts } from './drafts.js';
import { NewChat } from './new-chat.js';
import { Sidebar } from './sidebar.js';
import styles from './messenger.module.css';

/** @param {string} id */
function openChat(id) {
  window.location.hash = id;
}

/** The tab's title carries the number of unread messages. @param {import('../../lib/types.js').ChatView[]} chats */
function useTitle(chats) {
  const unread = chats.reduce((sum, chat) => sum + chat.unread, 0);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Chats · Chat-Sec` : 'Chats · Chat-Sec';
  }, [unread]);
}

/** What is fetched when it first opens opens without a connection too. */
function useFetchedDialogs() {
  useEffect(() => {
    const parts = [import('../account/account-dialog.js'), import('../security/verify-dialog.js')];
    for (const part of parts) part.catch(() => undefined); // it is fetched again when it opens
  }, []);
}

/**
 * What the chats remember while one user is here: what is begun and which files wait. In memory only.
 * @typedef {{drafts: import('./drafts.js').Drafts, trays: import('../../hooks/trays.js').Trays}} ChatMemory
 */

export function Messenger() {
  const chats = useChats();
  const openId = useFragment();
  const [memory] = useState(
    /** @returns {ChatMemory} */ () => ({ drafts: createDrafts(), trays: makeTrays() }),
  );
  /** null: closed; else the usernames chosen beforehand. */
  const [choosing, setChoosing] = useState(/** @type {string[]|null} */ (null));
  useDirectory(useConnection() === 'online');
  useTitle(chats);
  useFetchedDialogs();

  const start = (/** @type {string[]} */ usernames = []) => setChoosing(usernames);
  const chat = chats.find(({ id }) => id === openId);
  return (
    <div className={styles.shell} data-open={openId ? 'chat' : 'list'}>
      <Sidebar chats={chats} openId={openId} onNewChat={start} onOpen={openChat} />
      {chat ? (
        <Conversation key={chat.id} chat={chat} memory={memory} onNewChat={start} />
      ) : (
        <main className={styles.nothing}>
          {openId ? (
            <Empty icon="chat" heading action={<Button onClick={() => openChat('')}>Show my chats</Button>}>
              This chat is not in your list. It was erased, or you are no longer in it.
            </Empty>
          ) : (
            <Empty
              icon="chat"
              action={
                <Button onClick={() => start()}>
                  <Icon name="plus" /> {chats.length > 0 ? 'Write to someone' : 'Start a chat'}
                </Button>
              }
            >
              {chats.length > 0 ? 'Choose a chat from the list to read it here.' : 'You have no chats yet.'}
            </Empty>
          )}
        </main>
      )}
      {choosing ? (
        <NewChat
          preselected={choosing}
          onClose={() => setChoosing(null)}
          onStarted={(id) => {
            setChoosing(null);
            openChat(id);
          }}
        />
      ) : null}
    </div>
  );
}
