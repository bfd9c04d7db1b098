'use client';
/** The dialog that starts a chat with chosen people. Who has no keys yet cannot be chosen: nothing could be encrypted for them. */
import { useEffect, useState } from 'react';
import { useChatActions } from '../../hooks/useChats.js';
import { usePeople, usePeopleActions } from '../../hooks/usePeople.js';
import { useSession } from '../../hooks/useSession.js';
import { errorWords } from '../../hooks/words.js';
import { Avatar } from '../ui/avatar.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { shownStatus, statusWords } from './people.js';
import styles from './new-chat.module.css';

/** @typedef {import('../../lib/types.js').User} User */

/** How long typing rests before the server is asked, ms. */
const PAUSE = 150;

/** Hits for a query, searched again as it changes. @param {string} query */
function useFound(query) {
  const { findPeople } = usePeopleActions();
  const [found, setFound] = useState(/** @type {User[]|null} */ (null));
  const [problem, setProblem] = useState(/** @type {string|null} */ (null));
  useEffect(() => {
    let stale = false;
    const timer = setTimeout(
      () => {
        findPeople(query.trim()).then(
          (users) => {
            if (stale) return;
            setFound(users);
            setProblem(null);
          },
          (error) => stale || setProblem(errorWords(error)),
        );
      },
      query ? PAUSE : 0,
    );
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [query, findPeople]);
  return { found, problem };
}

/** @param {{user: User, status: string, checked: boolean, onToggle: () => void}} props */
function Person({ user, status, checked, onToggle }) {
  const blocked = !user.hasKeys;
  return (
    <li>
      <label className={styles.person} data-blocked={blocked}>
        <Avatar name={user.displayName} seed={user.username} status={shownStatus(status)} />
        <span className={styles.words}>
          <span className={styles.name}>{user.displayName}</span>
          <span className={styles.second}>
            @{user.username} · {blocked ? 'has no keys yet' : statusWords(status)}
          </span>
        </span>
        <input
          type="checkbox"
          aria-label={user.username}
          checked={checked}
          disabled={blocked}
          onChange={onToggle}
        />
      </label>
    </li>
  );
}

/** @param {User[]} found @param {Map<string, User>} chosen @param {string} me */
function rowsOf(found, chosen, me) {
  const hits = found.filter(({ username }) => username !== me);
  const names = new Set(hits.map(({ username }) => username));
  return [...[...chosen.values()].filter(({ username }) => !names.has(username)), ...hits];
}

/** @param {{preselected: string[], onClose: () => void, onStarted: (id: string) => void}} props */
export function NewChat({ preselected, onClose, onStarted }) {
  const { user } = useSession();
  const people = usePeople();
  const { startChat } = useChatActions();
  const [query, setQuery] = useState('');
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState(() => {
    const known = preselected.map((username) => people[username]).filter(Boolean);
    return new Map(
      known.map((person) => [person.username, /** @type {User} */ ({ ...person, hasKeys: true })]),
    );
  });
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState(/** @type {string|null} */ (null));
  const { found, problem } = useFound(query);
  const rows = rowsOf(found ?? [], chosen, user?.username ?? '');

  /** @param {User} person */
  function toggle(person) {
    setChosen((before) => {
      const next = new Map(before);
      if (!next.delete(person.username)) next.set(person.username, person);
      return next;
    });
  }

  /** @param {React.FormEvent} event */
  async function submit(event) {
    event.preventDefault();
    setBusy(true);
    setRefused(null);
    try {
      const usernames = [...chosen.keys()];
      const title = usernames.length > 1 ? name.trim() : '';
      onStarted(await startChat(title ? { usernames, name: title } : { usernames }));
    } catch (error) {
      setRefused(errorWords(error));
      setBusy(false);
    }
  }

  return (
    <Dialog title="New chat" onClose={onClose}>
      <form className={styles.form} onSubmit={submit}>
        <div className={styles.search}>
          <Field
            label="Find people"
            placeholder="Name or username"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            inputMode="search"
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
        </div>
        <ul className={styles.people}>
          {rows.map((person) => (
            <Person
              key={person.username}
              user={person}
              status={people[person.username]?.status ?? person.status}
              checked={chosen.has(person.username)}
              onToggle={() => toggle(person)}
            />
          ))}
          {found && rows.length === 0 ? (
            <li className={styles.none}>
              {query ? 'Nobody by that name.' : 'Nobody else has an account yet.'}
            </li>
          ) : null}
        </ul>
        <div className={styles.foot}>
          {chosen.size > 1 ? (
            <Field
              label="Chat name"
              placeholder="Optional"
              maxLength={100}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          ) : null}
          {(refused ?? problem) ? <Notice tone="danger">{refused ?? problem}</Notice> : null}
          <Button kind="primary" type="submit" wide disabled={chosen.size === 0 || busy}>
            Start chat
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
