'use client';
/** Who is there: online first, then away, then the others. A row leads to the chat with that person, or to a new one. */
import { usePeople } from '../../hooks/usePeople.js';
import { VerifiedMark } from '../security/verified-mark.js';
import { Avatar } from '../ui/avatar.js';
import { clockTime, dayKey, dayWords } from '../ui/time.js';
import { otherOf, shownStatus, statusWords } from './people.js';
import styles from './sidebar.module.css';

/** @typedef {import('../../lib/types.js').PersonView} PersonView */

/** How many are listed; "Find people" in the dialog finds everybody. */
const SHOWN = 50;
const ORDER = { online: 0, away: 1, offline: 2 };

/** @param {Record<string, PersonView>} people @param {string} me */
function listed(people, me) {
  return Object.values(people)
    .filter(({ username }) => username !== me)
    .sort(
      (a, b) =>
        ORDER[shownStatus(a.status)] - ORDER[shownStatus(b.status)] || (a.username < b.username ? -1 : 1),
    )
    .slice(0, SHOWN);
}

/** @param {PersonView} person */
function presenceWords(person) {
  if (shownStatus(person.status) !== 'offline' || !person.lastSeen) return statusWords(person.status);
  const today = dayKey(person.lastSeen) === dayKey(new Date().toISOString());
  return `last seen ${today ? clockTime(person.lastSeen) : dayWords(person.lastSeen).toLowerCase()}`;
}

/**
 * @param {{me: string, chats: import('../../lib/types.js').ChatView[], onOpen: (id: string) => void,
 *   onNewChat: (usernames: string[]) => void}} props
 */
export function PeopleList({ me, chats, onOpen, onNewChat }) {
  const people = listed(usePeople(), me);
  const online = people.filter(({ status }) => status === 'online').length;

  /** @param {string} username */
  function go(username) {
    const chat = chats.find((each) => !each.removed && otherOf(each, me)?.username === username);
    if (chat) onOpen(chat.id);
    else onNewChat([username]);
  }

  return (
    <section aria-label="People">
      <div className={styles.subheading}>
        <h2>People</h2>
        <span>{online} online</span>
      </div>
      {people.length === 0 ? (
        <p className={styles.none}>Nobody else is here right now.</p>
      ) : (
        <ul>
          {people.map((person) => (
            <li key={person.username}>
              <button
                type="button"
                className={`${styles.row} ${styles.person}`}
                data-username={person.username}
                data-status={shownStatus(person.status)}
                onClick={() => go(person.username)}
              >
                <Avatar
                  name={person.displayName}
                  seed={person.username}
                  size="small"
                  status={shownStatus(person.status)}
                />
                <span className={styles.words}>
                  <span className={styles.title}>
                    {person.displayName}
                    <VerifiedMark verified={person.verified} />
                  </span>
                  <span className={styles.second}>
                    @{person.username} · {presenceWords(person)}
                  </span>
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
