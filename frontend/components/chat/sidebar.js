'use client';
/** The list pane: the user's own row, their chats, and the people who are there. */
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Notice } from '../ui/notice.js';
import { useSession } from '../../hooks/useSession.js';
import { failureWords } from '../../hooks/words.js';
import { ChatList } from './chat-list.js';
import { Me } from './me.js';
import { PeopleList } from './people-list.js';
import styles from './sidebar.module.css';

/**
 * @param {{chats: import('../../lib/types.js').ChatView[], openId: string,
 *   onNewChat: (usernames?: string[]) => void, onOpen: (id: string) => void}} props
 */
export function Sidebar({ chats, openId, onNewChat, onOpen }) {
  const { user, accountWarnings } = useSession();
  if (!user) return null;
  return (
    <nav className={styles.sidebar} aria-label="Chats">
      <Me user={user} />
      <div className={styles.scroll}>
        {accountWarnings.map(({ name, detail }) => (
          <div className={styles.warning} key={name}>
            <Notice tone="danger" icon="warning" title={failureWords(name).title}>
              {failureWords(name).explain || detail}
            </Notice>
          </div>
        ))}
        <div className={styles.heading}>
          <h1>Chats</h1>
          <Button kind="primary" small onClick={() => onNewChat()}>
            <Icon name="plus" size="small" /> New chat
          </Button>
        </div>
        <ChatList chats={chats} openId={openId} me={user.username} />
        <PeopleList me={user.username} chats={chats} onOpen={onOpen} onNewChat={onNewChat} />
      </div>
    </nav>
  );
}
