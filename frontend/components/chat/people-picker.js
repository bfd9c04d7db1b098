'use client';
/** Finds people and lets some be chosen. Who has no keys yet cannot be: nothing could be encrypted for them. */
import { useEffect, useState } from 'react';
import { usePeople, usePeopleActions } from '../../hooks/usePeople.js';
import { errorWords } from '../../hooks/words.js';
import { VerifiedMark } from '../security/verified-mark.js';
import { Avatar } from '../ui/avatar.js';
import { Field } from '../ui/field.js';
import { Notice } from '../ui/notice.js';
import { shownStatus, statusWords } from './people.js';
import styles from './people-picker.module.css';

/** @typedef {import('../../lib/types.js').User} User */

/** How long typing rests before the server is asked, ms. */
const PAUSE = 150;

/** Hits for a query, searched again as it changes. @param {string} query */
function useFound(query) {
  const { findPeople } = usePeopleActions();
  const [found, setFound] = useState({ query: '', users: /** @type {User[]|null} */ (null) });
  const [problem, setProblem] = useState(/** @type {string|null} */ (null));
  useEffect(() => {
    let stale = false;
    const timer = setTimeout(
      () => {
        findPeople(query.trim()).then(
          (users) => {
            if (stale) return;
            setFound({ query, users });
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
  return { found: found.users, searching: found.query !== query && problem === null, problem };
}

/** @param {{user: User, status: string, verified: boolean|undefined, checked: boolean, onToggle: () => void}} props */
function Person({ user, status, verified, checked, onToggle }) {
  const blocked = !user.hasKeys;
  return (
    <li>
      <label className={styles.person} data-blocked={blocked}>
        <Avatar name={user.displayName} seed={user.username} status={shownStatus(status)} />
        <span className={styles.words}>
          <span className={styles.name}>
            {user.displayName}
            <VerifiedMark verified={verified} />
          </span>
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

/** @param {User[]} found @param {Map<string, User>} chosen @param {string[]} without */
function rowsOf(found, chosen, without) {
  const hits = found.filter(({ username }) => !without.includes(username));
  const names = new Set(hits.map(({ username }) => username));
  return [...[...chosen.values()].filter(({ username }) => !names.has(username)), ...hits];
}

/**
 * @param {{chosen: Map<string, User>, onChange: (chosen: Map<string, User>) => void, without: string[]}} props
 *   without: usernames that are not offered
 */
export function PeoplePicker({ chosen, onChange, without }) {
  const people = usePeople();
  const [query, setQuery] = useState('');
  const { found, searching, problem } = useFound(query);
  const rows = rowsOf(found ?? [], chosen, without);

  /** @param {User} person */
  function toggle(person) {
    const next = new Map(chosen);
    if (!next.delete(person.username)) next.set(person.username, person);
    onChange(next);
  }

  return (
    <>
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
      <ul className={styles.people} aria-label="Found people" aria-busy={searching}>
        {rows.map((person) => (
          <Person
            key={person.username}
            user={person}
            status={people[person.username]?.status ?? person.status}
            verified={people[person.username]?.verified}
            checked={chosen.has(person.username)}
            onToggle={() => toggle(person)}
          />
        ))}
        {problem ? (
          <li>
            <Notice tone="danger">{problem}</Notice>
          </li>
        ) : null}
        {found && rows.length === 0 ? (
          <li className={styles.none}>
            {query ? 'Nobody by that name.' : 'There is nobody else to choose.'}
          </li>
        ) : null}
      </ul>
    </>
  );
}
