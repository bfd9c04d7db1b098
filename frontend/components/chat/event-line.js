'use client';
/** What happened to the chat, as a quiet line among the messages. */
import { memo } from 'react';
import { failureWords } from '../../hooks/words.js';
import { Icon } from '../ui/icon.js';
import { displayNameOf } from './people.js';
import styles from './message.module.css';

/** @typedef {import('../../lib/types.js').EventItem} EventItem @typedef {import('../../lib/types.js').ChatView} ChatView */
/** @typedef {Record<string, import('../../lib/types.js').PersonView>} People */

/** @param {string[]} names */
function listOf(names) {
  return new Intl.ListFormat('en', { type: 'conjunction' }).format(names);
}

/** The words of each kind of event, docs/protocol.md §4. @type {Record<string, (by: string, whom: string) => string>} */
const WORDS = {
  create: (by) => `${by} started this chat`,
  add: (by, whom) => `${by} added ${whom}`,
  remove: (by, whom) => `${by} removed ${whom}`,
  leave: (by) => `${by} left`,
  role: (by, whom) => `${by} changed the role of ${whom}`,
  rename: (by) => `${by} renamed the chat`,
  keys: (_by, whom) => `New keys: ${whom}`,
  retire: (by, whom) => `${by} took out ${whom}`,
  rekey: (by) => (by ? `${by} renewed the key of this chat` : 'The key of this chat was renewed'),
  ended: (_by, whom) => `Account ended: ${whom}`,
};

/** @param {EventItem['event']} event @param {(username: string) => string} nameOf */
function eventWords(event, nameOf) {
  const by = event.by && event.by !== 'server' ? nameOf(event.by) : '';
  const whom = listOf(event.usernames.map(nameOf));
  return Object.hasOwn(WORDS, event.kind) ? WORDS[event.kind](by, whom) : `Something changed: ${event.kind}`;
}

/** @param {{item: EventItem, chat: ChatView, people: People, me: string}} props */
function Line({ item, chat, people, me }) {
  const nameOf = (/** @type {string} */ username) => {
    if (username === me) return 'You';
    const name = displayNameOf(people, chat, username);
    return name === username ? `@${username}` : `${name} (@${username})`;
  };
  return (
    <li
      className={styles.event}
      data-kind={item.event.kind}
      data-epoch={item.event.epoch}
      data-warning={item.warnings.length > 0 ? item.warnings.join(' ') : undefined}
    >
      <span>{eventWords(item.event, nameOf)}</span>
      {item.warnings.map((name) => (
        <span key={name} className={styles.warning}>
          <Icon name="warning" size="small" /> {failureWords(name).title}
        </span>
      ))}
    </li>
  );
}

export const EventLine = memo(Line);
