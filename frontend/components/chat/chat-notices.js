'use client';
/** What should be known before reading or writing here: no connection, warnings about the chat, someone's new keys. */
import { usePeopleActions } from '../../hooks/usePeople.js';
import { failureWords } from '../../hooks/words.js';
import { Button } from '../ui/button.js';
import { Notice } from '../ui/notice.js';
import { displayNameOf } from './people.js';
import styles from './conversation.module.css';

/** @typedef {import('../../lib/types.js').PersonView} PersonView */

/** Members whose keys were replaced and not yet accepted. @param {import('../../lib/types.js').ChatView} chat @param {Record<string, PersonView>} people */
function resetMembers(chat, people) {
  return chat.members.filter(({ username }) => people[username]?.warnings?.includes('identity_reset'));
}

/**
 * @param {{chat: import('../../lib/types.js').ChatView, view: import('../../lib/types.js').OpenView|undefined,
 *   people: Record<string, PersonView>, offline: boolean}} props
 */
export function ChatNotices({ chat, view, people, offline }) {
  const { acceptKeys } = usePeopleActions();
  const waiting = view?.items.some((item) => item.kind === 'message' && item.state === 'queued');
  return (
    <div className={styles.notices}>
      {offline ? (
        <Notice tone="info" icon="clock">
          {waiting
            ? 'No connection. What you wrote is sent when it is back.'
            : 'No connection. You can go on writing.'}
        </Notice>
      ) : null}
      {chat.warnings.map((name) => (
        <Notice key={name} tone="danger" icon="warning" title={failureWords(name).title}>
          {failureWords(name).explain}
        </Notice>
      ))}
      {resetMembers(chat, people).map(({ username }) => (
        <Notice
          key={username}
          tone="warning"
          icon="key"
          title={`${displayNameOf(people, chat, username)} (@${username}) has new keys`}
          action={
            <Button small onClick={() => void acceptKeys(username)}>
              Accept keys
            </Button>
          }
        >
          They started over, or someone pretends to be them. Ask them another way before you accept.
        </Notice>
      ))}
    </div>
  );
}
