'use client';
/** Who is in the chat, and the two ways out of it: leaving, and for an owner erasing it for everyone. */
import { useState } from 'react';
import { useChatActions } from '../../hooks/useChats.js';
import { errorWords } from '../../hooks/words.js';
import { Avatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { Notice } from '../ui/notice.js';
import { shownStatus, statusWords } from './people.js';
import styles from './chat-details.module.css';

/**
 * @param {{chat: import('../../lib/types.js').ChatView, people: Record<string, import('../../lib/types.js').PersonView>,
 *   me: string, onClose: () => void}} props
 */
export function ChatDetails({ chat, people, me, onClose }) {
  const { leaveChat, eraseChat } = useChatActions();
  const [erasing, setErasing] = useState(false);
  const [problem, setProblem] = useState(/** @type {string|null} */ (null));
  const owner = chat.members.some(({ username, role }) => username === me && role === 'owner');

  /** @param {(id: string) => Promise<void>} action */
  async function end(action) {
    try {
      await action(chat.id);
      window.location.hash = '';
    } catch (error) {
      setErasing(false);
      setProblem(errorWords(error));
    }
  }

  return (
    <Dialog title="Members" onClose={onClose}>
      <ul className={styles.members}>
        {chat.members.map(({ username, displayName, role }) => (
          <li key={username} className={styles.member}>
            <Avatar
              name={displayName}
              seed={username}
              status={username === me ? undefined : shownStatus(people[username]?.status)}
            />
            <span className={styles.words}>
              <strong>{username === me ? `${displayName} (you)` : displayName}</strong>
              <span>
                @{username}
                {username === me ? '' : ` · ${statusWords(people[username]?.status)}`}
              </span>
            </span>
            {role === 'owner' ? <span className={styles.role}>Owner</span> : null}
          </li>
        ))}
      </ul>
      <div className={styles.foot}>
        {problem ? <Notice tone="danger">{problem}</Notice> : null}
        {erasing ? (
          <Notice
            tone="danger"
            label="Erase this chat?"
            action={
              <Button small kind="danger" onClick={() => void end(eraseChat)}>
                Yes, erase
              </Button>
            }
          >
            Everything in it is erased for all members, for good.
          </Notice>
        ) : null}
        {chat.removed ? null : (
          <div className={styles.actions}>
            <Button small onClick={() => void end(leaveChat)}>
              Leave chat
            </Button>
            {owner ? (
              <Button small kind="danger" disabled={erasing} onClick={() => setErasing(true)}>
                Erase for everyone
              </Button>
            ) : null}
          </div>
        )}
      </div>
    </Dialog>
  );
}
