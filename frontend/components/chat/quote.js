'use client';
/** The message that another one answers, in short; it leads there. */
import { useChat } from '../../hooks/useChats.js';
import { usePeople } from '../../hooks/usePeople.js';
import { findArticle } from './message-keys.js';
import { displayNameOf } from './people.js';
import styles from './message.module.css';

/** @param {{chatId: string, me: string, target: {id: string, from: string, body: string}|null}} props  null: not loaded */
export function Quote({ chatId, me, target }) {
  const people = usePeople();
  const chat = useChat(chatId);
  if (!target) {
    return (
      <p className={styles.quote}>
        <span>An answer to a message further up</span>
      </p>
    );
  }
  const name = target.from === me ? 'You' : chat ? displayNameOf(people, chat, target.from) : target.from;
  return (
    <button
      type="button"
      className={styles.quote}
      onClick={() => findArticle(target.id, target.from)?.focus()}
    >
      <strong>
        <span className="sr">Answers </span>
        {name}
      </strong>
      <span dir="auto">{target.body}</span>
    </button>
  );
}
