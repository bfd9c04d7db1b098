'use client';
/** The user's chats, newest activity first. Each row is one link; its name carries the unread count in words. */
import { usePeople } from '../../hooks/usePeople.js';
import { VerifiedMark } from '../security/verified-mark.js';
import { Avatar } from '../ui/avatar.js';
import { Icon } from '../ui/icon.js';
import {
  countWords,
  displayNameOf,
  onlineWords,
  otherOf,
  shownStatus,
  statusWords,
  typingWords,
} from './people.js';
import styles from './sidebar.module.css';

/** @typedef {import('../../lib/types.js').ChatView} ChatView */

/** @param {{chat: ChatView, current: boolean, me: string}} props */
function ChatRow({ chat, current, me }) {
  const people = usePeople();
  const other = otherOf(chat, me);
  const status = other ? shownStatus(people[other.username]?.status) : undefined;
  const typing = typingWords(chat.typing.map((username) => displayNameOf(people, chat, username)));
  const second = other
    ? `@${other.username} · ${statusWords(status)}`
    : countWords(chat) + onlineWords(chat, people, me);
  return (
    <a className={styles.row} href={`#${chat.id}`} aria-current={current ? 'page' : undefined}>
      <Avatar name={chat.title} seed={other?.username ?? chat.id} status={status} size="large" />
      <span className={styles.words}>
        <span className={styles.title} data-unverified={chat.unverified}>
          {chat.title}
          {chat.unverified ? <span className="sr">, not verified yet</span> : null}
          {other ? <VerifiedMark verified={people[other.username]?.verified} /> : null}
        </span>
        <span className={`${styles.second} ${typing ? styles.typing : ''}`}>{typing || second}</span>
      </span>
      {chat.warnings.length > 0 ? (
        <span className={styles.warn}>
          <Icon name="warning" />
          <span className="sr">has a warning</span>
        </span>
      ) : null}
      {chat.unread > 0 ? (
        <span className={styles.unread}>
          {chat.unread > 99 ? '99+' : chat.unread}
          <span className="sr"> unread</span>
        </span>
      ) : null}
    </a>
  );
}

/** @param {{chats: ChatView[], openId: string, me: string}} props */
export function ChatList({ chats, openId, me }) {
  if (chats.length === 0) return <p className={styles.none}>No chats yet. Choose someone to write to.</p>;
  return (
    <ul>
      {chats.map((chat) => (
        <li key={chat.id}>
          <ChatRow chat={chat} current={chat.id === openId} me={me} />
        </li>
      ))}
    </ul>
  );
}
