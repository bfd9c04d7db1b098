'use client';
/** What should be known before reading or writing here: no connection, and everything that `noticesOf` tells. */
import { useRef } from 'react';
import { useAction } from '../../hooks/useAction.js';
import { useChatActions } from '../../hooks/useChats.js';
import { usePeopleActions } from '../../hooks/usePeople.js';
import { Button } from '../ui/button.js';
import { useKeptFocus } from '../ui/keep-focus.js';
import { Notice } from '../ui/notice.js';
import { noticesOf } from './notices.js';
import styles from './conversation.module.css';

/** @typedef {import('../../lib/types.js').ChatView} ChatView */

/**
 * @param {{chat: ChatView, view: import('../../lib/types.js').OpenView|undefined,
 *   people: Record<string, import('../../lib/types.js').PersonView>, me: string, offline: boolean,
 *   onMembers: () => void, onVerify: (username: string) => void, onNewChat: (usernames: string[]) => void,
 *   onAgain: () => void}} props
 */
export function ChatNotices({ chat, view, people, me, offline, onMembers, onVerify, onNewChat, onAgain }) {
  const { acceptKeys } = usePeopleActions();
  const { confirmKeys, replaceShare } = useChatActions();
  const { busy, problem, run } = useAction();
  const place = useRef(/** @type {HTMLDivElement|null} */ (null));
  useKeptFocus(place, place); // a button that helped goes away with its notice
  const waits = view?.items.some((item) => item.kind === 'message' && item.state === 'queued') ?? false;

  /** @param {import('./notices.js').Action} action */
  function act({ act: what, username = '' }) {
    if (what === 'members') onMembers();
    else if (what === 'verify') onVerify(username);
    else if (what === 'again') onAgain();
    else if (what === 'new') {
      onNewChat(chat.members.map((member) => member.username).filter((name) => name !== me));
    } else {
      const work = {
        accept: () => acceptKeys(username),
        confirm: () => confirmKeys(chat.id, username),
        replace: () => replaceShare(chat.id),
      };
      void run(what, work[what]);
    }
  }

  return (
    <div className={styles.notices} ref={place} tabIndex={-1}>
      {offline ? (
        <Notice tone="info" icon="clock">
          {waits
            ? 'No connection. What you wrote is sent when it is back.'
            : 'No connection. You can go on writing.'}
        </Notice>
      ) : null}
      {noticesOf(chat, people, me, waits).map((notice) => (
        <Notice
          key={notice.key}
          tone={notice.tone}
          icon={notice.icon}
          title={notice.title}
          action={notice.actions.map((action) => (
            <Button key={action.label} small disabled={busy !== ''} onClick={() => act(action)}>
              {action.label}
            </Button>
          ))}
        >
          {notice.text}
        </Notice>
      ))}
      {problem ? <Notice tone="danger">{problem}</Notice> : null}
    </div>
  );
}
