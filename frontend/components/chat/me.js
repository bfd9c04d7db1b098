'use client';
/** The user's own row: name, the status others see, the settings, and the way out. */
import { useState } from 'react';
import { PATHS } from '../../config.js';
import { usePeople, usePeopleActions } from '../../hooks/usePeople.js';
import { useLogout } from '../../hooks/useSession.js';
import { Avatar } from '../ui/avatar.js';
import { IconButton } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import styles from './sidebar.module.css';

/** @param {{user: {username: string, displayName: string}, onAccount: () => void}} props */
export function Me({ user, onAccount }) {
  const logout = useLogout(PATHS.login);
  const { setStatus } = usePeopleActions();
  const told = usePeople()[user.username]?.status;
  const [chosen, setChosen] = useState(/** @type {'online'|'away'|'invisible'|null} */ (null));
  const status = chosen ?? (told && told !== 'offline' ? told : 'online');

  /** @param {React.ChangeEvent<HTMLSelectElement>} event */
  function choose(event) {
    const next = /** @type {'online'|'away'|'invisible'} */ (event.target.value);
    setChosen(next);
    // Refused or offline: the choice falls back to what the server last told.
    setStatus(next).catch(() => setChosen(null));
  }

  return (
    <div className={styles.me}>
      <Avatar name={user.displayName} seed={user.username} status={status} />
      <span className={styles.words}>
        <span className={styles.title}>{user.displayName}</span>
        <span className={styles.second}>@{user.username}</span>
      </span>
      <select className={styles.status} aria-label="Status" value={status} onChange={choose}>
        <option value="online">Online</option>
        <option value="away">Away</option>
        <option value="invisible">Invisible</option>
      </select>
      <IconButton label="Account" onClick={onAccount}>
        <Icon name="account" />
      </IconButton>
      <IconButton label="Log out" onClick={() => void logout()}>
        <Icon name="exit" />
      </IconButton>
    </div>
  );
}
