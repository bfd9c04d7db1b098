'use client';
/** The account's settings: recovery code, password, sessions, and its end. A list first, then one of them. */
import { useState } from 'react';
import { useSession } from '../../hooks/useSession.js';
import { Dialog } from '../ui/dialog.js';
import { Icon } from '../ui/icon.js';
import { ChangePassword } from './change-password.js';
import { DeleteAccount } from './delete-account.js';
import { RecoveryCode } from './recovery-code.js';
import { Sessions } from './sessions.js';
import styles from './security.module.css';

/** @typedef {'recovery'|'password'|'compromised'|'sessions'|'delete'} View */

/** @type {{view: View, title: string, icon: import('../ui/icon.js').IconName}[]} */
const ENTRIES = [
  { view: 'recovery', title: 'Recovery code', icon: 'key' },
  { view: 'password', title: 'Change password', icon: 'lock' },
  { view: 'sessions', title: 'Sessions', icon: 'account' },
  { view: 'delete', title: 'Delete account', icon: 'trash' },
];

/** @param {boolean|null} stored */
function recoveryWords(stored) {
  if (stored === null) return '';
  return stored ? 'Saved' : 'Not saved yet';
}

/** @param {{username: string, stored: boolean|null, onChoose: (view: View) => void}} props */
function List({ username, stored, onChoose }) {
  return (
    <div className={styles.view}>
      <p>You are logged in as @{username}.</p>
      <ul className={styles.entries}>
        {ENTRIES.map(({ view, title, icon }) => (
          <li key={view}>
            <button type="button" onClick={() => onChoose(view)}>
              <Icon name={icon} />
              <span>{title}</span>
              {view === 'recovery' ? <span className={styles.note}>{recoveryWords(stored)}</span> : null}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** @param {{start?: View|null, onClose: () => void}} props  start: the view that is opened at once */
export function AccountDialog({ start = null, onClose }) {
  const { user, account } = useSession();
  const [view, setView] = useState(start);
  const [firm, setFirm] = useState(false); // a code is shown that nobody sees again
  if (!user) return null;
  const { username } = user;
  const title = ENTRIES.find((entry) => entry.view === (view === 'compromised' ? 'password' : view))?.title;
  return (
    <Dialog
      title={title ?? 'Account'}
      onClose={onClose}
      onBack={view && !firm ? () => setView(null) : undefined}
      firm={firm}
    >
      {view === null ? <List username={username} stored={account.recovery} onChoose={setView} /> : null}
      {view === 'recovery' ? (
        <RecoveryCode username={username} stored={account.recovery} onClose={onClose} />
      ) : null}
      {view === 'password' || view === 'compromised' ? (
        <ChangePassword
          username={username}
          urgent={view === 'compromised'}
          onCode={() => setFirm(true)}
          onClose={onClose}
        />
      ) : null}
      {view === 'sessions' ? <Sessions /> : null}
      {view === 'delete' ? <DeleteAccount username={username} /> : null}
    </Dialog>
  );
}
