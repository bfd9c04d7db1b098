'use client';
/** The list pane: the user's own row, their chats, and the people who are there. */
import { useState } from 'react';
import { PATHS } from '../../config.js';
import { AccountDialog } from '../account/lazy-account-dialog.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Notice } from '../ui/notice.js';
import { useLogout, useSession } from '../../hooks/useSession.js';
import { failureWords } from '../../hooks/words.js';
import { ChatList } from './chat-list.js';
import { Me } from './me.js';
import { PeopleList } from './people-list.js';
import styles from './sidebar.module.css';

/** @typedef {import('../account/account-dialog.js').View} View */

/** What helps against a warning about the account: a part of its settings, or null, another log-in. `text`: where the
 * failure's own words speak of chats. @type {Record<string, {label: string, view: View|null, text?: string}>} */
const REMEDIES = {
  identity_reset: { label: 'Change password', view: 'compromised' },
  keys_unavailable: {
    label: 'Log in again',
    view: null,
    text: 'They were renewed on another device, or their backup does not open. A log-in fetches them.',
  },
  server_rollback: {
    label: 'Log in again',
    view: null,
    text: 'It shows older keys, people or chats than you had. Until a log-in finds them whole, nobody shows as verified.',
  },
};

/** @param {{warnings: import('../../lib/types.js').AccountWarning[], onAccount: (view: View) => void}} props */
function Warnings({ warnings, onAccount }) {
  const logout = useLogout(PATHS.login);
  const byName = new Map(warnings.map((warning) => [warning.name, warning]));
  return [...byName.values()].map(({ name, detail }) => {
    const remedy = Object.hasOwn(REMEDIES, name) ? REMEDIES[name] : null;
    return (
      <div className={styles.warning} key={name}>
        <Notice
          tone="danger"
          icon="warning"
          title={failureWords(name).title}
          action={
            remedy ? (
              <Button small onClick={() => (remedy.view ? onAccount(remedy.view) : void logout())}>
                {remedy.label}
              </Button>
            ) : null
          }
        >
          {remedy?.text ?? (failureWords(name).explain || detail)}
        </Notice>
      </div>
    );
  });
}

/** The calm reminder until there is a recovery code; "Later" holds until the page is loaded again. @param {{onSave: () => void}} props */
function RecoveryBanner({ onSave }) {
  const [later, setLater] = useState(false);
  if (later) return null;
  return (
    <div className={styles.warning}>
      <Notice
        tone="info"
        icon="key"
        live={false}
        label="Recovery code"
        action={
          <>
            <Button small onClick={onSave}>
              Save recovery code
            </Button>
            <Button small kind="quiet" onClick={() => setLater(true)}>
              Later
            </Button>
          </>
        }
      >
        Without a recovery code, a forgotten password means that your messages are lost.
      </Notice>
    </div>
  );
}

/**
 * @param {{chats: import('../../lib/types.js').ChatView[], openId: string,
 *   onNewChat: (usernames?: string[]) => void, onOpen: (id: string) => void}} props
 */
export function Sidebar({ chats, openId, onNewChat, onOpen }) {
  const { user, account, accountWarnings } = useSession();
  const [settings, setSettings] = useState(/** @type {{view: View|null}|null} */ (null));
  if (!user) return null;
  return (
    <>
      <nav className={styles.sidebar} aria-label="Chats">
        <Me user={user} onAccount={() => setSettings({ view: null })} />
        <div className={styles.scroll}>
          <Warnings warnings={accountWarnings} onAccount={(view) => setSettings({ view })} />
          {account.recovery === false ? (
            <RecoveryBanner onSave={() => setSettings({ view: 'recovery' })} />
          ) : null}
          <div className={styles.heading}>
            <h1>Chats</h1>
            <Button kind="primary" small onClick={() => onNewChat()}>
              <Icon name="plus" size="small" /> New chat
            </Button>
          </div>
          <ChatList chats={chats} openId={openId} me={user.username} />
          <PeopleList me={user.username} chats={chats} onOpen={onOpen} onNewChat={onNewChat} />
        </div>
      </nav>
      {/* Beside the pane, which is hidden below 600 px while a chat is open. */}
      {settings ? <AccountDialog start={settings.view} onClose={() => setSettings(null)} /> : null}
    </>
  );
}
