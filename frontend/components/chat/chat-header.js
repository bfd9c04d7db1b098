'use client';
/** Whom one writes to, whether they are there, and in plain words who made the key. */
import { VerifiedMark } from '../security/verified-mark.js';
import { Avatar } from '../ui/avatar.js';
import { IconButton } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { MODES } from './modes.js';
import {
  countWords,
  displayNameOf,
  onlineWords,
  otherOf,
  shownStatus,
  statusWords,
  typingWords,
} from './people.js';
import styles from './conversation.module.css';

/**
 * @param {{chat: import('../../lib/types.js').ChatView, people: Record<string, import('../../lib/types.js').PersonView>,
 *   me: string, onDetails: () => void}} props
 */
export function ChatHeader({ chat, people, me, onDetails }) {
  const other = otherOf(chat, me);
  const status = other ? shownStatus(people[other.username]?.status) : undefined;
  const typing = typingWords(chat.typing.map((username) => displayNameOf(people, chat, username)));
  const mode = MODES[chat.keyMode];
  return (
    <header className={styles.header}>
      <a className={styles.back} href="#" aria-label="Back to the list">
        <Icon name="back" />
      </a>
      <Avatar name={chat.title} seed={other?.username ?? chat.id} status={status} />
      <div className={styles.words}>
        <h1 className={styles.title}>
          {chat.title}
          {other ? <VerifiedMark verified={people[other.username]?.verified} /> : null}
          {other ? <span className={styles.handle}> @{other.username}</span> : null}
        </h1>
        <div className={styles.second}>
          <span className={styles.mode} title={mode.hint}>
            <Icon name={mode.icon} size="small" />
            {mode.words}
          </span>
          <span className={`${styles.presence} ${typing ? styles.typing : ''}`}>
            {typing || (other ? statusWords(status) : countWords(chat))}
            {typing || other ? null : <span className={styles.online}>{onlineWords(chat, people, me)}</span>}
          </span>
        </div>
      </div>
      <IconButton label="Members" onClick={onDetails}>
        <Icon name="people" />
      </IconButton>
    </header>
  );
}
