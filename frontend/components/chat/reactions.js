'use client';
/** The reactions to a message: each a button that adds or takes back the user's own. */
import { useChat } from '../../hooks/useChats.js';
import { useMessageActions } from '../../hooks/useMessages.js';
import { usePeople } from '../../hooks/usePeople.js';
import { emojiName, isEmoji } from './emoji.js';
import { displayNameOf } from './people.js';
import styles from './reactions.module.css';

/** Before a button in its item goes away. @param {HTMLElement} button */
function focusMessage(button) {
  button.closest('[data-mine]')?.querySelector('article')?.focus();
}

/**
 * @param {{chatId: string, messageId: string, reactions: Record<string, string[]>, me: string,
 *   frozen: boolean, onProblem: (error: Error) => void}} props
 *   frozen: nothing can be sent into this chat any more
 */
export function Reactions({ chatId, messageId, reactions, me, frozen, onProblem }) {
  const { react } = useMessageActions();
  const people = usePeople();
  const chat = useChat(chatId);
  const entries = Object.entries(reactions).filter(([, usernames]) => usernames.length > 0);
  if (entries.length === 0) return null;
  const list = new Intl.ListFormat('en');
  const nameOf = (/** @type {string} */ username) =>
    username === me ? 'you' : chat ? displayNameOf(people, chat, username) : username;
  return (
    <ul className={styles.reactions} aria-label="Reactions">
      {entries.map(([emoji, usernames]) => {
        const own = usernames.includes(me);
        const who = list.format(usernames.map(nameOf));
        return (
          <li key={emoji}>
            <button
              type="button"
              aria-pressed={own}
              aria-label={`${emojiName(emoji)}, ${usernames.length}: ${who}`}
              title={who}
              disabled={frozen || !isEmoji(emoji)}
              onClick={(event) => {
                if (own && usernames.length === 1) focusMessage(event.currentTarget);
                void react(chatId, messageId, emoji, !own).catch(onProblem);
              }}
            >
              <span>{emoji}</span> {usernames.length}
            </button>
          </li>
        );
      })}
    </ul>
  );
}
